import type { IpVersion, SpiderIpPool } from '../../api/index.ts'
import { NoPoolError } from '../errors.ts'
import {
  allButFamily,
  bitsOfRequest,
  firstRefusal,
  firstRejection,
  formatVerdict,
  type RuleBits,
  type Verdict,
} from './filters.ts'
import type { IndexedPool } from './pool-index.ts'
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
  const requestBits = bitsOfRequest(input)
  const candidates = named.map((wanted) => candidatesOf(wanted, input, requestBits))
  const rank = ({ nic }: Candidates) => (nic === input.request.nic ? -1 : input.nics.indexOf(nic))
  return { candidates: candidates.sort((a, b) => rank(a) - rank(b) || a.version - b.version), warnings }
}

const poolsNamed = 20 // in one message

/**
 * The pools to take an address from.
 * @throws {NoPoolError} when none is left; its text says which pools there were and why not, its reason is that of them all
 */
export function requirePools({ nic, version, pools, verdicts }: Candidates): readonly SpiderIpPool[] {
  if (pools.length > 0) return pools
  const shown = verdicts.slice(0, poolsNamed)
  const more = verdicts.length - shown.length
  const names = [...shown.map(({ pool }) => pool), ...(more > 0 ? [`${more} more`] : [])]
  const reasons = [
    ...shown.map(formatVerdict),
    ...(more > 0 ? [`${more} more: ${countsText(verdicts)}`] : []),
  ]
  const codes = new Set(verdicts.map(codeOf))
  const [code = ''] = codes
  throw new NoPoolError(
    codes.size === 1 ? code : 'no-pool-fits',
    `all IPv${version} IPPools [${names.join(', ')}]${nic === '' ? '' : ` of ${nic}`} filtered out: [${reasons.join('; ')}]`,
    'Change the pod, the pools or the place where they are named, so that one fits',
  )
}

const codeOf = (verdict: Verdict): string => (verdict.kind === 'reject' ? verdict.code : 'fits')

/** How often each reason was met beyond the pools that are named. */
function countsText(verdicts: readonly Verdict[]): string {
  const counts = new Map<string, number>()
  for (const code of verdicts.slice(poolsNamed).map(codeOf)) counts.set(code, (counts.get(code) ?? 0) + 1)
  return [...counts].map(([code, count]) => `${count} ${code}`).join(', ')
}

/**
 * True when the owner may keep an address of the pool: a disabled or terminating pool strands nobody, but all other rules hold
 * for who has an address as for who wants one.
 */
export function mayKeep({ verdicts }: Candidates, pool: string): boolean {
  const verdict = verdicts.find((one) => one.pool === pool)
  return verdict !== undefined && (verdict.kind === 'pass' || verdict.isLenient)
}

function candidatesOf(wanted: NamedPools, input: SelectionInput, requestBits: RuleBits): Candidates {
  const { nic, version, cleanGateway, source } = wanted
  const bitsFor = ({ bits, version: own }: IndexedPool): RuleBits =>
    own === version ? bits & requestBits & allButFamily : bits & requestBits
  const passed: IndexedPool[] = []
  for (const one of wanted.pools) {
    if (firstRefusal(bitsFor(one), one.pool, wanted, input) === undefined) passed.push(one)
  }
  let verdicts: readonly Verdict[] | undefined
  return {
    ...{ nic, version, cleanGateway, source },
    pools: byRank(passed),
    // Of thousands of pools nobody asks why, as long as one fits.
    get verdicts() {
      verdicts ??= wanted.pools.map(
        (one) => firstRejection(bitsFor(one), one.pool, wanted, input) ?? one.pass,
      )
      return verdicts
    },
  }
}

/** Equal ranks keep their order. Ranks are few: they are dealt out, not compared. */
function byRank(passed: readonly IndexedPool[]): readonly SpiderIpPool[] {
  const ranks: SpiderIpPool[][] = []
  for (const { rank, pool } of passed) {
    const same = ranks[rank]
    if (same === undefined) ranks[rank] = [pool]
    else same.push(pool)
  }
  return ranks.flat()
}
