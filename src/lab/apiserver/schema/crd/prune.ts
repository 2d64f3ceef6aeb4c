import { childPath } from '../failure.ts'
import { fromEntries, isObject, type JsonObject } from '../record.ts'
import type { Schema } from './schema.ts'

const rootFields = ['apiVersion', 'kind', 'metadata']

/** Drops the fields that the schema does not know. Gives back the same object when there are none. */
export function prune(object: JsonObject, schema: Schema): JsonObject {
  const dropped: string[] = []
  const pruned = pruneValue(object, { schema, resource: true, path: '', dropped })
  return dropped.length === 0 || !isObject(pruned) ? object : pruned
}

/** Paths of the fields that `prune` would drop, for strict field validation. */
export function unknownFields(object: JsonObject, schema: Schema): readonly string[] {
  const dropped: string[] = []
  pruneValue(object, { schema, resource: true, path: '', dropped })
  return dropped
}

interface Spot {
  readonly schema: Schema
  /** The object is a resource, whose apiVersion, kind and metadata are always known. */
  readonly resource: boolean
  readonly path: string
  readonly dropped: string[]
}

function pruneValue(value: unknown, spot: Spot): unknown {
  const { schema, path } = spot
  if (Array.isArray(value)) {
    const items = schema.items
    if (items === undefined) return value
    return value.map((item, index) =>
      pruneValue(item, { ...spot, schema: items, resource: items.embedded, path: `${path}[${index}]` }),
    )
  }
  if (!isObject(value)) return value
  const kept: (readonly [string, unknown])[] = []
  for (const [key, item] of Object.entries(value)) {
    const field = childPath(path, key)
    if (spot.resource && rootFields.includes(key)) {
      kept.push([key, item])
      continue
    }
    const known = schema.properties.get(key) ?? schema.additionalProperties
    if (known === undefined) {
      if (schema.preserveUnknown) kept.push([key, item])
      else spot.dropped.push(field)
    } else if (known === true) kept.push([key, item])
    else kept.push([key, pruneValue(item, { ...spot, schema: known, resource: known.embedded, path: field })])
  }
  return fromEntries(kept)
}

/** Fills in defaults, top down; a null where none is allowed is dropped or takes the default. */
export function applyDefaults(object: JsonObject, schema: Schema): JsonObject {
  const filled = defaultValue(object, schema)
  return isObject(filled) ? filled : object
}

function defaultValue(value: unknown, schema: Schema): unknown {
  if (Array.isArray(value)) {
    const items = schema.items
    return items === undefined ? value : value.map((item) => defaultValue(item, items))
  }
  if (!isObject(value)) return value
  const entries: (readonly [string, unknown])[] = []
  for (const [key, item] of Object.entries(value)) {
    const known = schema.properties.get(key) ?? schema.additionalProperties
    if (known === undefined || known === true) entries.push([key, item])
    else if (item === null && !known.nullable) continue
    else entries.push([key, defaultValue(item, known)])
  }
  const present = new Set(entries.map(([key]) => key))
  for (const [key, child] of schema.properties) {
    if (present.has(key) || child.defaultValue === undefined) continue
    entries.push([key, defaultValue(structuredClone(child.defaultValue.value), child)])
  }
  return fromEntries(entries)
}
