import { parseIp } from '../../address/index.ts'
import {
  type IpVersion,
  type PodRoute,
  parsePodRoutes,
  type SpiderIpPool,
  totalSetOf,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import {
  type AddPlan,
  type Candidates,
  mayKeep,
  type OwnedAddress,
  requirePools,
  type Selection,
  type Want,
} from '../../ledger/index.ts'

/** What the plan of one ADD is made of. */
export interface PlanInput {
  readonly nic: string
  readonly isSticky: boolean
  /** Selects the pools; called only when the owner's addresses do not answer the request already. */
  readonly select: () => Selection
  readonly pools: ReadonlyMap<string, SpiderIpPool>
}

/**
 * A stateless pod keeps what it has for the NIC, whatever became of the pools (spec/ipam.md §10.4). A sticky owner keeps an
 * address if its pool is still selected and still has it, else gets another (§11). What is missing is taken.
 * @throws {NoPoolError} when a family that is wanted has no pool
 */
export function planAdd(existing: readonly OwnedAddress[], input: PlanInput): AddPlan {
  const { nic, isSticky } = input
  const mine = existing.filter(({ entry }) => entry.nic === nic)
  if (!isSticky && mine.length > 0) return { drop: twinsOf(mine), wants: [] }
  const { candidates } = input.select()
  const kept = new Set<string>()
  const wants: Want[] = []
  for (const one of candidates) {
    const held = existing.filter(({ ip, entry }) => entry.nic === one.nic && versionOfIp(ip) === one.version)
    const usable = held.find((address) => one.nic !== nic || isUsable(address, one, input.pools))
    if (usable !== undefined) kept.add(usable.ip)
    else wants.push({ nic: one.nic, version: one.version, pools: requirePools(one) })
  }
  return { drop: mine.filter(({ ip }) => !kept.has(ip)).map(({ ip }) => ip), wants }
}

/** Entries beyond the first of a family: left by a leader whose write came late. The newest stays. */
function twinsOf(mine: readonly OwnedAddress[]): readonly string[] {
  const newestFirst = [...mine].sort((a, b) => b.entry.since - a.entry.since)
  const seen = new Set<IpVersion>()
  return newestFirst.flatMap(({ ip }) => {
    const version = versionOfIp(ip)
    const isTwin = seen.has(version)
    seen.add(version)
    return isTwin ? [ip] : []
  })
}

function isUsable(
  { ip, entry }: OwnedAddress,
  candidates: Candidates,
  pools: ReadonlyMap<string, SpiderIpPool>,
): boolean {
  const pool = pools.get(entry.pool)
  if (pool === undefined || !mayKeep(candidates, entry.pool)) return false
  try {
    return totalSetOf(pool).has(parseIp(ip))
  } catch (error) {
    if (error instanceof InvalidInputError) return false
    throw error
  }
}

const versionOfIp = (ip: string): IpVersion => (ip.includes(':') ? 6 : 4)

/** The routes of a pod's annotation. @throws {InvalidInputError} */
export function podRoutesOf(text: string | undefined): readonly PodRoute[] {
  return text === undefined ? [] : parsePodRoutes(text)
}
