import { IpSet, parseIp, parseRanges, tryParseIp } from '../../address/index.ts'
import { holderOf, isOfNamespace, type Quarantine, type SpiderIpPool, totalSetOf } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import type { Book } from '../blocks/book.ts'
import { type Reserved, versionOf } from './offered.ts'
import type { Want } from './want.ts'

interface Facts {
  readonly reserved: Reserved
  readonly book: Book
  /** Of who asks. */
  readonly namespace: string
  /** One of the want's pools offers the address. */
  readonly isOffered: boolean
}

/**
 * Why a named address is not given, as the rest of a sentence that begins with the address. Who asks may be anybody who makes
 * pods: of addresses that its pools do not offer it learns nothing but that, and a holder is named inside its own namespace alone.
 */
export function refusalOf(ip: string, want: Want, facts: Facts): string {
  return facts.isOffered ? takenText(ip, facts) : notOfferedText(ip, want, facts)
}

function takenText(ip: string, { book, namespace }: Facts): string {
  const entry = book.entry(ip)
  if (entry !== undefined) {
    const { pod, podUid } = holderOf(entry)
    const kind = entry.pod === '' ? 'reserved by' : 'held by'
    const party = entry.pod === '' ? 'claim' : 'pod'
    if (!isOfNamespace(pod, namespace)) return `is ${kind} a ${party} of another namespace`
    const nic = entry.pod === '' ? '' : `, NIC ${entry.nic}`
    return `is ${kind} ${party} ${pod} (uid ${podUid}${nic})`
  }
  const quarantine = book.quarantineOf(ip)
  if (quarantine !== undefined) return quarantineText(quarantine, namespace)
  return book.isUnreadable(ip) ? 'is taken, its record cannot be read' : 'is being given to another'
}

function notOfferedText(ip: string, want: Want, { reserved }: Facts): string {
  const address = parseIp(ip)
  if (address.version !== want.version) return `is no IPv${want.version} address`
  const excluding = want.pools.find((pool) => excludes(pool, ip))
  if (excluding !== undefined) return `is excluded by IPPool ${excluding.metadata.name}`
  const gateway = want.pools.find(({ spec }) => tryParseIp(spec.gateway ?? '')?.value === address.value)
  if (gateway !== undefined) return `is the gateway of IPPool ${gateway.metadata.name}`
  // What is reserved elsewhere is not this pod's to know.
  if (reserved[address.version].has(address) && want.pools.some((pool) => hasInTotal(pool, ip)))
    return 'is reserved by a SpiderReservedIP'
  const names = want.pools.map(({ metadata }) => metadata.name)
  return `is in none of the eligible IPPools [${names.join(', ')}]`
}

function quarantineText({ mac, pod, since, until }: Quarantine, namespace: string): string {
  const time = (ms: number) => new Date(ms).toISOString()
  const isOwn = isOfNamespace(pod, namespace)
  const party = mac === undefined || !isOwn ? 'somebody' : `MAC ${mac}`
  const holder = isOwn ? `pod ${pod}` : 'a pod of another namespace'
  return `is quarantined until ${time(until)}: ${party} answered for it at ${time(since)}, when ${holder} had it`
}

interface PoolSets {
  /** spec.ips. */
  readonly listed: IpSet
  /** Without spec.excludeIPs. */
  readonly total: IpSet
}

// A pool that changed is another object: each is parsed once, however many addresses are asked for.
const known = new WeakMap<SpiderIpPool, PoolSets>()

function setsOf(pool: SpiderIpPool): PoolSets {
  let sets = known.get(pool)
  if (sets === undefined) {
    sets = parseSets(pool)
    known.set(pool, sets)
  }
  return sets
}

/** Of a pool that cannot be read: nothing. */
function parseSets(pool: SpiderIpPool): PoolSets {
  const version = versionOf(pool)
  try {
    return { listed: parseRanges(pool.spec.ips ?? [], version), total: totalSetOf(pool) }
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return { listed: IpSet.empty(version), total: IpSet.empty(version) }
  }
}

/** True when spec.ips has the address, and spec.excludeIPs takes it out. */
function excludes(pool: SpiderIpPool, ip: string): boolean {
  return setsOf(pool).listed.has(parseIp(ip)) && !hasInTotal(pool, ip)
}

function hasInTotal(pool: SpiderIpPool, ip: string): boolean {
  return setsOf(pool).total.has(parseIp(ip))
}
