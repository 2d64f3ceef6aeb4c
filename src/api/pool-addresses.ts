import {
  formatIp,
  type IpAddress,
  type IpSet,
  parseCidr,
  parseIp,
  parseRanges,
  tryParseIpWithPrefix,
} from '../address/index.ts'
import { InvalidInputError, parseJson, toError } from '../base/index.ts'
import { isLabelValue } from './label-selector.ts'
import type { IpVersion } from './spider.ts'

/** The part of a pool's or subnet's `spec` that says which addresses it has. */
export interface AddressSpec {
  readonly ipVersion?: IpVersion
  readonly subnet: string
  readonly ips?: readonly string[]
  readonly excludeIPs?: readonly string[]
}

/** Who holds one address, in the JSON of `status.allocatedIPs` (spec/api.md §4.3). */
export interface AllocatedIp {
  /** `namespace/name`. */
  readonly pod: string
  readonly podUid: string
}

/** Highest count that the API can hold: 2^63 - 1. */
const maxCount = (1n << 63n) - 1n

/** The family of a pool or subnet: `ipVersion`, else that of `subnet`. @throws {InvalidInputError} when neither tells */
export function versionOf(spec: AddressSpec): IpVersion {
  return spec.ipVersion ?? parseCidr(spec.subnet, { field: 'spec.subnet' }).version
}

/**
 * The total set of a pool or subnet: `ips` without `excludeIPs` (spec/api.md §3.2). Reserved addresses and the gateway
 * are not taken out.
 * @throws {InvalidInputError} on text that admission would have refused
 */
export function totalSetOf(object: { readonly spec: AddressSpec }): IpSet {
  const { spec } = object
  const version = versionOf(spec)
  const ips = parseRanges(spec.ips ?? [], version, 'spec.ips')
  return ips.subtract(parseRanges(spec.excludeIPs ?? [], version, 'spec.excludeIPs'))
}

/** A count for `status`, at most 2^63 - 1: a number where a number is exact, else a bigint. */
export function countForStatus(count: bigint): number | bigint {
  const capped = count < maxCount ? count : maxCount
  return capped <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(capped) : capped
}

/** A CIDR as a label value (spec/api.md §3.4), or undefined when that gives none, as for `::/64`. */
export function cidrLabel(cidr: string): string | undefined {
  if (tryParseIpWithPrefix(cidr) === undefined) return undefined
  const replaceFirst = (text: string, char: string, count: number): string =>
    text
      .split(char)
      .reduce((joined, part, i) => (i === 0 ? part : `${joined}${i <= count ? '-' : char}${part}`), '')
  const label = replaceFirst(replaceFirst(replaceFirst(cidr, '.', 3), ':', 7), '/', 1)
  return isLabelValue(label) ? label : undefined
}

/** Text for `status.allocatedIPs`: keys in byte order, no white space; undefined when there is no record. */
export function encodeAllocatedIps(records: Iterable<readonly [IpAddress, AllocatedIp]>): string | undefined {
  const entries = [...records].map(([ip, { pod, podUid }]) => [formatIp(ip), { pod, podUid }] as const)
  if (entries.length === 0) return undefined
  entries.sort(([a], [b]) => (a < b ? -1 : 1))
  // Not through an object: integer-like keys would move to the front, and `__proto__` would be lost.
  return `{${entries.map(([ip, record]) => `${JSON.stringify(ip)}:${JSON.stringify(record)}`).join(',')}}`
}

/**
 * Reads `status.allocatedIPs`; absent, null and '' mean no records, unknown members are ignored.
 * @returns records by canonical address text
 * @throws {InvalidInputError} on text that is no such JSON
 */
export function decodeAllocatedIps(text: string | null | undefined): ReadonlyMap<string, AllocatedIp> {
  const field = 'status.allocatedIPs'
  const hint = 'remove the field: the controller writes it again from its ledger'
  const records = new Map<string, AllocatedIp>()
  if (text === undefined || text === null || text.trim() === '') return records
  let parsed: unknown
  try {
    parsed = parseJson(text)
  } catch (error) {
    throw new InvalidInputError(field, text, `is not JSON: ${toError(error).message}`, hint)
  }
  if (parsed === null) return records
  if (typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new InvalidInputError(field, text, 'is not a JSON object', hint)
  }
  for (const [key, value] of Object.entries(parsed)) {
    const ip = formatIp(parseIp(key, { field: `${field} key` }))
    const member = (name: string): string => {
      const found: unknown =
        typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : ''
      return typeof found === 'string' ? found : ''
    }
    records.set(ip, { pod: member('pod'), podUid: member('podUid') })
  }
  return records
}
