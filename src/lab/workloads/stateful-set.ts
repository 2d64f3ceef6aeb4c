import type { Pod } from '../../api/index.ts'
import { isReady, templateHash, type WorkloadObject } from './template.ts'

/** Label with the hash of the template that a pod was made from. */
export const revisionLabel = 'controller-revision-hash'

/** What to do next for a StatefulSet. */
export interface StatefulPlan {
  readonly create: readonly number[] // ordinals
  readonly remove: readonly Pod[]
}

/**
 * The next steps of a StatefulSet. Ordered: one at a time, ascending, each waits for all before it to be ready; Parallel: all at
 * once. A pod of the right name that is still being deleted blocks its successor.
 */
export function planStatefulSet(set: WorkloadObject, pods: readonly Pod[]): StatefulPlan {
  const replicas = set.spec?.replicas ?? 1
  const start = ordinalStart(set)
  const isParallel = set.spec?.['podManagementPolicy'] === 'Parallel'
  const byOrdinal = new Map<number, Pod>()
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod)
    if (ordinal !== undefined) byOrdinal.set(ordinal, pod)
  }
  const create: number[] = []
  for (let ordinal = start; ordinal < start + replicas; ordinal++) {
    const pod = byOrdinal.get(ordinal)
    if (pod === undefined) create.push(ordinal)
    else if (isFinished(pod)) return { create: isParallel ? create : [], remove: [pod] }
    if (!isParallel && (pod === undefined || !isReady(pod))) return { create, remove: [] }
  }
  if (create.length > 0) return { create, remove: [] }
  const surplus = [...byOrdinal]
    .filter(([ordinal]) => ordinal < start || ordinal >= start + replicas)
    .sort(([a], [b]) => b - a)
    .map(([, pod]) => pod)
  if (surplus.length > 0) {
    const due = isParallel ? surplus : surplus.slice(0, 1)
    return { create: [], remove: due.filter((pod) => pod.metadata.deletionTimestamp === undefined) }
  }
  return { create: [], remove: planUpdate(set, byOrdinal) }
}

/** The highest pod of an older revision, once all others are ready. */
function planUpdate(set: WorkloadObject, byOrdinal: ReadonlyMap<number, Pod>): readonly Pod[] {
  const strategy = set.spec?.['updateStrategy'] as
    | { readonly type?: string; readonly rollingUpdate?: { readonly partition?: number } }
    | undefined
  if (strategy?.type === 'OnDelete') return []
  const hash = templateHash(set.spec?.template)
  const partition = ordinalStart(set) + (strategy?.rollingUpdate?.partition ?? 0)
  for (const [ordinal, pod] of [...byOrdinal].sort(([a], [b]) => b - a)) {
    if (ordinal < partition) break
    if (pod.metadata.deletionTimestamp !== undefined) return []
    if (pod.metadata.labels?.[revisionLabel] !== hash) return [pod]
    if (!isReady(pod)) return []
  }
  return []
}

/** `status` of a StatefulSet. */
export function statefulSetStatus(
  set: WorkloadObject,
  pods: readonly Pod[],
): Readonly<Record<string, unknown>> {
  const hash = templateHash(set.spec?.template)
  const alive = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined && !isFinished(pod))
  const ready = alive.filter(isReady).length
  const updated = alive.filter((pod) => pod.metadata.labels?.[revisionLabel] === hash).length
  const replicas = set.spec?.replicas ?? 1
  const isSettled = updated === replicas && ready === replicas
  const revision = `${set.metadata.name}-${hash}`
  const before = set.status?.['currentRevision']
  return {
    observedGeneration: set.metadata.generation ?? 1,
    replicas: alive.length,
    readyReplicas: ready,
    availableReplicas: ready,
    currentReplicas: updated,
    updatedReplicas: updated,
    currentRevision: isSettled || typeof before !== 'string' ? revision : before,
    updateRevision: revision,
    collisionCount: 0,
  }
}

/** First ordinal: `spec.ordinals.start`, or 0. */
export function ordinalStart(set: WorkloadObject): number {
  const start = (set.spec?.['ordinals'] as { readonly start?: unknown } | undefined)?.start
  return typeof start === 'number' ? start : 0
}

function ordinalOf(set: WorkloadObject, pod: Pod): number | undefined {
  const prefix = `${set.metadata.name}-`
  const text = pod.metadata.name.slice(prefix.length)
  return pod.metadata.name.startsWith(prefix) && /^\d+$/.test(text) ? Number(text) : undefined
}

function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}
