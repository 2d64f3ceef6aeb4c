import type { ApiObject } from '../object.ts'
import { isObject, type JsonObject, objectAt, ownValue, withKey } from '../schema/record.ts'

/** A copy of `object` in which absent or null members of `defaults` are filled in. */
export function fill(object: JsonObject, defaults: JsonObject): JsonObject {
  const missing = Object.entries(defaults).filter(([key]) => (ownValue(object, key) ?? null) === null)
  return missing.length === 0 ? object : { ...object, ...Object.fromEntries(missing) }
}

/** A copy in which the object at `key` is what `change` makes of it; an absent one is made from {}. */
export function edit(object: JsonObject, key: string, change: (part: JsonObject) => JsonObject): JsonObject {
  return withKey(object, key, change(objectAt(object, key) ?? {}))
}

/** A copy in which each object in the list at `key` is changed; other content stays. */
export function editEach(
  object: JsonObject,
  key: string,
  change: (item: JsonObject) => JsonObject,
): JsonObject {
  const list = ownValue(object, key)
  if (!Array.isArray(list)) return object
  const items = list.map((item: unknown) => (isObject(item) ? change(item) : item))
  return withKey(object, key, items)
}

/** The value at a path of property names, or undefined. */
export function valueAt(object: unknown, path: readonly string[]): unknown {
  let value = object
  for (const key of path) {
    if (!isObject(value)) return undefined
    value = ownValue(value, key)
  }
  return value
}

/** A copy with `value` at a path of property names; undefined removes it. */
export function withValueAt(object: JsonObject, path: readonly string[], value: unknown): JsonObject {
  const [key, ...rest] = path
  if (key === undefined) return object
  if (rest.length === 0) return withKey(object, key, value)
  return withKey(object, key, withValueAt(objectAt(object, key) ?? {}, rest, value))
}

/** What `change` makes of a whole object, with its envelope as it was. */
export function editObject(object: ApiObject, change: (whole: JsonObject) => JsonObject): ApiObject {
  const { apiVersion, kind, metadata } = object
  return { ...change(object), apiVersion, kind, metadata }
}
