import { InvalidInputError } from '../base/index.ts'
import { formatIp4, type Ip4, toIp4, tryParseIp4 } from './ip4.ts'
import { formatIp6, type Ip6, mappedIp4, toIp6, tryParseIp6 } from './ip6.ts'

/** The two families, by their version number. */
export type IpVersion = 4 | 6
/** The bare number of an address; its JavaScript type tells the family. Good as a Map key within one family. */
export type IpValue = Ip4 | Ip6
/** An address of either family. */
export type IpAddress =
  | { readonly version: 4; readonly value: Ip4 }
  | { readonly version: 6; readonly value: Ip6 }

/** How an error names the input, and which family is allowed. */
export interface ParseOptions {
  /** Path of the field for the error, such as `spec.gateway`; default `address`. */
  readonly field?: string
  /** Refuses the other family. */
  readonly version?: IpVersion
}

/** An address value from its bare number. */
export function ipOf(value: IpValue): IpAddress {
  return typeof value === 'number' ? { version: 4, value } : { version: 6, value }
}

/**
 * An address in text, or undefined when it is none. An IPv4-mapped IPv6 address counts as IPv4 (spec/api.md §3.1).
 * No zones, no leading zeros in IPv4.
 */
export function tryParseIp(text: string): IpAddress | undefined {
  const ip4 = tryParseIp4(text)
  if (ip4 !== undefined) return { version: 4, value: ip4 }
  const ip6 = tryParseIp6(text)
  if (ip6 === undefined) return undefined
  const mapped = mappedIp4(ip6)
  return mapped === undefined ? { version: 6, value: ip6 } : { version: 4, value: mapped }
}

/**
 * An address in text; see {@link tryParseIp}.
 * @throws {InvalidInputError} when it is none, or of the other family
 */
export function parseIp(text: string, options: ParseOptions = {}): IpAddress {
  const { field = 'address', version } = options
  const ip = tryParseIp(text)
  const family = version === undefined ? 'IP' : `IPv${version}`
  const hint = `write one ${family} address, such as ${version === 6 ? 'fd00::10' : '10.6.0.10'}`
  if (ip === undefined) throw new InvalidInputError(field, text, `is not an ${family} address`, hint)
  if (version !== undefined && ip.version !== version) {
    throw new InvalidInputError(field, text, `is an IPv${ip.version} address, not an IPv${version} one`, hint)
  }
  return ip
}

/** Canonical text: dotted decimal, or RFC 5952. */
export function formatIp(ip: IpAddress): string {
  return ip.version === 4 ? formatIp4(ip.value) : formatIp6(ip.value)
}

/** Canonical text of a bare number. */
export function formatIpValue(value: IpValue): string {
  return typeof value === 'number' ? formatIp4(value) : formatIp6(value)
}

/** Order for sorting: IPv4 before IPv6, then by number. Negative, zero or positive. */
export function compareIp(a: IpAddress, b: IpAddress): number {
  if (a.version !== b.version) return a.version - b.version
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0
}

/** True when both are the same address. */
export function equalIp(a: IpAddress, b: IpAddress): boolean {
  return a.value === b.value
}

/** The address `count` after `value`. @throws {AssertionError} past the end of the family */
export function offsetIpValue(value: IpValue, count: bigint | number): IpValue {
  return typeof value === 'number' ? toIp4(value + Number(count)) : toIp6(value + BigInt(count))
}

/** How many addresses lie from `first` to `last`, both included. Both must be of one family. */
export function countIpValues(first: IpValue, last: IpValue): bigint {
  return BigInt(last) - BigInt(first) + 1n
}

/** True when `next` comes right after `value`. */
export function isNextIpValue(value: IpValue, next: IpValue): boolean {
  return typeof value === 'number' ? value + 1 === next : value + 1n === next
}
