import { type Cidr, formatCidr, type IpRange, type IpSet, parseCidr } from '../../address/index.ts'
import { type SpiderIpPool, totalSetOf } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'

/** What a pool has in common with one that was there before it. */
export interface PoolConflict {
  /** For a condition and an Event: the other pool, what is shared, the remedy. */
  readonly message: string
  /** Addresses of an older pool: this one does not give them out. */
  readonly taken: readonly string[]
}

const maxRangesNamed = 8

interface Known {
  readonly pool: SpiderIpPool
  readonly cidr: Cidr
  readonly total: IpSet
}

/**
 * Pools that overlap although admission refuses that: two were created at once, or the webhooks were away. An address is of the pool
 * that was there first. (No address has two owners in any case: the blocks see to that.)
 */
export class PoolConflicts {
  #signature = ''
  #found: ReadonlyMap<string, PoolConflict> = new Map()

  /** By name of the later pool. The same map as long as no pool came, went or changed its spec. */
  of(pools: Iterable<SpiderIpPool>): ReadonlyMap<string, PoolConflict> {
    const all = [...pools]
    const signature = all.map(signatureOf).join()
    if (signature === this.#signature) return this.#found
    this.#signature = signature
    this.#found = findConflicts(all)
    return this.#found
  }
}

/** The pools by name, each without the addresses that are an older one's. */
export function usablePools(
  pools: Iterable<SpiderIpPool>,
  conflicts: ReadonlyMap<string, PoolConflict>,
): ReadonlyMap<string, SpiderIpPool> {
  const usable = [...pools].map((pool) => {
    const { name } = pool.metadata
    const taken = conflicts.get(name)?.taken ?? []
    return [name, taken.length === 0 ? pool : withoutAddresses(pool, taken)] as const
  })
  return new Map(usable)
}

function withoutAddresses(pool: SpiderIpPool, ranges: readonly string[]): SpiderIpPool {
  return { ...pool, spec: { ...pool.spec, excludeIPs: [...(pool.spec.excludeIPs ?? []), ...ranges] } }
}

function signatureOf({ metadata }: SpiderIpPool): string {
  const { name, uid = '', generation, resourceVersion = '' } = metadata
  return `${name} ${uid} ${generation ?? resourceVersion}`
}

function findConflicts(pools: readonly SpiderIpPool[]): ReadonlyMap<string, PoolConflict> {
  const known = pools.flatMap(read).sort((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1))
  const order = new Map(known.map((one, index) => [one, index]))
  const rank = (one: Known): number => order.get(one) ?? 0
  const older = new Map<Known, Set<Known>>()
  const add = (a: Known, b: Known): void => {
    const [first, second] = rank(a) < rank(b) ? [a, b] : [b, a]
    older.set(second, (older.get(second) ?? new Set()).add(first))
  }
  overlaps(
    known,
    ({ cidr }) => [cidr],
    (a, b) => formatCidr(a.cidr) !== formatCidr(b.cidr) && add(a, b),
  )
  overlaps(known, ({ total }) => total.ranges, add)
  const conflicts = [...older].map(
    ([later, firsts]) => [later.pool.metadata.name, conflictOf(later, [...firsts])] as const,
  )
  return new Map(conflicts)
}

/** What cannot be read gives nothing out, so that it is in nobody's way. */
function read(pool: SpiderIpPool): readonly Known[] {
  try {
    return [{ pool, cidr: parseCidr(pool.spec.subnet), total: totalSetOf(pool) }]
  } catch (error) {
    if (error instanceof InvalidInputError) return []
    throw error
  }
}

/** Two pools of one second have their order from their names. */
const ageOf = ({ pool: { metadata } }: Known): string =>
  `${metadata.creationTimestamp ?? ''} ${metadata.name}`

/** Calls `found` for pools whose ranges overlap: a sweep, so that many pools that do not overlap cost next to nothing. */
function overlaps(
  known: readonly Known[],
  rangesOf: (one: Known) => readonly IpRange[],
  found: (a: Known, b: Known) => void,
): void {
  for (const version of [4, 6]) {
    const ofFamily = known.filter(({ cidr }) => cidr.version === version)
    const all = ofFamily.flatMap((one) => rangesOf(one).map((range) => ({ one, range })))
    all.sort((a, b) => (a.range.first < b.range.first ? -1 : 1))
    let open: typeof all = []
    for (const next of all) {
      open = open.filter(({ range }) => range.last >= next.range.first)
      for (const { one } of open) if (one !== next.one) found(one, next.one)
      open.push(next)
    }
  }
}

function conflictOf(later: Known, firsts: readonly Known[]): PoolConflict {
  const messages: string[] = []
  const taken: string[] = []
  for (const { pool, cidr, total } of firsts) {
    const shared = later.total.version === total.version ? later.total.intersect(total).toRanges() : []
    const who = `SpiderIPPool "${pool.metadata.name}", which is older`
    taken.push(...shared)
    if (shared.length > 0) {
      const more = shared.length > maxRangesNamed ? ` and ${shared.length - maxRangesNamed} more ranges` : ''
      const named = `${shared.slice(0, maxRangesNamed).join(', ')}${more}`
      messages.push(
        `spec.ips: ${named} belong to ${who}, and are not given out here: take them out of spec.ips`,
      )
    } else {
      const networks = `${formatCidr(later.cidr)} overlaps ${formatCidr(cidr)}`
      messages.push(`spec.subnet: ${networks} of ${who}: use one network for both`)
    }
  }
  return { message: messages.join('; '), taken }
}
