// A check is data: what is asserted, what should be seen, where to look further, and how it is found out. The same checks
// run against the lab's API server and against a real control plane.
import type { Kernel } from './kernel.ts'
import type { Kubectl } from './kubectl.ts'

/** Where checks look. */
export interface Sight {
  readonly kubectl: Pick<Kubectl, 'run' | 'send' | 'json' | 'pods' | 'eventsOf'>
  readonly kernel: Pick<
    Kernel,
    'namespaces' | 'podNamespaces' | 'nodeOf' | 'addresses' | 'processesIn' | 'ping'
  >
  /** Nobody else has anything in the lab: what is there is ours. */
  readonly isFresh: boolean
}

export interface Seen {
  readonly isSo: boolean
  /** What was seen, on one line; further lines are shown below it. */
  readonly what: string
}

export interface Check {
  /** What is asserted. */
  readonly name: string
  /** Shown when it is not so. */
  readonly expected: string
  /** A command to look further. */
  readonly look: string
  /** How long it may take to become so. */
  readonly withinMs?: number
  /** Looks once. */
  readonly probe: (sight: Sight) => Promise<Seen>
}

export interface Outcome {
  readonly check: Check
  readonly seen: Seen
  readonly tookMs: number
}

const defaultWithinMs = 45_000
const pauseMs = 150

/** Looks until the check is so, or its time is over. */
export async function runCheck(check: Check, sight: Sight, signal: AbortSignal): Promise<Outcome> {
  const startedMs = performance.now()
  const endMs = startedMs + (check.withinMs ?? defaultWithinMs)
  for (;;) {
    signal.throwIfAborted()
    const seen = await look(check, sight)
    const nowMs = performance.now()
    if (seen.isSo || nowMs >= endMs) return { check, seen, tookMs: nowMs - startedMs }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

async function look(check: Check, sight: Sight): Promise<Seen> {
  try {
    return await check.probe(sight)
  } catch (error) {
    return { isSo: false, what: error instanceof Error ? error.message : String(error) }
  }
}
