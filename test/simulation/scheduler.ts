import { setImmediate as turn } from 'node:timers/promises'
import type { Clock, Random } from '../../src/base/index.ts'
import { Seeded } from './seeded.ts'

interface Event {
  readonly actor: string
  readonly run: () => void
  /** Not before this time. */
  readonly dueMs: number
}

/** Runs events one at a time in an order that the seed alone decides; between two, all that can go on goes on. */
export class Scheduler extends Seeded {
  #events: Event[] = []
  #timers = new Set<Event>()
  #frozen = new Set<string>()
  #crashed = new Set<string>()
  nowMs = 1_000_000
  /** Whose event runs, or ran last: what it begins is its own. */
  current = ''
  steps = 0
  readonly random: Random = { next: () => this.next() }

  at(actor: string, run: () => void): void {
    if (!this.#crashed.has(actor)) this.#events.push({ actor, run, dueMs: 0 })
  }
  /** @returns the function that cancels it */
  after(actor: string, ms: number, run: () => void): () => void {
    if (this.#crashed.has(actor)) return () => undefined
    const event = { actor, run, dueMs: this.nowMs + Math.ceil(ms) }
    this.#timers.add(event)
    return () => void this.#timers.delete(event)
  }
  /** Resolves after some events. */
  pause(actor: string): Promise<void> {
    return new Promise((resolve) => this.at(actor, resolve))
  }
  sleep(actor: string, ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(actor, ms, resolve))
  }
  /** Sleeps as long as chance has it. */
  clockOf(actor: string): Clock {
    return this.#clock((run) => this.at(actor, run))
  }
  /** Sleeps at least as long as it is told. */
  timedClockOf(actor: string): Clock {
    return this.#clock((run, ms) => this.after(actor, ms, run))
  }
  #clock(later: (run: () => void, ms: number) => void): Clock {
    return {
      nowMs: () => this.nowMs,
      monotonicMs: () => this.nowMs,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true })
          later(resolve, ms)
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
    this.#crashed.add(actor)
    this.#events = this.#events.filter((event) => event.actor !== actor)
    for (const timer of this.#timers) if (timer.actor === actor) this.#timers.delete(timer)
  }

  /** @returns false when nothing is left to do */
  async step(): Promise<boolean> {
    if (this.#events.length + this.#timers.size === 0) await turn()
    const event = this.#take()
    if (event === undefined) return false
    this.nowMs += 1 + this.below(50)
    this.current = event.actor
    this.steps++
    event.run()
    await turn()
    return true
  }

  #take(): Event | undefined {
    const ready = this.#events.filter(({ actor }) => !this.#frozen.has(actor))
    let next: Event | undefined
    for (const timer of this.#timers) {
      if (this.#frozen.has(timer.actor)) continue
      if (timer.dueMs <= this.nowMs) ready.push(timer)
      else if (timer.dueMs < (next?.dueMs ?? Infinity)) next = timer
    }
    // Nothing else to do: time passes.
    const event = ready[this.below(ready.length)] ?? next
    if (event === undefined) return undefined
    if (event.dueMs > this.nowMs) this.nowMs = event.dueMs
    if (!this.#timers.delete(event)) this.#events.splice(this.#events.indexOf(event), 1)
    return event
  }
}
