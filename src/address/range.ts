import { AssertionError, InvalidInputError } from '../base/index.ts'
import { formatIpValue, type IpAddress, type IpValue, type IpVersion, tryParseIp } from './ip.ts'
import { type Ip4, toIp4 } from './ip4.ts'
import { type Ip6, mappedIp4, toIp6 } from './ip6.ts'

/** Addresses from `first` to `last`, both included. */
export type IpRange =
  | { readonly version: 4; readonly first: Ip4; readonly last: Ip4 }
  | { readonly version: 6; readonly first: Ip6; readonly last: Ip6 }

const mappedFirst = toIp6(0xffff_0000_0000n)
const mappedLast = toIp6(0xffff_ffff_ffffn)

/** A range from its ends. @throws {AssertionError} when it runs backwards or mixes families */
export function rangeOf(first: IpValue, last: IpValue): IpRange {
  if (typeof first === 'number' && typeof last === 'number' && first <= last) {
    return { version: 4, first, last }
  }
  if (typeof first === 'bigint' && typeof last === 'bigint' && first <= last) {
    return { version: 6, first, last }
  }
  throw new AssertionError(`no range from ${String(first)} to ${String(last)}`)
}

/** Where the text of a range stands, for its errors. */
export interface RangeSource {
  readonly field: string
  readonly version?: IpVersion
}

/**
 * One range as `a` or `a-b`, both ends included (spec/api.md §3.2).
 * @throws {InvalidInputError} on other text, a CIDR, mixed families, the other family, a reversed range
 */
export function parseRange(text: string, source: RangeSource = { field: 'range' }): IpRange {
  const family = source.version === undefined ? 'IP' : `IPv${source.version}`
  const hint =
    source.version === 6
      ? 'write one address or first-last, such as fd00::10-fd00::1f'
      : 'write one address or first-last, such as 10.6.0.10-10.6.0.20'
  const refuse = (problem: string, remedy = hint): never => {
    throw new InvalidInputError(source.field, text, problem, remedy)
  }
  if (text.includes('/')) return refuse('is a CIDR, not a range', cidrRemedy(text, hint))
  const ends = text.split('-')
  if (ends.length > 2) return refuse('has more than one dash', hint)
  const first = tryParseIp(ends[0] ?? '')
  const last = tryParseIp(ends[1] ?? ends[0] ?? '')
  if (first === undefined || last === undefined) {
    return refuse(`is not an ${family} address or a range of two, without spaces`)
  }
  if (first.version !== last.version) return refuse('mixes IPv4 and IPv6')
  if (source.version !== undefined && first.version !== source.version) {
    return refuse(`is of IPv${first.version}, where IPv${source.version} is wanted`)
  }
  if (first.value > last.value) {
    return refuse('runs backwards', `write ${formatIpValue(last.value)}-${formatIpValue(first.value)}`)
  }
  const range = rangeOf(first.value, last.value)
  // Such an address is IPv4 wherever its text is read, so an IPv6 set must not hold it.
  if (range.version === 6 && range.first <= mappedLast && range.last >= mappedFirst) {
    return refuse('contains IPv4-mapped addresses (::ffff:0:0/96)', 'leave them out')
  }
  return range
}

function cidrRemedy(text: string, hint: string): string {
  const [address = '', bitsText = ''] = text.split('/')
  const ip = tryParseIp(address)
  const bits = Number(bitsText)
  if (ip === undefined || !/^\d{1,3}$/.test(bitsText) || bits > (ip.version === 4 ? 32 : 128)) return hint
  const range = prefixRange(ip, bits)
  if (range.version === 6 && mappedIp4(range.first) !== undefined) return hint
  return `write ${formatRange(range)}`
}

/** All addresses that share the first `prefixBits` bits with `ip`. */
export function prefixRange(ip: IpAddress, prefixBits: number): IpRange {
  if (ip.version === 4) {
    const size = 2 ** (32 - prefixBits)
    const first = ip.value - (ip.value % size)
    return { version: 4, first: toIp4(first), last: toIp4(first + size - 1) }
  }
  const hostBits = BigInt(128 - prefixBits)
  const first = (ip.value >> hostBits) << hostBits
  return { version: 6, first: toIp6(first), last: toIp6(first | ((1n << hostBits) - 1n)) }
}

/** Canonical text: `a` or `a-b`. */
export function formatRange(range: IpRange): string {
  const first = formatIpValue(range.first)
  return range.first === range.last ? first : `${first}-${formatIpValue(range.last)}`
}
