import {
  Backoff,
  type Clock,
  deadlineAfter,
  type Logger,
  OperationError,
  type Random,
  systemClock,
  systemRandom,
  toError,
} from '../base/index.ts'

/** What a reconcile wants next: nothing until something changes, or another look after a time. */
export type Requeue = 'settled' | { readonly afterMs: number }

export interface QueueOptions<K> {
  /** Reconciles one key; never runs twice at once for one key. */
  readonly handle: (key: K, signal: AbortSignal) => Promise<Requeue>
  /** How many keys at once; a function is asked whenever one may begin. */
  readonly concurrency: number | (() => number)
  /** Milliseconds that one run may take; its signal aborts then. */
  readonly deadlineMs: number
  readonly maxKeys?: number
  readonly backoffFirstMs?: number
  readonly backoffCapMs?: number
  readonly random?: Random
  readonly clock?: Clock
}

export interface QueueStats {
  readonly queued: number
  readonly running: number
  readonly delayed: number
  readonly done: number
  readonly failed: number
  /** Keys refused because the queue was full. */
  readonly overflowed: number
}

/** Keys to reconcile. It remembers that a key needs a look, not why: handlers read what is there. */
export interface Queue<K> {
  /** False when the queue is full or closed: the key was not taken, and a later resync has to bring it. */
  add(key: K): boolean
  /** Adds the key later; an earlier time that is set already stays. */
  addAfter(key: K, ms: number): boolean
  stats(): QueueStats
  /** Resolves when nothing is queued or running; delayed keys do not count. */
  idle(): Promise<void>
  /** Takes no more keys, works off what is queued until `signal` aborts, and drops what is delayed. */
  close(signal: AbortSignal): Promise<void>
}

const defaultMaxKeys = 200_000
const defaultFirstMs = 200
const defaultCapMs = 60_000

/** A level-triggered work queue: a key waits at most once, and one added while it runs, runs again afterwards. */
export function createQueue<K>(options: QueueOptions<K>, logger: Logger): Queue<K> {
  return new WorkQueue<K>(options, logger)
}

class WorkQueue<K> implements Queue<K> {
  readonly #options: QueueOptions<K>
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #random: Random
  readonly #queued = new Set<K>()
  readonly #running = new Set<K>()
  readonly #again = new Set<K>()
  readonly #delayed = new Map<K, { readonly dueMs: number; readonly timer: NodeJS.Timeout }>()
  readonly #backoffs = new Map<K, Backoff>()
  readonly #stop = new AbortController()
  readonly #idle = new Set<() => void>()
  #isClosed = false
  #done = 0
  #failed = 0
  #overflowed = 0

  constructor(options: QueueOptions<K>, logger: Logger) {
    this.#options = options
    this.#logger = logger
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
  }

  add(key: K): boolean {
    if (this.#isClosed) return false
    if (this.#running.has(key)) {
      this.#again.add(key)
      return true
    }
    if (this.#queued.has(key)) return true
    if (!this.#hasRoom()) return false
    this.#clearDelay(key)
    this.#queued.add(key)
    this.#startNext()
    return true
  }

  addAfter(key: K, ms: number): boolean {
    if (this.#isClosed) return false
    const dueMs = this.#clock.monotonicMs() + ms
    const set = this.#delayed.get(key)
    if (set !== undefined && set.dueMs <= dueMs) return true
    if (set === undefined && !this.#hasRoom()) return false
    this.#clearDelay(key)
    const timer = setTimeout(() => {
      this.#delayed.delete(key)
      this.add(key)
    }, ms)
    this.#delayed.set(key, { dueMs, timer })
    return true
  }

  stats(): QueueStats {
    return {
      queued: this.#queued.size,
      running: this.#running.size,
      delayed: this.#delayed.size,
      done: this.#done,
      failed: this.#failed,
      overflowed: this.#overflowed,
    }
  }

  async idle(): Promise<void> {
    if (this.#queued.size + this.#running.size === 0) return
    await new Promise<void>((resolve) => this.#idle.add(resolve))
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#isClosed = true
    this.#again.clear()
    for (const key of [...this.#delayed.keys()]) this.#clearDelay(key)
    const giveUp = () => {
      this.#queued.clear()
      this.#stop.abort(signal.reason)
      this.#tellIfIdle()
    }
    if (signal.aborted) giveUp()
    else signal.addEventListener('abort', giveUp, { once: true })
    try {
      await this.idle()
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  #hasRoom(): boolean {
    const max = this.#options.maxKeys ?? defaultMaxKeys
    if (this.#queued.size + this.#delayed.size < max) return true
    if (this.#overflowed === 0) this.#logger.error('work queue is full, keys are refused', { maxKeys: max })
    this.#overflowed += 1
    return false
  }

  #clearDelay(key: K): void {
    clearTimeout(this.#delayed.get(key)?.timer)
    this.#delayed.delete(key)
  }

  #startNext(): void {
    const { concurrency } = this.#options
    while (this.#running.size < (typeof concurrency === 'number' ? concurrency : concurrency())) {
      const [key] = this.#queued
      if (key === undefined) break
      this.#queued.delete(key)
      this.#running.add(key)
      void this.#run(key)
    }
    this.#tellIfIdle()
  }

  #tellIfIdle(): void {
    if (this.#queued.size + this.#running.size > 0) return
    for (const resolve of this.#idle) resolve()
    this.#idle.clear()
  }

  async #run(key: K): Promise<void> {
    using deadline = deadlineAfter(this.#options.deadlineMs, this.#stop.signal)
    let afterMs: number | undefined
    try {
      const next = await this.#options.handle(key, deadline.signal)
      this.#backoffs.delete(key)
      this.#done += 1
      if (next !== 'settled') afterMs = next.afterMs
    } catch (error) {
      this.#failed += 1
      afterMs = this.#delayAfter(key, toError(error))
    }
    this.#running.delete(key)
    if (this.#again.delete(key)) this.add(key)
    else if (afterMs !== undefined) this.addAfter(key, afterMs)
    this.#startNext()
  }

  /** @returns undefined for what repeating cannot mend: the next change of the object brings the key back */
  #delayAfter(key: K, error: Error): number | undefined {
    if (this.#stop.signal.aborted) return undefined
    const retry = error instanceof OperationError ? error.retry : 'later'
    const hint = error instanceof OperationError ? { hint: error.hint } : {}
    this.#logger.warn('reconcile failed', { key, err: error.message, retry, ...hint })
    if (retry === 'never') {
      this.#backoffs.delete(key)
      return undefined
    }
    const { backoffFirstMs: firstMs = defaultFirstMs, backoffCapMs: capMs = defaultCapMs } = this.#options
    let backoff = this.#backoffs.get(key)
    if (backoff === undefined) {
      backoff = new Backoff({ firstMs, capMs }, this.#random)
      this.#backoffs.set(key, backoff)
    }
    const delayMs = backoff.nextMs()
    // What waits for a change is looked at again all the same, as the change may lie outside what we watch.
    return retry === 'after-change' ? capMs : delayMs
  }
}
