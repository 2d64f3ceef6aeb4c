import type { FieldFailure } from '../failure.ts'
import { parseJsonPath } from '../json-path.ts'
import { isObject, type JsonObject, objectAt, ownValue, stringAt } from '../record.ts'
import { runRules, withRules } from './cel-rules.ts'
import { type PrinterColumn, parseColumns } from './columns.ts'
import { parseSchema } from './parse-schema.ts'
import { applyDefaults, prune, unknownFields } from './prune.ts'
import { refuse } from './refuse.ts'
import type { Schema } from './schema.ts'
import { validateValue } from './validate-value.ts'

/** One version of a CustomResourceDefinition, ready to check objects. */
export interface CompiledVersion {
  readonly name: string
  readonly served: boolean
  readonly storage: boolean
  /** Text of the Warning header for users of a deprecated version. */
  readonly deprecationWarning: string | undefined
  readonly columns: readonly PrinterColumn[]
  readonly hasStatus: boolean
  readonly scale: ScalePaths | undefined
  readonly schema: Schema
  /** The `openAPIV3Schema` as written, for OpenAPI documents. */
  readonly openApi: JsonObject
  /** Drops the fields that the schema does not know. */
  prune(object: JsonObject): JsonObject
  /** The paths that `prune` drops, for `fieldValidation=Strict` and `Warn`. */
  unknownFields(object: JsonObject): readonly string[]
  applyDefaults(object: JsonObject): JsonObject
  /** `old` is undefined on create. With subresource `status` the status alone is checked. */
  validate(
    object: JsonObject,
    old: JsonObject | undefined,
    options?: { readonly subresource?: string },
  ): readonly FieldFailure[]
}

/** Paths of the scale subresource, each as property names: `['spec', 'replicas']`. */
export interface ScalePaths {
  readonly specReplicas: readonly string[]
  readonly statusReplicas: readonly string[]
  readonly labelSelector: readonly string[] | undefined
}

const versionForm = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/
// After one of these the rules of CEL would stumble over values that are not what the schema says.
const blocking = [
  'FieldValueRequired',
  'FieldValueTypeInvalid',
  'FieldValueNotSupported',
  'FieldValueTooLong',
  'FieldValueTooMany',
]

/** Checks and compiles one entry of `spec.versions`. @throws {InvalidInputError} when it is not acceptable */
export function compileVersion(raw: JsonObject, path: string): CompiledVersion {
  const name = stringAt(raw, 'name') ?? ''
  if (!versionForm.test(name))
    refuse(`${path}.name`, ownValue(raw, 'name'), 'is not a DNS label', 'write a name such as v1')
  const openApi = objectAt(objectAt(raw, 'schema'), 'openAPIV3Schema')
  const schemaPath = `${path}.schema.openAPIV3Schema`
  if (openApi === undefined) return refuse(schemaPath, null, 'is required', 'write a structural schema')
  const schema = withRules(parseSchema(openApi, schemaPath), openApi, schemaPath)
  checkDefaults(schema, schemaPath)
  const subresources = objectAt(raw, 'subresources')
  const hasStatus = objectAt(subresources, 'status') !== undefined
  return {
    name,
    served: flag(raw, 'served', path),
    storage: flag(raw, 'storage', path),
    deprecationWarning: deprecation(raw, path, name),
    columns: parseColumns(raw, path),
    hasStatus,
    scale: parseScale(subresources, `${path}.subresources.scale`),
    schema,
    openApi,
    prune: (object) => prune(object, schema),
    unknownFields: (object) => unknownFields(object, schema),
    applyDefaults: (object) => applyDefaults(object, schema),
    validate: (object, old, options = {}) => validate(schema, object, old, options.subresource === 'status'),
  }
}

function validate(
  schema: Schema,
  object: JsonObject,
  old: JsonObject | undefined,
  statusOnly: boolean,
): readonly FieldFailure[] {
  const failures = validateValue(object, schema, '')
  const isBlocked = failures.some(({ reason }) => blocking.includes(reason))
  const all = isBlocked ? failures : [...failures, ...runRules(object, old, schema)]
  // The rest of the object is stored already: its faults must not keep a controller from writing the status.
  return statusOnly ? all.filter(({ field }) => field === 'status' || /^status[.[]/.test(field)) : all
}

function flag(raw: JsonObject, key: string, path: string): boolean {
  const value = ownValue(raw, key)
  return typeof value === 'boolean'
    ? value
    : refuse(`${path}.${key}`, value, 'is not a boolean', 'write true or false')
}

function deprecation(raw: JsonObject, path: string, name: string): string | undefined {
  const warning = stringAt(raw, 'deprecationWarning')
  if (ownValue(raw, 'deprecated') === true) return warning ?? `version ${name} is deprecated`
  if (warning !== undefined)
    refuse(`${path}.deprecationWarning`, warning, 'is set without deprecated', 'set deprecated: true')
  return undefined
}

function checkDefaults(schema: Schema, path: string): void {
  if (schema.defaultValue !== undefined) {
    const { value } = schema.defaultValue
    const field = `${path}.default`
    const wrong = validateValue(value, schema, 'default')[0] ?? runRules(value, undefined, schema)[0]
    if (wrong !== undefined && !(value === null && schema.nullable)) {
      refuse(
        field,
        value,
        `does not fit its schema: ${wrong.message}`,
        'write a default that the schema accepts',
      )
    }
    const unknown = isObject(value) ? unknownFields(value, schema) : []
    if (unknown.length > 0) refuse(field, value, `has unknown fields ${unknown.join(', ')}`, 'remove them')
  }
  for (const [name, child] of schema.properties) checkDefaults(child, `${path}.properties[${name}]`)
  if (schema.items !== undefined) checkDefaults(schema.items, `${path}.items`)
  const values = schema.additionalProperties
  if (values !== undefined && values !== true) checkDefaults(values, `${path}.additionalProperties`)
}

const scaleForm = /^(\.[A-Za-z_][\w-]*)+$/

function parseScale(subresources: JsonObject | undefined, path: string): ScalePaths | undefined {
  const scale = objectAt(subresources, 'scale')
  if (scale === undefined) return undefined
  const steps = (key: string, parents: readonly string[]): readonly string[] => {
    const text = stringAt(scale, key) ?? ''
    parseJsonPath(text, `${path}.${key}`)
    if (!scaleForm.test(text) || !parents.some((parent) => text.startsWith(`${parent}.`))) {
      return refuse(
        `${path}.${key}`,
        text,
        `is not a path under ${parents.join(' or ')}`,
        `write ${parents[0]}.replicas`,
      )
    }
    return text.slice(1).split('.')
  }
  const hasSelector = ownValue(scale, 'labelSelectorPath') !== undefined
  return {
    specReplicas: steps('specReplicasPath', ['.spec']),
    statusReplicas: steps('statusReplicasPath', ['.status']),
    labelSelector: hasSelector ? steps('labelSelectorPath', ['.status', '.spec']) : undefined,
  }
}
