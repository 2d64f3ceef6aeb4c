import {
  climbOwner,
  directOwner,
  type IpVersion,
  type KubeObject,
  type Namespace,
  type NetworkAttachmentDefinition,
  type Node,
  type Pod,
  type Resource,
  resources,
  type SpiderIpPool,
  type SpiderReservedIp,
  type TopOwner,
  type Workload,
} from '../api/index.ts'
import { parseJson } from '../base/index.ts'
import { findByName, type KubeApi, type KubeCache } from '../kube/index.ts'
import {
  configOfNad,
  defaultNetworkAnnotation,
  networksAnnotation,
  type PlannedAttachment,
  parseNetworkSelections,
  planAttachments,
} from '../network/index.ts'
import type { AllocatorWorld, PodNetworks } from './allocator/world.ts'
import type { Caches } from './caches.ts'
import type { ControllerOptions } from './options.ts'
import { type PoolConflict, PoolConflicts } from './pools/pool-conflicts.ts'

/** Owners that were climbed, `kind namespace/name uid` to what is above; a ReplicaSet does not change its Deployment. */
const maxOwners = 20_000
const firstNic = 'eth0'
const ipamType = 'spiderpool'

/** What the allocator sees of the cluster: caches for what an operator configures, the API server for what decides. */
export class ClusterWorld implements AllocatorWorld {
  readonly versions: readonly IpVersion[]
  readonly isStatefulSetSticky: boolean
  readonly installNamespace: string
  /** Filled by the adoption. */
  readonly blockedPools: Map<string, string> = new Map()
  readonly #api: KubeApi
  readonly #caches: Caches
  readonly #clusterNetwork: string
  readonly #owners = new Map<string, TopOwner>()
  readonly #conflicts = new PoolConflicts()
  #pools: ReadonlyMap<string, SpiderIpPool> | undefined
  #reservedIps: readonly SpiderReservedIp[] | undefined

  constructor(options: ControllerOptions, api: KubeApi, caches: Caches) {
    this.#api = api
    this.#caches = caches
    this.#clusterNetwork = options.clusterNetwork
    this.installNamespace = options.namespace
    this.isStatefulSetSticky = options.enableStatefulSet
    this.versions = [...(options.enableIpv4 ? [4 as const] : []), ...(options.enableIpv6 ? [6 as const] : [])]
  }

  pools(): ReadonlyMap<string, SpiderIpPool> {
    if (this.#pools !== undefined) return this.#pools
    const conflicts = this.poolConflicts()
    const pools = [...this.#caches.pools.values()].map((pool) => {
      const taken = conflicts.get(pool.metadata.name)?.taken ?? []
      return [pool.metadata.name, taken.length === 0 ? pool : withoutAddresses(pool, taken)] as const
    })
    this.#pools = new Map(pools)
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
    const { annotations = {}, namespace = '' } = pod.metadata
    const isNamed = annotations[defaultNetworkAnnotation] !== undefined || this.#clusterNetwork !== ''
    const wanted = annotations[defaultNetworkAnnotation] ?? this.#clusterNetwork
    const [first] = parseNetworkSelections(defaultNetworkAnnotation, wanted, this.installNamespace)
    const selected = parseNetworkSelections(
      networksAnnotation,
      annotations[networksAnnotation] ?? '',
      namespace,
    )
    const planned = planAttachments(networksAnnotation, {
      podNamespace: namespace,
      ifName: firstNic,
      defaultNetwork: first ?? { namespace: '', name: '' },
      selected,
      isolation: { kind: 'off' },
    })
    const known = planned.filter(({ isDefault }) => !isDefault || (isNamed && first !== undefined))
    const names = new Map(
      known.map(({ ifName, selection }) => [ifName, `${selection.namespace}/${selection.name}`]),
    )
    const served = planned.filter((attachment) => this.#isServed(attachment, known.includes(attachment)))
    return { nics: served.map(({ ifName }) => ifName), nadOf: (nic) => names.get(nic) }
  }

  /** An attachment whose network cannot be looked at is taken to be ours: its ADD is what asks. */
  #isServed({ selection, isDefault }: PlannedAttachment, isKnown: boolean): boolean {
    if (!isKnown) return isDefault
    const { namespace, name } = selection
    const attachment = this.#caches.networkAttachments.get({ namespace, name })
    return attachment === undefined || usesOurIpam(`${namespace}/${name}`, attachment)
  }

  readPod(namespace: string, name: string, signal: AbortSignal): Promise<Pod | undefined> {
    return this.#api.get<Pod>(resources.pod, { namespace, name }, signal)
  }

  readWorkload(owner: TopOwner, signal: AbortSignal): Promise<Workload | undefined> {
    const { namespace, name } = owner
    const resource = workloadResource(owner)
    return resource === undefined
      ? Promise.resolve(undefined)
      : this.#api.get<Workload>(resource, { namespace, name }, signal)
  }

  /** The workload on top of a pod (spec/ipam.md §3). */
  async topOwner(pod: Pod, signal: AbortSignal): Promise<TopOwner> {
    const { owner, mayClimb } = directOwner(pod)
    if (!mayClimb) return owner
    const key = `${owner.kind} ${owner.namespace}/${owner.name} ${owner.uid}`
    const known = this.#owners.get(key)
    if (known !== undefined) return known
    const object = await this.readWorkload(owner, signal)
    const top = object === undefined ? owner : climbOwner(owner, object)
    this.#owners.set(key, top)
    const oldest = this.#owners.keys().next()
    if (this.#owners.size > maxOwners && oldest.done !== true) this.#owners.delete(oldest.value)
    return top
  }
}

function withoutAddresses(pool: SpiderIpPool, ranges: readonly string[]): SpiderIpPool {
  return { ...pool, spec: { ...pool.spec, excludeIPs: [...(pool.spec.excludeIPs ?? []), ...ranges] } }
}

function workloadResource({ apiVersion, kind }: TopOwner): Resource | undefined {
  const known = [
    resources.replicaSet,
    resources.deployment,
    resources.statefulSet,
    resources.daemonSet,
    resources.job,
    resources.virtualMachineInstance,
    resources.virtualMachine,
  ]
  return known.find(
    (resource) => resource.kind === kind && `${resource.group}/${resource.version}` === apiVersion,
  )
}

function usesOurIpam(label: string, attachment: NetworkAttachmentDefinition): boolean {
  let config: ReturnType<typeof configOfNad>
  try {
    config = configOfNad(label, attachment)
  } catch {
    // An unreadable network fails in the agent, which says why; whether it is ours cannot be told.
    return true
  }
  if (config.kind === 'onDisk') return true
  const parsed = parseJson(config.text) as { readonly plugins?: unknown; readonly ipam?: unknown }
  const plugins: readonly unknown[] = Array.isArray(parsed.plugins) ? parsed.plugins : [parsed]
  return plugins.some((plugin) => {
    const ipam: unknown =
      typeof plugin === 'object' && plugin !== null && 'ipam' in plugin ? plugin.ipam : undefined
    return typeof ipam === 'object' && ipam !== null && 'type' in ipam && ipam.type === ipamType
  })
}
