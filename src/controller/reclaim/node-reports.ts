import type { NodeReport } from '../../api/index.ts'
import type { Clock } from '../../base/index.ts'
import type { SandboxEvidence } from './plan-reclaim.ts'

/** Nodes that are remembered; beyond that the longest silent one is forgotten. */
const maxNodes = 20_000
/** Arrivals that are remembered of each node: the agent names the one that was answered last. */
const maxArrivals = 4
/** An agent reports every 7 s: one that is silent for longer than this says nothing of now. */
const silentMs = 60_000

interface NodeKnowledge {
  /** When reports arrived, by our own monotonic clock; the key is the agent's `takenAtMs`, oldest first. */
  readonly arrivals: ReadonlyMap<number, number>
  /** The list in `alive` was made after this, by the same clock; undefined when that is not known. */
  readonly madeAfterMs: number | undefined
  readonly arrivedMs: number
  readonly alive: ReadonlySet<string>
}

/**
 * What the nodes say of their sandboxes, as evidence for the reclaimer.
 *
 * A report may have been taken long before it arrives, may be overtaken by the next one, and clocks differ. So each names the
 * report that was answered before it was begun: it was certainly taken after that one arrived here. The first reports of an
 * agent that restarted, or to a new leader, prove nothing.
 */
export class NodeReports {
  readonly #nodes = new Map<string, NodeKnowledge>()
  readonly #clock: Pick<Clock, 'monotonicMs'>

  /** @param clock that never goes back: by one that does, an old report is taken for a new one */
  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
  }

  /** Takes in a report of `node` that arrives now. */
  add(node: string, { takenAtMs, answeredMs, alive }: NodeReport): void {
    const nowMs = this.#clock.monotonicMs()
    const arrivals = new Map(this.#nodes.get(node)?.arrivals)
    const madeAfterMs = answeredMs === 0 ? undefined : arrivals.get(answeredMs)
    // Of one that arrives twice the first counts: either may be the one that was answered.
    if (!arrivals.has(takenAtMs)) arrivals.set(takenAtMs, nowMs)
    const eldest = arrivals.keys().next()
    if (arrivals.size > maxArrivals && eldest.done !== true) arrivals.delete(eldest.value)
    this.#nodes.delete(node)
    this.#nodes.set(node, {
      arrivals,
      madeAfterMs,
      arrivedMs: nowMs,
      alive: new Set(alive.map(({ containerId }) => containerId)),
    })
    const oldest = this.#nodes.keys().next()
    if (this.#nodes.size > maxNodes && oldest.done !== true) this.#nodes.delete(oldest.value)
  }

  /**
   * Evidence on a sandbox, from a report that was taken after `sinceMs`. A node that was silent for long is not taken to be alive.
   *
   * @param sinceMs when the entry was nominated, by the same monotonic clock
   */
  evidence(node: string, containerId: string, sinceMs: number): SandboxEvidence {
    const known = this.#nodes.get(node)
    if (known === undefined) return 'unknown'
    if (known.alive.has(containerId))
      return this.#clock.monotonicMs() - known.arrivedMs < silentMs ? 'alive' : 'unknown'
    return known.madeAfterMs !== undefined && known.madeAfterMs > sinceMs ? 'gone' : 'unknown'
  }
}
