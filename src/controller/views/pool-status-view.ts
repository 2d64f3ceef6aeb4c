import { isDeepStrictEqual } from 'node:util'
import { parseIp } from '../../address/index.ts'
import {
  countForStatus,
  encodeAllocatedIps,
  resources,
  type SpiderIpPool,
  totalSetOf,
} from '../../api/index.ts'
import { ApiError, type KubeApi } from '../../kube/index.ts'
import type { Ledger, OwnedAddress } from '../../ledger/index.ts'

/**
 * Records that `status.allocatedIPs` holds at most: about 125 bytes each, and an object may have 1.5 MiB.
 * With more the field is absent, and the condition `AllocatedIPsListed` says so; the blocks always hold all.
 */
export const maxListedRecords = 8_000

/** The status of a pool as a patch body: everything in it is ours. */
export interface PoolStatusPatch {
  readonly totalIPCount: number | bigint
  readonly allocatedIPCount: number
  readonly allocatedIPs: string | null
  readonly conditions: readonly PoolCondition[] | null
}

interface PoolCondition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}

/** Computes a pool's status from the ledger; never by incrementing. */
export function planPoolStatus(pool: SpiderIpPool, held: Iterable<OwnedAddress>): PoolStatusPatch {
  const addresses = [...held]
  const isListed = addresses.length <= maxListedRecords
  return {
    totalIPCount: countForStatus(totalSetOf(pool).size),
    allocatedIPCount: addresses.length,
    allocatedIPs: isListed
      ? (encodeAllocatedIps(addresses.map(({ ip, entry }) => [parseIp(ip), entry])) ?? null)
      : null,
    conditions: isListed
      ? null
      : [
          {
            type: 'AllocatedIPsListed',
            status: 'False',
            reason: 'TooManyRecords',
            message: `${addresses.length} records are more than ${maxListedRecords}: see SpiderIPBlock objects`,
          },
        ],
  }
}

export interface PoolStatusPorts {
  readonly api: KubeApi
  readonly ledger: Pick<Ledger, 'ofPool'>
  findPool(name: string): SpiderIpPool | undefined
}

/** Writes a pool's status when it differs from what the ledger says. Safe to repeat. */
export async function reconcilePoolStatus(
  name: string,
  ports: PoolStatusPorts,
  signal: AbortSignal,
): Promise<void> {
  const cached = ports.findPool(name)
  if (cached === undefined) return
  try {
    await writeStatus(cached, ports, signal)
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 409 && error.status !== 404)) throw error
    // The cache is behind, by our own last write more often than not: the pool as it is now decides.
    const pool = await ports.api.get<SpiderIpPool>(resources.ipPool, { name }, signal)
    if (pool !== undefined) await writeStatus(pool, ports, signal)
  }
}

async function writeStatus(
  pool: SpiderIpPool,
  { api, ledger }: PoolStatusPorts,
  signal: AbortSignal,
): Promise<void> {
  const { name, resourceVersion } = pool.metadata
  const wanted = planPoolStatus(pool, ledger.ofPool(name))
  if (isSame(pool.status, wanted)) return
  const body = { metadata: { resourceVersion }, status: wanted }
  await api.patch(resources.ipPool, { name }, { type: 'merge', body, subresource: 'status' }, signal)
}

/** Whatever the order of the members: an API server sorts them. */
function isSame(status: SpiderIpPool['status'], wanted: PoolStatusPatch): boolean {
  const { conditions = null } = (status ?? {}) as { conditions?: readonly PoolCondition[] | null }
  const found = {
    totalIPCount: status?.totalIPCount,
    allocatedIPCount: status?.allocatedIPCount,
    allocatedIPs: status?.allocatedIPs ?? null,
    conditions,
  }
  return isDeepStrictEqual(found, wanted)
}
