import { IpSet, parseIp, parseNetworkCidr, parseRanges } from '../../address/index.ts'
import type { SpiderIpPool, SpiderReservedIp } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'

/** Addresses that no pool may give out, by family. */
export interface Reserved {
  readonly 4: IpSet
  readonly 6: IpSet
  /** Ranges that could not be read, and were left out. */
  readonly problems: readonly string[]
}

const reservedCache = new WeakMap<readonly SpiderReservedIp[], Reserved>()

/** The addresses of all reservations that are not being deleted. The same list gives the same sets. */
export function reservedOf(list: readonly SpiderReservedIp[]): Reserved {
  const cached = reservedCache.get(list)
  if (cached !== undefined) return cached
  const problems: string[] = []
  const all = { 4: IpSet.empty(4), 6: IpSet.empty(6) }
  for (const { metadata, spec } of list) {
    if (metadata.deletionTimestamp !== undefined) continue
    for (const [index, text] of (spec.ips ?? []).entries()) {
      const version = text.includes(':') ? 6 : 4
      const range = tryRanges([text], version, `SpiderReservedIP "${metadata.name}" spec.ips[${index}]`)
      if (range instanceof IpSet) all[version] = all[version].union(range)
      else problems.push(range.message)
    }
  }
  const reserved = { ...all, problems }
  reservedCache.set(list, reserved)
  return reserved
}

function tryRanges(texts: readonly string[], version: 4 | 6, field: string): IpSet | InvalidInputError {
  try {
    return parseRanges(texts, version, field)
  } catch (error) {
    if (error instanceof InvalidInputError) return error
    throw error
  }
}

/** The family of a pool: what it says, else that of its subnet. */
export function versionOf(pool: SpiderIpPool): 4 | 6 {
  return pool.spec.ipVersion ?? (pool.spec.subnet.includes(':') ? 6 : 4)
}

/**
 * What a pool may give: spec.ips without spec.excludeIPs, reserved addresses and the gateway.
 * @throws {InvalidInputError} when the pool's spec cannot be read
 */
export function offeredBy(pool: SpiderIpPool, reserved: Reserved): IpSet {
  const { spec, metadata } = pool
  const version = versionOf(pool)
  const field = `SpiderIPPool "${metadata.name}" spec`
  parseNetworkCidr(spec.subnet, { field: `${field}.subnet`, version })
  let set = parseRanges(spec.ips ?? [], version, `${field}.ips`)
  set = set.subtract(parseRanges(spec.excludeIPs ?? [], version, `${field}.excludeIPs`))
  if (spec.gateway !== undefined && spec.gateway !== '') {
    set = set.subtract(IpSet.ofIps(version, [parseIp(spec.gateway, { field: `${field}.gateway`, version })]))
  }
  return set.subtract(reserved[version])
}
