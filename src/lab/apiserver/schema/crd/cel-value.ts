import { CelObject, type CelType, runtimeEnvironment } from '../cel/environment.ts'
import { escapeProperty } from '../cel/escape.ts'
import { isObject, type JsonObject, ownValue } from '../record.ts'
import type { Schema } from './schema.ts'

const text: CelType = { kind: 'scalar', name: 'string' }
const dynamic: CelType = { kind: 'scalar', name: 'dyn' }
const metadata: CelType = {
  kind: 'object',
  fields: new Map([
    ['name', text],
    ['generateName', text],
  ]),
}
const resourceFields: readonly (readonly [string, CelType])[] = [
  ['apiVersion', text],
  ['kind', text],
  ['metadata', metadata],
]

/** The CEL type of a schema node. `isResource`: the node is the root or an embedded resource. */
export function celTypeOf(schema: Schema, isResource: boolean = schema.embedded): CelType {
  if (schema.intOrString) return dynamic
  switch (schema.type) {
    case undefined:
      return dynamic
    case 'boolean':
      return { kind: 'scalar', name: 'bool' }
    case 'integer':
      return { kind: 'scalar', name: 'int' }
    case 'number':
      return { kind: 'scalar', name: 'double' }
    case 'string':
      return stringType(schema)
    case 'array':
      return { kind: 'list', items: schema.items === undefined ? dynamic : celTypeOf(schema.items) }
    case 'object':
      return objectType(schema, isResource)
  }
}

function stringType(schema: Schema): CelType {
  switch (schema.limits.format) {
    case 'date':
    case 'date-time':
      return { kind: 'timestamp' }
    case 'duration':
      return { kind: 'duration' }
    case 'byte':
      return { kind: 'scalar', name: 'bytes' }
    default:
      return text
  }
}

function objectType(schema: Schema, isResource: boolean): CelType {
  const { additionalProperties } = schema
  if (additionalProperties === true) return { kind: 'map', values: dynamic }
  if (additionalProperties !== undefined) return { kind: 'map', values: celTypeOf(additionalProperties) }
  if (!isResource && schema.properties.size === 0) return dynamic
  const fields = new Map<string, CelType>()
  for (const [name, child] of schema.properties) {
    const escaped = escapeProperty(name)
    if (escaped !== undefined) fields.set(escaped, celTypeOf(child))
  }
  if (isResource) for (const [name, type] of resourceFields) fields.set(name, type)
  return { kind: 'object', fields }
}

const toTimestamp = runtimeEnvironment.parse('timestamp(self)')
const toDuration = runtimeEnvironment.parse('duration(self)')

/** A JSON value as CEL sees it through its schema: integers as int, known fields alone, names escaped. */
export function toCelValue(value: unknown, schema: Schema, isResource: boolean = schema.embedded): unknown {
  if (value === null || value === undefined) return null
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return schema.type === 'number' ? value : toCelNumber(value)
  if (typeof value === 'string') return toCelString(value, schema)
  if (Array.isArray(value)) {
    const items = schema.items
    return value.map((item) => (items === undefined ? toDynamic(item) : toCelValue(item, items)))
  }
  return isObject(value) ? toCelObject(value, schema, isResource) : value
}

const toCelNumber = (value: number): number | bigint => (Number.isSafeInteger(value) ? BigInt(value) : value)

function toCelString(value: string, schema: Schema): unknown {
  const type = schema.type === 'string' ? stringType(schema) : text
  if (type.kind === 'timestamp')
    return toTimestamp({ self: value.length === 10 ? `${value}T00:00:00Z` : value })
  if (type.kind === 'duration') return toDuration({ self: value })
  if (type.kind === 'scalar' && type.name === 'bytes') return Uint8Array.from(Buffer.from(value, 'base64'))
  return value
}

function toCelObject(object: JsonObject, schema: Schema, isResource: boolean): unknown {
  const { additionalProperties } = schema
  if (additionalProperties !== undefined) {
    const convert = (item: unknown): unknown =>
      additionalProperties === true ? toDynamic(item) : toCelValue(item, additionalProperties)
    return new Map(Object.entries(object).map(([key, item]) => [key, convert(item)]))
  }
  if (!isResource && schema.properties.size === 0) return toDynamic(object)
  const fields: (readonly [string, () => unknown])[] = []
  for (const [name, child] of schema.properties) {
    const escaped = escapeProperty(name)
    if (escaped !== undefined && Object.hasOwn(object, name))
      fields.push([escaped, () => toCelValue(object[name], child)])
  }
  if (isResource) fields.push(...resourceValues(object))
  return new CelObject(fields)
}

function resourceValues(object: JsonObject): readonly (readonly [string, () => unknown])[] {
  const known = (from: JsonObject, names: readonly string[]) =>
    names.filter((name) => Object.hasOwn(from, name)).map((name) => [name, () => from[name]] as const)
  const metadata = ownValue(object, 'metadata')
  const named = isObject(metadata) ? known(metadata, ['name', 'generateName']) : []
  return [...known(object, ['apiVersion', 'kind']), ['metadata', () => new CelObject(named)]]
}

function toDynamic(value: unknown): unknown {
  if (typeof value === 'number') return toCelNumber(value)
  if (Array.isArray(value)) return value.map(toDynamic)
  if (!isObject(value)) return value
  return new Map(Object.entries(value).map(([key, item]) => [key, toDynamic(item)]))
}
