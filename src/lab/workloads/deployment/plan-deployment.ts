import type { Deployment, PodTemplate, ReplicaSet } from '../model/kinds.ts'
import { isSameValue } from '../model/names.ts'
import { createdMs } from '../model/pod-facts.ts'
import { type Limits, limitsOf, sizeOf, sumOf } from './rollout-limits.ts'

export const hashLabel = 'pod-template-hash'
export const revisionKey = 'deployment.kubernetes.io/revision'
const defaultHistoryLimit = 10

export interface DeploymentView {
  readonly deployment: Deployment
  /** ReplicaSets that it controls. */
  readonly sets: readonly ReplicaSet[]
  /** Pods of other templates that are not finished, for Recreate: it waits for their end. */
  readonly hasOldPods: boolean
}

export type DeploymentStep =
  | { readonly kind: 'create'; readonly replicas: number; readonly revision: number }
  | { readonly kind: 'scale'; readonly set: ReplicaSet; readonly replicas: number }
  | { readonly kind: 'number'; readonly set: ReplicaSet; readonly revision: number }
  | { readonly kind: 'forget'; readonly set: ReplicaSet }

export interface DeploymentPlan {
  readonly limits: Limits
  readonly current: ReplicaSet | undefined
  readonly revision: number | undefined
  readonly steps: readonly DeploymentStep[]
}

/** What brings a Deployment one step nearer to its template. The next step is planned when this one shows. */
export function planDeployment(view: DeploymentView): DeploymentPlan {
  const { deployment } = view
  const limits = limitsOf(deployment)
  const sets = [...view.sets].sort((a, b) => createdMs(a) - createdMs(b) || byName(a, b))
  const current = sets.find((set) => isOfTemplate(set, deployment.spec?.template))
  const old = sets.filter((set) => set !== current)
  const base = { limits, current }
  const revision = Math.max(0, ...old.map(revisionOf)) + 1
  const shown = current === undefined ? undefined : Math.max(revision, revisionOf(current))
  if (deployment.metadata.deletionTimestamp !== undefined) return { ...base, revision: undefined, steps: [] }
  if (deployment.spec?.paused === true) {
    return { ...base, revision: shown, steps: scalePaused(sets, current, limits) }
  }
  const isRecreate = deployment.spec?.strategy?.type === 'Recreate'
  const steps = isRecreate
    ? planRecreate(current, old, limits, { revision, hasOldPods: view.hasOldPods })
    : planRolling(current, old, limits, revision)
  const numbering: DeploymentStep[] =
    current !== undefined && shown !== undefined && revisionOf(current) !== shown
      ? [{ kind: 'number', set: current, revision: shown }]
      : []
  const all = [...numbering, ...steps]
  return {
    ...base,
    revision: shown,
    steps: all.length > 0 ? all : planForget(deployment, current, old, limits),
  }
}

/** True when the set was made from the template: the hash label apart, they are equal. */
export function isOfTemplate(set: ReplicaSet, template: PodTemplate | undefined): boolean {
  return isSameValue(withoutHash(set.spec?.template), withoutHash(template))
}

function withoutHash(template: PodTemplate | undefined): PodTemplate {
  const { [hashLabel]: _hash, ...labels } = template?.metadata?.labels ?? {}
  const { creationTimestamp: _none, ...metadata } = { creationTimestamp: null, ...template?.metadata }
  return { ...template, metadata: { ...metadata, labels } }
}

export function revisionOf(set: ReplicaSet): number {
  const value = Number(set.metadata.annotations?.[revisionKey] ?? 0)
  return Number.isSafeInteger(value) ? value : 0
}

const byName = (a: ReplicaSet, b: ReplicaSet): number => (a.metadata.name < b.metadata.name ? -1 : 1)

/** A paused Deployment follows its number of replicas alone: the set that has pods takes the difference. */
function scalePaused(
  sets: readonly ReplicaSet[],
  current: ReplicaSet | undefined,
  limits: Limits,
): readonly DeploymentStep[] {
  const active = sets.filter((set) => sizeOf(set) > 0)
  const target = active.length === 1 ? active[0] : active.length === 0 ? current : undefined
  if (target === undefined || sizeOf(target) === limits.replicas) return []
  return [{ kind: 'scale', set: target, replicas: limits.replicas }]
}

function planRecreate(
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  limits: Limits,
  state: { readonly revision: number; readonly hasOldPods: boolean },
): readonly DeploymentStep[] {
  const alive = old.filter((set) => sizeOf(set) > 0)
  if (alive.length > 0) return alive.map((set) => ({ kind: 'scale', set, replicas: 0 }))
  if (state.hasOldPods) return []
  if (current === undefined) return [{ kind: 'create', replicas: limits.replicas, revision: state.revision }]
  return sizeOf(current) === limits.replicas ? [] : [scale(current, limits.replicas)]
}

const scale = (set: ReplicaSet, replicas: number): DeploymentStep => ({ kind: 'scale', set, replicas })

function planRolling(
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  limits: Limits,
  revision: number,
): readonly DeploymentStep[] {
  const size = current === undefined ? 0 : sizeOf(current)
  const total = sumOf(old, sizeOf) + size
  const room = Math.max(0, limits.replicas + limits.surge - total)
  const wanted = size > limits.replicas ? limits.replicas : size + Math.min(room, limits.replicas - size)
  if (current === undefined) return [{ kind: 'create', replicas: wanted, revision }]
  if (wanted !== size) return [scale(current, wanted)]
  return planShrink(current, old, limits, total)
}

/** Old sets give up pods: first those that are not available anyway, then as many as availability allows. */
function planShrink(
  current: ReplicaSet,
  old: readonly ReplicaSet[],
  limits: Limits,
  total: number,
): readonly DeploymentStep[] {
  const notYet = Math.max(0, sizeOf(current) - availableOf(current))
  let budget = total - limits.minAvailable - notYet
  const sizes = new Map(old.map((set) => [set, sizeOf(set)]))
  for (const set of old) {
    const broken = Math.min(sizeOf(set) - availableOf(set), Math.max(0, budget))
    sizes.set(set, sizeOf(set) - broken)
    budget -= broken
  }
  let spare = Math.max(0, sumOf([current, ...old], availableOf) - limits.minAvailable)
  for (const set of old) {
    const left = sizes.get(set) ?? 0
    const gone = Math.min(left, spare, Math.max(0, budget))
    sizes.set(set, left - gone)
    spare -= gone
    budget -= gone
  }
  return old.filter((set) => sizes.get(set) !== sizeOf(set)).map((set) => scale(set, sizes.get(set) ?? 0))
}

/** The status may lag behind a set that was just made smaller. */
function availableOf(set: ReplicaSet): number {
  return Math.min(set.status?.availableReplicas ?? 0, sizeOf(set))
}

/** Old sets beyond the history limit go once the rollout is through. */
function planForget(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  limits: Limits,
): readonly DeploymentStep[] {
  const isThrough = current !== undefined && availableOf(current) >= limits.replicas
  if (!isThrough) return []
  const empty = old
    .filter((set) => sizeOf(set) === 0 && (set.status?.replicas ?? 0) === 0)
    .filter((set) => set.metadata.deletionTimestamp === undefined)
    .sort((a, b) => revisionOf(a) - revisionOf(b))
  const limit = deployment.spec?.revisionHistoryLimit ?? defaultHistoryLimit
  return empty.slice(0, Math.max(0, empty.length - limit)).map((set) => ({ kind: 'forget', set }))
}
