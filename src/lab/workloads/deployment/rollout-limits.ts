import { resolveAmount } from '../model/amounts.ts'
import type { Deployment, ReplicaSet } from '../model/kinds.ts'

/** What a rollout must keep to. */
export interface Limits {
  readonly replicas: number
  /** Pods that may exist beyond `replicas`. */
  readonly surge: number
  readonly maxUnavailable: number
  readonly minAvailable: number
}

const defaultAmount = '25%'

/** The limits in pods. Both 0 would allow no step at all: then one pod may be unavailable. */
export function limitsOf(deployment: Deployment): Limits {
  const replicas = deployment.spec?.replicas ?? 1
  const { type, rollingUpdate } = deployment.spec?.strategy ?? {}
  if (type === 'Recreate') return { replicas, surge: 0, maxUnavailable: replicas, minAvailable: replicas }
  const surge = resolveAmount(rollingUpdate?.maxSurge ?? defaultAmount, replicas, 'up')
  const given = resolveAmount(rollingUpdate?.maxUnavailable ?? defaultAmount, replicas, 'down')
  const maxUnavailable = Math.min(surge === 0 && given === 0 ? 1 : given, replicas)
  return { replicas, surge, maxUnavailable, minAvailable: replicas - maxUnavailable }
}

export function sumOf(sets: readonly ReplicaSet[], count: (set: ReplicaSet) => number | undefined): number {
  return sets.reduce((sum, set) => sum + (count(set) ?? 0), 0)
}

export const sizeOf = (set: ReplicaSet): number => set.spec?.replicas ?? 1
