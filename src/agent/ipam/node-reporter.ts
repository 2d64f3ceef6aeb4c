import { type Clock, deadlineAfter, type Logger } from '../../base/index.ts'
import type { Journal, JournalEntry } from '../journal/journal.ts'
import type { Allocator, Namespaces } from '../ports.ts'

interface Ports {
  readonly allocator: Allocator
  readonly journal: Journal
  readonly namespaces: Namespaces
  readonly clock: Clock
  readonly logger: Logger
}

const reportBudgetMs = 5_000
const readyForMs = 60_000
const leastPauseMs = 1_000

/** Tells the controller which sandboxes of this node live; whether it can be told is whether the node is ready. */
export class NodeReporter {
  readonly #ports: Ports
  #lastSuccessMs: number | undefined
  /** When the last report that was answered had been begun; 0 before the first. */
  #answeredMs = 0

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** Why no ADD can be served; undefined when it can. */
  notReady(): string | undefined {
    if (this.#lastSuccessMs === undefined) return 'the controller has not been reached yet'
    const silentMs = this.#ports.clock.nowMs() - this.#lastSuccessMs
    if (silentMs <= readyForMs) return undefined
    return `the controller has not been reached for ${Math.round(silentMs / 1000)} s`
  }

  /** True when the last report is so old that somebody who waits for an address is worth another. */
  isDue(): boolean {
    return this.#ports.clock.nowMs() - this.#answeredMs >= leastPauseMs
  }

  /** @returns `more` when the controller waits for the next report */
  async report(signal: AbortSignal): Promise<'done' | 'more'> {
    const { allocator, journal, namespaces, clock } = this.#ports
    // Before the list is made: an attachment noted meanwhile must not look as if it had been left out.
    const takenAtMs = clock.nowMs()
    const alive: { containerId: string; ifName: string }[] = []
    for (const entry of journal.entries()) {
      // What is being released is not claimed: its DEL has come.
      if (entry.state === 'held' && isSandboxAlive(entry, namespaces))
        alive.push({ containerId: entry.containerId, ifName: entry.ifName })
    }
    using deadline = deadlineAfter(reportBudgetMs, signal)
    const report = { takenAtMs, answeredMs: this.#answeredMs, alive }
    const { isAwaited } = await allocator.nodeReport(report, deadline.signal)
    this.#answeredMs = takenAtMs
    this.#lastSuccessMs = clock.nowMs()
    return isAwaited ? 'more' : 'done'
  }
}

/** Whether the namespace that the attachment was made in is still there: the same one, not another at its path. */
export function isSandboxAlive(entry: JournalEntry, namespaces: Namespaces): boolean {
  if (entry.netnsIdentity === '') return true // a damaged entry: only DEL can say
  return namespaces.identity(entry.netns) === entry.netnsIdentity
}
