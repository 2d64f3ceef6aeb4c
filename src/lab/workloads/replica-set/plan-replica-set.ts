import type { Condition } from '../../../api/index.ts'
import type { ReplicaSet, ReplicaSetStatus, WorkloadPod } from '../model/kinds.ts'
import { podNames } from '../model/names.ts'
import { countPods, createdMs, isActive, isReady, readySinceMs } from '../model/pod-facts.ts'

export interface ReplicaSetPlan {
  /** Names of pods to create. */
  readonly create: readonly string[]
  readonly remove: readonly WorkloadPod[]
  readonly status: ReplicaSetStatus
  /** Look again then, as a pod becomes available; undefined: nothing to wait for. */
  readonly recheckMs: number | undefined
}

/** How many pods one pass creates or deletes at most. */
export const maxPodsPerPass = 500

/**
 * What a ReplicaSet needs.
 *
 * @param pods its own, those that are going among them
 * @param isTaken names not to be used for new pods, beside those of `pods`
 */
export function planReplicaSet(
  set: ReplicaSet,
  pods: readonly WorkloadPod[],
  isTaken: (name: string) => boolean,
  nowMs: number,
): ReplicaSetPlan {
  const active = pods.filter(isActive)
  const counts = countPods(active, set.spec?.minReadySeconds ?? 0, nowMs)
  const missing = isGoing(set) ? 0 : (set.spec?.replicas ?? 1) - active.length
  const names = new Set(pods.map((pod) => pod.metadata.name))
  const count = Math.min(Math.max(0, missing), maxPodsPerPass)
  const labels = Object.entries(set.spec?.template?.metadata?.labels ?? {})
  const isLabelled = (pod: WorkloadPod) =>
    labels.every(([key, value]) => pod.metadata.labels?.[key] === value)
  return {
    create: podNames(set.metadata, count, (name) => names.has(name) || isTaken(name)),
    remove: missing < 0 ? removalOrder(active).slice(0, Math.min(-missing, maxPodsPerPass)) : [],
    status: {
      replicas: active.length,
      fullyLabeledReplicas: active.filter(isLabelled).length,
      readyReplicas: counts.ready,
      availableReplicas: counts.available,
      ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
    },
    recheckMs: counts.nextInMs,
  }
}

const isGoing = (set: ReplicaSet): boolean => set.metadata.deletionTimestamp !== undefined
const costKey = 'controller.kubernetes.io/pod-deletion-cost'

/**
 * Pods in the order in which they are given up: those without node, then not yet running, then not ready, then of
 * lower deletion cost, then on the node with most of them, then those that came last.
 * (Kubernetes documentation, "ReplicaSet", "Scaling a ReplicaSet")
 */
export function removalOrder(pods: readonly WorkloadPod[]): readonly WorkloadPod[] {
  const perNode = Map.groupBy(pods, (pod) => pod.spec?.nodeName ?? '')
  const rank = (pod: WorkloadPod): readonly number[] => [
    pod.spec?.nodeName === undefined ? 0 : 1,
    pod.status?.phase === 'Running' ? 1 : 0,
    isReady(pod) ? 1 : 0,
    Number(pod.metadata.annotations?.[costKey] ?? 0) || 0,
    -(perNode.get(pod.spec?.nodeName ?? '')?.length ?? 0),
    -(readySinceMs(pod) ?? 0),
    -createdMs(pod),
  ]
  const ranked = pods.map((pod) => ({ pod, rank: rank(pod) }))
  return ranked.sort((a, b) => compare(a.rank, b.rank) || byName(a.pod, b.pod)).map(({ pod }) => pod)
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const difference = value - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

const byName = (a: WorkloadPod, b: WorkloadPod): number => (a.metadata.name < b.metadata.name ? -1 : 1)

/** `conditions` that tell of a pod that could not be created. */
export function failureConditions(message: string, now: string): readonly Condition[] {
  return [
    { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message, lastTransitionTime: now },
  ]
}
