import { controllerOf, type KubeObject, resources } from '../../api/index.ts'
import { type Logger, systemClock, toError } from '../../base/index.ts'
import { createQueue, type KubeApi, type KubeCache, type Queue, type Requeue } from '../../kube/index.ts'
import { Catalog } from './collector/catalog.ts'
import { LostPods } from './collector/lost-pods.ts'
import { reconcileNamespace } from './collector/namespaces.ts'
import { OwnerCollector } from './collector/owner-collector.ts'
import { reconcileDaemonSet } from './daemon-set/reconcile-daemon-set.ts'
import { reconcileDeployment } from './deployment/reconcile-deployment.ts'
import { reconcileJob } from './job/reconcile-job.ts'
import type { WorkloadPod } from './model/kinds.ts'
import { reconcileReplicaSet } from './replica-set/reconcile-replica-set.ts'
import { Scheduler } from './scheduler/scheduler.ts'
import { reconcileStatefulSet } from './stateful-set/reconcile-stateful-set.ts'
import { cacheKey, keyOf, openWorld, type World } from './world.ts'

/** What runs until it is closed. */
export interface WorkloadControllers {
  /** Ends all work; resolves when nothing runs any more. */
  close(): Promise<void>
}

const reconcileBudgetMs = 60_000
const reconcilesAtOnce = 8
const backoffCapMs = 15_000
// Several pods of one owner mostly change at the same time: one look for all of them.
const gatherMs = 40
const discoveryEveryMs = 30_000
const afterCrdMs = 500
const closeBudgetMs = 5000

/**
 * Starts the controllers that Kubernetes' controller manager and scheduler are elsewhere: Deployment, ReplicaSet,
 * StatefulSet, DaemonSet, Job, scheduler, owner garbage collection, namespaces, and pods of lost nodes.
 *
 * @param signal ends them, as `close` does
 */
export function startWorkloadControllers(
  api: KubeApi,
  logger: Logger,
  signal: AbortSignal,
): WorkloadControllers {
  const controllers = new Controllers(openWorld(api, systemClock, logger), signal)
  return { close: () => controllers.close() }
}

type Reconcile = (world: World, key: string, signal: AbortSignal) => Promise<Requeue>

class Controllers {
  readonly #world: World
  readonly #scheduler: Scheduler
  readonly #collector: OwnerCollector
  readonly #catalog: Catalog
  readonly #queues = new Map<string, Queue<string>>()
  readonly #stop = new AbortController()
  readonly #started: Promise<void>
  #closing: Promise<void> | undefined

