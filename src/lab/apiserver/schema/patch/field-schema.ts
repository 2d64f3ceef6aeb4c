import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from '../record.ts'

/** What OpenAPI says about one field, as far as patches need it; undefined where nothing is described. */
export type FieldSchema = JsonObject | undefined

/** The schema of one key of an object: its property, else that of the map's values. */
export function fieldOf(schema: FieldSchema, key: string): FieldSchema {
  return objectAt(objectAt(schema, 'properties'), key) ?? objectAt(schema, 'additionalProperties')
}

export function itemsOf(schema: FieldSchema): FieldSchema {
  return objectAt(schema, 'items')
}

/** The key by which strategic merge matches the items of a list; undefined: the list is replaced, or holds scalars. */
export function mergeKeyOf(schema: FieldSchema): string | undefined {
  return stringAt(schema, 'x-kubernetes-patch-merge-key')
}

/** Whether strategic merge joins this list instead of replacing it. */
export function isMergedList(schema: FieldSchema): boolean {
  return (stringAt(schema, 'x-kubernetes-patch-strategy') ?? '').split(',').includes('merge')
}

export function listTypeOf(schema: FieldSchema): 'atomic' | 'set' | 'map' {
  const type = stringAt(schema, 'x-kubernetes-list-type')
  return type === 'set' || type === 'map' ? type : 'atomic'
}

export function listMapKeysOf(schema: FieldSchema): readonly string[] {
  return listAt(schema, 'x-kubernetes-list-map-keys').filter((key): key is string => typeof key === 'string')
}

export function isAtomicMap(schema: FieldSchema): boolean {
  return stringAt(schema, 'x-kubernetes-map-type') === 'atomic'
}

/** The value of one list-map key of an item; a key that is absent has its default. */
export function keyValue(item: unknown, key: string, items: FieldSchema): unknown {
  const value = isObject(item) ? ownValue(item, key) : undefined
  if (value !== undefined) return value
  const field = fieldOf(items, key)
  return field === undefined ? undefined : ownValue(field, 'default')
}
