import { resources } from '../../../api/index.ts'
import { unreachable } from '../../../base/index.ts'
import { ApiError, type Requeue } from '../../../kube/index.ts'
import { adopt, forEach, isGone, type Owner, referenceTo, writeStatus } from '../act.ts'
import { planClaims } from '../model/claim.ts'
import type { Deployment, ReplicaSet } from '../model/kinds.ts'
import { templateHash } from '../model/names.ts'
import { isFinished } from '../model/pod-facts.ts'
import { refOf, refOfKey, type World } from '../world.ts'
import { planDeploymentStatus } from './deployment-status.ts'
import {
  type DeploymentPlan,
  type DeploymentStep,
  hashLabel,
  isOfTemplate,
  planDeployment,
  revisionKey,
} from './plan-deployment.ts'
import { sizeOf } from './rollout-limits.ts'

const component = 'deployment-controller'
const kind = { kind: 'Deployment', apiVersion: 'apps/v1' }
const desiredKey = 'deployment.kubernetes.io/desired-replicas'
const maxKey = 'deployment.kubernetes.io/max-replicas'
/** Annotations that belong to one object and are not passed on to ReplicaSets. */
const ownAnnotations = [
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionKey,
  'deprecated.deployment.rollback.to',
]

/** Rolls a Deployment out through ReplicaSets, one for each template it had. */
export async function reconcileDeployment(world: World, key: string, signal: AbortSignal): Promise<Requeue> {
  const deployment = world.deployments.get(refOfKey(key))
  if (deployment === undefined) return 'settled'
  const owner: Owner = {
    resource: resources.deployment,
    object: deployment,
    selector: deployment.spec?.selector,
  }
  const candidates = world.replicaSets.candidatesOf(deployment)
  const claims = planClaims(deployment, owner.selector, candidates)
  await forEach(claims.adopt, async (set) => {
    await adopt(world.api, { resource: resources.replicaSet, object: set }, referenceTo(owner), signal)
  })
  const sets = claims.owned
  const plan = planDeployment({ deployment, sets, hasOldPods: hasOldPods(world, deployment, sets) })
  for (const step of plan.steps) await applyStep(world, owner, plan, { step, signal })
  await numberDeployment(world, deployment, plan.revision, signal)
  const { current, limits } = plan
  const seen = { deployment, sets, current, limits, nowMs: world.clock.nowMs() }
  const { status, recheckMs } = planDeploymentStatus(seen)
  await writeStatus(world, owner, status, signal)
  return recheckMs === undefined ? 'settled' : { afterMs: recheckMs }
}

function hasOldPods(world: World, deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  return sets
    .filter((set) => !isOfTemplate(set, deployment.spec?.template))
    .some((set) => planClaims(set, set.spec?.selector, world.pods.candidatesOf(set)).owned.some(isThere))
}

const isThere = (pod: { readonly status?: { readonly phase?: string } }): boolean =>
  !isFinished({ metadata: { name: '' }, ...pod })

interface Act {
  readonly step: DeploymentStep
  readonly signal: AbortSignal
}

async function applyStep(world: World, owner: Owner, plan: DeploymentPlan, act: Act): Promise<void> {
  const { step, signal } = act
  switch (step.kind) {
    case 'create':
      return createSet(world, owner, plan, { ...act, step })
    case 'scale': {
      const annotations = sizeAnnotations(plan)
      await patchSet(
        world,
        step.set,
        { metadata: { annotations }, spec: { replicas: step.replicas } },
        signal,
      )
      tellScale(world, owner.object, step.set.metadata.name, { from: sizeOf(step.set), to: step.replicas })
      return
    }
    case 'number': {
      const annotations = { ...inherited(owner.object), [revisionKey]: String(step.revision) }
      return patchSet(world, step.set, { metadata: { annotations } }, signal)
    }
    case 'forget': {
      const { uid, resourceVersion } = step.set.metadata
      const options = {
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      }
      await world.api
        .delete(resources.replicaSet, refOf(step.set), options, signal)
        .catch((error: unknown) => {
          if (!isGone(error)) throw error
        })
      return
    }
    default:
      return unreachable(step)
  }
}

