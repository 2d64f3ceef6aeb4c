import {
  type KubeObject,
  type Resource,
  resources,
  type SpiderIpPool,
  spiderFinalizer,
} from '../api/index.ts'
import { ApiError, type KubeApi } from '../kube/index.ts'
import type { Ledger } from '../ledger/index.ts'

/**
 * Lets a deleted pool go once the ledger holds nothing of it (spec/gc.md §8.1).
 * The ledger decides, not `status.allocatedIPs`, which is a view.
 *
 * @param pool from the cache
 * @returns whether the pool is gone or going: nothing is left to do for it
 */
export async function finalizePool(
  pool: SpiderIpPool,
  ledger: Pick<Ledger, 'poolUsage'>,
  api: KubeApi,
  signal: AbortSignal,
): Promise<boolean> {
  if (!waitsForUs(pool) || ledger.poolUsage(pool.metadata.name) > 0) return false
  await letGo(resources.ipPool, pool, api, signal)
  return true
}

/** Whether an object is being deleted, and our finalizer keeps it. */
export function waitsForUs({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && metadata.finalizers?.includes(spiderFinalizer) === true
}

/**
 * Takes our finalizer off an object that is being deleted; those of others stay.
 * @param object from the cache
 */
export async function letGo(
  resource: Resource,
  object: KubeObject,
  api: KubeApi,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace, resourceVersion, finalizers = [] } = object.metadata
  const rest = finalizers.filter((finalizer) => finalizer !== spiderFinalizer)
  const body = { metadata: { resourceVersion, finalizers: rest.length === 0 ? null : rest } }
  try {
    const ref = namespace === undefined ? { name } : { name, namespace }
    await api.patch(resource, ref, { type: 'merge', body }, signal)
  } catch (error) {
    // Gone already, and the cache does not know yet.
    if (!(error instanceof ApiError) || error.status !== 404) throw error
  }
}
