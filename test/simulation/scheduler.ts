import { setImmediate as turn } from 'node:timers/promises'
import type { Clock, Random } from '../../src/base/index.ts'

interface Event {
  readonly actor: string
  readonly run: () => void
}

/** Runs events one at a time in an order that the seed alone decides; between two, all that can go on goes on. */
export class Scheduler {
  #state: number
  #events: Event[] = []
  #frozen = new Set<string>()
  nowMs = 1_000_000
  readonly random: Random = { next: () => this.next() }

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }
  chance(probability: number): boolean {
    return this.next() < probability
  }

  at(actor: string, run: () => void): void {
    this.#events.push({ actor, run })
  }
  /** Resolves after some events. */
  pause(actor: string): Promise<void> {
    return new Promise((resolve) => this.at(actor, resolve))
  }
  clockOf(actor: string): Clock {
    return {
      nowMs: () => this.nowMs,
      sleep: (_ms, signal) =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true })
          this.at(actor, resolve)
        }),
    }
  }

  freeze(actor: string): void {
    this.#frozen.add(actor)
  }
  thaw(actor: string): void {
    this.#frozen.delete(actor)
  }
  /** A crashed actor never does anything again; what it sent before is still under way. */
  crash(actor: string): void {
    this.#frozen.delete(actor)
    this.#events = this.#events.filter((event) => event.actor !== actor)
  }

  /** @returns false when nothing is left to do */
  async step(): Promise<boolean> {
    await turn()
    const ready = this.#events.filter(({ actor }) => !this.#frozen.has(actor))
    const event = ready[this.below(ready.length)]
    if (event === undefined) return false
    this.#events.splice(this.#events.indexOf(event), 1)
    this.nowMs += 1 + this.below(50)
    event.run()
    await turn()
    return true
  }
}
