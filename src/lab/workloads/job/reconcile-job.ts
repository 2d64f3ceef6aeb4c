import { controllerOf, resources } from '../../../api/index.ts'
import type { Requeue } from '../../../kube/index.ts'
import {
  cachedPods,
  deletePod,
  forEach,
  freshPods,
  hasClaims,
  isGone,
  type Owner,
  referenceTo,
} from '../act.ts'
import type { Job, JobStatus, WorkloadPod } from '../model/kinds.ts'
import { isSameValue } from '../model/names.ts'
import { podOf } from '../model/pod-of.ts'
import { refOf, refOfKey, type World } from '../world.ts'
import { indexKey, type JobPlan, type JobPod, planJob, trackingFinalizer } from './plan-job.ts'

const component = 'job-controller'
const kind = { kind: 'Job', apiVersion: 'batch/v1' }

/** Runs the pods of a Job until enough of them have succeeded. */
export async function reconcileJob(world: World, key: string, signal: AbortSignal): Promise<Requeue> {
  const job = world.jobs.get(refOfKey(key))
  if (job === undefined) {
    await untrackOrphans(world, key, signal)
    return 'settled'
  }
  const owner: Owner = { resource: resources.job, object: job, selector: job.spec?.selector }
  const cached = planFor(world, job, cachedPods(world, owner))
  if (cached.isExpired) {
    await removeJob(world, job, signal)
    return 'settled'
  }
  if (cached.create.length + cached.remove.length > 0 || hasClaims(world, owner)) {
    const pods = await freshPods(world, owner, signal)
    if (pods === undefined) return 'settled'
    await act(world, owner, planFor(world, job, pods), signal)
  }
  // Uids first, finalizers after them: see planJob.
  await writeJobStatus(world, job, cached.status, signal)
  await forEach(cached.untrack, (pod) => untrack(world, pod, signal))
  return cached.recheckMs === undefined ? 'settled' : { afterMs: cached.recheckMs }
}

function planFor(world: World, job: Job, pods: readonly WorkloadPod[]): JobPlan {
  const isTaken = (name: string) => world.recentNames.has(job.metadata.namespace ?? '', name)
  return planJob({ job, pods, isTaken, nowMs: world.clock.nowMs() })
}

async function act(world: World, owner: Owner, plan: JobPlan, signal: AbortSignal): Promise<void> {
  const tell = (reason: string, message: string) =>
    world.events.record(owner.object, kind, { component, type: 'Normal', reason, message })
  await forEach(plan.remove, async (pod) => {
    await deletePod(world, pod, signal)
    tell('SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`)
  })
  await forEach(plan.create, async (pod) => {
    await world.api.create(resources.pod, jobPodOf(owner, pod), signal)
    tell('SuccessfulCreate', `Created pod: ${pod.name}`)
  })
}

function jobPodOf(owner: Owner, { name, index }: JobPod): WorkloadPod {
  const job: Job = owner.object
  const indexed = index === undefined ? {} : { [indexKey]: String(index) }
  return podOf(job.spec?.template ?? {}, {
    name,
    namespace: job.metadata.namespace ?? '',
    owner: referenceTo(owner),
    labels: indexed,
    annotations: indexed,
    finalizers: [trackingFinalizer],
  })
}

/** Only onto the Job as it was read: counts are sums, and a sum on an old one would lose or double. */
async function writeJobStatus(world: World, job: Job, status: JobStatus, signal: AbortSignal): Promise<void> {
  if (isSameValue(job.status ?? {}, { ...job.status, ...status })) return
  const { uid, resourceVersion } = job.metadata
  const body = { metadata: { uid, resourceVersion }, status }
  await world.api.patch(resources.job, refOf(job), { type: 'merge', body, subresource: 'status' }, signal)
}

async function untrack(world: World, pod: WorkloadPod, signal: AbortSignal): Promise<void> {
  const { uid, resourceVersion, finalizers = [] } = pod.metadata
  const left = finalizers.filter((finalizer) => finalizer !== trackingFinalizer)
  const body = { metadata: { uid, resourceVersion, finalizers: left.length === 0 ? null : left } }
  try {
    await world.api.patch(resources.pod, refOf(pod), { type: 'merge', body }, signal)
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

/** Pods of a Job that is gone need not be counted any more. */
async function untrackOrphans(world: World, key: string, signal: AbortSignal): Promise<void> {
  const { namespace, name } = refOfKey(key)
  const orphans = [...world.pods.cache.values()].filter((pod) => {
    const owner = controllerOf(pod.metadata)
    const isOfJob = owner?.kind === 'Job' && owner.name === name && pod.metadata.namespace === namespace
    return isOfJob && pod.metadata.finalizers?.includes(trackingFinalizer) === true
  })
  if (orphans.length === 0) return
  const there = await world.api.get<Job>(resources.job, { namespace, name }, signal)
  const gone = orphans.filter((pod) => controllerOf(pod.metadata)?.uid !== there?.metadata.uid)
  await forEach(gone, (pod) => untrack(world, pod, signal))
}

async function removeJob(world: World, job: Job, signal: AbortSignal): Promise<void> {
  const { uid } = job.metadata
  const options = { propagation: 'Foreground', ...(uid === undefined ? {} : { uid }) } as const
  try {
    await world.api.delete(resources.job, refOf(job), options, signal)
  } catch (error) {
    if (!isGone(error)) throw error
  }
}
