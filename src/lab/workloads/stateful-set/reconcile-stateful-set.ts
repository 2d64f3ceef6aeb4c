import { resources } from '../../../api/index.ts'
import type { Requeue } from '../../../kube/index.ts'
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
import type { StatefulSet, StatefulSetStatus, WorkloadPod } from '../model/kinds.ts'
import { countPods, isActive } from '../model/pod-facts.ts'
import { podOf } from '../model/pod-of.ts'
import {
  ensureRevision,
  forgetRevisions,
  type History,
  revisionHashLabel,
  revisionOfPod,
  templateOf,
} from '../revisions.ts'
import { refOfKey, type World } from '../world.ts'
import { planStatefulSet, type StatefulStep, type StatefulView } from './plan-stateful-set.ts'

const component = 'statefulset-controller'
const kind = { kind: 'StatefulSet', apiVersion: 'apps/v1' }
const podNameLabel = 'statefulset.kubernetes.io/pod-name'
const podIndexLabel = 'apps.kubernetes.io/pod-index'

/** Keeps the named pods of a StatefulSet. */
export async function reconcileStatefulSet(world: World, key: string, signal: AbortSignal): Promise<Requeue> {
  const set = world.statefulSets.get(refOfKey(key))
  if (set === undefined) return 'settled'
  const owner: Owner = { resource: resources.statefulSet, object: set, selector: set.spec?.selector }
  const history = await ensureRevision(world, owner, set.spec?.template ?? {}, signal)
  const cached = viewOf(world, set, history, cachedPods(world, owner))
  if (planStatefulSet(cached).length > 0 || hasClaims(world, owner)) {
    const pods = await freshPods(world, owner, signal)
    if (pods === undefined) return 'settled'
    const steps = planStatefulSet(viewOf(world, set, history, pods))
    await forEach(steps, (step) => applyStep(world, owner, { history, step }, signal))
  }
  const { status, recheckMs } = statusOf(cached)
  await writeStatus(world, owner, status, signal)
  const needed = new Set([cached.currentRevision, ...cached.pods.map(revisionOfPod)])
  await forgetRevisions(world, history, needed, { limit: set.spec?.revisionHistoryLimit, signal })
  return recheckMs === undefined ? 'settled' : { afterMs: recheckMs }
}

function viewOf(
  world: World,
  set: StatefulSet,
  history: History,
  pods: readonly WorkloadPod[],
): StatefulView {
  const updateRevision = history.update.metadata.name
  const kept = set.status?.currentRevision
  const isKept = history.all.some((revision) => revision.metadata.name === kept)
  return {
    set,
    pods,
    updateRevision,
    currentRevision: kept !== undefined && isKept ? kept : updateRevision,
    revisionOf: revisionOfPod,
    nowMs: world.clock.nowMs(),
  }
}

async function applyStep(
  world: World,
  owner: Owner,
  act: { readonly history: History; readonly step: StatefulStep },
  signal: AbortSignal,
): Promise<void> {
  const { step, history } = act
  const set: StatefulSet = owner.object
  const tell = (reason: string, message: string) =>
    world.events.record(set, kind, { component, type: 'Normal', reason, message })
  if (step.kind === 'remove') {
    await deletePod(world, step.pod, signal)
    const { name } = step.pod.metadata
    tell('SuccessfulDelete', `delete Pod ${name} in StatefulSet ${set.metadata.name} successful`)
    return
  }
  const revision = history.all.find(({ metadata }) => metadata.name === step.revision) ?? history.update
  const name = `${set.metadata.name}-${step.ordinal}`
  const template = templateOf(revision)
  const pod = podOf(template, {
    name,
    namespace: set.metadata.namespace ?? '',
    owner: referenceTo(owner),
    labels: {
      [podNameLabel]: name,
      [podIndexLabel]: String(step.ordinal),
      [revisionHashLabel]: revision.metadata.name,
    },
  })
  const identity = { hostname: name, subdomain: set.spec?.serviceName ?? '' }
  await world.api.create(resources.pod, { ...pod, spec: { ...pod.spec, ...identity } }, signal)
  tell('SuccessfulCreate', `create Pod ${name} in StatefulSet ${set.metadata.name} successful`)
}

interface StatusPlan {
  readonly status: StatefulSetStatus
  readonly recheckMs: number | undefined
}

/** Counts by revision; when all pods follow the update revision, it becomes the current one. */
export function statusOf(view: StatefulView): StatusPlan {
  const { set, pods, updateRevision, revisionOf } = view
  const active = pods.filter(isActive)
  const counts = countPods(active, set.spec?.minReadySeconds ?? 0, view.nowMs)
  const updated = active.filter((pod) => revisionOf(pod) === updateRevision).length
  const wanted = set.spec?.replicas ?? 1
  const isThrough = updated === wanted && active.length === wanted && counts.ready === wanted
  const currentRevision = isThrough ? updateRevision : view.currentRevision
  const { generation } = set.metadata
  return {
    status: {
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      replicas: active.length,
      readyReplicas: counts.ready,
      availableReplicas: counts.available,
      updatedReplicas: updated,
      currentReplicas: active.filter((pod) => revisionOf(pod) === currentRevision).length,
      currentRevision,
      updateRevision,
    },
    recheckMs: counts.nextInMs,
  }
}
