// The two pools of one history, and its reservation: what they forbid, and since when.
import { type BlockEntry, resources, type SpiderIpBlock, type SpiderIpPool } from '../../../src/api/index.ts'
import { ApiError } from '../../../src/kube/index.ts'
import { entriesOf } from '../../../src/ledger/index.ts'
import type { Seeded } from '../../simulation/seeded.ts'
import { eventually, type WorkloadKit } from '../workload-kit.ts'

const never = new AbortController().signal
const size = 9
/** While nobody leads, the API server reaches no webhook. */
const editWithinMs = 60_000

/** A change that was made or refused: refusals are the server's right, and its failures are not. */
type Edited = 'made' | 'refused'

export class HistoryPools {
  readonly names: readonly [string, string]
  readonly addresses: readonly string[]
  readonly #reservation: string
  readonly #kit: WorkloadKit
  #excluded: readonly string[] = []
  #reserved: readonly string[] = []

  constructor(kit: WorkloadKit, seed: number) {
    this.#kit = kit
    const net = [1 + (seed % 250), Math.floor(seed / 250) % 250] as const
    this.names = [`h${seed}-v4`, `h${seed}-v6`]
    this.#reservation = `h${seed}`
    const prefixes = [`10.${net[0]}.${net[1]}.`, `fd00:${net[0]}:${net[1] + 1}::`]
    this.addresses = prefixes.flatMap((prefix) => Array.from({ length: size }, (_, n) => `${prefix}${n + 1}`))
    this.#subnets = [`${prefixes[0]}0/24`, `${prefixes[1]}/64`]
  }

  readonly #subnets: readonly [string, string]

  /** For the annotation ippool of pods. */
  get choice(): string {
    return JSON.stringify({ ipv4: [this.names[0]], ipv6: [this.names[1]] })
  }

  async create(): Promise<void> {
    for (const [index, name] of this.names.entries()) {
      const ips = this.addresses.slice(index * size, (index + 1) * size)
      const spec = { subnet: this.#subnets[index], ips, coolDownSeconds: 0 }
      await edit(() => this.#kit.create(resources.ipPool, { metadata: { name }, spec }), false)
    }
    await this.#known()
  }

  async #known(): Promise<void> {
    await this.allPools('the leader knows the pools', ({ status }) => status?.totalIPCount !== undefined)
  }

  /** Waits until both pools are as wanted. */
  async allPools(what: string, holds: (pool: SpiderIpPool) => boolean, withinMs = 60_000): Promise<void> {
    const look = async (): Promise<true | undefined> => {
      for (const name of this.names) {
        const pool = await this.#kit.api.get<SpiderIpPool>(resources.ipPool, { name }, never)
        if (pool === undefined || !holds(pool)) return undefined
      }
      return true
    }
    await eventually(what, look, withinMs)
  }

  /** Other addresses are excluded from the pools: one or two of each, or none. */
  async editExcluded(random: Seeded): Promise<Edited> {
    const isNone = random.chance(0.3)
    const chosen = this.names.map((_, index) => [
      this.addresses[index * size + random.below(size)] ?? '',
      this.addresses[index * size + random.below(size)] ?? '',
    ])
    let outcome: Edited = 'made'
    const kept: string[] = []
    for (const [index, name] of this.names.entries()) {
      const excludeIPs = isNone ? [] : [...new Set(chosen[index])]
      const made = await edit(() => this.#kit.change(resources.ipPool, name, { spec: { excludeIPs } }))
      if (made === 'refused') outcome = 'refused'
      else kept.push(...excludeIPs)
      if (made === 'refused')
        kept.push(...this.#excluded.filter((ip) => ip.includes(':') === name.endsWith('v6')))
    }
    this.#excluded = kept
    return outcome
  }

  /** Other addresses are reserved in the whole cluster: IPv4 ones of the pool, or none. */
  async editReserved(random: Seeded): Promise<Edited> {
    const name = this.#reservation
    const ips = [random.below(size), random.below(size)].map((n) => this.addresses[n] ?? '')
    if (this.#reserved.length === 0) {
      const made = await edit(() =>
        this.#kit.create(resources.reservedIp, { metadata: { name }, spec: { ips: [...new Set(ips)] } }),
      )
      if (made === 'made') this.#reserved = ips
      return made
    }
    const made = await edit(() => this.#kit.api.delete(resources.reservedIp, { name }, {}, never))
    if (made === 'made') this.#reserved = []
    return made
  }

  /** What must not be given to anybody who does not have it. */
  get forbidden(): ReadonlySet<string> {
    return new Set([...this.#excluded, ...this.#reserved])
  }

  /** What the ledger holds of these pools, by address. */
  async entries(): Promise<ReadonlyMap<string, BlockEntry>> {
    const { items } = await this.#kit.api.listAll<SpiderIpBlock>(resources.ipBlock, {}, never)
    const all = items.flatMap((block) => Object.entries(entriesOf(block)))
    return new Map(all.filter(([, { pool }]) => this.names.includes(pool)))
  }

  async remove(): Promise<void> {
    if (this.#reserved.length > 0)
      await edit(() => this.#kit.api.delete(resources.reservedIp, { name: this.#reservation }, {}, never))
    for (const name of this.names)
      await edit(() => this.#kit.api.delete(resources.ipPool, { name }, {}, never))
  }
}

/**
 * Makes a change, again while the server cannot. One that is answered by 404 or 409 was made by an earlier try.
 * @returns whether it was made
 */
async function edit(change: () => Promise<unknown>, mayRefuse = true): Promise<Edited> {
  let tries = 0
  return eventually(
    'the API server takes a change',
    async () => {
      tries++
      try {
        await change()
        return 'made'
      } catch (error) {
        if (!(error instanceof ApiError)) return undefined
        if (tries > 1 && (error.status === 404 || error.status === 409)) return 'made'
        if (error.status < 400 || error.status >= 429 || error.status === 409) return undefined
        if (!mayRefuse) throw error
        return 'refused'
      }
    },
    editWithinMs,
  )
}
