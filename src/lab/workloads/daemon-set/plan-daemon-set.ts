import type { Toleration } from '../../../api/index.ts'
import { resolveAmount } from '../model/amounts.ts'
import type { DaemonSet, DaemonSetStatus, LabNode, PodSpec, WorkloadPod } from '../model/kinds.ts'
import { podName } from '../model/names.ts'
import { availableInMs, countPods, createdMs, isActive, isFinished, isReady } from '../model/pod-facts.ts'
import { isSelected, untoleratedTaint } from '../scheduler/node-fit.ts'

export interface DaemonView {
  readonly set: DaemonSet
  readonly pods: readonly WorkloadPod[]
  readonly nodes: readonly LabNode[]
  /** Hash of the present template. */
  readonly hash: string
  readonly hashOf: (pod: WorkloadPod) => string
  readonly isTaken: (name: string) => boolean
  readonly nowMs: number
}

export interface DaemonPlan {
  readonly create: readonly { readonly name: string; readonly node: string }[]
  readonly remove: readonly WorkloadPod[]
  readonly status: DaemonSetStatus
  readonly recheckMs: number | undefined
}

const defaultUnavailable = 1

/** What pods of every DaemonSet tolerate. (Kubernetes documentation, "DaemonSet", "Taints and tolerations") */
export function daemonTolerations(spec: PodSpec): readonly Toleration[] {
  const keys = [
    ['not-ready', 'NoExecute'],
    ['unreachable', 'NoExecute'],
    ['disk-pressure', 'NoSchedule'],
    ['memory-pressure', 'NoSchedule'],
    ['pid-pressure', 'NoSchedule'],
    ['unschedulable', 'NoSchedule'],
    ...(spec.hostNetwork === true ? [['network-unavailable', 'NoSchedule']] : []),
  ]
  const added = keys.map(([key, effect = '']) => {
    return { key: `node.kubernetes.io/${key}`, operator: 'Exists', effect }
  })
  return [...(spec.tolerations ?? []), ...added]
}

/** The node that a pod is on, or was made for. */
export function nodeOf(pod: WorkloadPod): string {
  const { nodeName, affinity } = pod.spec ?? {}
  if (nodeName !== undefined && nodeName !== '') return nodeName
  const terms =
    affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
  const fields = terms.flatMap(({ matchFields = [] }) => matchFields)
  return fields.find(({ key }) => key === 'metadata.name')?.values?.[0] ?? ''
}

interface NodeNeed {
  readonly node: string
  readonly mayStart: boolean
  readonly mayStay: boolean
}

function needOf(set: DaemonSet, node: LabNode): NodeNeed {
  const spec = set.spec?.template?.spec ?? {}
  const tolerant = { ...spec, tolerations: daemonTolerations(spec) }
  const isMeant = (spec.nodeName ?? node.metadata.name) === node.metadata.name && isSelected(spec, node)
  const mayStart = isMeant && untoleratedTaint(tolerant, node, ['NoSchedule', 'NoExecute']) === undefined
  const mayStay = isMeant && untoleratedTaint(tolerant, node, ['NoExecute']) === undefined
  return { node: node.metadata.name, mayStart, mayStay }
}

/** One pod for each node that it may run on, and none elsewhere; old templates are replaced within the limits. */
export function planDaemonSet(view: DaemonView): DaemonPlan {
  const { set, nodes } = view
  const needs = nodes.map((node) => needOf(set, node))
  const perNode = Map.groupBy(view.pods, nodeOf)
  const kept: WorkloadPod[] = []
  const create: { name: string; node: string }[] = []
  const remove: WorkloadPod[] = []
  for (const need of needs) {
    const here = perNode.get(need.node) ?? []
    const [first, ...doubles] = oldestFirst(here.filter(isActive))
    remove.push(...doubles, ...here.filter((pod) => isFinished(pod) && !isGoing(pod)))
    // A pod that is on its way out keeps its place until it is gone, so that one node never has two.
    if (need.mayStart && here.length === 0) create.push({ node: need.node, name: nameFor(view, need.node) })
    if (first !== undefined && need.mayStay) kept.push(first)
    else if (first !== undefined) remove.push(first)
  }
  const known = new Set(needs.map(({ node }) => node))
  remove.push(...view.pods.filter((pod) => isActive(pod) && !known.has(nodeOf(pod))))
  const isDeleted = set.metadata.deletionTimestamp !== undefined
  const updates = create.length === 0 ? planUpdate(view, kept, needs) : []
  return {
    create: isDeleted ? [] : create,
    remove: isDeleted ? [] : [...remove, ...updates],
    ...statusOf(view, needs, kept),
  }
}

const isGoing = (pod: WorkloadPod): boolean => pod.metadata.deletionTimestamp !== undefined

function oldestFirst(pods: readonly WorkloadPod[]): readonly WorkloadPod[] {
  return pods.toSorted((a, b) => Number(isReady(b)) - Number(isReady(a)) || createdMs(a) - createdMs(b))
}

function nameFor({ set, pods, isTaken }: DaemonView, node: string): string {
  const names = new Set(pods.map((pod) => pod.metadata.name))
  for (let n = 0; ; n++) {
    const name = podName(set.metadata.name, `${set.metadata.uid ?? ''}/${node}/${n}`)
    if (!names.has(name) && !isTaken(name)) return name
  }
}

/** Pods of old templates that may go now: all that are not available, others while enough are. */
function planUpdate(
  view: DaemonView,
  kept: readonly WorkloadPod[],
  needs: readonly NodeNeed[],
): readonly WorkloadPod[] {
  const { updateStrategy, minReadySeconds = 0 } = view.set.spec ?? {}
  if (updateStrategy?.type === 'OnDelete') return []
  const wanted = needs.filter(({ mayStart }) => mayStart).length
  const amount = updateStrategy?.rollingUpdate?.maxUnavailable ?? defaultUnavailable
  const maxUnavailable = Math.max(1, resolveAmount(amount, wanted, 'up'))
  const isAvailable = (pod: WorkloadPod) => availableInMs(pod, minReadySeconds, view.nowMs) === 0
  const old = kept.filter((pod) => view.hashOf(pod) !== view.hash)
  const broken = old.filter((pod) => !isAvailable(pod))
  const unavailable = wanted - kept.filter(isAvailable).length
  const budget = Math.max(0, maxUnavailable - unavailable)
  return [...broken, ...old.filter(isAvailable).slice(0, budget)]
}

function statusOf(
  view: DaemonView,
  needs: readonly NodeNeed[],
  kept: readonly WorkloadPod[],
): Pick<DaemonPlan, 'status' | 'recheckMs'> {
  const starting = new Set(needs.filter(({ mayStart }) => mayStart).map(({ node }) => node))
  const scheduled = kept.filter((pod) => starting.has(nodeOf(pod)))
  const misplaced = view.pods.filter((pod) => isActive(pod) && !starting.has(nodeOf(pod)))
  const counts = countPods(scheduled, view.set.spec?.minReadySeconds ?? 0, view.nowMs)
  const { generation } = view.set.metadata
  return {
    status: {
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      desiredNumberScheduled: starting.size,
      currentNumberScheduled: scheduled.length,
      numberMisscheduled: misplaced.length,
      numberReady: counts.ready,
      numberAvailable: counts.available,
      numberUnavailable: starting.size - counts.available,
      updatedNumberScheduled: scheduled.filter((pod) => view.hashOf(pod) === view.hash).length,
    },
    recheckMs: counts.nextInMs,
  }
}
