import type { KubeObject, Resource } from '../../api/index.ts'
import { ApiError } from '../api-error.ts'
import type { KubeList } from '../kube-api.ts'
import { isRecord } from '../untyped.ts'

// The server validated what is in `spec` and `status` against the schema of the kind. Here is checked what this room
// itself relies on: that it is an object with a name, and with a version to compare.

/** @throws {ApiError} `BadReply` when `value` is no object of the API */
export function parseObject<T extends KubeObject>(value: unknown, action: string): T {
  const problem = problemOf(value)
  if (problem !== undefined) throw badReply(action, problem)
  return value as T
}

/** @throws {ApiError} `BadReply` when `value` is no list */
export function parseList<T extends KubeObject>(
  value: unknown,
  resource: Resource,
  action: string,
): KubeList<T> {
  const metadata = isRecord(value) ? value['metadata'] : undefined
  const items = isRecord(value) ? (value['items'] ?? []) : undefined
  if (!isRecord(metadata) || !Array.isArray(items)) throw badReply(action, 'it has no metadata and items')
  const { resourceVersion, continue: continueToken } = metadata
  if (typeof resourceVersion !== 'string' || resourceVersion === '')
    throw badReply(action, 'it has no version')
  if (continueToken !== undefined && continueToken !== null && typeof continueToken !== 'string') {
    throw badReply(action, 'its continue token is not a string')
  }
  const apiVersion = apiVersionOf(resource)
  const parsed = items.map((item: unknown, index) => {
    const problem = problemOf(item)
    if (problem !== undefined) throw badReply(action, `items[${index}]: ${problem}`)
    // Lists leave out what all their items share.
    return { apiVersion, kind: resource.kind, ...(item as object) } as unknown as T
  })
  const token = typeof continueToken === 'string' && continueToken !== '' ? { continueToken } : {}
  return { items: parsed, resourceVersion, ...token }
}

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
}

/** What makes `value` unusable as an object with a name, uid and version; undefined when nothing does. */
export function problemOf(value: unknown): string | undefined {
  const metadata = isRecord(value) ? value['metadata'] : undefined
  if (!isRecord(metadata)) return 'it has no metadata'
  for (const field of ['name', 'resourceVersion'] as const) {
    const text = metadata[field]
    if (typeof text !== 'string' || text === '') return `metadata.${field} is not a text`
  }
  for (const field of ['namespace', 'uid', 'deletionTimestamp'] as const) {
    const text = metadata[field]
    if (text !== undefined && typeof text !== 'string') return `metadata.${field} is not a text`
  }
  for (const field of ['labels', 'annotations'] as const) {
    const map = metadata[field]
    if (map === undefined || map === null) continue
    if (!isRecord(map)) return `metadata.${field} is not an object`
    if (Object.values(map).some((text) => typeof text !== 'string'))
      return `metadata.${field} holds what is no text`
  }
  for (const field of ['finalizers', 'ownerReferences'] as const) {
    const list = metadata[field]
    if (list !== undefined && list !== null && !Array.isArray(list)) return `metadata.${field} is not a list`
  }
  return undefined
}

function badReply(action: string, problem: string): ApiError {
  const message = `the API server answered with what is no object of its API: ${problem}`
  return new ApiError(action, { status: 0, reason: 'BadReply', message })
}
