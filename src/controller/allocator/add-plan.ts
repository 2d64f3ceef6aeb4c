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
  isAttachedTo,
  isContested,
  mayKeep,
  NoPoolError,
  type OwnedAddress,
  requirePools,
  type Selection,
  type Want,
} from '../../ledger/index.ts'
import type { NicAsk } from './pod-asks.ts'
import { applyStickyPolicy, refusalOf, refuseSharedDrop } from './sticky/policy.ts'

/** What the plan of one ADD is made of. */
export interface PlanInput {
  readonly nic: string
  readonly containerId: string
  readonly isSticky: boolean
  /** Set for a virtual machine: whether another pod of it goes on to use the address. */
  readonly isShared?: ((address: OwnedAddress) => boolean) | undefined
  /** Families of which the NIC had an address that was found in use elsewhere, and taken away. */
  readonly lost?: readonly IpVersion[]
  /** Selects the pools; called only when the owner's addresses do not answer the request already. */
  readonly select: () => Selection
  readonly pools: ReadonlyMap<string, SpiderIpPool>
  /** What the pod asks for, by NIC. */
  readonly asks?: ReadonlyMap<string, NicAsk>
}

/**
 * A stateless pod keeps what it has for the NIC, whatever became of the pools (spec/ipam.md §10.4). A sticky owner keeps an
 * address if its pool is still selected and still has it, else gets another (§11); if the pool is selected and refuses the pod,
 * the pool's own policy decides. A virtual machine keeps its addresses also when their pool is named no more (§12). What is
 * missing is taken.
 * Of two families that were given together, one that is missing is taken, too.
 * Of a NIC that asks for addresses only those are kept, unless this very sandbox has another one: it asks for others since.
 * An adopted address without a NIC goes to the NIC that may have it; one that another pod is recorded for is left to that one.
 * @throws {NoPoolError} when a family that is wanted or asked for has no pool
 * @throws {StickyWaitError}, {StickyFailError} when the pool of a sticky owner's address says so
 * @throws what `isShared` throws
 */
export function planAdd(existing: readonly OwnedAddress[], input: PlanInput): AddPlan {
  const { nic, isSticky, containerId } = input
  // Throws when an address has a user that was not looked at.
  if (input.isShared !== undefined) existing.forEach(input.isShared)
  const isLeft = ({ entry }: OwnedAddress) =>
    (entry.nic === nic || entry.nic === '') && isContested(entry) && !isAttachedTo(entry, containerId)
  const left = existing.filter(isLeft)
  const held = existing.filter((address) => !left.includes(address))
  const mine = held.filter(({ entry }) => entry.nic === nic)
  const isAsked = ({ ip, entry }: OwnedAddress) => {
    const asked = input.asks?.get(nic)?.ips[versionOfIp(ip)] ?? []
    return asked.length === 0 || asked.some((one) => one.ip === ip) || isAttachedTo(entry, containerId)
  }
  // An undo that was cut off may have freed one family of two.
  const wanted = [...(input.lost ?? []), ...(mine.some(({ entry }) => entry.grant.isDual) ? both : [])]
  const isWhole = wanted.every((version) => mine.some(({ ip }) => versionOfIp(ip) === version))
  const isSettled = mine.length > 0 && mine.every(isAsked) && isWhole
  if (!isSticky && isSettled && left.length === 0) return { drop: twinsOf(mine), wants: [] }
  const candidates = candidatesFor(held, input)
  requireAskedFamilies(candidates, input)
  const nics = nameNics(held, candidates, nic)
  const nicOf = ({ ip, entry }: OwnedAddress) => nics.get(ip) ?? entry.nic
  const kept = new Set<string>()
  const wants: Want[] = []
  for (const one of candidates) {
    const usable = held.find(
      (address) =>
        nicOf(address) === one.nic &&
        versionOfIp(address.ip) === one.version &&
        (one.nic !== nic || (isAsked(address) && (!isSticky || isUsable(address, one, input)))),
    )
    if (usable !== undefined) kept.add(usable.ip)
    else wants.push(wantOf(one, input))
  }
  const named = [...nics].flatMap(([ip, name]) => (name === nic ? [ip] : []))
  // Without candidates nothing is judged: what was adopted for the NIC stays.
  // A machine loses an address only to another one, that its pool's policy lets it have instead.
  const isReplaced = ({ ip }: OwnedAddress) =>
    input.isShared === undefined || wants.some((want) => want.nic === nic && want.version === versionOfIp(ip))
  const isDropped = (one: OwnedAddress) => nicOf(one) === nic && !kept.has(one.ip) && isReplaced(one)
  const dropped = candidates.length === 0 ? [] : held.filter(isDropped)
  const drop = [...dropped, ...left]
  for (const one of drop) if (input.isShared?.(one) === true) refuseSharedDrop(one)
  return { drop: drop.map(({ ip }) => ip), wants, named }
}

