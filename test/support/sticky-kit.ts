// Allocator and reclaimer over a ledger in memory and a cluster that the test changes at will: for workloads that keep addresses.
import type {
  AllocateRequest,
  BlockOwner,
  KubeObject,
  MachineMigration,
  Namespace,
  Node,
  OwnerReference,
  Pod,
  Resource,
  SpiderIpPool,
  Workload,
} from '../../src/api/index.ts'
import { type Clock, silentLogger, toError } from '../../src/base/index.ts'
import { type Allocator, createAllocator } from '../../src/controller/allocator/allocator.ts'
import { toRpcFailure } from '../../src/controller/allocator/errors.ts'
import { isReplicaValid } from '../../src/controller/allocator/owner.ts'
import type { AllocatorWorld } from '../../src/controller/allocator/world.ts'
import { NodeReports } from '../../src/controller/reclaim/node-reports.ts'
import { Reclaimer } from '../../src/controller/reclaim/reclaimer.ts'
import type { KubeApi, ObjectRef } from '../../src/kube/index.ts'
import { type FoundAddress, Ledger, MemoryBlockStore } from '../../src/ledger/index.ts'

const never = new AbortController().signal
export const nodes = ['node1', 'node2'] as const

/** What the API server has. Caches show the same. */
class Cluster implements AllocatorWorld {
  readonly poolMap = new Map<string, SpiderIpPool>()
  /** By `Kind namespace/name`. */
  readonly objects = new Map<string, KubeObject>()
  readonly nodeLabels = new Map<string, Readonly<Record<string, string>>>()
  nics: readonly string[] = ['eth0']
  reads: string[] = []
  isStatefulSetSticky = true
  isMachineSticky = true
  readonly versions = [4, 6] as const
  readonly installNamespace = 'kube-system'
  readonly blockedPools = new Map<string, string>()

  pools(): ReadonlyMap<string, SpiderIpPool> {
    return this.poolMap
  }
  reservedIps(): readonly never[] {
    return []
  }
  namespace(name: string): Promise<Namespace> {
    return Promise.resolve({ metadata: { name } })
  }
  node(name: string): Promise<Node> {
    return Promise.resolve({ metadata: { name, labels: this.nodeLabels.get(name) ?? {} } })
  }
  networksOf() {
    return { nics: this.nics, nadOf: () => 'kube-system/macvlan', requestOf: () => ({}) }
  }
  claimsForWorkloads(): readonly never[] {
    return []
  }
  readIpClaim(): Promise<undefined> {
    return Promise.resolve(undefined)
  }
  read<T extends KubeObject>(kind: string, namespace: string, name: string): Promise<T | undefined> {
    this.reads.push(`${kind} ${namespace}/${name}`)
    return Promise.resolve(this.objects.get(`${kind} ${namespace}/${name}`) as T | undefined)
  }
  knownPod(): undefined {
    return undefined
  }
  readPod(namespace: string, name: string): Promise<Pod | undefined> {
    return this.read('Pod', namespace, name)
  }
  readPodByUid(namespace: string, uid: string): Promise<Pod | undefined> {
    const isIt = ([key, { metadata }]: readonly [string, KubeObject]) =>
      key.startsWith(`Pod ${namespace}/`) && metadata.uid === uid
    return Promise.resolve([...this.objects].find(isIt)?.[1] as Pod | undefined)
  }
  readWorkload(owner: { apiVersion: string; kind: string; namespace: string; name: string }) {
    const known = [
      'apps/v1 StatefulSet',
      'kubevirt.io/v1 VirtualMachine',
      'kubevirt.io/v1 VirtualMachineInstance',
    ]
    if (!known.includes(`${owner.apiVersion} ${owner.kind}`)) return Promise.resolve(undefined)
    return this.read<Workload>(owner.kind, owner.namespace, owner.name)
  }
  readMigration(namespace: string, name: string): Promise<MachineMigration | undefined> {
    return this.read('VirtualMachineInstanceMigration', namespace, name)
  }
}

export class StickyKit {
  readonly cluster = new Cluster()
  readonly ledger: Ledger
  readonly allocator: Allocator
  readonly reclaimer: Reclaimer
  /** `POD TYPE REASON MESSAGE`. */
  readonly events: string[] = []
  readonly #store: MemoryBlockStore
  readonly #reports: NodeReports
  readonly #clock: Clock

  private constructor(ledger: Ledger, store: MemoryBlockStore, clock: Clock) {
    this.#reports = new NodeReports(clock)
    this.ledger = ledger
    this.#store = store
    this.#clock = clock
    const podEvent = (pod: Pod, type: string, reason: string, message: string) =>
      void this.events.push(`${pod.metadata.name} ${type} ${reason} ${message}`)
    const events = { podEvent, poolEvent: () => undefined, conflict: () => undefined }
    const world = this.cluster
    this.allocator = createAllocator({ ledger, world, clock, logger: silentLogger, events })
    const api: Pick<KubeApi, 'get' | 'listAll'> = {
      get: <T extends KubeObject>({ kind }: Resource, { namespace = '', name }: ObjectRef) =>
        world.read<T>(kind, namespace, name),
      listAll: <T extends KubeObject>({ kind }: Resource, { namespace = '' }: { namespace?: string }) => {
        const items = [...world.objects].flatMap(([key, object]) =>
          key.startsWith(`${kind} ${namespace}/`) ? [object as T] : [],
        )
        return Promise.resolve({ items, resourceVersion: '1' })
      },
    }
    this.reclaimer = new Reclaimer({
      api: api as KubeApi, // it makes no other call
      ledger,
      reports: this.#reports,
      clock,
      logger: silentLogger,
      findPod: ({ namespace = '', name }) => world.objects.get(`Pod ${namespace}/${name}`) as Pod | undefined,
      findNode: (name) => ({ metadata: { name } }),
      isReplicaValid: (entry, signal) => isReplicaValid(entry, world, signal),
    })
  }

