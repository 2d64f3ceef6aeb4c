import { type KubeObject, type Namespace, type Resource, resources } from '../../api/index.ts'
import type { Clock, Logger } from '../../base/index.ts'
import { createCache, type KubeApi, type KubeCache, type ObjectRef } from '../../kube/index.ts'
import { EventWriter } from './event-writer.ts'
import {
  type ControllerRevision,
  controllerRevisionResource,
  type DaemonSet,
  type Deployment,
  type Job,
  type LabNode,
  type ReplicaSet,
  type StatefulSet,
  type WorkloadPod,
} from './model/kinds.ts'
import { OwnedCache } from './owned-cache.ts'

/** What all controllers share: the API server, what is known of it, and how to tell of it. */
export interface World {
  readonly api: KubeApi
  readonly clock: Clock
  readonly logger: Logger
  readonly events: EventWriter
  readonly pods: OwnedCache<WorkloadPod>
  readonly replicaSets: OwnedCache<ReplicaSet>
  readonly revisions: OwnedCache<ControllerRevision>
  readonly deployments: KubeCache<Deployment>
  readonly statefulSets: KubeCache<StatefulSet>
  readonly daemonSets: KubeCache<DaemonSet>
  readonly jobs: KubeCache<Job>
  readonly nodes: KubeCache<LabNode>
  readonly namespaces: KubeCache<Namespace>
  readonly serviceAccounts: KubeCache<KubeObject>
  readonly recentNames: RecentNames
  /** All caches by resource, so that none is opened twice. */
  readonly caches: ReadonlyMap<string, KubeCache<KubeObject>>
}

const maxRecentNames = 20_000

/** Names of pods that are gone, so that a new pod does not look like an old one. A hint: forgetting them is harmless. */
export class RecentNames {
  readonly #names = new Set<string>()

  add(ref: { readonly namespace?: string; readonly name: string }): void {
    this.#names.add(`${ref.namespace ?? ''}/${ref.name}`)
    const [oldest] = this.#names
    if (this.#names.size > maxRecentNames && oldest !== undefined) this.#names.delete(oldest)
  }

  has(namespace: string, name: string): boolean {
    return this.#names.has(`${namespace}/${name}`)
  }
}

export function cacheKey(resource: Resource): string {
  return `${resource.group}/${resource.plural}`
}

/** Opens the caches. */
export function openWorld(api: KubeApi, clock: Clock, logger: Logger): World {
  const caches = new Map<string, KubeCache<KubeObject>>()
  const open = <T extends KubeObject>(resource: Resource): KubeCache<T> => {
    const cache = createCache<T>(api, resource, { trim: withoutManagedFields }, logger)
    caches.set(cacheKey(resource), cache)
    return cache
  }
  const world = {
    api,
    clock,
    logger,
    events: new EventWriter(api, clock, logger),
    pods: new OwnedCache(open<WorkloadPod>(resources.pod)),
    replicaSets: new OwnedCache(open<ReplicaSet>(resources.replicaSet)),
    revisions: new OwnedCache(open<ControllerRevision>(controllerRevisionResource)),
    deployments: open<Deployment>(resources.deployment),
    statefulSets: open<StatefulSet>(resources.statefulSet),
    daemonSets: open<DaemonSet>(resources.daemonSet),
    jobs: open<Job>(resources.job),
    nodes: open<LabNode>(resources.node),
    namespaces: open<Namespace>(resources.namespace),
    serviceAccounts: open<KubeObject>(resources.serviceAccount),
    recentNames: new RecentNames(),
    caches,
  }
  world.pods.cache.onChange((old, now) => {
    if (old !== undefined && now === undefined) world.recentNames.add(old.metadata)
  })
  return world
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  const { metadata } = object
  if (!('managedFields' in metadata)) return object
  const { managedFields: _dropped, ...rest } = metadata
  return { ...object, metadata: rest }
}

export function refOf({ metadata }: KubeObject): ObjectRef {
  const { name, namespace } = metadata
  return { name, ...(namespace === undefined ? {} : { namespace }) }
}

export function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}

export function refOfKey(key: string): { readonly name: string; readonly namespace: string } {
  const [namespace = '', name = ''] = key.split('/')
  return { namespace, name }
}
