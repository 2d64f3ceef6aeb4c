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
import type { DaemonSet, NodeSelectorTerm, PodSpec, WorkloadPod } from '../model/kinds.ts'
import { podOf } from '../model/pod-of.ts'
import { ensureRevision, forgetRevisions, revisionHashLabel, revisionOfPod } from '../revisions.ts'
import { refOfKey, type World } from '../world.ts'
import { type DaemonPlan, daemonTolerations, planDaemonSet } from './plan-daemon-set.ts'

const component = 'daemonset-controller'
const kind = { kind: 'DaemonSet', apiVersion: 'apps/v1' }

/** Keeps one pod of a DaemonSet on each node that it may run on. */
export async function reconcileDaemonSet(world: World, key: string, signal: AbortSignal): Promise<Requeue> {
  const set = world.daemonSets.get(refOfKey(key))
  if (set === undefined) return 'settled'
  const owner: Owner = { resource: resources.daemonSet, object: set, selector: set.spec?.selector }
  const history = await ensureRevision(world, owner, set.spec?.template ?? {}, signal)
  const hash = history.update.metadata.labels?.[revisionHashLabel] ?? ''
  const cached = planFor(world, set, hash, cachedPods(world, owner))
  if (cached.create.length + cached.remove.length > 0 || hasClaims(world, owner)) {
    const pods = await freshPods(world, owner, signal)
    if (pods === undefined) return 'settled'
    await act(world, owner, { plan: planFor(world, set, hash, pods), hash }, signal)
  }
  await writeStatus(world, owner, cached.status, signal)
  const hashes = new Set(cachedPods(world, owner).map(revisionOfPod))
  const needed = history.all.filter(({ metadata }) => hashes.has(metadata.labels?.[revisionHashLabel] ?? ''))
  const names = new Set(needed.map(({ metadata }) => metadata.name))
  await forgetRevisions(world, history, names, { limit: set.spec?.revisionHistoryLimit, signal })
  return cached.recheckMs === undefined ? 'settled' : { afterMs: cached.recheckMs }
}

function planFor(world: World, set: DaemonSet, hash: string, pods: readonly WorkloadPod[]): DaemonPlan {
  return planDaemonSet({
    set,
    pods,
    nodes: [...world.nodes.values()],
    hash,
    hashOf: revisionOfPod,
    isTaken: (name) => world.recentNames.has(set.metadata.namespace ?? '', name),
    nowMs: world.clock.nowMs(),
  })
}

async function act(
  world: World,
  owner: Owner,
  { plan, hash }: { readonly plan: DaemonPlan; readonly hash: string },
  signal: AbortSignal,
): Promise<void> {
  const set: DaemonSet = owner.object
  const tell = (reason: string, message: string) =>
    world.events.record(set, kind, { component, type: 'Normal', reason, message })
  await forEach(plan.remove, async (pod) => {
    await deletePod(world, pod, signal)
    tell('SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`)
  })
  await forEach(plan.create, async ({ name, node }) => {
    const pod = podOf(set.spec?.template ?? {}, {
      name,
      namespace: set.metadata.namespace ?? '',
      owner: referenceTo(owner),
      labels: { [revisionHashLabel]: hash },
    })
    await world.api.create(resources.pod, { ...pod, spec: specOn(node, pod.spec ?? {}) }, signal)
    tell('SuccessfulCreate', `Created pod: ${name}`)
  })
}

/** The pod is scheduled like any other, but only one node will do. */
export function specOn(node: string, spec: PodSpec): PodSpec {
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  const matchFields = [{ key: 'metadata.name', operator: 'In', values: [node] }]
  const terms: readonly NodeSelectorTerm[] = required?.nodeSelectorTerms ?? [{}]
  return {
    ...spec,
    affinity: {
      ...spec.affinity,
      nodeAffinity: {
        ...spec.affinity?.nodeAffinity,
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: terms.map((term) => ({ ...term, matchFields })),
        },
      },
    },
    tolerations: daemonTolerations(spec),
  }
}
