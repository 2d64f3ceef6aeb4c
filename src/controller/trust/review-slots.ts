/** Reviews that may run at once for callers who are not known yet, all together and from one address. */
const maxUnknown = 16
const maxUnknownOfAddress = 4
/** Kept apart for tokens that were good a moment ago: a flood of strangers does not touch them. */
const maxKnown = 16
/** Callers who wait for a slot, all together and from one address. */
const maxWaiting = 1_024
const maxWaitingOfAddress = 64

/** What a slot is asked for. */
export interface SlotRequest {
  readonly address: string
  /** The token was good before. */
  readonly isKnown: boolean
}

interface Waiting extends SlotRequest {
  readonly start: () => void
}

/**
 * Says when a token may be reviewed at the API server. Each address has a few slots, so that nobody takes them all; who finds too
 * many waiting is turned away at once.
 */
export class ReviewSlots {
  readonly #running = new Map<string, number>()
  #runningKnown = 0
  #runningUnknown = 0
  #waiting: readonly Waiting[] = []

  /** Runs `work` when there is a slot for it. @returns undefined, without running it, when too many wait */
  run<T>(request: SlotRequest, work: () => Promise<T>): Promise<T> | undefined {
    const ofAddress = this.#waiting.filter(({ address }) => address === request.address).length
    const isTooMany = this.#waiting.length >= maxWaiting || ofAddress >= maxWaitingOfAddress
    if (!this.#hasSlot(request) && isTooMany && !request.isKnown) return undefined
    return this.#enter(request)
      .then(work)
      .finally(() => this.#leave(request))
  }

  async #enter(request: SlotRequest): Promise<void> {
    if (this.#hasSlot(request)) {
      this.#count(request, 1)
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting = [...this.#waiting, { ...request, start: resolve }]
    await promise
  }

  #leave(request: SlotRequest): void {
    this.#count(request, -1)
    const next = this.#waiting.find((waiting) => this.#hasSlot(waiting))
    if (next === undefined) return
    this.#waiting = this.#waiting.filter((waiting) => waiting !== next)
    this.#count(next, 1)
    next.start()
  }

  #hasSlot({ address, isKnown }: SlotRequest): boolean {
    if (isKnown) return this.#runningKnown < maxKnown
    return this.#runningUnknown < maxUnknown && (this.#running.get(address) ?? 0) < maxUnknownOfAddress
  }

  #count({ address, isKnown }: SlotRequest, change: 1 | -1): void {
    if (isKnown) {
      this.#runningKnown += change
      return
    }
    this.#runningUnknown += change
    const ofAddress = (this.#running.get(address) ?? 0) + change
    if (ofAddress === 0) this.#running.delete(address)
    else this.#running.set(address, ofAddress)
  }
}
