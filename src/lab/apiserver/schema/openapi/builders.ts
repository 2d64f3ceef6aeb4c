import { fromEntries, type JsonObject } from '../record.ts'

// Short words to write OpenAPI schemas of built-in kinds. What is not described is kept: objects are open.

const open = { 'x-kubernetes-preserve-unknown-fields': true }

export type Fields = Readonly<Record<string, JsonObject>>

export const text = (description: string): JsonObject => ({ type: 'string', description })
export const flag = (description: string): JsonObject => ({ type: 'boolean', description })
export const int32 = (description: string): JsonObject => ({ type: 'integer', format: 'int32', description })
export const int64 = (description: string): JsonObject => ({ type: 'integer', format: 'int64', description })
export const time = (description: string): JsonObject => ({
  type: 'string',
  format: 'date-time',
  description,
})
export const intOrString = (description: string): JsonObject => ({
  description,
  'x-kubernetes-int-or-string': true,
  oneOf: [{ type: 'integer' }, { type: 'string' }],
})
export const withDefault = (schema: JsonObject, value: unknown): JsonObject => ({ ...schema, default: value })

/** A map of texts: labels, annotations, data. */
export const textMap = (description: string, mapType: 'granular' | 'atomic' = 'granular'): JsonObject => ({
  type: 'object',
  description,
  additionalProperties: { type: 'string' },
  ...(mapType === 'atomic' ? { 'x-kubernetes-map-type': 'atomic' } : {}),
})

/** A map of quantities: `cpu: 100m`. */
export const quantityMap = (description: string): JsonObject => ({
  type: 'object',
  description,
  additionalProperties: { 'x-kubernetes-int-or-string': true },
})

export const object = (
  description: string,
  fields: Fields,
  required: readonly string[] = [],
): JsonObject => ({
  type: 'object',
  description,
  properties: fromEntries(Object.entries(fields)),
  ...(required.length === 0 ? {} : { required }),
  ...open,
})

/** An object that is replaced whole by server-side apply. */
export const atomic = (schema: JsonObject): JsonObject => ({ ...schema, 'x-kubernetes-map-type': 'atomic' })

/** Strategic merge keeps only the keys that the patch names. */
export const retainKeys = (schema: JsonObject): JsonObject => ({
  ...schema,
  'x-kubernetes-patch-strategy': 'retainKeys',
})

/** An object of which nothing is described. */
export const anything = (description: string): JsonObject => ({ type: 'object', description, ...open })

/** A list that is replaced whole. */
export const list = (description: string, items: JsonObject): JsonObject => ({
  type: 'array',
  description,
  items,
  'x-kubernetes-list-type': 'atomic',
})

export const texts = (description: string): JsonObject => list(description, { type: 'string' })

/** A list of distinct texts that patches join. */
export const textSet = (description: string): JsonObject => ({
  type: 'array',
  description,
  items: { type: 'string' },
  'x-kubernetes-list-type': 'set',
  'x-kubernetes-patch-strategy': 'merge',
})

/** A list whose items patches match by their keys; strategic merge knows the first key alone. */
export const keyed = (
  description: string,
  items: JsonObject,
  keys: readonly [string, ...string[]],
  strategy = 'merge',
): JsonObject => ({
  type: 'array',
  description,
  items,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': keys,
  'x-kubernetes-patch-merge-key': keys[0],
  'x-kubernetes-patch-strategy': strategy,
})

/** A kind: its own fields beside apiVersion, kind and metadata (which documents add). */
export const kind = (description: string, fields: Fields, required: readonly string[] = []): JsonObject =>
  object(description, fields, required)
