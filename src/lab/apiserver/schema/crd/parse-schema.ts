import { isObject, type JsonObject, ownValue } from '../record.ts'
import { parseLimits } from './parse-limits.ts'
import { refuse } from './refuse.ts'
import type { Schema, SchemaType } from './schema.ts'

const types: readonly string[] = ['object', 'array', 'string', 'integer', 'number', 'boolean']
const maxDepth = 64 // nested schema nodes; deeper ones would exhaust the stack of a recursive validator
const maxNodes = 20_000

// What apiextensions/v1 forbids in a structural schema.
const forbiddenKeys: readonly string[] = [
  '$ref',
  'additionalItems',
  'definitions',
  'dependencies',
  'deprecated',
  'discriminator',
  'id',
  'patternProperties',
  'readOnly',
  'writeOnly',
  'xml',
]
const forbiddenInJunctor = [
  'type',
  'default',
  'additionalProperties',
  'nullable',
  'description',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
]

interface Place {
  readonly path: string
  readonly depth: number
  readonly budget: { nodes: number }
  readonly junctor: boolean
}

/**
 * Parses an `openAPIV3Schema` by the rules of structural schemas. CEL rules are compiled later (`rules` is empty).
 * @throws {InvalidInputError} at the first node that breaks a rule
 */
export function parseSchema(raw: unknown, path: string): Schema {
  const schema = parseNode(raw, { path, depth: 0, budget: { nodes: maxNodes }, junctor: false })
  if (schema.type !== 'object')
    refuse(`${path}.type`, schema.type, 'is not "object"', 'the root of a resource is an object')
  if (schema.nullable) refuse(`${path}.nullable`, true, 'cannot be true at the root', 'remove nullable')
  return schema
}

function parseNode(raw: unknown, place: Place): Schema {
  const { path } = place
  if (!isObject(raw)) refuse(path, raw, 'is not a schema', 'write an object with a type')
  place.budget.nodes -= 1
  if (place.depth > maxDepth)
    refuse(path, '...', `is nested deeper than ${maxDepth} levels`, 'flatten the schema')
  if (place.budget.nodes < 0)
    refuse(path, '...', `is one of over ${maxNodes} nodes`, 'make the schema smaller')
  refuseForbidden(raw, place)
  const intOrString = flag(raw, 'x-kubernetes-int-or-string', path)
  const preserveUnknown = flag(raw, 'x-kubernetes-preserve-unknown-fields', path)
  if (preserveUnknown === false && ownValue(raw, 'x-kubernetes-preserve-unknown-fields') === false) {
    refuse(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'can only be true', 'remove the key')
  }
  const schema: Schema = {
    type: parseType(raw, place, intOrString || preserveUnknown),
    properties: parseProperties(raw, place),
    additionalProperties: parseAdditional(raw, place),
    items: parseItems(raw, place),
    required: stringList(raw, 'required', path),
    nullable: flag(raw, 'nullable', path),
    defaultValue: Object.hasOwn(raw, 'default') ? { value: raw['default'] } : undefined,
    limits: parseLimits(raw, path),
    intOrString,
    preserveUnknown,
    embedded: flag(raw, 'x-kubernetes-embedded-resource', path),
    ...parseCollection(raw, path),
    ...parseJunctors(raw, place, intOrString),
    rules: [],
  }
  if (!place.junctor) checkNode(schema, raw, path)
  return schema
}

function refuseForbidden(raw: JsonObject, { path, junctor }: Place): void {
  for (const key of forbiddenKeys) {
    const value = ownValue(raw, key)
    if (value !== undefined && value !== false) {
      refuse(`${path}.${key}`, value, 'is forbidden in a structural schema', 'remove it')
    }
  }
  if (ownValue(raw, 'uniqueItems') === true) {
    refuse(`${path}.uniqueItems`, true, 'is forbidden', 'use x-kubernetes-list-type: set')
  }
  if (!junctor) return
  for (const key of forbiddenInJunctor) {
    if (Object.hasOwn(raw, key)) {
      const hint = 'move it to the schema outside of allOf, anyOf, oneOf and not'
      refuse(`${path}.${key}`, raw[key], 'is forbidden here', hint)
    }
  }
}

function parseType(raw: JsonObject, { path, junctor }: Place, mayBeAbsent: boolean): SchemaType | undefined {
  const type = ownValue(raw, 'type')
  if (type === undefined || type === '') {
    if (junctor || mayBeAbsent) return undefined
    return refuse(
      `${path}.type`,
      null,
      'is required in a structural schema',
      `write one of ${types.join(', ')}`,
    )
  }
  if (!isSchemaType(type))
    return refuse(`${path}.type`, type, 'is not a type', `write one of ${types.join(', ')}`)
  if (ownValue(raw, 'x-kubernetes-int-or-string') === true) {
    refuse(`${path}.type`, type, 'is set beside x-kubernetes-int-or-string', 'remove one of the two')
  }
  return type
}

const isSchemaType = (value: unknown): value is SchemaType =>
  typeof value === 'string' && types.includes(value)

