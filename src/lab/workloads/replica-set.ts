import type { Pod } from '../../api/index.ts'
import { isActive, isReady } from './template.ts'

/** What to do so that a ReplicaSet has its replicas. */
export interface ReplicaPlan {
  readonly createCount: number
  readonly remove: readonly Pod[]
}

/** Pods that are made or removed in one run at most; the next run goes on. */
export const maxPodsPerRun = 250

/** Counts active pods against `replicas`; the least useful go first. */
export function planReplicas(replicas: number, pods: readonly Pod[]): ReplicaPlan {
  const active = pods.filter(isActive)
  const surplus = active.length - replicas
  if (surplus <= 0) return { createCount: Math.min(-surplus, maxPodsPerRun), remove: [] }
  const worstFirst = [...active].sort((a, b) => usefulness(a) - usefulness(b) || youngerFirst(a, b))
  return { createCount: 0, remove: worstFirst.slice(0, Math.min(surplus, maxPodsPerRun)) }
}

function usefulness(pod: Pod): number {
  if (pod.spec?.nodeName === undefined) return 0
  if (pod.status?.phase !== 'Running') return 1
  return isReady(pod) ? 3 : 2
}

function youngerFirst(a: Pod, b: Pod): number {
  const [first = '', second = ''] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp]
  return first === second ? (a.metadata.name < b.metadata.name ? -1 : 1) : first > second ? -1 : 1
}

/** `status` of a ReplicaSet. */
export function replicaSetStatus(pods: readonly Pod[], generation: number): Readonly<Record<string, number>> {
  const active = pods.filter(isActive)
  const ready = active.filter(isReady).length
  return {
    replicas: active.length,
    fullyLabeledReplicas: active.length,
    readyReplicas: ready,
    availableReplicas: ready,
    observedGeneration: generation,
  }
}
