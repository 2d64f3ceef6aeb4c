import { formatIpValue, type IpSet, type IpValue, offsetIpValue, parseIp } from '../../address/index.ts'
import type { SpiderIpPool } from '../../api/index.ts'
import { offeredBy, type Reserved } from './offered.ts'
import { RestQueue } from './rest-queue.ts'

/** What a pool has to know of single addresses. */
export interface AddressStates {
  /** Taken, about to be taken, or released at some time: not a never-used address. */
  isTouched(ip: string): boolean
  /** Neither taken nor about to be. */
  isFree(ip: string): boolean
  releasedAt(ip: string): number | undefined
  /** All addresses with a release time. */
  released(): Iterable<readonly [ip: string, sinceMs: number]>
  readonly releasedCount: number
}

/** An address to take. `sinceMs` is its last release, when it had one. */
export interface Choice {
  readonly ip: string
  readonly sinceMs?: number
}

/**
 * The free addresses of one pool. Never-used addresses come first, ascending, found by a cursor that no touched address
 * lies behind; then released ones, the longest-resting first. Cost does not depend on the size of the pool.
 */
export class PoolView {
  readonly offered: IpSet
  readonly #states: AddressStates
  readonly #resting = new RestQueue()
  readonly #last: IpValue | undefined
  #cursor: IpValue | undefined // all offered addresses below it are touched; undefined: all are

  constructor(offered: IpSet, states: AddressStates) {
    this.offered = offered
    this.#states = states
    this.#cursor = offered.first()?.value
    this.#last = offered.ranges.at(-1)?.last
    for (const [ip, sinceMs] of states.released()) {
      const address = parseIp(ip)
      if (offered.has(address) && states.isFree(ip)) this.#resting.push(address.value, sinceMs)
    }
  }

  /** The next address to take. The caller takes it at once, or gives it back by {@link noteFree}. */
  next(): Choice | undefined {
    while (this.#cursor !== undefined) {
      const value = this.#firstFrom(this.#cursor)
      this.#cursor = value === undefined || value === this.#last ? undefined : offsetIpValue(value, 1)
      if (value === undefined) break
      const ip = formatIpValue(value)
      if (!this.#states.isTouched(ip)) return { ip }
    }
    for (let resting = this.#resting.pop(); resting !== undefined; resting = this.#resting.pop()) {
      const ip = formatIpValue(resting.value)
      const isCurrent = this.#states.releasedAt(ip) === resting.sinceMs
      if (isCurrent && this.#states.isFree(ip)) return { ip, sinceMs: resting.sinceMs }
    }
    return undefined
  }

  /** An address became free again; `sinceMs` is undefined when it was never used. */
  noteFree(value: IpValue, sinceMs: number | undefined): void {
    const isOutside = this.#last === undefined || value > this.#last
    if (isOutside || !this.offered.hasValue(value)) return
    if (sinceMs !== undefined) {
      this.#resting.push(value, sinceMs)
      this.#resting.compact(this.#states.releasedCount, (resting, time) => {
        const ip = formatIpValue(resting)
        return this.#states.releasedAt(ip) === time && this.#states.isFree(ip)
      })
    } else if (this.#cursor === undefined || value < this.#cursor) this.#cursor = value
  }

  #firstFrom(value: IpValue): IpValue | undefined {
    const address =
      typeof value === 'number' ? { version: 4 as const, value } : { version: 6 as const, value }
    return this.offered.firstFrom(address)?.value
  }
}

interface CachedView {
  readonly signature: readonly string[]
  readonly reserved: Reserved
  readonly view: PoolView
}

const viewLimit = 20_000 // pools

/** The views of all pools, made when first asked for and again when the pool or the reservations changed. */
export class PoolViews {
  readonly #cached = new Map<string, CachedView>()
  readonly #states: AddressStates

  constructor(states: AddressStates) {
    this.#states = states
  }

  /** @throws {InvalidInputError} when the pool's spec cannot be read */
  get(pool: SpiderIpPool, reserved: Reserved): PoolView {
    const name = pool.metadata.name
    const { subnet, ips = [], excludeIPs = [], gateway = '' } = pool.spec
    const signature = [subnet, gateway, ...ips, '-', ...excludeIPs]
    const cached = this.#cached.get(name)
    if (cached?.reserved === reserved && isSame(cached.signature, signature)) return cached.view
    const offered = offeredBy(pool, reserved)
    // A reservation elsewhere changes nothing here: keep the view, remember the new reservations.
    const isKept = cached?.view.offered.version === offered.version && cached.view.offered.equals(offered)
    const view = isKept ? cached.view : new PoolView(offered, this.#states)
    if (this.#cached.size >= viewLimit) this.#cached.clear()
    this.#cached.set(name, { signature, reserved, view })
    return view
  }

  noteFree(ip: string, sinceMs: number | undefined): void {
    const { version, value } = parseIp(ip)
    for (const { view } of this.#cached.values()) {
      if (view.offered.version === version) view.noteFree(value, sinceMs)
    }
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index])
}
