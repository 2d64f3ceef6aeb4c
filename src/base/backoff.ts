import type { Random } from './ports.ts'

/** Delays that grow by `factor` from `firstMs` to at most `capMs`, each with full jitter above its half. */
export class Backoff {
  readonly #firstMs: number
  readonly #capMs: number
  readonly #factor: number
  readonly #random: Random
  #nextMs: number

  constructor(options: { firstMs: number; capMs: number; factor?: number }, random: Random) {
    this.#firstMs = options.firstMs
    this.#capMs = options.capMs
    this.#factor = options.factor ?? 2
    this.#random = random
    this.#nextMs = options.firstMs
  }

  /** The next delay in milliseconds. */
  nextMs(): number {
    const ms = this.#nextMs
    this.#nextMs = Math.min(this.#capMs, ms * this.#factor)
    return ms / 2 + this.#random.next() * (ms / 2)
  }

  /** Starts again from the first delay, after a success. */
  reset(): void {
    this.#nextMs = this.#firstMs
  }
}
