import type { SpiderIpBlock } from '../../src/api/index.ts'
import type { BlockChange, BlockStore, MemoryBlockStore } from '../../src/ledger/index.ts'
import type { Scheduler } from './scheduler.ts'
import { UnavailableError } from './unavailable-error.ts'

export interface Faults {
  /** Probability that a call fails before it arrives. */
  lost: number
  /** Probability that a call arrives but its answer does not. */
  unanswered: number
  /** Probability that a call fails, and arrives all the same, at some later time. */
  late: number
}

/** One leader's way to the store: every call and every answer takes its time, and some go wrong. */
export class FaultyStore implements BlockStore {
  readonly #store: MemoryBlockStore
  readonly #scheduler: Scheduler
  readonly #leader: string
  readonly #faults: Faults

  constructor(store: MemoryBlockStore, scheduler: Scheduler, leader: string, faults: Faults) {
    this.#store = store
    this.#scheduler = scheduler
    this.#leader = leader
    this.#faults = faults
  }

  async list(visit: (block: SpiderIpBlock) => void, signal: AbortSignal): Promise<void> {
    const found: SpiderIpBlock[] = []
    await this.#call(() => this.#store.list((block) => void found.push(block), signal), signal)
    for (const block of found) visit(block)
  }
  read(name: string, signal: AbortSignal): Promise<SpiderIpBlock | undefined> {
    return this.#call(() => this.#store.read(name, signal), signal)
  }
  create(block: SpiderIpBlock, signal: AbortSignal): Promise<string> {
    return this.#call(() => this.#store.create(block, never), signal)
  }
  patch(name: string, version: string, change: BlockChange, signal: AbortSignal): Promise<string> {
    return this.#call(() => this.#store.patch(name, version, change, never), signal)
  }

  #call<T>(atServer: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { lost, unanswered, late } = this.#faults
    const roll = this.#scheduler.next()
    return new Promise((resolve, reject) => {
      const answer = (run: () => void) => this.#scheduler.at(this.#leader, run)
      const fail = () => reject(new UnavailableError())
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      if (roll < lost + late) answer(fail)
      if (roll < lost) return
      this.#scheduler.at('network', () => {
        const isUnanswered = roll < lost + late + unanswered
        atServer().then(
          (value) => answer(() => (isUnanswered ? fail() : resolve(value))),
          (error: unknown) => answer(() => (isUnanswered ? fail() : reject(error))),
        )
      })
    })
  }
}

const never = new AbortController().signal
