import { timeText } from '../model/amounts.ts'
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '../model/kinds.ts'
import { type Limits, sumOf } from './rollout-limits.ts'

interface Seen {
  readonly deployment: Deployment
  readonly sets: readonly ReplicaSet[]
  /** The ReplicaSet of the present template, once it is there. */
  readonly current: ReplicaSet | undefined
  readonly limits: Limits
  readonly nowMs: number
}

export interface StatusPlan {
  readonly status: DeploymentStatus
  /** When the rollout would miss its deadline; undefined when it is not waiting for anything. */
  readonly recheckMs: number | undefined
}

const defaultDeadlineSeconds = 600

/** Status and conditions of a Deployment, as `kubectl rollout status` and `kubectl wait` read them. */
export function planDeploymentStatus(seen: Seen): StatusPlan {
  const { deployment, sets, current, limits } = seen
  const available = sumOf(sets, (set) => set.status?.availableReplicas)
  const total = sumOf(sets, (set) => set.status?.replicas)
  const counts = {
    replicas: total,
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sumOf(sets, (set) => set.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, total - available),
  }
  const progress = progressOf(seen, counts)
  const conditions = [availability(seen, available >= limits.minAvailable), progress.condition]
  const { generation } = deployment.metadata
  return {
    status: {
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      ...counts,
      conditions,
    },
    recheckMs: progress.recheckMs,
  }
}

type Verdict = Omit<DeploymentCondition, 'type' | 'lastUpdateTime' | 'lastTransitionTime'>

function conditionOf(seen: Seen, type: string, verdict: Verdict, isFresh = false): DeploymentCondition {
  const old = seen.deployment.status?.conditions?.find((condition) => condition.type === type)
  const now = timeText(seen.nowMs)
  const isSame = old?.status === verdict.status && old.reason === verdict.reason
  return {
    type,
    ...verdict,
    lastUpdateTime: isSame && !isFresh ? (old.lastUpdateTime ?? now) : now,
    lastTransitionTime: old?.status === verdict.status ? (old.lastTransitionTime ?? now) : now,
  }
}

function availability(seen: Seen, isAvailable: boolean): DeploymentCondition {
  const verdict = isAvailable
    ? {
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
      }
    : {
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      }
  return conditionOf(seen, 'Available', verdict)
}

interface Progress {
  readonly condition: DeploymentCondition
  readonly recheckMs: number | undefined
}

type Counts = Pick<
  Required<DeploymentStatus>,
  'replicas' | 'updatedReplicas' | 'availableReplicas' | 'readyReplicas'
>

function progressOf(seen: Seen, counts: Counts): Progress {
  const { deployment, current, limits } = seen
  const name = current === undefined ? 'none yet' : `"${current.metadata.name}"`
  const settled = (status: string, reason: string, message: string): Progress => ({
    condition: conditionOf(seen, 'Progressing', { status, reason, message }),
    recheckMs: undefined,
  })
  if (deployment.spec?.paused === true) return settled('Unknown', 'DeploymentPaused', 'Deployment is paused')
  const { replicas, updatedReplicas, availableReplicas } = counts
  const isComplete = [replicas, updatedReplicas, availableReplicas].every(
    (count) => count === limits.replicas,
  )
  if (isComplete && current !== undefined) {
    const message = `ReplicaSet ${name} has successfully progressed.`
    return settled('True', 'NewReplicaSetAvailable', message)
  }
  return waiting(seen, counts, `ReplicaSet ${name} is progressing.`)
}

function waiting(seen: Seen, counts: Counts, message: string): Progress {
  const { deployment, nowMs } = seen
  const old = deployment.status
  const before = old?.conditions?.find(({ type }) => type === 'Progressing')
  const hasMoved =
    counts.updatedReplicas > (old?.updatedReplicas ?? 0) ||
    counts.readyReplicas > (old?.readyReplicas ?? 0) ||
    counts.availableReplicas > (old?.availableReplicas ?? 0) ||
    counts.replicas - counts.updatedReplicas < (old?.replicas ?? 0) - (old?.updatedReplicas ?? 0)
  const isNew = old?.observedGeneration !== deployment.metadata.generation
  const verdict = { status: 'True', reason: 'ReplicaSetUpdated', message }
  const deadlineMs = (deployment.spec?.progressDeadlineSeconds ?? defaultDeadlineSeconds) * 1000
  if (hasMoved || isNew || before === undefined || before.reason === 'NewReplicaSetAvailable') {
    return { condition: conditionOf(seen, 'Progressing', verdict, true), recheckMs: deadlineMs }
  }
  const lateReason = 'ProgressDeadlineExceeded'
  const since = Date.parse(before.lastUpdateTime ?? '')
  const leftMs = (Number.isNaN(since) ? nowMs : since) + deadlineMs - nowMs
  // Late stays late until something moves.
  if (before.reason === lateReason || (leftMs <= 0 && before.reason !== 'DeploymentPaused')) {
    const late = {
      status: 'False',
      reason: lateReason,
      message: message.replace(' is progressing.', ' has timed out progressing.'),
    }
    return { condition: conditionOf(seen, 'Progressing', late), recheckMs: undefined }
  }
  return { condition: conditionOf(seen, 'Progressing', verdict), recheckMs: Math.max(1000, leftMs) }
}
