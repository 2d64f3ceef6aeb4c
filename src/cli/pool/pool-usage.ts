import { IpSet, type IpVersion, parseIp, parseRanges } from '../../address/index.ts'
import type { BlockEntry, SpiderIpPool } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { offeredBy, type ParsedBlock, poolRuleOf, type Reserved } from '../../ledger/index.ts'

/** What the ledger records of one family, as sets: no address is looked at by itself afterwards. */
export interface Records {
  /** Of each pool that has an address. */
  readonly byPool: ReadonlyMap<string, readonly Recorded[]>
  /** Addresses that somebody has, by family; those that cannot be read too. */
  readonly taken: Readonly<Record<IpVersion, IpSet>>
  readonly quarantined: Readonly<Record<IpVersion, IpSet>>
  /** When free addresses were released, by canonical text. */
  readonly released: ReadonlyMap<string, number>
}

/** An entry as far as usage is counted by it. */
export type Recorded = { readonly ip: string } & Pick<BlockEntry, 'pod' | 'podUid' | 'node' | 'nic' | 'owner'>

/** Takes blocks one by one: together they are large. */
export class Gathering {
  readonly #nowMs: number
  readonly #byPool = new Map<string, Recorded[]>()
  readonly #taken: string[] = []
  readonly #quarantined: string[] = []
  readonly #released = new Map<string, number>()

  constructor(nowMs: number) {
    this.#nowMs = nowMs
  }

  add({ entries, unreadable, quarantine, released }: ParsedBlock): void {
    for (const [ip, { pool, pod, podUid, node, nic, owner }] of entries) {
      this.#taken.push(ip)
      const known = this.#byPool.get(pool)
      const record = { ip, pod, podUid, node, nic, owner }
      if (known === undefined) this.#byPool.set(pool, [record])
      else known.push(record)
    }
    this.#taken.push(...unreadable)
    for (const [ip, { until }] of quarantine) if (until > this.#nowMs) this.#quarantined.push(ip)
    for (const [ip, sinceMs] of released) if (!entries.has(ip)) this.#released.set(ip, sinceMs)
  }

  records(): Records {
    return {
      byPool: this.#byPool,
      taken: setsOf(this.#taken),
      quarantined: setsOf(this.#quarantined),
      released: this.#released,
    }
  }
}

function setsOf(texts: readonly string[]): Readonly<Record<IpVersion, IpSet>> {
  const all = texts.map((text) => parseIp(text))
  return {
    4: IpSet.ofIps(
      4,
      all.filter(({ version }) => version === 4),
    ),
    6: IpSet.ofIps(
      6,
      all.filter(({ version }) => version === 6),
    ),
  }
}

/** The addresses of a pool: each in exactly one set, but those in `outside`, which are not in spec.ips. */
export interface PoolSets {
  /** All of spec.ips. */
  readonly total: IpSet
  readonly excluded: IpSet
  readonly gateway: IpSet
  readonly reserved: IpSet
  /** Somebody has them, and they may be reserved or excluded as well. */
  readonly used: IpSet
  readonly quarantined: IpSet
  /** Free, and released so lately that others go first. */
  readonly resting: IpSet
  readonly free: IpSet
  /** Addresses of the pool's own pods that are no longer in spec.ips. */
  readonly outside: IpSet
}

/**
 * What became of the addresses of a pool, by arithmetic on ranges: cost grows with what is recorded, not with the pool.
 * @throws {InvalidInputError} when the pool's spec cannot be read
 */
export function setsOfPool(
  pool: SpiderIpPool,
  reserved: Reserved,
  records: Records,
  nowMs: number,
): PoolSets {
  const offered = offeredBy(pool, reserved)
  const { version } = offered
  const { spec, metadata } = pool
  const ranges = (texts: readonly string[]) => parseRanges(texts, version)
  const total = ranges(spec.ips ?? [])
  const own = IpSet.ofIps(
    version,
    (records.byPool.get(metadata.name) ?? []).flatMap(({ ip }) => familyOf(ip, version)),
  )
  const used = total.intersect(records.taken[version])
  const excluded = total.intersect(ranges(spec.excludeIPs ?? [])).subtract(used)
  const hasGateway = spec.gateway !== undefined && spec.gateway !== ''
  const gate = hasGateway ? IpSet.ofIps(version, [parseIp(spec.gateway)]) : IpSet.empty(version)
  const gateway = total.intersect(gate).subtract(excluded).subtract(used)
  const kept = total.intersect(reserved[version]).subtract(excluded).subtract(gateway).subtract(used)
  const left = offered.subtract(used)
  const quarantined = left.intersect(records.quarantined[version])
  const { coolDownMs } = poolRuleOf(pool)
  const young = [...records.released].flatMap(([ip, sinceMs]) =>
    nowMs - sinceMs < coolDownMs ? familyOf(ip, version) : [],
  )
  const resting = left.subtract(quarantined).intersect(IpSet.ofIps(version, young))
  const free = left.subtract(quarantined).subtract(resting)
  return {
    total,
    excluded,
    gateway,
    reserved: kept,
    used,
    quarantined,
    resting,
    free,
    outside: own.subtract(total),
  }
}

function familyOf(ip: string, version: IpVersion): ReturnType<typeof parseIp>[] {
  return ip.includes(':') === (version === 6) ? [parseIp(ip)] : []
}

/** How many of something, and of what, most first. */
export interface Count {
  readonly name: string
  readonly count: number
}

/** The most frequent names; equal ones by name. */
export function topOf(names: Iterable<string>, most: number): readonly Count[] {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts]
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
    .slice(0, most)
}

/** A count as JSON has it: exact, however large. */
export function exactCount(count: bigint): number | bigint {
  return count <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(count) : count
}

/** The spec of a pool in one line, when it cannot be used. */
export function problemOf(error: unknown): string {
  if (error instanceof InvalidInputError) return `${error.message}; ${error.hint}`
  throw error
}
