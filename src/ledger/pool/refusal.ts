import { parseIp, parseRanges, tryParseIp } from '../../address/index.ts'
import { holderOf, type Quarantine, type SpiderIpPool, totalSetOf } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import type { Book } from '../blocks/book.ts'
import type { Reserved } from './offered.ts'
import type { Want } from './want.ts'

interface Facts {
  readonly reserved: Reserved
  readonly book: Book
  /** One of the want's pools offers the address. */
  readonly isOffered: boolean
}

/**
 * Why a named address is not given, as the rest of a sentence that begins with the address. Who holds it comes first: that
 * is what the reader looks for, whatever else would be in the way.
 */
export function refusalOf(ip: string, want: Want, { reserved, book, isOffered }: Facts): string {
  const entry = book.entry(ip)
  if (entry !== undefined) {
    const { pod, podUid } = holderOf(entry)
    return entry.pod === ''
      ? `is reserved by claim ${pod} (uid ${podUid})`
      : `is held by pod ${pod} (uid ${podUid}, NIC ${entry.nic})`
  }
  const quarantine = book.quarantineOf(ip)
  if (quarantine !== undefined) return quarantineText(quarantine)
  if (isOffered)
    return book.isUnreadable(ip) ? 'is taken, its record cannot be read' : 'is being given to another'
  const address = parseIp(ip)
  if (address.version !== want.version) return `is no IPv${want.version} address`
  if (reserved[address.version].has(address)) return 'is reserved by a SpiderReservedIP'
  const names = want.pools.map(({ metadata }) => metadata.name)
  const excluding = want.pools.find((pool) => excludes(pool, ip))
  if (excluding !== undefined) return `is excluded by IPPool ${excluding.metadata.name}`
  const gateway = want.pools.find(({ spec }) => tryParseIp(spec.gateway ?? '')?.value === address.value)
  if (gateway !== undefined) return `is the gateway of IPPool ${gateway.metadata.name}`
  return `is in none of the eligible IPPools [${names.join(', ')}]`
}

function quarantineText({ mac, pod, since, until }: Quarantine): string {
  const time = (ms: number) => new Date(ms).toISOString()
  const party = mac === undefined ? 'somebody' : `MAC ${mac}`
  return `is quarantined until ${time(until)}: ${party} answered for it at ${time(since)}, when pod ${pod} had it`
}

/** True when spec.ips has the address, and spec.excludeIPs takes it out. */
function excludes(pool: SpiderIpPool, ip: string): boolean {
  const address = parseIp(ip)
  try {
    const ranges = parseRanges(pool.spec.ips ?? [], address.version)
    return ranges.has(address) && !totalSetOf(pool).has(address)
  } catch (error) {
    if (error instanceof InvalidInputError) return false
    throw error
  }
}
