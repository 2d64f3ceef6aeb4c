import { formatIpValue, type IpSet, type IpValue, offsetIpValue, parseIp } from '../../address/index.ts'
import type { Clock, Random } from '../../base/index.ts'
import { FreeSample } from './free-sample.ts'
import type { PoolRule } from './pool-rule.ts'
import { longestResting, lowestFirst, type Resting, type RestQueue } from './rest-queue.ts'

/** What a pool has to know of single addresses. */
export interface AddressStates {
  /** Taken, about to be taken, released or quarantined at some time: not a never-used address. */
  isTouched(ip: string): boolean
  /** Neither taken nor about to be, nor quarantined. */
  isFree(ip: string): boolean
  /** Quarantined, and free when that is over. */
  isWaiting(ip: string): boolean
  /** When it was released last, or when its quarantine ends. */
  releasedAt(ip: string): number | undefined
  /** All addresses with a release time. */
  released(): Iterable<readonly [ip: string, sinceMs: number]>
  /** How many of them there are at most. */
  readonly releasedCount: number
}

/** An address to take. `sinceMs` is its last release, when it had one. */
export interface Choice {
  readonly ip: string
  readonly sinceMs?: number
}

export interface ViewPorts {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly random: Random
}

/**
 * The free addresses of one pool, in the order that its policy says. Cost does not depend on the size of the pool.
 * - Never-used addresses are found by a cursor that no other lies behind.
 * - Released ones rest in a queue, the longest-resting first, and leave it when they have cooled down, if the policy wants
 *   them then. With nothing else free the longest-resting one is taken: a cool-down orders, and never refuses.
 */
export class PoolView {
  readonly offered: IpSet
  readonly rule: PoolRule
  readonly #states: AddressStates
  readonly #ports: ViewPorts
  readonly #resting: RestQueue = longestResting()
  /** `lowest`: those that have cooled down. */
  readonly #cooled: RestQueue = lowestFirst()
  /** `random`: those that were never used or have cooled down, and some that are found not to be when they are picked. */
  readonly #sample: FreeSample
  readonly #last: IpValue | undefined
  #cursor: IpValue | undefined // all offered addresses below it are touched; undefined: all are

  constructor(offered: IpSet, rule: PoolRule, states: AddressStates, ports: ViewPorts) {
    this.offered = offered
    this.rule = rule
    this.#states = states
    this.#ports = ports
    this.#sample = new FreeSample(offered)
    this.#cursor = offered.first()?.value
    this.#last = offered.ranges.at(-1)?.last
    for (const [ip, sinceMs] of states.released()) {
      const address = parseIp(ip)
      const isOurs = offered.has(address) && (states.isFree(ip) || states.isWaiting(ip))
      if (isOurs) this.#resting.push({ value: address.value, sinceMs })
    }
  }

  /** The next address to take. The caller takes it at once, or gives it back by {@link noteFree}. */
  next(): Choice | undefined {
    switch (this.rule.policy) {
      case 'lowest':
        return this.#takeLowest() ?? this.#takeLongestResting()
      case 'random':
        return this.#takeRandom() ?? this.#takeLongestResting()
      default:
        return this.#takeUnused() ?? this.#takeLongestResting()
    }
  }

  /** An address became free again, or will; `sinceMs` is undefined when it was never used. */
  noteFree(value: IpValue, sinceMs: number | undefined): void {
    const isOutside = this.#last === undefined || value > this.#last
    if (isOutside || !this.offered.hasValue(value)) return
    if (sinceMs !== undefined) {
      this.#push(this.#resting, { value, sinceMs })
      return
    }
    if (this.#cursor === undefined || value < this.#cursor) this.#cursor = value
    this.#sample.add(value)
  }

  #takeUnused(): Choice | undefined {
    const value = this.#peekUnused()
    if (value === undefined) return undefined
    this.#cursor = this.#after(value)
    return { ip: formatIpValue(value) }
  }

  #takeLowest(): Choice | undefined {
    this.#moveCooled((resting) => this.#push(this.#cooled, resting))
    const unused = this.#peekUnused()
    const cooled = this.#peekCooled()
    if (cooled === undefined || (unused !== undefined && unused < cooled.value)) return this.#takeUnused()
    this.#cooled.pop()
    return { ip: formatIpValue(cooled.value), sinceMs: cooled.sinceMs }
  }

  #takeRandom(): Choice | undefined {
    this.#moveCooled(({ value }) => this.#sample.add(value))
    const { random } = this.#ports
    for (let value = this.#sample.pick(random); value !== undefined; value = this.#sample.pick(random)) {
      this.#sample.delete(value) // it comes back when it is free again, or has cooled down
      const ip = formatIpValue(value)
      if (!this.#states.isFree(ip)) continue
      const sinceMs = this.#states.releasedAt(ip)
      if (sinceMs === undefined) return { ip }
      if (this.#isCool(sinceMs)) return { ip, sinceMs }
      this.#push(this.#resting, { value, sinceMs })
    }
    return undefined
  }

  #takeLongestResting(): Choice | undefined {
    const waiting: Resting[] = []
    let choice: Choice | undefined
    while (choice === undefined) {
      const resting = this.#resting.pop()
      if (resting === undefined) break
      if (this.#isCurrent(resting)) choice = { ip: formatIpValue(resting.value), sinceMs: resting.sinceMs }
      else if (this.#isWaiting(resting)) waiting.push(resting)
    }
    for (const resting of waiting) this.#resting.push(resting)
    return choice
  }

  /** The lowest address that was never used. */
  #peekUnused(): IpValue | undefined {
    while (this.#cursor !== undefined) {
      const value = this.#firstFrom(this.#cursor)
      this.#cursor = value
      if (value === undefined || !this.#states.isTouched(formatIpValue(value))) return value
      this.#cursor = this.#after(value)
    }
    return undefined
  }

  #peekCooled(): Resting | undefined {
    for (let top = this.#cooled.peek(); top !== undefined; top = this.#cooled.peek()) {
      if (this.#isCurrent(top)) return top
      this.#cooled.pop()
    }
    return undefined
  }

  #moveCooled(move: (resting: Resting) => void): void {
    for (let top = this.#resting.peek(); top !== undefined; top = this.#resting.peek()) {
      if (!this.#isCool(top.sinceMs)) return
      this.#resting.pop()
      if (this.#isCurrent(top)) move(top)
    }
  }

  #isCool(sinceMs: number): boolean {
    return sinceMs + this.rule.coolDownMs <= this.#ports.clock.nowMs()
  }
  #isCurrent({ value, sinceMs }: Resting): boolean {
    const ip = formatIpValue(value)
    return this.#states.releasedAt(ip) === sinceMs && this.#states.isFree(ip)
  }
  #isWaiting({ value, sinceMs }: Resting): boolean {
    const ip = formatIpValue(value)
    return this.#states.releasedAt(ip) === sinceMs && this.#states.isWaiting(ip)
  }

  #push(queue: RestQueue, resting: Resting): void {
    queue.push(resting)
    queue.compact(this.#states.releasedCount, (one) => this.#isCurrent(one) || this.#isWaiting(one))
  }

  #after(value: IpValue): IpValue | undefined {
    return value === this.#last ? undefined : offsetIpValue(value, 1)
  }
  #firstFrom(value: IpValue): IpValue | undefined {
    const address =
      typeof value === 'number' ? { version: 4 as const, value } : { version: 6 as const, value }
    return this.offered.firstFrom(address)?.value
  }
}
