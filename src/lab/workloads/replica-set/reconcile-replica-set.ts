import { resources } from '../../../api/index.ts'
import { toError } from '../../../base/index.ts'
import { ApiError, type Requeue } from '../../../kube/index.ts'
import {
  cachedPods,
  deletePod,
  forEach,
  freshPods,
  hasClaims,
  type Owner,
  referenceTo,
  writeStatus,
} from '../act.ts'
import type { Happening } from '../event-writer.ts'
import { timeText } from '../model/amounts.ts'
import type { ReplicaSet, WorkloadPod } from '../model/kinds.ts'
import { podOf } from '../model/pod-of.ts'
import { refOfKey, type World } from '../world.ts'
import { failureConditions, planReplicaSet, type ReplicaSetPlan } from './plan-replica-set.ts'

const component = 'replicaset-controller'
const kind = { kind: 'ReplicaSet', apiVersion: 'apps/v1' }

/** Keeps as many pods as a ReplicaSet asks for. */
export async function reconcileReplicaSet(world: World, key: string, signal: AbortSignal): Promise<Requeue> {
  const set = world.replicaSets.cache.get(refOfKey(key))
  if (set === undefined) return 'settled'
  const owner: Owner = { resource: resources.replicaSet, object: set, selector: set.spec?.selector }
  const plan = planFor(world, set, cachedPods(world, owner))
  const hasWork = plan.create.length + plan.remove.length > 0 || hasClaims(world, owner)
  const failure = hasWork ? await act(world, owner, signal) : undefined
  await writeStatus(world, owner, { ...plan.status, ...conditionsOf(world, set, failure) }, signal)
  if (failure !== undefined) throw failure
  return plan.recheckMs === undefined ? 'settled' : { afterMs: plan.recheckMs }
}

function planFor(world: World, set: ReplicaSet, pods: readonly WorkloadPod[]): ReplicaSetPlan {
  const isTaken = (name: string) => world.recentNames.has(set.metadata.namespace ?? '', name)
  return planReplicaSet(set, pods, isTaken, world.clock.nowMs())
}

/** Plans on a fresh look, and carries it out. @returns what kept a pod from being created */
async function act(world: World, owner: Owner, signal: AbortSignal): Promise<Error | undefined> {
  const set: ReplicaSet = owner.object
  const pods = await freshPods(world, owner, signal)
  if (pods === undefined) return undefined
  const plan = planFor(world, set, pods)
  await forEach(plan.remove, async (pod) => {
    await deletePod(world, pod, signal)
    const happening = {
      type: 'Normal',
      reason: 'SuccessfulDelete',
      message: `Deleted pod: ${pod.metadata.name}`,
    } as const
    tell(world, set, happening)
  })
  try {
    await forEach(plan.create, (name) => createPod(world, owner, name, signal))
    return undefined
  } catch (error) {
    return toError(error)
  }
}

async function createPod(world: World, owner: Owner, name: string, signal: AbortSignal): Promise<void> {
  const set: ReplicaSet = owner.object
  const namespace = set.metadata.namespace ?? ''
  const pod = podOf(set.spec?.template ?? {}, { name, namespace, owner: referenceTo(owner) })
  try {
    await world.api.create(resources.pod, pod, signal)
  } catch (error) {
    const message = `Error creating: ${toError(error).message}`
    if (!isRace(error)) tell(world, set, { type: 'Warning', reason: 'FailedCreate', message })
    throw error
  }
  tell(world, set, { type: 'Normal', reason: 'SuccessfulCreate', message: `Created pod: ${name}` })
}

/** The pod is there already: another look will show it. */
const isRace = (error: unknown): boolean => error instanceof ApiError && error.reason === 'AlreadyExists'

function tell(world: World, set: ReplicaSet, what: Omit<Happening, 'component'>): void {
  world.events.record(set, kind, { component, ...what })
}

function conditionsOf(
  world: World,
  set: ReplicaSet,
  failure: Error | undefined,
): Pick<ReplicaSet, 'status'>['status'] {
  const message = failure === undefined || isRace(failure) ? undefined : failure.message
  if (message === undefined) return { conditions: [] }
  const known = set.status?.conditions?.find((condition) => condition.message === message)
  const now = known?.lastTransitionTime ?? timeText(world.clock.nowMs())
  return { conditions: failureConditions(message, now) }
}
