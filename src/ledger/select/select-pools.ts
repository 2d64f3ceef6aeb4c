import type { IpVersion, SpiderIpPool } from '../../api/index.ts'
import { NoPoolError } from '../errors.ts'
import { formatVerdict, hasItems, judgePool, type Rule, type Verdict } from './filters.ts'
import type { SelectionInput } from './selection-input.ts'
import { findSources, type NamedPools } from './sources.ts'

/** The pools that may serve one NIC and family, in the order to try them. */
export interface Candidates {
  readonly nic: string
  readonly version: IpVersion
  readonly cleanGateway: boolean
  /** Where the pools were named. */
  readonly source: string
  readonly pools: readonly SpiderIpPool[]
  /** One for each pool that was looked at. */
  readonly verdicts: readonly Verdict[]
}

export interface Selection {
  /** The NIC of the request first, IPv4 before IPv6. */
  readonly candidates: readonly Candidates[]
  readonly warnings: readonly string[]
}

/**
 * From a snapshot to ordered candidate pools (spec/ipam.md §4-§7). The same snapshot always gives the same answer.
 * A list of pools may be empty when all were refused: see {@link requirePools}.
 * @throws {NoPoolError} when no source names an existing pool
 * @throws {InvalidInputError} when an annotation cannot be used
 */
export function selectPools(input: SelectionInput): Selection {
  const { named, warnings } = findSources(input)
  const candidates = named.map((wanted) => candidatesOf(wanted, input))
  const rank = ({ nic }: Candidates) => (nic === input.request.nic ? -1 : input.nics.indexOf(nic))
  return { candidates: candidates.sort((a, b) => rank(a) - rank(b) || a.version - b.version), warnings }
}

/**
 * The pools to take an address from.
 * @throws {NoPoolError} when none is left; its text lists every pool and why
 */
export function requirePools({ nic, version, pools, verdicts }: Candidates): readonly SpiderIpPool[] {
  if (pools.length > 0) return pools
  const names = verdicts.map(({ pool }) => pool).join(', ')
  throw new NoPoolError(
    `all IPv${version} IPPools [${names}] of ${nic} filtered out: [${verdicts.map(formatVerdict).join('; ')}]`,
    'Change the pod, the pools or the place where they are named, so that one fits',
  )
}

const lastingRules: readonly Rule[] = ['disabled IPPool', 'terminating IPPool', 'unreadable records']

/** True when the owner may keep an address of the pool: a disabled or terminating pool strands nobody. */
export function mayKeep({ verdicts }: Candidates, pool: string): boolean {
  const verdict = verdicts.find((one) => one.pool === pool)
  if (verdict?.kind !== 'reject') return verdict !== undefined
  return lastingRules.includes(verdict.rule)
}

function candidatesOf(wanted: NamedPools, input: SelectionInput): Candidates {
  const { nic, version, cleanGateway, source } = wanted
  const verdicts = wanted.pools.map((pool) => judgePool(pool, wanted, input))
  const ranked = wanted.pools
    .filter((_, index) => verdicts[index]?.kind === 'pass')
    .map((pool) => ({ pool, rank: rankOf(pool) }))
    .sort((a, b) => a.rank - b.rank)
  return { nic, version, cleanGateway, source, pools: ranked.map(({ pool }) => pool), verdicts }
}

/** Lower comes first: "has the field" before "has not", the first field weighing most. Equal ranks keep their order. */
function rankOf({ spec }: SpiderIpPool): number {
  const has = [
    spec.podAffinity !== undefined,
    hasItems(spec.nodeName),
    spec.nodeAffinity !== undefined,
    hasItems(spec.namespaceName),
    spec.namespaceAffinity !== undefined,
    hasItems(spec.multusName),
  ]
  return has.reduce((rank, isThere) => rank * 2 + (isThere ? 0 : 1), 0)
}
