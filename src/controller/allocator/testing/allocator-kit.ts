// The allocator over a ledger in memory, and a cluster that a test changes at will.
import assert from 'node:assert/strict'
import type {
  AllocateRequest,
  Namespace,
  Node,
  Pod,
  RpcFailure,
  SpiderIpClaim,
  SpiderIpPool,
  SpiderReservedIp,
  Workload,
} from '../../../api/index.ts'
import { silentLogger, toError } from '../../../base/index.ts'
import { Ledger, MemoryBlockStore } from '../../../ledger/index.ts'
import type { NicRequest, PodNetworks } from '../../../network/index.ts'
import { type Allocator, createAllocator } from '../allocator.ts'
import { toRpcFailure } from '../errors.ts'
import type { AllocatorEvents, AllocatorWorld } from '../world.ts'

export const never: AbortSignal = new AbortController().signal

/** A cluster as the allocator sees it, that a test changes at will. */
export class TestWorld implements AllocatorWorld {
  readonly pods: Map<string, Pod> = new Map()
  readonly poolMap: Map<string, SpiderIpPool> = new Map()
  readonly workloads: Map<string, Workload> = new Map()
  reserved: readonly SpiderReservedIp[] = []
  nics: readonly string[] = ['eth0']
  readonly versions = [4, 6] as const
  readonly isStatefulSetSticky = true
  readonly isMachineSticky = true
  readonly installNamespace = 'kube-system'
  readonly blockedPools: Map<string, string> = new Map()
  readonly events: string[] = []
  readonly conflicts: string[] = []

  pools(): ReadonlyMap<string, SpiderIpPool> {
    return this.poolMap
  }
  reservedIps(): readonly SpiderReservedIp[] {
    return this.reserved
  }
  namespace(name: string): Promise<Namespace | undefined> {
    return Promise.resolve({ metadata: { name } })
  }
  node(name: string): Promise<Node | undefined> {
    return Promise.resolve({ metadata: { name } })
  }
  requests: Record<string, NicRequest> = {}
  networksOf(): PodNetworks {
    return {
      nics: this.nics,
      nadOf: (): string => 'kube-system/macvlan-ens192',
      requestOf: (nic): NicRequest => this.requests[nic] ?? {},
    }
  }
  /** What the cache shows in place of `pods`. */
  readonly cached: Map<string, Pod> = new Map()
  knownPod(namespace: string, name: string): Pod | undefined {
    return this.cached.get(`${namespace}/${name}`)
  }
  readPod(namespace: string, name: string): Promise<Pod | undefined> {
    return Promise.resolve(this.pods.get(`${namespace}/${name}`))
  }
  readPodByUid(namespace: string, uid: string): Promise<Pod | undefined> {
    const found = [...this.pods.values()].find(
      ({ metadata }) => metadata.uid === uid && metadata.namespace === namespace,
    )
    return Promise.resolve(found)
  }
  readMigration(): Promise<undefined> {
    return Promise.resolve(undefined)
  }
  readWorkload({ namespace, name }: { namespace: string; name: string }): Promise<Workload | undefined> {
    return Promise.resolve(this.workloads.get(`${namespace}/${name}`))
  }

  readonly ipClaims: Map<string, SpiderIpClaim> = new Map()
  claimsForWorkloads(): readonly SpiderIpClaim[] {
    return [...this.ipClaims.values()].filter(({ spec }) => spec.workload !== undefined)
  }
  readIpClaim(namespace: string, name: string): Promise<SpiderIpClaim | undefined> {
    return Promise.resolve(this.ipClaims.get(`${namespace}/${name}`))
  }

  addPool(name: string, spec: SpiderIpPool['spec']): void {
    this.poolMap.set(name, { metadata: { name }, spec })
  }
  addPod(name: string, uid: string, more: Partial<Pod['metadata']> = {}, node = 'node1'): Pod {
    const pod: Pod = {
      metadata: { name, namespace: 'default', uid, ...more },
      spec: { nodeName: node },
      status: { phase: 'Pending' },
    }
    this.pods.set(`default/${name}`, pod)
    return pod
  }
  remove(name: string): void {
    this.pods.delete(`default/${name}`)
  }
}

/** The allocator, and what it is made of. */
export interface AllocatorKit {
  readonly world: TestWorld
  readonly ledger: Ledger
  readonly store: MemoryBlockStore
  readonly allocator: Allocator
}

/** A cluster without pools. */
export async function allocatorKit(): Promise<AllocatorKit> {
  const world = new TestWorld()
  const store = new MemoryBlockStore()
  let nowMs = 1000
  const next = () => ++nowMs
  const clock = { nowMs: next, monotonicMs: next, sleep: () => Promise.resolve() }
  const random = { next: () => 0.5 }
  const ledger = await Ledger.open({ store, term: 1, clock, random, logger: silentLogger }, never)
  const tell = (name: string, type: string, reason: string, message: string) =>
    void world.events.push(`${name} ${type} ${reason} ${message}`)
  const events: AllocatorEvents = {
    podEvent: (pod, type, reason, message) => tell(pod.metadata.name, type, reason, message),
    poolEvent: (pool, type, reason, message) => tell(`pool/${pool}`, type, reason, message),
    conflict: (outcome) => void world.conflicts.push(outcome),
  }
  return {
    world,
    ledger,
    store,
    allocator: createAllocator({ ledger, world, clock, logger: silentLogger, events }),
  }
}

/** An ADD of eth0 by a pod of namespace default. */
export function requestOf(podName: string, more: Partial<AllocateRequest> = {}): AllocateRequest {
  return {
    containerId: `c-${podName}`,
    ifName: 'eth0',
    netns: '/run/netns/x',
    podNamespace: 'default',
    podName,
    podUid: '',
    defaultIpv4Pools: [],
    defaultIpv6Pools: [],
    cleanGateway: false,
    budgetMs: 10_000,
    ...more,
  }
}
/** What the agent is answered with. */
export async function failureOf(promise: Promise<unknown>): Promise<RpcFailure> {
  try {
    await promise
  } catch (error) {
    return toRpcFailure(toError(error))
  }
  return assert.fail('it did not fail')
}
