import {
  climbOwner,
  directOwner,
  type IpVersion,
  type KubeObject,
  type MachineMigration,
  type Namespace,
  type Node,
  type Pod,
  type Resource,
  resources,
  type SpiderIpClaim,
  type SpiderIpPool,
  type SpiderReservedIp,
  type TopOwner,
  type Workload,
} from '../api/index.ts'
import { findByName, type KubeApi, type KubeCache } from '../kube/index.ts'
import { type PoolConflict, PoolConflicts, usablePools } from '../ledger/index.ts'
import { type PodNetworks, podNetworks } from '../network/index.ts'
import { podReaders } from './allocator/sticky/pod-readers.ts'
import type { AllocatorWorld } from './allocator/world.ts'
import type { Caches } from './caches.ts'
import type { ControllerOptions } from './options.ts'

/** Owners that were climbed, `kind namespace/name uid` to what is above; a ReplicaSet does not change its Deployment. */
const maxOwners = 20_000

/** What the allocator sees of the cluster: caches for what an operator configures, the API server for what decides. */
export class ClusterWorld implements AllocatorWorld {
  readonly versions: readonly IpVersion[]
  readonly isStatefulSetSticky: boolean
  readonly isMachineSticky: boolean
  readonly installNamespace: string
  /** Filled by the adoption. */
  readonly blockedPools: Map<string, string> = new Map()
  readonly #api: KubeApi
  readonly #caches: Caches
  readonly #clusterNetwork: string
  readonly #owners = new Map<string, TopOwner>()
  /** Replicas come together: one read is enough for them. */
  readonly #climbing = new Map<string, Promise<TopOwner>>()
  readonly #conflicts = new PoolConflicts()
  #pools: ReadonlyMap<string, SpiderIpPool> | undefined
  #reservedIps: readonly SpiderReservedIp[] | undefined
  #workloadClaims: ReadonlyMap<string, readonly SpiderIpClaim[]> | undefined

  constructor(options: ControllerOptions, api: KubeApi, caches: Caches) {
    this.#api = api
    this.#caches = caches
    this.#clusterNetwork = options.clusterNetwork
    this.installNamespace = options.namespace
    this.isStatefulSetSticky = options.enableStatefulSet
    this.isMachineSticky = options.enableKubevirtStaticIp
    this.versions = [...(options.enableIpv4 ? [4 as const] : []), ...(options.enableIpv6 ? [6 as const] : [])]
  }

  pools(): ReadonlyMap<string, SpiderIpPool> {
    if (this.#pools !== undefined) return this.#pools
    this.#pools = usablePools(this.#caches.pools.values(), this.poolConflicts())
    return this.#pools
  }

  /** Pools that overlap older ones, by name; the same map as long as that does not change. */
  poolConflicts(): ReadonlyMap<string, PoolConflict> {
    return this.#conflicts.of(this.#caches.pools.values())
  }

  reservedIps(): readonly SpiderReservedIp[] {
    this.#reservedIps ??= [...this.#caches.reservedIps.values()].filter(
      ({ metadata }) => metadata.deletionTimestamp === undefined,
    )
    return this.#reservedIps
  }

  /** The cache of pools changed. */
  poolsChanged(): void {
    this.#pools = undefined
  }

  /** The cache of reserved addresses changed. */
  reservationsChanged(): void {
    this.#reservedIps = undefined
  }

  namespace(name: string, signal: AbortSignal): Promise<Namespace | undefined> {
    return this.#cached(this.#caches.namespaces, resources.namespace, name, signal)
  }

  node(name: string, signal: AbortSignal): Promise<Node | undefined> {
    return this.#cached(this.#caches.nodes, resources.node, name, signal)
  }

