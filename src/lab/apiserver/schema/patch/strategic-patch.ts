import { showValue } from '../../../../base/index.ts'
import { fromEntries, isObject, type JsonObject, jsonEqual, ownValue } from '../record.ts'
import { type FieldSchema, fieldOf, isMergedList, itemsOf, mergeKeyOf } from './field-schema.ts'
import { PatchError } from './patch-error.ts'

const orderPrefix = '$setElementOrder/'
const deletePrefix = '$deleteFromPrimitiveList/'
const hint = 'Send the patch as kubectl computes it, or use a JSON merge patch'

/**
 * Strategic merge: as a merge patch, but lists that the schema says so are joined by their merge key, under the
 * directives $patch, $retainKeys, $setElementOrder and $deleteFromPrimitiveList.
 * @throws {PatchError} 422 for an item without its merge key or an unknown directive
 */
export function strategicPatch(base: JsonObject, patch: JsonObject, schema: FieldSchema): JsonObject {
  const directive = ownValue(patch, '$patch')
  const fields = Object.entries(patch).filter(([key]) => !key.startsWith('$'))
  if (directive === 'replace') return fromEntries(fields)
  if (directive === 'delete') return {}
  if (directive !== undefined && directive !== 'merge') unknownDirective(directive)
  const merged = retained(base, patch)
  for (const [key, value] of deletions(patch)) merged.set(key, without(merged.get(key), value))
  for (const [key, value] of fields) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergeField(merged.get(key), value, { schema: fieldOf(schema, key), key }))
  }
  for (const [directiveKey, order] of Object.entries(patch)) {
    if (!directiveKey.startsWith(orderPrefix)) continue
    const key = directiveKey.slice(orderPrefix.length)
    const list = merged.get(key)
    if (Array.isArray(list) && Array.isArray(order)) {
      const mergeKey = mergeKeyOf(fieldOf(schema, key))
      merged.set(key, reorder({ list, order, base: listOf(base, key), mergeKey }))
    }
  }
  return fromEntries(merged)
}

function unknownDirective(directive: unknown): never {
  throw new PatchError(422, `Cannot apply patch: unknown $patch directive ${showValue(directive)}`, hint)
}

const listOf = (object: JsonObject, key: string): readonly unknown[] => {
  const value = ownValue(object, key)
  return Array.isArray(value) ? value : []
}

function retained(base: JsonObject, patch: JsonObject): Map<string, unknown> {
  const keys = ownValue(patch, '$retainKeys')
  if (keys === undefined) return new Map(Object.entries(base))
  if (!Array.isArray(keys)) throw new PatchError(422, 'Cannot apply patch: $retainKeys is not a list', hint)
  const kept: readonly unknown[] = keys
  return new Map(Object.entries(base).filter(([key]) => kept.includes(key)))
}

function deletions(patch: JsonObject): readonly (readonly [string, readonly unknown[]])[] {
  return Object.entries(patch).flatMap(([key, value]) =>
    key.startsWith(deletePrefix) && Array.isArray(value)
      ? [[key.slice(deletePrefix.length), value] as const]
      : [],
  )
}

function without(list: unknown, removed: readonly unknown[]): unknown {
  if (!Array.isArray(list)) return list
  return list.filter((item) => !removed.some((other) => jsonEqual(item, other)))
}

function mergeField(
  base: unknown,
  value: unknown,
  place: { readonly schema: FieldSchema; readonly key: string },
): unknown {
  if (isObject(value)) return strategicPatch(isObject(base) ? base : {}, value, place.schema)
  if (!Array.isArray(value)) return value
  const mergeKey = mergeKeyOf(place.schema)
  const old: readonly unknown[] = Array.isArray(base) ? base : []
  if (!isMergedList(place.schema)) return value.filter((item) => !isReplaceMarker(item))
  if (mergeKey === undefined)
    return [...old, ...value.filter((item) => !old.some((other) => jsonEqual(item, other)))]
  return mergeItems(old, value, { items: itemsOf(place.schema), mergeKey, field: place.key })
}

const isReplaceMarker = (item: unknown): boolean => isObject(item) && item['$patch'] === 'replace'

interface ItemRules {
  readonly items: FieldSchema
  readonly mergeKey: string
  readonly field: string
}

function mergeItems(
  old: readonly unknown[],
  patch: readonly unknown[],
  rules: ItemRules,
): readonly unknown[] {
  const { mergeKey, items, field } = rules
  if (patch.some(isReplaceMarker)) return patch.filter((item) => !isReplaceMarker(item))
  const merged = [...old]
  for (const item of patch) {
    const key = isObject(item) ? ownValue(item, mergeKey) : undefined
    if (!isObject(item) || key === undefined) {
      const message = `Cannot apply patch: an item of ${field} does not contain declared merge key ${mergeKey}`
      throw new PatchError(422, message, hint)
    }
    const at = merged.findIndex((other) => isObject(other) && jsonEqual(ownValue(other, mergeKey), key))
    if (item['$patch'] === 'delete') {
      if (at >= 0) merged.splice(at, 1)
      continue
    }
    const before = at < 0 ? undefined : merged[at]
    const next = strategicPatch(isObject(before) ? before : {}, item, items)
    if (at < 0) merged.push(next)
    else merged[at] = next
  }
  return merged
}

interface Reordering {
  readonly list: readonly unknown[]
  readonly order: readonly unknown[]
  readonly base: readonly unknown[]
  readonly mergeKey: string | undefined
}

/** Items that the order names stand in that order; the others keep their place relative to the list before the patch. */
function reorder({ list, order, base, mergeKey }: Reordering): readonly unknown[] {
  const keyOf = (item: unknown): unknown =>
    mergeKey === undefined ? item : isObject(item) ? ownValue(item, mergeKey) : undefined
  const rank = (item: unknown): number => order.findIndex((entry) => jsonEqual(keyOf(entry), keyOf(item)))
  const basePosition = (item: unknown): number =>
    base.findIndex((other) => jsonEqual(keyOf(other), keyOf(item)))
  const named = list.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b))
  const others = list.filter((item) => rank(item) < 0)
  const result: unknown[] = []
  for (const item of named) {
    const position = basePosition(item)
    while (others.length > 0 && position >= 0 && basePosition(others[0]) < position)
      result.push(others.shift())
    result.push(item)
  }
  return [...result, ...others]
}
