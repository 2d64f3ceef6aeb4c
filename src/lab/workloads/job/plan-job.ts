import type { Condition } from '../../../api/index.ts'
import { timeText } from '../model/amounts.ts'
import type { Job, JobStatus, WorkloadPod } from '../model/kinds.ts'
import { podName, podNames } from '../model/names.ts'
import { createdMs, isReady } from '../model/pod-facts.ts'
import { formatIndexes, parseIndexes } from './indexes.ts'

/** Holds a pod until its end is counted, so that deleting it does not make it run again. */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking'
export const indexKey = 'batch.kubernetes.io/job-completion-index'

export interface JobView {
  readonly job: Job
  readonly pods: readonly WorkloadPod[]
  readonly isTaken: (name: string) => boolean
  readonly nowMs: number
}

export interface JobPod {
  readonly name: string
  readonly index: number | undefined
}

export interface JobPlan {
  readonly create: readonly JobPod[]
  readonly remove: readonly WorkloadPod[]
  /** Pods that may lose their finalizer once `status` is written. */
  readonly untrack: readonly WorkloadPod[]
  readonly status: JobStatus
  /** The job's time after its end is over. */
  readonly isExpired: boolean
  readonly recheckMs: number | undefined
}

const firstRetryMs = 10_000
const longestRetryMs = 360_000
const defaultBackoffLimit = 6

/** True when the pod will not run on: it has ended, or was told to go. */
export function hasEnded(pod: WorkloadPod): boolean {
  const { phase } = pod.status ?? {}
  return phase === 'Succeeded' || phase === 'Failed' || pod.metadata.deletionTimestamp !== undefined
}

const hasSucceeded = (pod: WorkloadPod): boolean => pod.status?.phase === 'Succeeded'
const isTracked = (pod: WorkloadPod): boolean => pod.metadata.finalizers?.includes(trackingFinalizer) === true
const uidOf = (pod: WorkloadPod): string => pod.metadata.uid ?? ''

interface Tally {
  readonly succeeded: number
  readonly failed: number
  readonly uncounted: { readonly succeeded: readonly string[]; readonly failed: readonly string[] }
  readonly completed: ReadonlySet<number>
}

/**
 * Counts each ended pod once: its uid goes into the status, then its finalizer goes, then it is a number.
 * A crash between any two of these repeats a step and counts nothing twice.
 */
function tally({ job, pods }: JobView): Tally {
  const { succeeded = 0, failed = 0, uncountedTerminatedPods: old = {} } = job.status ?? {}
  const tracked = new Set(pods.filter(isTracked).map(uidOf))
  const settle = (uids: readonly string[]) => uids.filter((uid) => !tracked.has(uid)).length
  const known = new Set([...(old.succeeded ?? []), ...(old.failed ?? [])])
  const ended = pods.filter((pod) => isTracked(pod) && hasEnded(pod) && !known.has(uidOf(pod)))
  const waiting = (uids: readonly string[] = [], fresh: readonly WorkloadPod[]) => [
    ...uids.filter((uid) => tracked.has(uid)),
    ...fresh.map(uidOf),
  ]
  const indexes = pods
    .filter(hasSucceeded)
    .map(indexOf)
    .filter((index) => index !== undefined)
  return {
    succeeded: succeeded + settle(old.succeeded ?? []),
    failed: failed + settle(old.failed ?? []),
    uncounted: {
      succeeded: waiting(old.succeeded, ended.filter(hasSucceeded)),
      failed: waiting(
        old.failed,
        ended.filter((pod) => !hasSucceeded(pod)),
      ),
    },
    completed: new Set([...parseIndexes(job.status?.completedIndexes ?? ''), ...indexes]),
  }
}

/** The completion index of a pod of an indexed Job. */
export function indexOf(pod: WorkloadPod): number | undefined {
  const text = pod.metadata.annotations?.[indexKey]
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : undefined
}

