/**
 * The JSON merge patch (RFC 7396) that turns `before` into `after`: null for members that go, equal members left out,
 * lists whole. A patch that was `after` itself would leave the old members that it does not name.
 */
export function mergePatchOf<T extends object>(before: T | undefined, after: T): unknown {
  return before === undefined ? after : (difference(before, after) ?? {})
}

type Members = Readonly<Record<string, unknown>>

/** undefined when both are equal. */
function difference(before: unknown, after: unknown): unknown {
  if (before === after) return undefined
  if (!isMembers(before) || !isMembers(after)) {
    return JSON.stringify(before) === JSON.stringify(after) ? undefined : after
  }
  const patch: Record<string, unknown> = {}
  for (const key of Object.keys(before)) {
    if (after[key] === undefined && before[key] !== undefined) patch[key] = null
  }
  for (const [key, value] of Object.entries(after)) {
    const changed = value === undefined ? undefined : difference(before[key], value)
    if (changed !== undefined) patch[key] = changed
  }
  return Object.keys(patch).length === 0 ? undefined : patch
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
