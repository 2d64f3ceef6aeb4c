import { isDeepStrictEqual } from 'node:util'

/** One operation of a JSON patch (RFC 6902). */
export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }

/** The operations that turn one JSON value into another; lists that differ are replaced whole. */
export function diffJson(before: unknown, after: unknown, path = ''): readonly PatchOperation[] {
  if (isDeepStrictEqual(before, after)) return []
  if (!isMembers(before) || !isMembers(after)) return [{ op: 'replace', path, value: after }]
  const operations: PatchOperation[] = []
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name)) operations.push({ op: 'remove', path: `${path}/${escapeName(name)}` })
  }
  for (const [name, value] of Object.entries(after)) {
    const at = `${path}/${escapeName(name)}`
    if (Object.hasOwn(before, name)) operations.push(...diffJson(before[name], value, at))
    else operations.push({ op: 'add', path: at, value })
  }
  return operations
}

function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** RFC 6901 §3. */
function escapeName(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
