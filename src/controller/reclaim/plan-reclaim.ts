import { type BlockEntry, claimOfOwner, isAlive, type Pod } from '../../api/index.ts'

/** What a fresh read of the API server said of the pod that an entry names. */
export type PodFinding =
  | { readonly kind: 'alive'; readonly uid: string }
  | { readonly kind: 'gone' }
  /** It exists, but it is terminating or finished (spec/ipam.md §3, alive table). */
  | { readonly kind: 'dead'; readonly uid: string; readonly hasFinished: boolean }

/** What is known of the sandbox of one attachment. */
export type SandboxEvidence = 'gone' | 'alive' | 'unknown'

/** Everything that a verdict on one entry needs; all of it read after the entry was nominated. */
export interface ReclaimFacts {
  readonly entry: BlockEntry
  readonly pod: PodFinding
  /** For a sticky owner: does the replica still belong to its workload? Ignored for pods. */
  readonly isReplicaValid: boolean
  /** In the order of `entry.attachments`. */
  readonly sandboxes: readonly SandboxEvidence[]
}

export type Verdict =
  | { readonly kind: 'keep'; readonly why: string }
  /** Nothing to free yet: evidence from the node is missing. */
  | { readonly kind: 'wait'; readonly why: string }
  | { readonly kind: 'free'; readonly why: string }
  /** Its claim keeps the address, and the pod that used it is over. */
  | { readonly kind: 'vacate'; readonly why: string }

/**
 * Decides whether an address may be freed without a DEL (design.md, the ledger, rule 7).
 * Caches may nominate an entry; only facts read afterwards convict it.
 */
export function planReclaim(facts: ReclaimFacts): Verdict {
  const { entry, pod } = facts
  const isKept = entry.owner.kind === 'sticky' && facts.isReplicaValid
  const isOfClaim = claimOfOwner(entry.owner) !== undefined
  if (entry.owner.kind === 'sticky' && isKept && !isOfClaim) {
    return {
      kind: 'keep',
      why: `its replica ${entry.owner.replica} belongs to ${entry.owner.ownerKind} ${entry.owner.name}`,
    }
  }
  if (pod.kind === 'alive' && pod.uid === entry.podUid) return { kind: 'keep', why: 'its pod is alive' }
  const reason = whyDead(entry, pod)
  // Nobody knows its container, so no node can say that it is gone: a pod that still terminates may still use the address.
  const isEnding = pod.kind === 'dead' && pod.uid === entry.podUid && !pod.hasFinished
  if (entry.adopted !== undefined && isEnding)
    return { kind: 'wait', why: `${reason}, and no DEL came for it` }
  if (facts.sandboxes.includes('alive')) return { kind: 'wait', why: `${reason}, but its sandbox still runs` }
  if (facts.sandboxes.includes('unknown'))
    return { kind: 'wait', why: `${reason}, but its node has not reported` }
  return { kind: isKept ? 'vacate' : 'free', why: reason }
}

function whyDead(entry: BlockEntry, pod: PodFinding): string {
  if (pod.kind === 'gone') return 'pod is gone'
  if (pod.uid !== entry.podUid) return `pod has another uid ${pod.uid}`
  return 'pod is terminating or finished'
}

/** What a fresh read of a pod says. */
export function findingOf(pod: Pod | undefined): PodFinding {
  if (pod === undefined) return { kind: 'gone' }
  const uid = pod.metadata.uid ?? ''
  const hasFinished = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
  return isAlive(pod) ? { kind: 'alive', uid } : { kind: 'dead', uid, hasFinished }
}
