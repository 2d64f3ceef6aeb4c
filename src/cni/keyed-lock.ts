/** Work that waits for a key; taken out again when its signal aborts. */
interface Waiter {
  readonly isShared: boolean
  readonly start: () => void
}

interface Entry {
  running: number
  isExclusive: boolean
  readonly waiting: Waiter[]
}

/** Locks by key, first come first served: work on one key runs one at a time, or shared work together. */
export class KeyedLock {
  readonly #entries = new Map<string, Entry>()

  /** How many keys are in use. */
  get size(): number {
    return this.#entries.size
  }

  /**
   * Runs `work` when the key is free.
   * @param mode `exclusive`: alone; `shared`: together with other shared work of the key
   * @throws the reason of `signal` when it aborts before the work begins
   */
  async run<T>(
    key: string,
    mode: 'exclusive' | 'shared',
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    await this.#acquire(key, mode === 'shared', signal)
    try {
      return await work()
    } finally {
      this.#release(key)
    }
  }

  async #acquire(key: string, isShared: boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const entry = this.#entries.get(key) ?? { running: 0, isExclusive: false, waiting: [] }
    this.#entries.set(key, entry)
    if (entry.running === 0 || (isShared && !entry.isExclusive && entry.waiting.length === 0)) {
      entry.running++
      entry.isExclusive = !isShared
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter: Waiter = { isShared, start: resolve }
    entry.waiting.push(waiter)
    const abort = (): void => {
      const at = entry.waiting.indexOf(waiter)
      if (at < 0) return
      entry.waiting.splice(at, 1)
      reject(signal.reason instanceof Error ? signal.reason : new DOMException('aborted', 'AbortError'))
      this.#startNext(key, entry) // shared work behind it may go on now
    }
    signal.addEventListener('abort', abort, { once: true })
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  #release(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    entry.running--
    this.#startNext(key, entry)
  }

  #startNext(key: string, entry: Entry): void {
    for (;;) {
      const next = entry.waiting[0]
      if (next === undefined) break
      if (entry.running > 0 && (entry.isExclusive || !next.isShared)) break
      entry.waiting.shift()
      entry.running++
      entry.isExclusive = !next.isShared
      next.start()
    }
    if (entry.running === 0 && entry.waiting.length === 0) this.#entries.delete(key)
  }
}
