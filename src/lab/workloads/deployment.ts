import { templateHash, type WorkloadObject } from './template.ts'

/** A ReplicaSet of a deployment, as far as the plan needs it. */
export interface ReplicaSetView {
  readonly name: string
  readonly hash: string
  readonly replicas: number
  readonly readyReplicas: number
  readonly existingReplicas: number
  readonly revision: number
}

/** Steps towards the wanted ReplicaSets; at most one scale per ReplicaSet. */
export interface DeploymentPlan {
  /** Hash of the template: the new ReplicaSet has it in its name and labels. */
  readonly hash: string
  readonly create: { readonly replicas: number; readonly revision: number } | undefined
  readonly scale: readonly { readonly name: string; readonly replicas: number }[]
  /** The new ReplicaSet becomes the latest revision again (a rollback). */
  readonly revise: { readonly name: string; readonly revision: number } | undefined
  readonly remove: readonly string[]
}

interface Strategy {
  readonly type?: string
  readonly rollingUpdate?: {
    readonly maxSurge?: number | string
    readonly maxUnavailable?: number | string
  }
}

const defaultHistory = 10

/** Decides the next step of a rollout (RollingUpdate or Recreate) from what is there. */
export function planDeployment(
  deployment: WorkloadObject,
  replicaSets: readonly ReplicaSetView[],
): DeploymentPlan {
  const hash = templateHash(deployment.spec?.template)
  const replicas = deployment.spec?.replicas ?? 1
  const now = replicaSets.find((set) => set.hash === hash)
  const old = replicaSets.filter((set) => set.hash !== hash)
  const revision = 1 + Math.max(0, ...old.map((set) => set.revision))
  const limits = rolloutLimits(deployment, replicas)
  const oldExisting = sum(old.map((set) => Math.max(set.existingReplicas, set.replicas)))
  const room = Math.max(0, replicas + limits.surge - oldExisting)
  const wantedNow = limits.isRecreate ? (oldExisting === 0 ? replicas : 0) : Math.min(replicas, room)
  const target = now === undefined ? wantedNow : nextNewReplicas(now.replicas, wantedNow, replicas)
  const scale: { name: string; replicas: number }[] = []
  if (now !== undefined && now.replicas !== target) scale.push({ name: now.name, replicas: target })
  scale.push(...scaleOld(old, limits, { replicas, ready: now?.readyReplicas ?? 0 }))
  return {
    hash,
    create: now === undefined ? { replicas: wantedNow, revision } : undefined,
    scale,
    revise: now !== undefined && now.revision < revision ? { name: now.name, revision } : undefined,
    remove: forgottenSets(deployment, old),
  }
}

/** Grows as far as there is room, never shrinks below what it has but to the wanted number. */
function nextNewReplicas(current: number, room: number, replicas: number): number {
  return current > replicas ? replicas : Math.max(current, room)
}

interface RolloutLimits {
  readonly isRecreate: boolean
  readonly surge: number
  readonly unavailable: number
}

function rolloutLimits(deployment: WorkloadObject, replicas: number): RolloutLimits {
  const strategy = deployment.spec?.['strategy'] as Strategy | undefined
  if (strategy?.type === 'Recreate') return { isRecreate: true, surge: 0, unavailable: replicas }
  const surge = share(strategy?.rollingUpdate?.maxSurge ?? '25%', replicas, Math.ceil)
  const unavailable = share(strategy?.rollingUpdate?.maxUnavailable ?? '25%', replicas, Math.floor)
  // Both zero would never move.
  return { isRecreate: false, surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable }
}

function share(value: number | string, replicas: number, round: (value: number) => number): number {
  if (typeof value === 'number') return Math.max(0, value)
  const percent = Number.parseInt(value, 10)
  return Number.isNaN(percent) ? 0 : round((replicas * percent) / 100)
}

function scaleOld(
  old: readonly ReplicaSetView[],
  limits: RolloutLimits,
  now: { readonly replicas: number; readonly ready: number },
): readonly { readonly name: string; readonly replicas: number }[] {
  if (limits.isRecreate)
    return old.filter((set) => set.replicas > 0).map(({ name }) => ({ name, replicas: 0 }))
  const leastReady = now.replicas - limits.unavailable
  const ready = now.ready + sum(old.map((set) => Math.min(set.readyReplicas, set.replicas)))
  let spare = Math.max(0, ready - leastReady)
  const steps: { name: string; replicas: number }[] = []
  for (const set of [...old].sort((a, b) => a.revision - b.revision)) {
    // What is not ready serves nobody, so it may go at once.
    const unready = Math.max(0, set.replicas - set.readyReplicas)
    const removed = Math.min(set.replicas, unready + spare)
    spare -= Math.max(0, removed - unready)
    if (removed > 0) steps.push({ name: set.name, replicas: set.replicas - removed })
  }
  return steps
}

function forgottenSets(deployment: WorkloadObject, old: readonly ReplicaSetView[]): readonly string[] {
  const limit = deployment.spec?.['revisionHistoryLimit']
  const kept = typeof limit === 'number' ? limit : defaultHistory
  const empty = old.filter((set) => set.replicas === 0 && set.existingReplicas === 0)
  const oldestFirst = [...empty].sort((a, b) => a.revision - b.revision)
  return oldestFirst.slice(0, Math.max(0, oldestFirst.length - kept)).map(({ name }) => name)
}

/** `status` of a deployment; `kubectl rollout status` waits for these fields. */
export function deploymentStatus(
  deployment: WorkloadObject,
  replicaSets: readonly ReplicaSetView[],
  nowIso: string,
): Readonly<Record<string, unknown>> {
  const hash = templateHash(deployment.spec?.template)
  const replicas = deployment.spec?.replicas ?? 1
  const existing = sum(replicaSets.map((set) => set.existingReplicas))
  const ready = sum(replicaSets.map((set) => set.readyReplicas))
  const updated = replicaSets.find((set) => set.hash === hash)?.existingReplicas ?? 0
  const isAvailable = ready >= replicas - rolloutLimits(deployment, replicas).unavailable
  const isComplete = updated === replicas && existing === replicas && ready === replicas
  const conditions = [
    condition(
      'Available',
      isAvailable,
      isAvailable ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    ),
    condition('Progressing', true, isComplete ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated'),
  ]
  return {
    observedGeneration: deployment.metadata.generation ?? 1,
    replicas: existing,
    updatedReplicas: updated,
    readyReplicas: ready,
    availableReplicas: ready,
    unavailableReplicas: Math.max(0, replicas - ready),
    conditions: conditions.map((entry) => withTimes(entry, deployment, nowIso)),
  }
}

interface PlainCondition {
  readonly type: string
  readonly status: string
  readonly reason: string
}

function condition(type: string, holds: boolean, reason: string): PlainCondition {
  return { type, status: holds ? 'True' : 'False', reason }
}

function withTimes(entry: PlainCondition, deployment: WorkloadObject, nowIso: string) {
  const known = (deployment.status?.['conditions'] ?? []) as (PlainCondition & Record<string, string>)[]
  const before = known.find(({ type }) => type === entry.type)
  const isSame = before?.status === entry.status
  return {
    ...entry,
    lastTransitionTime: isSame ? (before['lastTransitionTime'] ?? nowIso) : nowIso,
    lastUpdateTime: isSame && before.reason === entry.reason ? (before['lastUpdateTime'] ?? nowIso) : nowIso,
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
