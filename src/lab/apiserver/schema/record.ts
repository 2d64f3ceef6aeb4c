/** A JSON object of unknown content. */
export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object at `key` of `value`, or undefined when there is none of that kind. */
export function objectAt(value: unknown, key: string): JsonObject | undefined {
  if (!isObject(value)) return undefined
  const found = ownValue(value, key)
  return isObject(found) ? found : undefined
}

/** The string at `key`, or undefined. */
export function stringAt(value: unknown, key: string): string | undefined {
  if (!isObject(value)) return undefined
  const found = ownValue(value, key)
  return typeof found === 'string' ? found : undefined
}

/** The list at `key`; empty when there is none. */
export function listAt(value: unknown, key: string): readonly unknown[] {
  if (!isObject(value)) return []
  const found = ownValue(value, key)
  return Array.isArray(found) ? found : []
}

/** Own property alone: `constructor` and the like in foreign data must not reach the prototype. */
export function ownValue(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/** A new object from entries; unlike assignment it also keeps a key named `__proto__`. */
export function fromEntries(entries: Iterable<readonly [string, unknown]>): JsonObject {
  return Object.fromEntries(entries)
}

/** Sets or (with undefined) removes one key in a copy. */
export function withKey(object: JsonObject, key: string, value: unknown): JsonObject {
  const rest = Object.entries(object).filter(([name]) => name !== key)
  if (value === undefined) return fromEntries(rest)
  if (!Object.hasOwn(object, key)) return fromEntries([...rest, [key, value]])
  return fromEntries(Object.entries(object).map(([name, old]) => [name, name === key ? value : old] as const))
}

/** Deep equality of JSON values; 1 and 1n are equal. */
export function jsonEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (isNumeric(left) && isNumeric(right)) return exactNumber(left) === exactNumber(right)
  if (Array.isArray(left)) {
    return (
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((item, index) => jsonEqual(item, right[index]))
    )
  }
  if (!isObject(left) || !isObject(right)) return false
  const keys = Object.keys(left)
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && jsonEqual(left[key], right[key]))
  )
}

const isNumeric = (value: unknown): value is number | bigint =>
  typeof value === 'number' || typeof value === 'bigint'

function exactNumber(value: number | bigint): number | bigint {
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value
}