/** What a Job needs now. */
export function planJob(view: JobView): JobPlan {
  const { job, pods, nowMs } = view
  const count = tally(view)
  const isOver = endOf(job) !== undefined
  const active = pods.filter((pod) => !hasEnded(pod))
  const verdict = isOver ? undefined : judge(view, count, active)
  const isSuspended = job.spec?.suspend === true
  const mustStop = isOver || isSuspended || verdict !== undefined
  const wanted = mustStop ? 0 : wantedActive(job, count, active.length)
  const retryInMs = mustStop ? 0 : retryDelay(pods, nowMs)
  const isGoing = job.metadata.deletionTimestamp !== undefined
  const missing = isGoing || retryInMs > 0 ? 0 : Math.max(0, wanted - active.length)
  const surplus = isGoing ? 0 : Math.max(0, active.length - wanted)
  const uncounted = new Set([...count.uncounted.succeeded, ...count.uncounted.failed])
  const expiry = expiryMs(job, nowMs)
  return {
    create: newPods(view, count, active, missing),
    remove: active.toSorted((a, b) => createdMs(b) - createdMs(a)).slice(0, surplus),
    untrack: pods.filter((pod) => isTracked(pod) && uncounted.has(uidOf(pod))),
    status: statusOf(view, count, active, verdict),
    isExpired: expiry === 0,
    recheckMs: soonest([retryInMs, expiry, isOver ? undefined : deadlineMs(job, nowMs)]),
  }
}

function soonest(waits: readonly (number | undefined)[]): number | undefined {
  const positive = waits.filter((ms) => ms !== undefined).filter((ms) => ms > 0)
  return positive.length === 0 ? undefined : Math.min(...positive)
}

const endOf = (job: Job): Condition | undefined =>
  job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  )

type Verdict = Pick<Condition, 'reason' | 'message'> & { readonly type: 'Complete' | 'Failed' }

/** The end of the Job, when its time has come. */
function judge(
  { job, pods, nowMs }: JobView,
  count: Tally,
  active: readonly WorkloadPod[],
): Verdict | undefined {
  const { backoffLimit = defaultBackoffLimit, completions, template } = job.spec ?? {}
  const restarts =
    template?.spec?.restartPolicy === 'OnFailure' ? pods.reduce((sum, pod) => sum + restartsOf(pod), 0) : 0
  const failed = count.failed + count.uncounted.failed.length
  if (failed > backoffLimit || (restarts > 0 && restarts > backoffLimit)) {
    const message = 'Job has reached the specified backoff limit'
    return { type: 'Failed', reason: 'BackoffLimitExceeded', message }
  }
  const leftMs = deadlineMs(job, nowMs)
  if (leftMs !== undefined && leftMs <= 0) {
    const message = 'Job was active longer than specified deadline'
    return { type: 'Failed', reason: 'DeadlineExceeded', message }
  }
  const succeeded = isIndexed(job) ? count.completed.size : count.succeeded + count.uncounted.succeeded.length
  const isComplete =
    completions === undefined ? succeeded > 0 && active.length === 0 : succeeded >= completions
  if (!isComplete) return undefined
  return {
    type: 'Complete',
    reason: 'CompletionsReached',
    message: 'Reached expected number of succeeded pods',
  }
}

const isIndexed = (job: Job): boolean => job.spec?.completionMode === 'Indexed'

function restartsOf(pod: WorkloadPod): number {
  return (pod.status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0)
}

/** Milliseconds until the deadline; undefined without one. */
function deadlineMs(job: Job, nowMs: number): number | undefined {
  const { activeDeadlineSeconds } = job.spec ?? {}
  const startedMs = Date.parse(job.status?.startTime ?? '')
  if (activeDeadlineSeconds === undefined || Number.isNaN(startedMs)) return undefined
  return startedMs + activeDeadlineSeconds * 1000 - nowMs
}

