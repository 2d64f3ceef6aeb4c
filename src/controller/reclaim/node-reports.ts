import type { NodeReport } from '../../api/index.ts'
import type { SandboxEvidence } from './plan-reclaim.ts'

/** Nodes that are remembered; beyond that the longest silent one is forgotten. */
const maxNodes = 20_000

interface NodeKnowledge {
  /** Arrival times by our own clock, newest last; two are enough. */
  readonly arrivedMs: readonly number[]
  readonly alive: ReadonlySet<string>
}

/**
 * What the nodes say of their sandboxes, as evidence for the reclaimer.
 *
 * A report may have been taken long before it arrives, and clocks differ. An agent sends one report at a time, and takes the
 * next only after the last was answered. So the second report that arrives after some moment was certainly taken after it.
 */
export class NodeReports {
  readonly #nodes = new Map<string, NodeKnowledge>()

  /** Takes in a report of `node` that arrived at `nowMs`. */
  add(node: string, report: NodeReport, nowMs: number): void {
    const before = this.#nodes.get(node)
    this.#nodes.delete(node)
    this.#nodes.set(node, {
      arrivedMs: [...(before?.arrivedMs ?? []), nowMs].slice(-2),
      alive: new Set(report.alive.map(({ containerId }) => containerId)),
    })
    const oldest = this.#nodes.keys().next()
    if (this.#nodes.size > maxNodes && oldest.done !== true) this.#nodes.delete(oldest.value)
  }

  /**
   * Evidence on a sandbox, from reports that were taken after `sinceMs`.
   *
   * @param sinceMs when the entry was nominated, by the clock that {@link add} was given
   */
  evidence(node: string, containerId: string, sinceMs: number): SandboxEvidence {
    const known = this.#nodes.get(node)
    if (known === undefined) return 'unknown'
    if (known.alive.has(containerId)) return 'alive'
    const [first, second] = known.arrivedMs
    return first !== undefined && second !== undefined && first > sinceMs ? 'gone' : 'unknown'
  }
}
