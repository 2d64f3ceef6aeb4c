import { resources } from '../../../api/index.ts'
import { createQueue, objectPath, type Queue, type Requeue } from '../../../kube/index.ts'
import { isGone } from '../act.ts'
import { timeText } from '../model/amounts.ts'
import type { LabNode, WorkloadPod } from '../model/kinds.ts'
import { isFinished } from '../model/pod-facts.ts'
import { keyOf, refOfKey, type World } from '../world.ts'
import { chooseNode, type NodeChoice } from './choose-node.ts'
import { NodeCounts } from './node-counts.ts'

const component = 'default-scheduler'
const kind = { kind: 'Pod', apiVersion: 'v1' }
const bindingsAtOnce = 8
const bindBudgetMs = 30_000
const retryMs = 60_000

/** Binds pods to nodes. */
export class Scheduler {
  readonly #world: World
  readonly #counts = new NodeCounts()
  readonly #waiting = new Set<string>()
  readonly #queue: Queue<string>

  constructor(world: World) {
    this.#world = world
    const handle = (key: string, signal: AbortSignal) => this.#schedule(key, signal)
    const options = { handle, concurrency: bindingsAtOnce, deadlineMs: bindBudgetMs }
    this.#queue = createQueue<string>(options, world.logger.with({ controller: 'scheduler' }))
  }

  start(): void {
    const { pods, nodes } = this.#world
    const see = (old: WorkloadPod | undefined, now: WorkloadPod | undefined) => {
      this.#counts.see(old, now)
      if (now !== undefined && mustSchedule(now)) this.#queue.add(keyOf(now))
      // Room on a node may let in who waits.
      if (old !== undefined && (now === undefined || isFinished(now))) this.#wakeWaiting()
    }
    pods.cache.onChange(see)
    for (const pod of pods.cache.values()) see(undefined, pod)
    nodes.onChange((old, now) => {
      if (old === undefined || now === undefined || isDifferent(old, now)) this.#wakeWaiting()
    })
  }

  #wakeWaiting(): void {
    for (const key of this.#waiting) this.#queue.add(key)
    this.#waiting.clear()
  }

  async #schedule(key: string, signal: AbortSignal): Promise<Requeue> {
    const pod = this.#world.pods.cache.get(refOfKey(key))
    if (pod === undefined || !mustSchedule(pod)) return 'settled'
    const loads = [...this.#world.nodes.values()].map((node) => ({
      node,
      podCount: this.#counts.podCount(node.metadata.name),
      siblingCount: this.#counts.siblingCount(pod, node.metadata.name),
    }))
    const choice = chooseNode(pod, loads)
    if (choice.kind === 'bind') {
      await this.#bind(pod, choice.node, signal)
      return 'settled'
    }
    this.#waiting.add(key)
    await this.#explain(pod, choice, signal)
    return { afterMs: retryMs }
  }

  async #bind(pod: WorkloadPod, node: string, signal: AbortSignal): Promise<void> {
    const { name, namespace = '', uid = '' } = pod.metadata
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    }
    this.#counts.assume(pod, node)
    try {
      const path = objectPath(resources.pod, { name, namespace }, 'binding')
      await this.#world.api.request('POST', path, binding, signal)
    } catch (error) {
      // A binding that was carried out although its answer was lost comes back through the cache.
      this.#counts.forget(uid)
      if (isGone(error)) return
      throw error
    }
    const message = `Successfully assigned ${namespace}/${name} to ${node}`
    this.#world.events.record(pod, kind, { component, type: 'Normal', reason: 'Scheduled', message })
  }

  async #explain(
    pod: WorkloadPod,
    { message }: NodeChoice & { readonly kind: 'unschedulable' },
    signal: AbortSignal,
  ): Promise<void> {
    const { name, namespace = '', uid } = pod.metadata
    this.#world.events.record(pod, kind, { component, type: 'Warning', reason: 'FailedScheduling', message })
    const old = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
    if (old?.message === message && old.status === 'False') return
    const others = (pod.status?.conditions ?? []).filter((condition) => condition !== old)
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime:
        old?.status === 'False' ? old.lastTransitionTime : timeText(this.#world.clock.nowMs()),
    }
    const body = { metadata: { uid }, status: { conditions: [...others, condition] } }
    const patch = { type: 'merge', body, subresource: 'status' } as const
    try {
      await this.#world.api.patch(resources.pod, { name, namespace }, patch, signal)
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }

  async close(signal: AbortSignal): Promise<void> {
    await this.#queue.close(signal)
  }
}

const isDifferent = (old: LabNode, now: LabNode): boolean => schedulingText(old) !== schedulingText(now)

/** What of a node decides about pods; its heartbeats do not. */
function schedulingText({ spec, metadata, status }: LabNode): string {
  const conditions = (status?.conditions ?? []).map((condition) => `${condition.type}=${condition.status}`)
  return JSON.stringify([spec, metadata.labels, conditions, status?.allocatable])
}

/** No node yet, not going, not finished, and ours to schedule. */
export function mustSchedule(pod: WorkloadPod): boolean {
  const { nodeName = '', schedulerName = component, schedulingGates = [] } = pod.spec ?? {}
  const isOurs = schedulerName === component && schedulingGates.length === 0
  return nodeName === '' && isOurs && pod.metadata.deletionTimestamp === undefined && !isFinished(pod)
}
