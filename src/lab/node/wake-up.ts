/** Lets one loop sleep until it is told to look again. A call that comes while the loop works is kept for its next wait. */
export class WakeUp {
  #isPending = false
  #wake: (() => void) | undefined

  now(): void {
    this.#isPending = true
    this.#wake?.()
  }

  /** Resolves at the next call of `now()`, after `ms` when given, and when aborted. */
  async wait(ms: number | undefined, signal: AbortSignal): Promise<void> {
    if (!this.#isPending && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms)
      signal.addEventListener('abort', () => resolve(), { once: true, signal: this.#done(promise) })
      await promise
      clearTimeout(timer)
      this.#wake = undefined
    }
    this.#isPending = false
  }

  /** Aborts when `promise` is settled, so that the listener on a long-lived signal goes with the wait. */
  #done(promise: Promise<void>): AbortSignal {
    const controller = new AbortController()
    void promise.then(() => controller.abort())
    return controller.signal
  }
}
