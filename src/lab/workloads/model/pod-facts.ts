import type { WorkloadPod } from './kinds.ts'

/** Neither finished nor asked to go: it counts as a replica. */
export function isActive(pod: WorkloadPod): boolean {
  return pod.metadata.deletionTimestamp === undefined && !isFinished(pod)
}

export function isFinished(pod: WorkloadPod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

/** Milliseconds since the epoch at which the pod became ready; undefined when it is not. */
export function readySinceMs(pod: WorkloadPod): number | undefined {
  if (pod.status?.phase !== 'Running') return undefined
  const condition = pod.status.conditions?.find(({ type }) => type === 'Ready')
  if (condition?.status !== 'True') return undefined
  const at = Date.parse(condition.lastTransitionTime ?? '')
  return Number.isNaN(at) ? 0 : at
}

export function isReady(pod: WorkloadPod): boolean {
  return readySinceMs(pod) !== undefined
}

/** Milliseconds until the pod counts as available: 0 when it does; undefined when it is not ready. */
export function availableInMs(pod: WorkloadPod, minReadySeconds: number, nowMs: number): number | undefined {
  const since = readySinceMs(pod)
  if (since === undefined) return undefined
  return minReadySeconds === 0 ? 0 : Math.max(0, since + minReadySeconds * 1000 - nowMs)
}

export interface Counts {
  readonly ready: number
  readonly available: number
  /** When the next ready pod becomes available; undefined when none waits for it. */
  readonly nextInMs: number | undefined
}

/** How many of the pods are ready and available. */
export function countPods(pods: readonly WorkloadPod[], minReadySeconds: number, nowMs: number): Counts {
  const waits = pods.map((pod) => availableInMs(pod, minReadySeconds, nowMs)).filter((ms) => ms !== undefined)
  const pending = waits.filter((ms) => ms > 0)
  return {
    ready: waits.length,
    available: waits.length - pending.length,
    nextInMs: pending.length === 0 ? undefined : Math.min(...pending),
  }
}

export function createdMs(object: { readonly metadata: { readonly creationTimestamp?: string } }): number {
  const at = Date.parse(object.metadata.creationTimestamp ?? '')
  return Number.isNaN(at) ? 0 : at
}
