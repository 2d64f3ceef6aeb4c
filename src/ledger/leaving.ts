import type { OwnedAddress } from './entry.ts'

/** Addresses that are being freed: a request that finds its pools full waits for these, instead of failing a moment too soon. */
export class Leaving {
  readonly #ends = new Map<Promise<unknown>, readonly string[]>()

  /** Notes what a task is about to free, until it ends. */
  async during<T>(seen: readonly OwnedAddress[], task: () => Promise<T>): Promise<T> {
    const running = task()
    this.#ends.set(running, [...new Set(seen.map(({ entry }) => entry.pool))])
    try {
      return await running
    } finally {
      this.#ends.delete(running)
    }
  }

  /** Waits for all that is being freed in one of the pools now. @returns false when there is nothing to wait for */
  async wait(pools: readonly string[]): Promise<boolean> {
    const ends = [...this.#ends].flatMap(([end, names]) =>
      names.some((name) => pools.includes(name)) ? [end] : [],
    )
    await Promise.allSettled(ends)
    return ends.length > 0
  }
}