function below(place: Place, step: string): Place {
  return { ...place, path: `${place.path}.${step}`, depth: place.depth + 1 }
}

function parseProperties(raw: JsonObject, place: Place): ReadonlyMap<string, Schema> {
  const found = ownValue(raw, 'properties')
  if (found === undefined) return new Map()
  if (!isObject(found)) refuse(`${place.path}.properties`, found, 'is not an object', 'map names to schemas')
  const entries = Object.entries(found)
  return new Map(
    entries.map(([name, child]) => [name, parseNode(child, below(place, `properties[${name}]`))]),
  )
}

function parseAdditional(raw: JsonObject, place: Place): Schema | true | undefined {
  const found = ownValue(raw, 'additionalProperties')
  if (found === undefined) return undefined
  const path = `${place.path}.additionalProperties`
  if (found === false) refuse(path, false, 'is forbidden', 'remove it: unknown fields are pruned anyway')
  const properties = ownValue(raw, 'properties')
  if (isObject(properties) && Object.keys(properties).length > 0) {
    refuse(path, '...', 'is set beside properties', 'an object has either properties or additionalProperties')
  }
  return found === true ? true : parseNode(found, below(place, 'additionalProperties'))
}

function parseItems(raw: JsonObject, place: Place): Schema | undefined {
  const found = ownValue(raw, 'items')
  if (found === undefined) return undefined
  if (Array.isArray(found)) refuse(`${place.path}.items`, found, 'is a list of schemas', 'write one schema')
  return parseNode(found, below(place, 'items'))
}

function parseCollection(
  raw: JsonObject,
  path: string,
): Pick<Schema, 'listType' | 'listMapKeys' | 'mapType'> {
  const listType = oneOf(raw, 'x-kubernetes-list-type', ['atomic', 'set', 'map'] as const, path)
  const mapType = oneOf(raw, 'x-kubernetes-map-type', ['granular', 'atomic'] as const, path)
  const listMapKeys = stringList(raw, 'x-kubernetes-list-map-keys', path)
  return { listType: listType ?? 'atomic', mapType: mapType ?? 'granular', listMapKeys }
}

function oneOf<T extends string>(
  raw: JsonObject,
  key: string,
  allowed: readonly T[],
  path: string,
): T | undefined {
  const value = ownValue(raw, key)
  if (value === undefined) return undefined
  const found = allowed.find((item) => item === value)
  return found ?? refuse(`${path}.${key}`, value, 'is not supported', `write one of ${allowed.join(', ')}`)
}

function flag(raw: JsonObject, key: string, path: string): boolean {
  const value = ownValue(raw, key)
  if (value === undefined) return false
  if (typeof value !== 'boolean') refuse(`${path}.${key}`, value, 'is not a boolean', 'write true or false')
  return value
}

function stringList(raw: JsonObject, key: string, path: string): readonly string[] {
  const value = ownValue(raw, key)
  if (value === undefined || value === null) return []
  if (!Array.isArray(value))
    return refuse(`${path}.${key}`, value, 'is not a list', 'write a list of strings')
  return value.map((item, index) =>
    typeof item === 'string'
      ? item
      : refuse(`${path}.${key}[${index}]`, item, 'is not a string', 'write a list of strings'),
  )
}

function parseJunctors(
  raw: JsonObject,
  place: Place,
  intOrString: boolean,
): Pick<Schema, 'allOf' | 'anyOf' | 'oneOf' | 'not'> {
  const list = (key: string): readonly Schema[] => {
    const found = ownValue(raw, key)
    if (found === undefined) return []
    if (!Array.isArray(found))
      refuse(`${place.path}.${key}`, found, 'is not a list', 'write a list of schemas')
    const items: readonly unknown[] = found
    if (intOrString && key !== 'oneOf') return intOrStringJunctor(items, key, place)
    return items.map((item, index) => parseNode(item, { ...below(place, `${key}[${index}]`), junctor: true }))
  }
  const not = ownValue(raw, 'not')
  return {
    allOf: list('allOf'),
    anyOf: list('anyOf'),
    oneOf: list('oneOf'),
    not: not === undefined ? undefined : parseNode(not, { ...below(place, 'not'), junctor: true }),
  }
}

/** The one place where a type may stand in a junctor: `anyOf: [{type: integer}, {type: string}]` of int-or-string. */
function intOrStringJunctor(items: readonly unknown[], key: string, place: Place): readonly Schema[] {
  const isPair = (list: unknown): boolean =>
    Array.isArray(list) &&
    list.length === 2 &&
    list.every((item) => isObject(item) && Object.keys(item).length === 1) &&
    ['integer', 'string'].every((type) => list.some((item) => isObject(item) && item['type'] === type))
  if (key === 'anyOf' && isPair(items)) return []
  return items.flatMap((item, index) => {
    const first = key === 'allOf' && index === 0 && isObject(item) && isPair(item['anyOf'])
    if (first) return []
    return [parseNode(item, { ...below(place, `${key}[${index}]`), junctor: true })]
  })
}

