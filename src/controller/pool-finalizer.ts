import { resources, type SpiderIpPool, spiderFinalizer } from '../api/index.ts'
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
  const { name, deletionTimestamp, resourceVersion, finalizers = [] } = pool.metadata
  if (deletionTimestamp === undefined || !finalizers.includes(spiderFinalizer)) return false
  if (ledger.poolUsage(name) > 0) return false
  const rest = finalizers.filter((finalizer) => finalizer !== spiderFinalizer)
  const body = { metadata: { resourceVersion, finalizers: rest.length === 0 ? null : rest } }
  try {
    await api.patch(resources.ipPool, { name }, { type: 'merge', body }, signal)
  } catch (error) {
    // Gone already, and the cache does not know yet.
    if (!(error instanceof ApiError) || error.status !== 404) throw error
  }
  return true
}