  constructor(world: World, signal: AbortSignal) {
    this.#world = world
    this.#scheduler = new Scheduler(world)
    this.#collector = new OwnerCollector(world)
    this.#catalog = new Catalog(world, (resource, old, now) => {
      this.#collector.see(resource, old, now)
      if (cacheKey(resource) === definitionsKey) this.#queues.get('discovery')?.addAfter('all', afterCrdMs)
    })
    this.#started = this.#start().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) world.logger.error('controllers did not start', { err: toError(error) })
    })
    signal.addEventListener('abort', () => void this.close(), { once: true })
  }

  async #start(): Promise<void> {
    const world = this.#world
    const caches = [...world.caches.values()]
    await Promise.all(caches.map((cache) => cache.synced(this.#stop.signal)))
    const owners: readonly [string, KubeCache<KubeObject>, Reconcile][] = [
      ['Deployment', world.deployments, reconcileDeployment],
      ['ReplicaSet', world.replicaSets.cache, reconcileReplicaSet],
      ['StatefulSet', world.statefulSets, reconcileStatefulSet],
      ['DaemonSet', world.daemonSets, reconcileDaemonSet],
      ['Job', world.jobs, reconcileJob],
    ]
    for (const [kind, cache, reconcile] of owners) {
      this.#open(kind, (key, signal) => reconcile(world, key, signal))
      this.#follow(kind, cache)
    }
    this.#followDependents(world.pods.cache)
    this.#followDependents(world.replicaSets.cache)
    world.nodes.onChange((old, now) => {
      if (old?.metadata.resourceVersion !== now?.metadata.resourceVersion) this.#addAll('DaemonSet')
    })
    this.#scheduler.start()
    this.#startDiscovery()
    this.#startLostPods()
  }

  #open(name: string, handle: (key: string, signal: AbortSignal) => Promise<Requeue>): Queue<string> {
    const options = { handle, concurrency: reconcilesAtOnce, deadlineMs: reconcileBudgetMs, backoffCapMs }
    const queue = createQueue<string>(options, this.#world.logger.with({ controller: name }))
    this.#queues.set(name, queue)
    return queue
  }

  /** A change of an object brings its own key. */
  #follow(kind: string, cache: KubeCache<KubeObject>): void {
    const queue = this.#queues.get(kind)
    cache.onChange((old, now) => {
      const object = now ?? old
      if (object !== undefined) queue?.add(keyOf(object))
    })
    for (const object of cache.values()) queue?.add(keyOf(object))
  }

  #addAll(kind: 'DaemonSet'): void {
    for (const set of this.#world.daemonSets.values()) this.#queues.get(kind)?.addAfter(keyOf(set), gatherMs)
  }

  /** A change of a pod or ReplicaSet brings the keys of its controllers, before and after. */
  #followDependents(cache: KubeCache<KubeObject>): void {
    const wake = (object: KubeObject | undefined) => {
      const owner = object === undefined ? undefined : controllerOf(object.metadata)
      if (object === undefined) return
      if (owner !== undefined) {
        const key = `${object.metadata.namespace ?? ''}/${owner.name}`
        this.#queues.get(owner.kind)?.addAfter(key, gatherMs)
        this.#wakeRecreate(object)
      } else this.#wakeAdopters(object)
    }
    cache.onChange((old, now) => {
      wake(old)
      if (old === undefined || controllerOf(old.metadata)?.uid !== controllerUid(now)) wake(now)
    })
    for (const object of cache.values()) wake(object)
  }

  /** Recreate waits for the end of pods, which are not the Deployment's own dependents. */
  #wakeRecreate(object: KubeObject): void {
    const owner = controllerOf(object.metadata)
    if (owner?.kind !== 'ReplicaSet') return
    const namespace = object.metadata.namespace ?? ''
    const set = this.#world.replicaSets.cache.get({ namespace, name: owner.name })
    const above = set === undefined ? undefined : controllerOf(set.metadata)
    if (above?.kind !== 'Deployment') return
    const deployment = this.#world.deployments.get({ namespace, name: above.name })
    if (deployment?.spec?.strategy?.type === 'Recreate')
      this.#queues.get('Deployment')?.addAfter(keyOf(deployment), gatherMs)
  }

  /** Something that nobody controls: whoever selects it may adopt it. */
  #wakeAdopters(object: KubeObject): void {
    const { replicaSets, statefulSets, daemonSets, jobs, deployments } = this.#world
    const kinds: readonly [string, KubeCache<KubeObject>][] = [
      ['ReplicaSet', replicaSets.cache],
      ['StatefulSet', statefulSets],
      ['DaemonSet', daemonSets],
      ['Job', jobs],
      ['Deployment', deployments],
    ]
    for (const [kind, cache] of kinds) {
      for (const owner of cache.values()) {
        if (owner.metadata.namespace === object.metadata.namespace)
          this.#queues.get(kind)?.addAfter(keyOf(owner), gatherMs)
      }
    }
  }

  #startDiscovery(): void {
    const world = this.#world
    const discovery = this.#open('discovery', async (_key, signal) => {
      await this.#catalog.refresh(signal)
      this.#collector.start(this.#catalog)
      return { afterMs: discoveryEveryMs }
    })
    discovery.add('all')
    const namespaces = this.#open('namespace', (name, signal) =>
      reconcileNamespace(world, this.#catalog, name, signal),
    )
    world.namespaces.onChange((old, now) => namespaces.add((now ?? old)?.metadata.name ?? ''))
    for (const { metadata } of world.namespaces.values()) namespaces.add(metadata.name)
    world.serviceAccounts.onChange((old, now) => {
      if (now === undefined) namespaces.add(old?.metadata.namespace ?? '')
    })
  }

  #startLostPods(): void {
    const lost = new LostPods(this.#world)
    const queue = this.#open('lost-pods', (_key, signal) => lost.reconcile(signal))
    queue.add('all')
    const isUnborn = (pod: WorkloadPod) =>
      pod.metadata.deletionTimestamp !== undefined && (pod.spec?.nodeName ?? '') === ''
    this.#world.pods.cache.onChange((_old, now) => {
      if (now !== undefined && isUnborn(now)) queue.add('all')
    })
    this.#world.nodes.onChange((_old, now) => {
      if (now === undefined) queue.add('all')
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    await this.#started
    const deadline = AbortSignal.timeout(closeBudgetMs)
    const queues = [...this.#queues.values()]
    await Promise.all([...queues.map((queue) => queue.close(deadline)), this.#scheduler.close(deadline)])
    await this.#collector.close(deadline)
    await this.#world.events.close(deadline)
    await this.#catalog.close()
    await Promise.all([...this.#world.caches.values()].map((cache) => cache.close()))
  }
}

const definitionsKey = cacheKey(resources.customResourceDefinition)
const controllerUid = (object: KubeObject | undefined): string | undefined =>
  object === undefined ? undefined : controllerOf(object.metadata)?.uid
