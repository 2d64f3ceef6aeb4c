import { InvalidInputError } from '../base/index.ts'
import { formatIp, formatIpValue, type IpAddress, type ParseOptions, tryParseIp } from './ip.ts'
import { tryParseIp4 } from './ip4.ts'
import { type IpRange, prefixRange } from './range.ts'

/** A network: the range of its addresses (host bits are zero in `first`) and the length of its prefix. */
export type Cidr = IpRange & { readonly prefixBits: number }

/** An address with the length of its network's prefix, as interfaces have it: 10.6.0.9/16. */
export interface IpWithPrefix {
  readonly ip: IpAddress
  readonly prefixBits: number
}

const bitsPattern = /^(0|[1-9]\d{0,2})$/

/** The network of an address. `prefixBits` is 0..32 or 0..128. */
export function cidrOf(ip: IpAddress, prefixBits: number): Cidr {
  return { ...prefixRange(ip, prefixBits), prefixBits }
}

/** `address/length`, or undefined when it is not that. IPv4-mapped text counts as IPv4. */
export function tryParseIpWithPrefix(text: string): IpWithPrefix | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) return undefined
  const address = text.slice(0, slash)
  const bitsText = text.slice(slash + 1)
  const ip = tryParseIp(address)
  if (ip === undefined || !bitsPattern.test(bitsText)) return undefined
  const isMapped = ip.version === 4 && tryParseIp4(address) === undefined
  const prefixBits = Number(bitsText) - (isMapped ? 96 : 0)
  if (prefixBits < 0 || prefixBits > (ip.version === 4 ? 32 : 128)) return undefined
  return { ip, prefixBits }
}

/**
 * `address/length`; the address keeps its host bits.
 * @throws {InvalidInputError} when it is not that, or of the other family
 */
export function parseIpWithPrefix(text: string, options: ParseOptions = {}): IpWithPrefix {
  const { field = 'cidr', version } = options
  const parsed = tryParseIpWithPrefix(text)
  const family = version === undefined ? '' : ` of IPv${version}`
  const hint = `write address/prefix length${family}, such as ${version === 6 ? 'fd00:6::/64' : '10.6.0.0/16'}`
  if (parsed === undefined) throw new InvalidInputError(field, text, 'is not a CIDR', hint)
  if (version !== undefined && parsed.ip.version !== version) {
    const problem = `is of IPv${parsed.ip.version}, where IPv${version} is wanted`
    throw new InvalidInputError(field, text, problem, hint)
  }
  return parsed
}

/**
 * A CIDR; host bits are dropped, so 10.6.5.1/16 is 10.6.0.0/16.
 * @throws {InvalidInputError} when it is none, or of the other family
 */
export function parseCidr(text: string, options: ParseOptions = {}): Cidr {
  const { ip, prefixBits } = parseIpWithPrefix(text, options)
  return cidrOf(ip, prefixBits)
}

/**
 * A CIDR whose text is exactly the canonical text of its network (spec/api.md §3.1).
 * @throws {InvalidInputError} as {@link parseCidr}, and on another form, whose hint is the right text
 */
export function parseNetworkCidr(text: string, options: ParseOptions = {}): Cidr {
  const cidr = parseCidr(text, options)
  const canonical = formatCidr(cidr)
  if (canonical === text) return cidr
  const problem = 'is not the network form of a CIDR'
  throw new InvalidInputError(options.field ?? 'cidr', text, problem, `write ${canonical}`)
}

/** Canonical text of a network: 10.6.0.0/16. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIpValue(cidr.first)}/${cidr.prefixBits}`
}

/** Canonical text of an address with its prefix length: 10.6.0.9/16. */
export function formatIpWithPrefix(address: IpWithPrefix): string {
  return `${formatIp(address.ip)}/${address.prefixBits}`
}

/** True when the address lies inside; false for the other family. */
export function cidrContains(cidr: IpRange, ip: IpAddress): boolean {
  return cidr.version === ip.version && cidr.first <= ip.value && ip.value <= cidr.last
}

/** True when every address of `inner` lies inside `outer`. */
export function rangeContains(outer: IpRange, inner: IpRange): boolean {
  return outer.version === inner.version && outer.first <= inner.first && inner.last <= outer.last
}

/** True when two ranges or networks share an address. */
export function rangesOverlap(a: IpRange, b: IpRange): boolean {
  return a.version === b.version && a.first <= b.last && b.first <= a.last
}
