/** One watch under guard. */
export interface Guarded {
  /** Aborts when the caller's signal does, or when the watch was silent for too long. */
  readonly signal: AbortSignal
  heard(isBookmark: boolean): void
  isSilent(): boolean
  stop(): void
}

/** A watch may be silent for twice the pace of its bookmarks and `graceMs`, and never less than `shortestMs`. */
export interface SilenceLimits {
  readonly shortestMs: number
  readonly graceMs: number
}

export const defaultSilence: SilenceLimits = { shortestMs: 10_000, graceMs: 5000 }
const rememberedGaps = 3

/**
 * Ends watches that went silent although the connection looks alive, as behind a proxy that still acknowledges.
 * How long a server may be silent is learned from the pace of its bookmarks: twice that, and 5 s. A server that was
 * never heard to send two bookmarks is left alone until the watch is overdue.
 */
export class SilenceGuard {
  readonly #limits: SilenceLimits
  #gapsMs: readonly number[] = []

  constructor(limits: SilenceLimits = defaultSilence) {
    this.#limits = limits
  }

  start(signal: AbortSignal, overdueMs: number): Guarded {
    const controller = new AbortController()
    const openedAtMs = performance.now()
    let heardAtMs = openedAtMs
    let bookmarkAtMs: number | undefined
    let isSilent = false
    const onAbort = () => controller.abort(signal.reason)
    const limitMs = () => Math.min(this.#limitMs(), overdueMs)
    const check = () => {
      const now = performance.now()
      const waitMs = Math.min(heardAtMs + limitMs() - now, openedAtMs + overdueMs - now)
      if (waitMs > 0) {
        timer = setTimeout(check, waitMs)
        return
      }
      isSilent = true
      controller.abort(new DOMException('the watch was silent for too long', 'TimeoutError'))
    }
    let timer = setTimeout(check, limitMs())
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    return {
      signal: controller.signal,
      heard: (isBookmark) => {
        heardAtMs = performance.now()
        if (!isBookmark) return
        if (bookmarkAtMs !== undefined)
          this.#learn(heardAtMs - bookmarkAtMs, () => {
            clearTimeout(timer)
            timer = setTimeout(check, limitMs())
          })
        bookmarkAtMs = heardAtMs
      },
      isSilent: () => isSilent,
      stop: () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      },
    }
  }

  #limitMs(): number {
    if (this.#gapsMs.length === 0) return Infinity
    return Math.max(this.#limits.shortestMs, 2 * Math.max(...this.#gapsMs) + this.#limits.graceMs)
  }

  #learn(gapMs: number, onFirst: () => void): void {
    const isFirst = this.#gapsMs.length === 0
    this.#gapsMs = [...this.#gapsMs, gapMs].slice(-rememberedGaps)
    if (isFirst) onFirst()
  }
}
