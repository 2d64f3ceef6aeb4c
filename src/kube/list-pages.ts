import type { KubeObject, Resource } from '../api/index.ts'
import { ApiError } from './api-error.ts'
import type { KubeApi, KubeList, ListAllOptions } from './kube-api.ts'

const pageSize = 500
const smallestPageSize = 10
// Each restart means that the list took longer than the server keeps its versions.
const maxListRestarts = 5

/**
 * Reads all pages as one consistent list; starts again when the version expires in between, and with smaller pages
 * when one is too large.
 */
export async function listByPages<T extends KubeObject>(
  api: Pick<KubeApi, 'list'>,
  resource: Resource,
  options: ListAllOptions<T>,
  signal: AbortSignal,
): Promise<KubeList<T>> {
  const { keep, ...rest } = options
  let limit = options.limit ?? pageSize
  for (let restarts = 0; ; restarts += 1) {
    try {
      return await listOnce<T>(
        api,
        resource,
        { ...rest, limit, ...(keep === undefined ? {} : { keep }) },
        signal,
      )
    } catch (error) {
      if (!(error instanceof ApiError) || restarts >= maxListRestarts) throw error
      const isTooLarge = error.reason === 'TooLarge' && limit > smallestPageSize
      if (error.status !== 410 && !isTooLarge) throw error
      if (isTooLarge) limit = Math.max(smallestPageSize, Math.floor(limit / 5))
    }
  }
}

async function listOnce<T extends KubeObject>(
  api: Pick<KubeApi, 'list'>,
  resource: Resource,
  options: ListAllOptions<T>,
  signal: AbortSignal,
): Promise<KubeList<T>> {
  const { keep = (object: T) => object, ...query } = options
  const items: T[] = []
  let page = await api.list<T>(resource, query, signal)
  for (;;) {
    for (const item of page.items) items.push(keep(item))
    if (page.continueToken === undefined) return { items, resourceVersion: page.resourceVersion }
    page = await api.list<T>(resource, { ...query, continueToken: page.continueToken }, signal)
  }
}
