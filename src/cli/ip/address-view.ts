import { type IpAddress, type IpSet, parseCidr, parseIp, parseRanges } from '../../address/index.ts'
import {
  type BlockEntry,
  isAlive,
  type PastHolder,
  type Pod,
  type Quarantine,
  type SpiderIpPool,
  type SpiderReservedIp,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { attachmentsOf, claimsOf, poolRuleOf, reservedOf } from '../../ledger/index.ts'
import { formatTime } from '../durations.ts'

/** All that was read of one address. */
export interface AddressFacts {
  readonly address: IpAddress
  /** Canonical text. */
  readonly ip: string
  readonly entry: BlockEntry | undefined
  /** Its entry cannot be read: somebody has the address. */
  readonly isUnreadable: boolean
  readonly releasedMs: number | undefined
  readonly quarantine: Quarantine | undefined
  readonly history: readonly PastHolder[]
  readonly pools: readonly SpiderIpPool[]
  readonly reservations: readonly SpiderReservedIp[]
  /** The pod that the entry names, as just read; undefined: there is none, or no entry. */
  readonly pod: Pod | undefined
}

export type AddressState =
  | 'allocated'
  | 'contested'
  | 'unreadable'
  | 'quarantined'
  | 'reserved'
  | 'excluded'
  | 'gateway'
  | 'resting'
  | 'free'
  | 'outside'

/** What `ip show` says of one address; the JSON shape, see docs/spiderpoolctl.md. */
export interface AddressView {
  readonly ip: string
  readonly state: AddressState
  /** Pools whose network has the address, and what each makes of it. */
  readonly pools: readonly { readonly name: string; readonly role: PoolRole }[]
  readonly reservedBy: readonly string[]
  readonly holder?: HolderView
  /** Others that are recorded for the address. */
  readonly claimedBy: readonly HolderView[]
  readonly quarantine?: {
    readonly since: string
    readonly until: string
    readonly isOver: boolean
    readonly mac?: string
    readonly foundBy?: { readonly pod: string; readonly nic: string; readonly node: string }
  }
  /** When it was freed last. */
  readonly releasedAt?: string
}

export type PoolRole = 'offered' | 'excluded' | 'gateway' | 'not in spec.ips' | 'unreadable'

export interface HolderView {
  readonly pool: string
  readonly pod: string
  readonly podUid: string
  readonly podState: PodState
  readonly node: string
  readonly nic: string
  /** `Pod`, or the workload that keeps the address: `apps/StatefulSet web (uid), replica 0`. */
  readonly owner: string
  readonly since: string
  readonly isStatic: boolean
  readonly attachments: readonly {
    readonly containerId: string
    readonly node: string
    readonly active: boolean
  }[]
  readonly grant: BlockEntry['grant']
  readonly adopted?: BlockEntry['adopted']
}

/** The pod that an entry names, as a fresh read has it. */
export type PodState = 'alive' | 'terminating' | 'finished' | 'gone' | 'replaced' | 'none' | 'unknown'

/** Who has an address, or why nobody has it. */
export function viewAddress(facts: AddressFacts, nowMs: number): AddressView {
  const { ip, entry, quarantine, releasedMs } = facts
  const pools = facts.pools.flatMap((pool) => roleIn(pool, facts.address))
  const reservedBy = facts.reservations.flatMap((one) => {
    const reserved = reservedOf([one])
    return reserved[facts.address.version].has(facts.address) ? [one.metadata.name] : []
  })
  return {
    ip,
    state: stateOf(facts, { pools, reservedBy }, nowMs),
    pools,
    reservedBy,
    ...(entry === undefined ? {} : { holder: viewHolder(entry, podStateOf(entry, facts.pod)) }),
    claimedBy: entry === undefined ? [] : claimsOf(entry).map((claim) => viewHolder(claim, 'unknown')),
    ...(quarantine === undefined ? {} : { quarantine: viewQuarantine(quarantine, nowMs) }),
    ...(releasedMs === undefined ? {} : { releasedAt: formatTime(releasedMs) }),
  }
}

function stateOf(
  { entry, isUnreadable, quarantine, releasedMs, pools }: AddressFacts,
  found: Pick<AddressView, 'pools' | 'reservedBy'>,
  nowMs: number,
): AddressState {
  if (entry !== undefined) return claimsOf(entry).length > 0 ? 'contested' : 'allocated'
  if (isUnreadable) return 'unreadable'
  if (quarantine !== undefined && quarantine.until > nowMs) return 'quarantined'
  if (found.reservedBy.length > 0) return 'reserved'
  const offering = found.pools.filter(({ role }) => role === 'offered')
  if (offering.length === 0) {
    if (found.pools.some(({ role }) => role === 'excluded')) return 'excluded'
    return found.pools.some(({ role }) => role === 'gateway') ? 'gateway' : 'outside'
  }
  const coolDowns = pools
    .filter(({ metadata }) => offering.some(({ name }) => name === metadata.name))
    .map((pool) => poolRuleOf(pool).coolDownMs)
  const isResting = releasedMs !== undefined && nowMs - releasedMs < Math.max(...coolDowns)
  return isResting ? 'resting' : 'free'
}

/** Whether a pool has the address in `spec.ips`, given out or not; one that cannot be read may have it. */
export function isInPool({ pools, address }: Pick<AddressFacts, 'pools' | 'address'>): boolean {
  return pools.flatMap((pool) => roleIn(pool, address)).some(({ role }) => role !== 'not in spec.ips')
}

/** What a pool makes of an address of its network; nothing when it is of another one. */
function roleIn(pool: SpiderIpPool, address: IpAddress): AddressView['pools'] {
  const { spec, metadata } = pool
  const role = (one: PoolRole) => [{ name: metadata.name, role: one }]
  const { version } = address
  try {
    const network = parseCidr(spec.subnet)
    const isInside =
      network.version === version && network.first <= address.value && address.value <= network.last
    if (!isInside) return []
    const has = (texts: readonly string[]): boolean => rangesOf(texts, version).has(address)
    if (spec.gateway !== undefined && spec.gateway !== '' && parseIp(spec.gateway).value === address.value)
      return role('gateway')
    if (!has(spec.ips ?? [])) return role('not in spec.ips')
    return role(has(spec.excludeIPs ?? []) ? 'excluded' : 'offered')
  } catch (error) {
    if (error instanceof InvalidInputError) return role('unreadable')
    throw error
  }
}

const rangesOf = (texts: readonly string[], version: 4 | 6): IpSet => parseRanges(texts, version)

/** What a fresh read of the pod says about the pod of the entry. */
export function podStateOf({ podUid, pod: name }: BlockEntry, pod: Pod | undefined): PodState {
  if (name === '') return 'none'
  if (pod === undefined) return 'gone'
  if (podUid !== '' && pod.metadata.uid !== podUid) return 'replaced'
  if (isAlive(pod)) return 'alive'
  const { phase } = pod.status ?? {}
  return phase === 'Succeeded' || phase === 'Failed' ? 'finished' : 'terminating'
}

/** What is shown of one holder. */
export function viewHolder(entry: BlockEntry, podState: PodState): HolderView {
  const { pool, pod, podUid, node, nic, since, grant, adopted } = entry
  return {
    ...{ pool, pod, podUid, podState, node, nic },
    owner: ownerText(entry),
    since: formatTime(since),
    isStatic: grant.isStatic === true,
    attachments: attachmentsOf(entry).map(({ containerId, node: at, active }) => ({
      containerId,
      node: at,
      active,
    })),
    grant,
    ...(adopted === undefined ? {} : { adopted }),
  }
}

/** The owner in words. */
export function ownerText({ owner }: BlockEntry): string {
  if (owner.kind === 'pod') return 'Pod'
  const kind = owner.group === '' ? owner.ownerKind : `${owner.group}/${owner.ownerKind}`
  const replica = owner.replica === '' ? '' : `, replica ${owner.replica}`
  return `${kind} ${owner.name} (uid ${owner.uid})${replica}`
}

function viewQuarantine(quarantine: Quarantine, nowMs: number): NonNullable<AddressView['quarantine']> {
  const { since, until, mac, pod, nic, node } = quarantine
  return {
    since: formatTime(since),
    until: formatTime(until),
    isOver: until <= nowMs,
    ...(mac === undefined ? {} : { mac }),
    ...(pod === '' ? {} : { foundBy: { pod, nic, node } }),
  }
}

/** One past or present holder. */
export interface HistoryRow {
  readonly pod: string
  readonly podUid: string
  readonly node: string
  readonly nic: string
  readonly since: string
  /** Absent while it holds the address. */
  readonly until?: string
}

/** What `ip history` says: newest first. */
export interface HistoryView {
  readonly ip: string
  readonly holders: readonly HistoryRow[]
  /** Set by every release; the holder before it may have fallen out of the bounded history. */
  readonly releasedAt?: string
}

export function viewHistory({ ip, entry, history, releasedMs }: AddressFacts): HistoryView {
  const past = history.map(({ pod, podUid, node, nic, since, until }) => {
    return { pod, podUid, node, nic, since: formatTime(since), until: formatTime(until) }
  })
  const current: readonly HistoryRow[] = entry === undefined ? [] : [rowOf(entry)]
  return {
    ip,
    holders: [...current, ...past.reverse()],
    ...(releasedMs === undefined ? {} : { releasedAt: formatTime(releasedMs) }),
  }
}

function rowOf({ pod, podUid, node, nic, since }: BlockEntry): HistoryRow {
  return { pod, podUid, node, nic, since: formatTime(since) }
}