/** Milliseconds until an ended Job may be deleted, 0 when it may; undefined when it stays. */
function expiryMs(job: Job, nowMs: number): number | undefined {
  const { ttlSecondsAfterFinished } = job.spec ?? {}
  const end = endOf(job)
  if (ttlSecondsAfterFinished === undefined || end === undefined) return undefined
  const endedMs = Date.parse(end.lastTransitionTime ?? '') || nowMs
  return Math.max(0, endedMs + ttlSecondsAfterFinished * 1000 - nowMs)
}

function wantedActive(job: Job, count: Tally, active: number): number {
  const { parallelism = 1, completions } = job.spec ?? {}
  const succeeded = count.succeeded + count.uncounted.succeeded.length
  // A work queue: once one has succeeded the others only finish what they have.
  if (completions === undefined) return succeeded > 0 ? Math.min(active, parallelism) : parallelism
  return Math.min(parallelism, Math.max(0, completions - (isIndexed(job) ? count.completed.size : succeeded)))
}

/** Failed pods are replaced after 10 s, 20 s, ... at most 6 min. */
function retryDelay(pods: readonly WorkloadPod[], nowMs: number): number {
  const failed = pods.filter((pod) => pod.status?.phase === 'Failed')
  if (failed.length === 0) return 0
  const last = Math.max(...failed.map(endedMs))
  const delay = Math.min(longestRetryMs, firstRetryMs * 2 ** (failed.length - 1))
  return Math.max(0, last + delay - nowMs)
}

function endedMs(pod: WorkloadPod): number {
  const [container] = pod.status?.containerStatuses ?? []
  return Date.parse(container?.state?.terminated?.finishedAt ?? '') || createdMs(pod)
}

function newPods(
  { job, pods, isTaken }: JobView,
  count: Tally,
  active: readonly WorkloadPod[],
  missing: number,
): readonly JobPod[] {
  const names = new Set(pods.map((pod) => pod.metadata.name))
  const isUsed = (name: string) => names.has(name) || isTaken(name)
  if (!isIndexed(job))
    return podNames(job.metadata, missing, isUsed).map((name) => ({ name, index: undefined }))
  const busy = new Set(active.map(indexOf))
  const created: JobPod[] = []
  for (let index = 0; index < (job.spec?.completions ?? 0) && created.length < missing; index++) {
    if (count.completed.has(index) || busy.has(index)) continue
    created.push({ name: indexedName(job, index, isUsed), index })
  }
  return created
}

function indexedName(job: Job, index: number, isUsed: (name: string) => boolean): string {
  for (let n = 0; ; n++) {
    const name = podName(`${job.metadata.name}-${index}`, `${job.metadata.uid ?? ''}/${index}/${n}`)
    if (!isUsed(name)) return name
  }
}

function statusOf(
  { job, nowMs }: JobView,
  count: Tally,
  active: readonly WorkloadPod[],
  verdict: Verdict | undefined,
): JobStatus {
  const now = timeText(nowMs)
  const isCounted = count.uncounted.succeeded.length + count.uncounted.failed.length === 0
  const isEnd = verdict !== undefined && active.length === 0 && isCounted
  const before = job.status?.conditions ?? []
  const met = { ...verdict, status: 'True', lastTransitionTime: now }
  const early = verdict?.type === 'Failed' ? 'FailureTarget' : 'SuccessCriteriaMet'
  return {
    active: active.length,
    ready: active.filter(isReady).length,
    succeeded: count.succeeded,
    failed: count.failed,
    uncountedTerminatedPods: count.uncounted,
    startTime: job.status?.startTime ?? now,
    ...(isIndexed(job) ? { completedIndexes: formatIndexes(count.completed) } : {}),
    ...(isEnd && verdict.type === 'Complete' ? { completionTime: now } : {}),
    conditions: isEnd ? [...before, { ...met, type: early }, { ...met, type: verdict.type }] : before,
  }
}
