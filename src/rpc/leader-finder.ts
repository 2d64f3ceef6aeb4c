import { Backoff, type Clock, deadlineAfter, type Random } from '../base/index.ts'
import { isSame, type Place, type Replicas } from './replicas.ts'

export interface LeaderFinderPorts {
  readonly replicas: Replicas
  /** Asks a place whether it leads. @returns the leader that it names, itself or another; undefined when it knows none */
  readonly ask: (place: Place, signal: AbortSignal) => Promise<Place | undefined>
  readonly clock: Clock
  readonly random: Random
}

interface Waiting {
  readonly place: Place
  readonly sinceMs: number
  readonly onFound: (leader: Place) => void
}

// A call is answered within milliseconds as a rule; one that waits longer may wait for a process that is frozen, or a
// machine that is off.
const patienceMs = 2000
const lookAgain = { firstMs: 1000, capMs: 2000 }
const askBudgetMs = 1000

/** While calls wait long for an answer, asks the other places whether one of them leads by now, and sends the calls there. */
export class LeaderFinder {
  readonly #ports: LeaderFinderPorts
  readonly #waiting = new Set<Waiting>()
  readonly #closing = new AbortController()
  #isLooking = false

  constructor(ports: LeaderFinderPorts) {
    this.#ports = ports
  }

  /** A call waits for `place`. @returns the function that says that it waits no longer */
  wait(place: Place, onFound: (leader: Place) => void): () => void {
    const waiting = { place, sinceMs: performance.now(), onFound }
    this.#waiting.add(waiting)
    if (!this.#isLooking) void this.#look()
    return () => this.#waiting.delete(waiting)
  }

  close(): void {
    this.#closing.abort()
  }

  async #look(): Promise<void> {
    const { clock, random } = this.#ports
    const { signal } = this.#closing
    const backoff = new Backoff(lookAgain, random)
    this.#isLooking = true
    try {
      while (this.#waiting.size > 0 && !signal.aborted) {
        await clock.sleep(backoff.nextMs(), signal).catch(() => undefined)
        const atMs = performance.now()
        const late = [...this.#waiting].filter(({ sinceMs }) => atMs - sinceMs >= patienceMs)
        const [first] = late
        const leader = first === undefined ? undefined : await this.#find(first.place, signal)
        if (leader === undefined) continue
        for (const { place, onFound } of late) if (!isSame(place, leader)) onFound(leader)
      }
    } finally {
      this.#isLooking = false
    }
  }

  async #find(silent: Place, signal: AbortSignal): Promise<Place | undefined> {
    const { replicas, ask } = this.#ports
    using limited = deadlineAfter(askBudgetMs, signal)
    const asked = replicas
      .othersThan(silent)
      .map((place) => ask(place, limited.signal).catch(() => undefined))
    const named = await Promise.all(asked)
    return named.find((leader) => leader !== undefined && !isSame(leader, silent))
  }
}