  /** @param store of a leader that went, so that this is the next one */
  static async open(store: MemoryBlockStore = new MemoryBlockStore(), term = 1): Promise<StickyKit> {
    let nowMs = term * 1_000_000
    const next = () => ++nowMs
    const clock = { nowMs: next, monotonicMs: next, sleep: () => Promise.resolve() }
    const random = { next: () => 0.5 }
    const ledger = await Ledger.open({ store, term, clock, random, logger: silentLogger }, never)
    const kit = new StickyKit(ledger, store, clock)
    kit.pool('p4', { ips: ['10.6.0.10-10.6.0.19'], default: true })
    return kit
  }

  /** A new leader over what is durable, in the same cluster. */
  async next(term: number): Promise<StickyKit> {
    await this.ledger.close()
    const kit = await StickyKit.open(this.#store, term)
    for (const [key, object] of this.cluster.objects) kit.cluster.objects.set(key, object)
    return kit
  }

  pool(name: string, spec: Partial<SpiderIpPool['spec']>): void {
    this.cluster.poolMap.set(name, { metadata: { name }, spec: { subnet: '10.6.0.0/16', ...spec } })
  }

  put(kind: string, name: string, object: Written): void {
    const { uid, metadata = {}, ...rest } = object
    this.cluster.objects.set(`${kind} default/${name}`, { ...rest, metadata: { ...metadata, name, uid } })
  }
  remove(kind: string, name: string): void {
    this.cluster.objects.delete(`${kind} default/${name}`)
  }

  pod(name: string, uid: string, more: PodMore = {}): void {
    const { owner, node = 'node1', annotations = {}, labels = {}, phase = 'Running', isEnding = false } = more
    const metadata = {
      namespace: 'default',
      annotations,
      labels,
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
      ...(isEnding ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    }
    const spec = { nodeName: node, restartPolicy: more.restartPolicy ?? 'Always' }
    this.put('Pod', name, { uid, metadata, spec, status: { phase } })
  }

  /** @returns the addresses, without prefix lengths */
  async add(
    name: string,
    more: Partial<AllocateRequest> & { node?: string } = {},
  ): Promise<readonly string[]> {
    return (await this.addFully(name, more)).ips.map(({ address }) => address.split('/')[0] ?? '')
  }

  addFully(name: string, more: Partial<AllocateRequest> & { node?: string } = {}) {
    const { node = 'node1', ...rest } = more
    const request: AllocateRequest = {
      containerId: `c-${name}`,
      ifName: 'eth0',
      netns: '/run/netns/x',
      podNamespace: 'default',
      podName: name,
      podUid: '',
      defaultIpv4Pools: [],
      defaultIpv6Pools: [],
      cleanGateway: false,
      budgetMs: 10_000,
      ...rest,
    }
    return this.allocator.allocate(node, request, never)
  }

  async refused(name: string, more: Partial<AllocateRequest> & { node?: string } = {}) {
    const found = await this.addFully(name, more).then(
      ({ ips }) => `got ${ips.map(({ address }) => address).join(' ')}`,
      (error: unknown) => toRpcFailure(toError(error)),
    )
    if (typeof found === 'string') throw new TypeError(`${name} was not refused: it ${found}`)
    return found
  }

  del(name: string, more: { containerId?: string; nic?: string; node?: string } = {}): Promise<void> {
    const { containerId = `c-${name}`, nic = 'eth0', node = 'node1' } = more
    return this.allocator.release(node, { containerId, ifName: nic, reason: 'detach' }, never)
  }
  undo(name: string, node = 'node1', containerId = `c-${name}`): Promise<void> {
    return this.allocator.release(node, { containerId, ifName: 'eth0', reason: 'undo' }, never)
  }

  takeIn(found: FoundAddress): Promise<void> {
    return this.ledger.takeIn([found], never)
  }

  /** The reclaimer looks at all it would, the nodes report that only these sandboxes run, and it looks again. */
  async reclaim(...alive: readonly string[]): Promise<void> {
    const look = async (): Promise<void> => {
      for (const key of [...this.reclaimer.nominees()]) await this.reclaimer.reconcile(key, never)
    }
    const list = alive.map((containerId) => ({ containerId, ifName: 'eth0' }))
    await look()
    for (const node of nodes) {
      let answeredMs = 0
      for (let count = 0; count < 2; count++) {
        const takenAtMs = this.#clock.nowMs()
        this.#reports.add(node, { takenAtMs, answeredMs, alive: list })
        answeredMs = takenAtMs
      }
    }
    await look()
  }

  get held(): readonly string[] {
    return [...this.ledger.all()].map(({ ip }) => ip).sort()
  }
  /** `container:active` or `container:idle`, of each sandbox that uses the address. */
  usersOf(ip: string): readonly string[] {
    const { attachments = [] } = this.ledger.entry(ip) ?? {}
    return attachments.map(({ containerId, active }) => `${containerId}:${active ? 'active' : 'idle'}`)
  }
  ownerOf(ip: string): BlockOwner | undefined {
    return this.ledger.entry(ip)?.owner
  }
}

/** An object as a test writes it. */
interface Written {
  readonly uid: string
  readonly metadata?: Partial<KubeObject['metadata']>
  readonly spec?: object
  readonly status?: object
}

export interface PodMore {
  readonly owner?: OwnerReference
  readonly node?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly phase?: string
  readonly isEnding?: boolean
  readonly restartPolicy?: string
}

/** A controller reference. */
export function controlledBy(apiVersion: string, kind: string, name: string, uid: string): OwnerReference {
  return { apiVersion, kind, name, uid, controller: true }
}