const both: readonly IpVersion[] = [4, 6]

function wantOf(one: Candidates, { asks }: PlanInput): Want {
  const { nic, version } = one
  const ips = asks?.get(nic)?.ips[version].map(({ ip }) => ip) ?? []
  return { nic, version, pools: requirePools(one), ...(ips.length === 0 ? {} : { ips }) }
}

/** A pod that names an address of a family is not to run without it. */
function requireAskedFamilies(candidates: readonly Candidates[], { nic, asks }: PlanInput): void {
  for (const version of [4, 6] as const) {
    const [asked] = asks?.get(nic)?.ips[version] ?? []
    const isServed = candidates.some((one) => one.nic === nic && one.version === version)
    if (asked === undefined || isServed || candidates.length === 0) continue
    throw new NoPoolError(
      'no-pool-of-family',
      `${asked.ip} is asked for, and no IPv${version} IPPool is selected for ${nic}`,
      `Name an IPv${version} IPPool that has it, or do not ask for an IPv${version} address`,
    )
  }
}

/** The pools that may serve; none when they are gone and the pod brings an adopted address, or that of a machine, which it keeps. */
function candidatesFor(
  held: readonly OwnedAddress[],
  { select, isSticky, isShared, nic }: PlanInput,
): readonly Candidates[] {
  try {
    return select().candidates
  } catch (error) {
    const isMachine = isShared !== undefined
    const hasOwn = held.some(
      ({ entry }) => (entry.nic === '' && (!isSticky || isMachine)) || (entry.nic === nic && isMachine),
    )
    if (hasOwn && error instanceof NoPoolError) return []
    throw error
  }
}

/** Which NIC each adopted address without one is of: that whose pools have its pool; else that of the call. */
function nameNics(
  held: readonly OwnedAddress[],
  candidates: readonly Candidates[],
  nic: string,
): ReadonlyMap<string, string> {
  const nics = new Map<string, string>()
  const name = (
    one: Pick<Candidates, 'nic' | 'version'>,
    isFit: (address: OwnedAddress) => boolean,
  ): void => {
    const ofFamily = held.filter(({ ip }) => versionOfIp(ip) === one.version)
    if (ofFamily.some(({ ip, entry }) => (nics.get(ip) ?? entry.nic) === one.nic)) return
    const free = ofFamily.filter(({ ip, entry }) => entry.nic === '' && !nics.has(ip))
    const found = free.find(isFit)
    if (found !== undefined) nics.set(found.ip, one.nic)
  }
  for (const one of candidates) {
    name(one, ({ entry }) => one.verdicts.some(({ pool }) => pool === entry.pool))
  }
  for (const version of [4, 6] as const) name({ nic, version }, () => true)
  return nics
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

/** Whether a sticky owner keeps the address for another pod of it. @throws as {@link planAdd} */
function isUsable(address: OwnedAddress, candidates: Candidates, input: PlanInput): boolean {
  const { ip, entry } = address
  // What this very sandbox was answered with stays so.
  if (isAttachedTo(entry, input.containerId)) return true
  const pool = input.pools.get(entry.pool)
  const refusal = refusalOf(candidates, entry.pool)
  if (pool !== undefined && refusal !== undefined) {
    applyStickyPolicy(address, pool, refusal, input.isShared?.(address) ?? false)
    return false
  }
  if (input.isShared !== undefined) return true
  return pool !== undefined && mayKeep(candidates, entry.pool) && hasAddress(pool, ip)
}

function hasAddress(pool: SpiderIpPool, ip: string): boolean {
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
