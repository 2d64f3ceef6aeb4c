import { InvalidInputError } from '../../base/index.ts'
import { crdManifests } from './crd-manifests.ts'
import { list, map, object, type Schema, text } from './schema.ts'

/** At most this many errors are reported for one object. */
const maxErrors = 10

const reference = object(
  'Owner.',
  { apiVersion: text(''), kind: text(''), name: text(''), uid: text(''), controller: { type: 'boolean' } },
  { required: ['apiVersion', 'kind', 'name', 'uid'] },
)
const metadata = object('Metadata.', {
  name: text(''),
  namespace: text(''),
  uid: text(''),
  labels: map('', text('')),
  annotations: map('', text('')),
  finalizers: list('', text('')),
  ownerReferences: list('', reference),
  deletionTimestamp: text(''),
})

/**
 * What is wrong with the types, bounds and required members of an object of one of our kinds, by its CRD; its rules in
 * CEL are not run. No errors: the object may be taken for the TypeScript type of its kind.
 * @param kind such as `SpiderIPPool`; every object of an unknown kind is wrong
 */
export function shapeErrors(kind: string, value: unknown): readonly InvalidInputError[] {
  const crd = crdManifests().find((manifest) => manifest.spec.names.kind === kind)
  const schema = crd?.spec.versions[0]?.schema.openAPIV3Schema
  if (schema === undefined) {
    return [new InvalidInputError('kind', kind, 'is not a kind of ours', 'write one, such as SpiderIPPool')]
  }
  const errors: InvalidInputError[] = []
  const withMetadata: Schema = {
    ...schema,
    required: ['metadata'],
    properties: { ...schema.properties, metadata },
  }
  collect(withMetadata, value, '', errors)
  return errors
}

function collect(schema: Schema, value: unknown, path: string, errors: InvalidInputError[]): void {
  if (errors.length >= maxErrors) return
  const error = typeError(schema, value, path) ?? boundError(schema, value, path)
  if (error !== undefined) {
    errors.push(error)
    return
  }
  if (Array.isArray(value)) {
    const { items } = schema
    if (items !== undefined)
      for (const [i, item] of value.entries()) collect(items, item, `${path}[${i}]`, errors)
  } else if (isRecord(value)) collectMembers(schema, value, path, errors)
}

function collectMembers(
  schema: Schema,
  value: Readonly<Record<string, unknown>>,
  path: string,
  errors: InvalidInputError[],
): void {
  const pathOf = (name: string): string => (path === '' ? name : `${path}.${name}`)
  for (const name of schema.required ?? []) {
    if (Object.hasOwn(value, name)) continue
    errors.push(new InvalidInputError(pathOf(name), undefined, 'is missing', `write ${pathOf(name)}`))
  }
  for (const [name, member] of Object.entries(value)) {
    const properties = schema.properties ?? {}
    const known = Object.hasOwn(properties, name) ? properties[name] : schema.additionalProperties
    if (known !== undefined) collect(known, member, pathOf(name), errors)
  }
}

function typeError(schema: Schema, value: unknown, path: string): InvalidInputError | undefined {
  const { type } = schema
  const fits =
    type === undefined ||
    (type === 'object' && isRecord(value)) ||
    (type === 'array' && Array.isArray(value)) ||
    (type === 'integer' && (typeof value === 'bigint' || Number.isInteger(value))) ||
    ((type === 'string' || type === 'boolean') && typeof value === type)
  if (fits) return undefined
  const article = type === 'string' || type === 'boolean' ? 'a' : 'an'
  return new InvalidInputError(
    path || 'object',
    value,
    `is not ${article} ${type}`,
    `write ${article} ${type}`,
  )
}

function boundError(schema: Schema, value: unknown, path: string): InvalidInputError | undefined {
  const refuse = (problem: string, hint: string) => new InvalidInputError(path, value, problem, hint)
  const { minimum, maximum, maxLength, maxItems } = schema
  if (schema.enum !== undefined && !schema.enum.some((allowed) => allowed === value)) {
    return refuse('is not one of the values allowed', `write one of ${schema.enum.join(', ')}`)
  }
  if (typeof value === 'number' || typeof value === 'bigint') {
    if (minimum !== undefined && value < minimum) return refuse('is too low', `write ${minimum} or more`)
    if (maximum !== undefined && value > maximum) return refuse('is too high', `write ${maximum} or less`)
  }
  if (typeof value === 'string' && maxLength !== undefined && value.length > maxLength) {
    return refuse('is too long', `write at most ${maxLength} characters`)
  }
  if (Array.isArray(value) && maxItems !== undefined && value.length > maxItems) {
    return refuse(`has ${value.length} entries`, `write at most ${maxItems} entries`)
  }
  return undefined
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
