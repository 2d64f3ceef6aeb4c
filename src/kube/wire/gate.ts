/** Lets at most `limit` holders in at once; the rest wait in order, at most `maxWaiting` of them. */
export class Gate {
  readonly #limit: number
  readonly #maxWaiting: number
  readonly #waiting = new Set<() => void>()
  #held = 0

  constructor(limit: number, maxWaiting: number) {
    this.#limit = limit
    this.#maxWaiting = maxWaiting
  }

  get held(): number {
    return this.#held
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** False when the queue is full: nothing was entered. Rejects with `signal.reason` when aborted while waiting. */
  async enter(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    if (this.#held < this.#limit) {
      this.#held += 1
      return true
    }
    if (this.#waiting.size >= this.#maxWaiting) return false
    await new Promise<void>((resolve, reject) => {
      const proceed = () => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = () => {
        this.#waiting.delete(proceed)
        reject(signal.reason)
      }
      this.#waiting.add(proceed)
      signal.addEventListener('abort', giveUp, { once: true })
    })
    return true
  }

  /** Gives the place to the next who waits. */
  leave(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#held -= 1
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
