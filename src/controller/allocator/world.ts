import type {
  IpVersion,
  MachineMigration,
  Namespace,
  Node,
  Pod,
  SpiderIpClaim,
  SpiderIpPool,
  SpiderReservedIp,
  TopOwner,
  Workload,
} from '../../api/index.ts'
import type { PodNetworks } from '../../network/index.ts'

/** What the allocator sees of the cluster. Caches serve what an operator configures; what decides is read afresh. */
export interface AllocatorWorld {
  /** From the cache, by name. */
  pools(): ReadonlyMap<string, SpiderIpPool>
  /** Pools that hand out nothing new, and why. */
  readonly blockedPools: ReadonlyMap<string, string>
  /** From the cache. The same list object as long as nothing changed. */
  reservedIps(): readonly SpiderReservedIp[]
  /** From the cache; reads it when the cache does not have it. */
  namespace(name: string, signal: AbortSignal): Promise<Namespace | undefined>
  /** From the cache; reads it when the cache does not have it. */
  node(name: string, signal: AbortSignal): Promise<Node | undefined>
  /** From the pod's annotations and the cached NetworkAttachmentDefinitions. @throws {InvalidInputError} */
  networksOf(pod: Pod): PodNetworks
  /** From the cache, with what an ADD reads of it if it is well known; see `isKnownWell`. */
  knownPod(namespace: string, name: string): Pod | undefined
  /** Uncached. */
  readPod(namespace: string, name: string, signal: AbortSignal): Promise<Pod | undefined>
  /** Uncached. */
  readWorkload(owner: TopOwner, signal: AbortSignal): Promise<Workload | undefined>
  /** Uncached; looks at all pods of the namespace, so not for everyday use. */
  readPodByUid(namespace: string, uid: string, signal: AbortSignal): Promise<Pod | undefined>
  /** Uncached: the VirtualMachineInstanceMigration of KubeVirt. */
  readMigration(namespace: string, name: string, signal: AbortSignal): Promise<MachineMigration | undefined>
  /** SpiderIPClaims of a namespace that name a workload, by name; from the cache: who may use one is read afresh. */
  claimsForWorkloads(namespace: string): readonly SpiderIpClaim[]
  /** Uncached. */
  readIpClaim(namespace: string, name: string, signal: AbortSignal): Promise<SpiderIpClaim | undefined>
  /** Families that the cluster hands out. */
  readonly versions: readonly IpVersion[]
  /** Sticky addresses for apps/v1 StatefulSets (`enableStatefulSet`). */
  readonly isStatefulSetSticky: boolean
  /** Sticky addresses for virtual machines of KubeVirt (`enableKubevirtStaticIP`). */
  readonly isMachineSticky: boolean
  /** Namespace of the product. */
  readonly installNamespace: string
}

/** What became of an address that an agent reported as used by somebody else. */
export type ConflictOutcome = 'quarantined' | 'repeated' | 'ignored' | 'refused'

/** Says what happened to the people who look. Never fails, never blocks. */
export interface AllocatorEvents {
  podEvent(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string): void
  /** @param pool its name; nothing is said of one that is gone */
  poolEvent(pool: string, type: 'Normal' | 'Warning', reason: string, message: string): void
  /** Counts a reported conflict. */
  conflict(outcome: ConflictOutcome): void
}
