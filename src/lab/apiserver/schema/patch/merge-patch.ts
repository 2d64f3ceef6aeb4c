import { fromEntries, isObject, type JsonObject } from '../record.ts'

/** RFC 7386: objects merge, null removes, anything else replaces. */
export function mergePatch(base: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged = new Map<string, unknown>(isObject(base) ? Object.entries(base) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, isObject(value) ? mergePatch(merged.get(key), value) : value)
  }
  return fromEntries(merged)
}

/** `mergePatch` for a whole object. */
export function mergeObject(base: JsonObject, patch: JsonObject): JsonObject {
  const merged = mergePatch(base, patch)
  return isObject(merged) ? merged : base
}
