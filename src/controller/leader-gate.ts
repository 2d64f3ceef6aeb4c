import { deadlineAfter } from '../base/index.ts'
import type { Term } from '../kube/index.ts'
import {
  type AllocatorHandlers,
  leaderHeader,
  leadingPath,
  NotLeaderError,
  type Route,
} from '../rpc/index.ts'
import type { Leadership } from './leadership.ts'
import type { Caller } from './trust/authenticate.ts'

/** Longer than any call of an agent. */
const callBudgetMs = 120_000

/** What the gate asks of one time as leader. */
export type Leading = Pick<Leadership, 'allocate' | 'release' | 'check' | 'nodeReport' | 'haltReason'>

/**
 * The door between agents and the leadership. It is open only while the lease is surely ours by the clocks of this moment, and
 * looks again before each answer goes out: a process that was frozen answers nothing from memory when it wakes.
 */
export class LeaderGate<L extends Leading> {
  #open: { readonly leadership: L; readonly term: Term } | undefined
  #leaderUrl: string | undefined

  /** Undefined while this replica does not lead. */
  get leadership(): L | undefined {
    return this.#open?.leadership
  }

  open(leadership: L, term: Term): void {
    this.#open = { leadership, term }
  }

  close(): void {
    this.#open = undefined
  }

  /** Where another replica leads; undefined when nobody is known to. */
  noteLeader(url: string | undefined): void {
    this.#leaderUrl = url
  }

  /** @throws {NotLeaderError} naming the leader, when it is another and known */
  requireLeader(): void {
    this.#held()
  }

  handlers(): AllocatorHandlers<Caller> {
    return {
      allocate: ({ node }, request, signal) =>
        this.#answer(signal, (leadership, limited) => leadership.allocate(node, request, limited)),
      release: ({ node }, request, signal) =>
        this.#answer(signal, (leadership, limited) => leadership.release(node, request, limited)),
      check: ({ node }, request, signal) =>
        this.#answer(signal, (leadership) => leadership.check(node, request)),
      nodeReport: ({ node }, report, signal) =>
        this.#answer(signal, (leadership) => leadership.nodeReport(node, report)),
    }
  }

  /**
   * `/readyz`: some replica is known to lead. `/leading`: this one does, or where to go. Both say so when nothing is allocated;
   * they do not fail then: addresses are still released, and webhooks answered.
   */
  probes(): readonly Route[] {
    const probe = (path: string, isGood: () => boolean): Route => ({
      method: 'GET',
      path,
      maxBodyBytes: 0,
      deadlineMs: 1_000,
      handle: () => {
        const reason = this.#open?.leadership.haltReason
        const note = reason === undefined ? '' : `, but nothing is allocated: ${reason}`
        if (isGood()) return Promise.resolve({ status: 200, body: `ok${note}\n` })
        const headers = this.#leaderUrl === undefined ? {} : { [leaderHeader]: this.#leaderUrl }
        return Promise.resolve({ status: 503, body: 'not ready\n', headers })
      },
    })
    const isLeading = () => this.#open?.term.isHeld() === true
    return [
      probe('/healthz', () => true),
      probe('/readyz', () => isLeading() || this.#leaderUrl !== undefined),
      probe(leadingPath, isLeading),
    ]
  }

  #held(): { readonly leadership: L; readonly term: Term } {
    const open = this.#open
    if (open?.term.isHeld() === true) return open
    throw new NotLeaderError(this.#leaderUrl)
  }

  async #answer<T>(
    signal: AbortSignal,
    work: (leadership: L, signal: AbortSignal) => T | Promise<T>,
  ): Promise<T> {
    const { leadership, term } = this.#held()
    // The next leader is asked at once when the term ends, not when the call's time is over.
    using limited = deadlineAfter(callBudgetMs, signal, term.signal)
    let answer: T
    try {
      answer = await work(leadership, limited.signal)
    } catch (error) {
      if (term.isHeld()) throw error
      throw new NotLeaderError(this.#leaderUrl, { cause: error })
    }
    if (!term.isOurs()) throw new NotLeaderError(this.#leaderUrl)
    return answer
  }
}
