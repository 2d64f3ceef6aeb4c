import type { StatefulSet, WorkloadPod } from '../model/kinds.ts'
import { availableInMs, isActive, isFinished } from '../model/pod-facts.ts'

export interface StatefulView {
  readonly set: StatefulSet
  /** Its own pods, those that are going among them. */
  readonly pods: readonly WorkloadPod[]
  /** Name of the revision that pods below the partition keep. */
  readonly currentRevision: string
  readonly updateRevision: string
  readonly revisionOf: (pod: WorkloadPod) => string
  readonly nowMs: number
}

export type StatefulStep =
  | { readonly kind: 'create'; readonly ordinal: number; readonly revision: string }
  | { readonly kind: 'remove'; readonly pod: WorkloadPod; readonly why: 'finished' | 'scale' | 'update' }

/** The ordinal in a pod's name, or undefined when it is not a pod of the set. */
export function ordinalOf(set: StatefulSet, pod: WorkloadPod): number | undefined {
  const { name } = pod.metadata
  const prefix = `${set.metadata.name}-`
  const digits = name.startsWith(prefix) ? name.slice(prefix.length) : ''
  return /^(?:0|[1-9]\d{0,8})$/.test(digits) ? Number(digits) : undefined
}

interface Slot {
  readonly ordinal: number
  readonly pod: WorkloadPod | undefined
}

/**
 * The steps that may be taken now. OrderedReady takes one at a time, in order of ordinals, and waits for each pod to be
 * available; Parallel takes all. A pod that is going keeps its place until it is gone.
 * (Kubernetes documentation, "StatefulSets", "Deployment and Scaling Guarantees")
 */
export function planStatefulSet(view: StatefulView): readonly StatefulStep[] {
  const { set } = view
  if (set.metadata.deletionTimestamp !== undefined) return []
  const isOrdered = set.spec?.podManagementPolicy !== 'Parallel'
  const { slots, surplus } = slotsOf(view)
  const fill = planSlots(view, slots, isOrdered)
  if (isOrdered && fill.mustWait) return fill.steps
  const shrink = planSurplus(view, surplus, isOrdered)
  if (isOrdered && (shrink.length > 0 || surplus.length > 0)) return shrink
  const steps = [...fill.steps, ...shrink]
  return steps.length > 0 ? steps : planUpdate(view, slots)
}

function slotsOf({ set, pods }: StatefulView): {
  readonly slots: readonly Slot[]
  readonly surplus: readonly WorkloadPod[]
} {
  const start = set.spec?.ordinals?.start ?? 0
  const end = start + (set.spec?.replicas ?? 1)
  const byOrdinal = new Map<number, WorkloadPod>()
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod)
    if (ordinal !== undefined) byOrdinal.set(ordinal, pod)
  }
  const slots: Slot[] = []
  for (let ordinal = start; ordinal < end; ordinal++) slots.push({ ordinal, pod: byOrdinal.get(ordinal) })
  const outside = [...byOrdinal].filter(([ordinal]) => ordinal < start || ordinal >= end)
  const surplus = outside.sort(([a], [b]) => b - a).map(([, pod]) => pod)
  return { slots, surplus }
}

const isGoing = (pod: WorkloadPod): boolean => pod.metadata.deletionTimestamp !== undefined

function isAvailable(view: StatefulView, pod: WorkloadPod): boolean {
  return isActive(pod) && availableInMs(pod, view.set.spec?.minReadySeconds ?? 0, view.nowMs) === 0
}

function planSlots(
  view: StatefulView,
  slots: readonly Slot[],
  isOrdered: boolean,
): { readonly steps: readonly StatefulStep[]; readonly mustWait: boolean } {
  const steps: StatefulStep[] = []
  for (const { ordinal, pod } of slots) {
    if (pod === undefined) {
      steps.push({ kind: 'create', ordinal, revision: revisionFor(view, ordinal) })
    } else if (!isGoing(pod) && isFinished(pod)) {
      steps.push({ kind: 'remove', pod, why: 'finished' })
    } else if (isAvailable(view, pod)) {
      continue
    }
    if (isOrdered) return { steps, mustWait: true }
  }
  return { steps, mustWait: false }
}

function revisionFor(view: StatefulView, ordinal: number): string {
  const { ordinals, updateStrategy } = view.set.spec ?? {}
  const partition = updateStrategy?.rollingUpdate?.partition ?? 0
  const isOld = ordinal < (ordinals?.start ?? 0) + partition
  return updateStrategy?.type !== 'OnDelete' && isOld ? view.currentRevision : view.updateRevision
}

function planSurplus(
  view: StatefulView,
  surplus: readonly WorkloadPod[],
  isOrdered: boolean,
): readonly StatefulStep[] {
  const removals = surplus
    .filter((pod) => !isGoing(pod))
    .map((pod): StatefulStep => ({ kind: 'remove', pod, why: 'scale' }))
  if (!isOrdered) return removals
  if (surplus.some(isGoing)) return []
  // A broken pod goes first, so that one that cannot become ready does not hold up the others for ever.
  const broken = surplus.findIndex((pod) => !isAvailable(view, pod))
  return removals.slice(Math.max(0, broken), Math.max(0, broken) + 1)
}

/** Downwards from the highest ordinal to the partition, one at a time, each after the ones above it are available. */
function planUpdate(view: StatefulView, slots: readonly Slot[]): readonly StatefulStep[] {
  const { updateStrategy, ordinals } = view.set.spec ?? {}
  if (updateStrategy?.type === 'OnDelete') return []
  const lowest = (ordinals?.start ?? 0) + (updateStrategy?.rollingUpdate?.partition ?? 0)
  for (const { ordinal, pod } of slots.toReversed()) {
    if (ordinal < lowest || pod === undefined || isGoing(pod)) return []
    if (view.revisionOf(pod) !== view.updateRevision) return [{ kind: 'remove', pod, why: 'update' }]
    if (!isAvailable(view, pod)) return []
  }
  return []
}