  async #cached<T extends KubeObject>(
    cache: KubeCache<T>,
    resource: Resource,
    name: string,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    return cache.get({ name }) ?? (await findByName<T>(this.#api, resource, { name }, signal))
  }

  networksOf(pod: Pod): PodNetworks {
    return podNetworks(pod, {
      clusterNetwork: this.#clusterNetwork,
      installNamespace: this.installNamespace,
      findNetwork: (ref) => this.#caches.networkAttachments.get(ref),
    })
  }

  knownPod(namespace: string, name: string): Pod | undefined {
    return this.#caches.pods.get({ namespace, name })
  }

  readPod(namespace: string, name: string, signal: AbortSignal): Promise<Pod | undefined> {
    return this.#api.get<Pod>(resources.pod, { namespace, name }, signal)
  }

  readPodByUid(namespace: string, uid: string, signal: AbortSignal): Promise<Pod | undefined> {
    return podReaders(this.#api).readPodByUid(namespace, uid, signal)
  }

  readMigration(namespace: string, name: string, signal: AbortSignal): Promise<MachineMigration | undefined> {
    const resource = resources.virtualMachineInstanceMigration
    return this.#api.get<MachineMigration>(resource, { namespace, name }, signal)
  }

  readWorkload(owner: TopOwner, signal: AbortSignal): Promise<Workload | undefined> {
    const { namespace, name } = owner
    const resource = workloadResource(owner)
    return resource === undefined
      ? Promise.resolve(undefined)
      : this.#api.get<Workload>(resource, { namespace, name }, signal)
  }

  claimsForWorkloads(namespace: string): readonly SpiderIpClaim[] {
    if (this.#workloadClaims === undefined) {
      const all = [...this.#caches.ipClaims.values()].filter(
        ({ spec, metadata }) => spec?.workload !== undefined && metadata.deletionTimestamp === undefined,
      )
      all.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
      this.#workloadClaims = Map.groupBy(all, ({ metadata }) => metadata.namespace ?? '')
    }
    return this.#workloadClaims.get(namespace) ?? []
  }

  /** The cache of claims changed. */
  ipClaimsChanged(): void {
    this.#workloadClaims = undefined
  }

  readIpClaim(namespace: string, name: string, signal: AbortSignal): Promise<SpiderIpClaim | undefined> {
    return this.#api.get<SpiderIpClaim>(resources.ipClaim, { namespace, name }, signal)
  }

  /** The workload on top of a pod (spec/ipam.md §3). */
  async topOwner(pod: Pod, signal: AbortSignal): Promise<TopOwner> {
    const { owner, mayClimb } = directOwner(pod)
    if (!mayClimb) return owner
    const key = `${owner.kind} ${owner.namespace}/${owner.name} ${owner.uid}`
    const known = this.#owners.get(key)
    if (known !== undefined) return known
    const climbing = this.#climbing.get(key)
    if (climbing !== undefined) return climbing.catch(() => this.#climb(key, owner, signal))
    const climb = this.#climb(key, owner, signal)
    this.#climbing.set(key, climb)
    return climb.finally(() => this.#climbing.delete(key))
  }

  async #climb(key: string, owner: TopOwner, signal: AbortSignal): Promise<TopOwner> {
    const object = await this.readWorkload(owner, signal)
    // Another object of that name is not what owns the pod.
    const top = object?.metadata.uid === owner.uid ? climbOwner(owner, object) : owner
    this.#owners.set(key, top)
    const oldest = this.#owners.keys().next()
    if (this.#owners.size > maxOwners && oldest.done !== true) this.#owners.delete(oldest.value)
    return top
  }
}

/** Where a workload is read; undefined for one that the controller does not read. */
export function workloadResource({ apiVersion, kind }: TopOwner): Resource | undefined {
  const known = [
    resources.replicaSet,
    resources.deployment,
    resources.statefulSet,
    resources.daemonSet,
    resources.job,
    resources.virtualMachineInstance,
    resources.virtualMachine,
    resources.ipClaim,
    resources.ipamClaim,
  ]
  return known.find(
    (resource) => resource.kind === kind && `${resource.group}/${resource.version}` === apiVersion,
  )
}