function checkNode(schema: Schema, raw: JsonObject, path: string): void {
  checkTypeFits(schema, raw, path)
  checkListType(schema, raw, path)
  if (schema.embedded && schema.properties.size === 0 && !schema.preserveUnknown) {
    const problem = 'has neither properties nor x-kubernetes-preserve-unknown-fields'
    refuse(path, '...', problem, 'an embedded resource needs one of them')
  }
  const junctors = [...schema.allOf, ...schema.anyOf, ...schema.oneOf, ...(schema.not ? [schema.not] : [])]
  for (const junctor of junctors) checkComplete(junctor, schema, path)
}

function checkTypeFits(schema: Schema, raw: JsonObject, path: string): void {
  const { type } = schema
  if (schema.items !== undefined && type !== undefined && type !== 'array') {
    refuse(`${path}.items`, '...', `is set for type ${type}`, 'items belong to type array')
  }
  if (type === 'array' && schema.items === undefined && !schema.preserveUnknown) {
    refuse(`${path}.items`, null, 'is required for type array', 'write the schema of one item')
  }
  const objectKeys = ['properties', 'additionalProperties', 'x-kubernetes-embedded-resource']
  for (const key of objectKeys) {
    if (Object.hasOwn(raw, key) && type !== undefined && type !== 'object') {
      refuse(`${path}.${key}`, '...', `is set for type ${type}`, 'it belongs to type object')
    }
  }
  if (schema.embedded && type !== 'object')
    refuse(`${path}.type`, type, 'is not "object"', 'an embedded resource is an object')
}

function checkListType(schema: Schema, raw: JsonObject, path: string): void {
  const hasListType = Object.hasOwn(raw, 'x-kubernetes-list-type')
  if (hasListType && schema.type !== 'array') {
    refuse(
      `${path}.x-kubernetes-list-type`,
      schema.listType,
      'is set for another type than array',
      'remove it',
    )
  }
  if (Object.hasOwn(raw, 'x-kubernetes-map-type') && schema.type !== 'object') {
    refuse(
      `${path}.x-kubernetes-map-type`,
      schema.mapType,
      'is set for another type than object',
      'remove it',
    )
  }
  if (schema.listType !== 'map') {
    if (schema.listMapKeys.length > 0) {
      const field = `${path}.x-kubernetes-list-map-keys`
      refuse(field, schema.listMapKeys, 'is set without x-kubernetes-list-type: map', 'add the list type')
    }
    if (schema.listType === 'set' && schema.items !== undefined) checkSetItems(schema.items, path)
    return
  }
  checkMapItems(schema, path)
}

function checkSetItems(items: Schema, path: string): void {
  if (items.nullable)
    refuse(`${path}.items.nullable`, true, 'is set for the items of a set', 'remove nullable')
  const atomic = items.type === 'object' ? items.mapType === 'atomic' : items.listType === 'atomic'
  if ((items.type === 'object' || items.type === 'array') && !atomic) {
    refuse(`${path}.items`, '...', 'is not atomic, but the list is a set', 'make the items scalar or atomic')
  }
}

function checkMapItems(schema: Schema, path: string): void {
  const field = `${path}.x-kubernetes-list-map-keys`
  if (schema.listMapKeys.length === 0) refuse(field, [], 'is empty', 'name the key properties of the items')
  if (new Set(schema.listMapKeys).size !== schema.listMapKeys.length) {
    refuse(field, schema.listMapKeys, 'names a key twice', 'name each key once')
  }
  if (schema.items?.type !== 'object') {
    refuse(`${path}.items.type`, schema.items?.type, 'is not "object"', 'items of a map list are objects')
  }
  for (const key of schema.listMapKeys) {
    const child = schema.items.properties.get(key)
    if (child === undefined)
      refuse(field, key, 'is not a property of the items', 'name a property of the items')
    if (child.type === 'object' || child.type === 'array') {
      refuse(field, key, `is of type ${child.type}`, 'use a scalar property as key')
    }
    if (!schema.items.required.includes(key) && child.defaultValue === undefined) {
      refuse(field, key, 'is neither required nor defaulted', 'add the key to required of the items')
    }
  }
}

/** Each field that a junctor names must also be in the schema around it. */
function checkComplete(junctor: Schema, outer: Schema, path: string): void {
  for (const [name, child] of junctor.properties) {
    const known = outer.properties.get(name) ?? outer.additionalProperties
    const open = outer.preserveUnknown || outer.embedded || known === true
    if (known === undefined && !open) {
      const field = `${path}.properties[${name}]`
      refuse(
        field,
        null,
        'is missing though allOf, anyOf, oneOf or not names it',
        'specify the property here too',
      )
    }
    if (known !== undefined && known !== true) checkComplete(child, known, `${path}.properties[${name}]`)
  }
  if (junctor.items !== undefined) {
    if (outer.items === undefined)
      refuse(`${path}.items`, null, 'is missing though a junctor names it', 'specify items here too')
    checkComplete(junctor.items, outer.items, `${path}.items`)
  }
  const inner = [...junctor.allOf, ...junctor.anyOf, ...junctor.oneOf, ...(junctor.not ? [junctor.not] : [])]
  for (const child of inner) checkComplete(child, outer, path)
}