function sizeAnnotations({ limits }: DeploymentPlan): Readonly<Record<string, string>> {
  const { replicas, surge } = limits
  return { [desiredKey]: String(replicas), [maxKey]: String(replicas + surge) }
}

function inherited(deployment: Deployment): Readonly<Record<string, string>> {
  const all = Object.entries(deployment.metadata.annotations ?? {})
  return Object.fromEntries(all.filter(([key]) => !ownAnnotations.includes(key)))
}

/** Changes a ReplicaSet as it was read: one that changed since then is looked at again. */
async function patchSet(
  world: World,
  set: ReplicaSet,
  change: { readonly metadata?: object; readonly spec?: object },
  signal: AbortSignal,
): Promise<void> {
  const { uid, resourceVersion } = set.metadata
  const body = { ...change, metadata: { ...change.metadata, uid, resourceVersion } }
  await world.api.patch(resources.replicaSet, refOf(set), { type: 'merge', body }, signal)
}

async function createSet(
  world: World,
  owner: Owner,
  plan: DeploymentPlan,
  act: Act & { readonly step: DeploymentStep & { readonly kind: 'create' } },
): Promise<void> {
  const { step, signal } = act
  const deployment: Deployment = owner.object
  const set = replicaSetOf(owner, plan, step)
  try {
    await world.api.create(resources.replicaSet, set, signal)
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error
    await countCollision(world, deployment, set.metadata.name, signal)
    throw error
  }
  tellScale(world, deployment, set.metadata.name, { from: 0, to: step.replicas })
}

function replicaSetOf(
  owner: Owner,
  plan: DeploymentPlan,
  step: { readonly replicas: number; readonly revision: number },
): ReplicaSet {
  const deployment: Deployment = owner.object
  const { template, selector, minReadySeconds } = deployment.spec ?? {}
  const hash = templateHash(template, deployment.status?.collisionCount)
  const labels = { ...template?.metadata?.labels, [hashLabel]: hash }
  const annotations = { ...inherited(deployment), ...sizeAnnotations(plan) }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      ...(deployment.metadata.namespace === undefined ? {} : { namespace: deployment.metadata.namespace }),
      labels,
      annotations: { ...annotations, [revisionKey]: String(step.revision) },
      ownerReferences: [referenceTo(owner)],
    },
    spec: {
      replicas: step.replicas,
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector?.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template?.metadata, labels } },
    },
  }
}

/** The name belongs to somebody else, or to another template: the next name is computed with a count. */
async function countCollision(
  world: World,
  deployment: Deployment,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const ref = { ...refOf(deployment), name }
  const there = await world.api.get<ReplicaSet>(resources.replicaSet, ref, signal)
  const isOurs = there?.metadata.ownerReferences?.some(({ uid }) => uid === deployment.metadata.uid) === true
  // Ours and of this template: the cache is late, and the next look will find it.
  if (there === undefined || (isOurs && isOfTemplate(there, deployment.spec?.template))) return
  const collisionCount = (deployment.status?.collisionCount ?? 0) + 1
  await writeStatus(world, { resource: resources.deployment, object: deployment }, { collisionCount }, signal)
}

async function numberDeployment(
  world: World,
  deployment: Deployment,
  revision: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (revision === undefined || deployment.metadata.annotations?.[revisionKey] === String(revision)) return
  const annotations = { [revisionKey]: String(revision) }
  const body = { metadata: { uid: deployment.metadata.uid, annotations } }
  await world.api.patch(resources.deployment, refOf(deployment), { type: 'merge', body }, signal)
}

function tellScale(
  world: World,
  deployment: Deployment,
  set: string,
  { from, to }: { readonly from: number; readonly to: number },
): void {
  if (from === to) return
  const message = `Scaled ${to > from ? 'up' : 'down'} replica set ${set} from ${from} to ${to}`
  world.events.record(deployment, kind, { component, type: 'Normal', reason: 'ScalingReplicaSet', message })
}
