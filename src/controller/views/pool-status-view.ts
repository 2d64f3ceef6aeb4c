import { isDeepStrictEqual } from 'node:util'
import { parseIp } from '../../address/index.ts'
import {
  type AllocatedIpsView,
  countForStatus,
  encodeAllocatedIps,
  holderOf,
  type PoolCondition,
  resources,
  type SpiderIpPool,
  totalSetOf,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { ApiError, type KubeApi } from '../../kube/index.ts'
import type { Ledger, OwnedAddress } from '../../ledger/index.ts'
import type { TextVerdict } from '../adoption/text-verdict.ts'
import { textDigest } from './view-marks.ts'

/**
 * Records that `status.allocatedIPs` holds at most: about 125 bytes each, and an object may have 1.5 MiB.
 * With more the field is absent, and the condition `AllocatedIPsListed` says so; the blocks always hold all.
 */
export const maxListedRecords = 8_000

/** The status of a pool as a patch body: everything in it is ours. */
export interface PoolStatusPatch {
  readonly totalIPCount: number | bigint
  readonly allocatedIPCount: number
  /** Absent: what is there cannot be read, and stays. */
  readonly allocatedIPs?: string | null
  readonly allocatedIPsView?: AllocatedIpsView
  readonly conditions: readonly PoolCondition[] | null
}

/** What a pool's status is computed from, beside the pool. */
export interface PoolStatusFacts {
  readonly held: Iterable<OwnedAddress>
  readonly term: number
  /** Why the records that others wrote must stay; absent: the ledger has them all. */
  readonly unreadable?: string
  /** What the pool has in common with an older one. */
  readonly conflict?: string
}

/** Computes a pool's status from the ledger; never by incrementing. */
export function planPoolStatus(pool: SpiderIpPool, facts: PoolStatusFacts): PoolStatusPatch {
  const addresses = [...facts.held]
  const { totalIPCount, problem } = totalOf(pool)
  const counts = { totalIPCount, allocatedIPCount: addresses.length }
  const accepted =
    problem === undefined
      ? condition('Accepted', 'Overlap', facts.conflict)
      : condition('Accepted', 'SpecUnreadable', problem)
  if (facts.unreadable !== undefined) {
    const readable = condition('AllocatedIPsReadable', 'RecordsUnreadable', facts.unreadable)
    return { ...counts, conditions: [...accepted, ...readable] }
  }
  const isListed = addresses.length <= maxListedRecords
  const text = isListed
    ? encodeAllocatedIps(addresses.map(({ ip, entry }) => [parseIp(ip), holderOf(entry)]))
    : undefined
  const tooMany = `${addresses.length} records are more than ${maxListedRecords}: see SpiderIPBlock objects`
  const listed = isListed ? [] : condition('AllocatedIPsListed', 'TooManyRecords', tooMany)
  const conditions = [...accepted, ...listed]
  return {
    ...counts,
    allocatedIPs: text ?? null,
    allocatedIPsView: { term: facts.term, sha256: textDigest(text ?? '') },
    conditions: conditions.length === 0 ? null : conditions,
  }
}

/** What is not so; what is as it should be has no condition. */
function condition(type: string, reason: string, message: string | undefined): readonly PoolCondition[] {
  return message === undefined ? [] : [{ type, status: 'False', reason, message }]
}

/** A spec that admission would have refused offers nothing. */
function totalOf(pool: SpiderIpPool): { readonly totalIPCount: number | bigint; readonly problem?: string } {
  try {
    return { totalIPCount: countForStatus(totalSetOf(pool).size) }
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return { totalIPCount: 0, problem: `${error.message}; ${error.hint}` }
  }
}

const pauseMs = 2_000
const retryMs = 250

/**
 * When a pool's status may be written: it holds all records, so it is dear. While ADDs wait, each only every 2 s, though our own
 * write comes back as a change of the pool.
 */
export class StatusPace {
  /** By pool. */
  readonly #writtenMs = new Map<string, number>()

  /** @returns milliseconds after which to ask again; undefined: now, which is noted */
  waitMs(pool: string, isBusy: boolean, nowMs: number): number | undefined {
    if (isBusy && nowMs - (this.#writtenMs.get(pool) ?? -Infinity) < pauseMs) return retryMs
    this.#writtenMs.set(pool, nowMs)
    return undefined
  }
}

export interface PoolStatusPorts {
  readonly api: KubeApi
  readonly ledger: Pick<Ledger, 'ofPool'>
  readonly term: number
  findPool(name: string): SpiderIpPool | undefined
  /** Takes in what others wrote. Called with the very version that the status is written upon. */
  takeIn(pool: SpiderIpPool, signal: AbortSignal): Promise<TextVerdict>
  /** What the pool has in common with an older one. */
  conflictOf(name: string): string | undefined
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
  { api, ledger, term, takeIn, conflictOf }: PoolStatusPorts,
  signal: AbortSignal,
): Promise<void> {
  const { name, resourceVersion } = pool.metadata
  const verdict = await takeIn(pool, signal)
  if (verdict.kind === 'halted') return
  const unreadable = verdict.kind === 'unreadable' ? { unreadable: verdict.message } : {}
  const message = conflictOf(name)
  const conflict = message === undefined ? {} : { conflict: message }
  const wanted = planPoolStatus(pool, { held: ledger.ofPool(name), term, ...unreadable, ...conflict })
  if (isSame(pool.status, wanted)) return
  const body = { metadata: { resourceVersion }, status: wanted }
  await api.patch(resources.ipPool, { name }, { type: 'merge', body, subresource: 'status' }, signal)
}

/** Whatever the order of the members: an API server sorts them. The term alone is no reason to write. */
function isSame(status: SpiderIpPool['status'], wanted: PoolStatusPatch): boolean {
  const { totalIPCount, allocatedIPCount, allocatedIPs, allocatedIPsView, conditions } = status ?? {}
  const isTextSame =
    wanted.allocatedIPs === undefined ||
    ((allocatedIPs ?? null) === wanted.allocatedIPs &&
      allocatedIPsView?.sha256 === wanted.allocatedIPsView?.sha256)
  return (
    isTextSame &&
    totalIPCount === wanted.totalIPCount &&
    allocatedIPCount === wanted.allocatedIPCount &&
    isDeepStrictEqual(conditions ?? null, wanted.conditions)
  )
}
