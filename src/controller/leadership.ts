import {
  type AllocateRequest,
  type AllocateResponse,
  type CheckRequest,
  holderOf,
  isAlive,
  type KubeObject,
  type NetworkAttachmentDefinition,
  type NodeReport,
  type NodeReportAnswer,
  type ObjectMeta,
  type Pod,
  type ReleaseRequest,
  type Resource,
  resources,
  type SpiderCoordinator,
  type SpiderIpClaim,
  type SpiderIpPool,
  type SpiderMultusConfig,
  type SpiderReservedIp,
  type SpiderSubnet,
  spiderGroup,
  spiderVersion,
} from '../api/index.ts'
import { type Clock, type Counter, deadlineAfter, type Logger, type Random, toError } from '../base/index.ts'
import {
  createQueue,
  type EventRecorder,
  type EventSubject,
  type KubeApi,
  type ObjectRef,
  type Queue,
  type Requeue,
  type Term,
} from '../kube/index.ts'
import {
  type AddressChange,
  isContested,
  Ledger,
  type LedgerStats,
  type PoolConflict,
  PoolFullError,
  reservedOf,
} from '../ledger/index.ts'
import { Adoption } from './adoption/adoption.ts'
import { type Allocator, createAllocator } from './allocator/allocator.ts'
import { isReplicaValid } from './allocator/owner.ts'
import { recordKeysOf } from './allocator/sticky/machine.ts'
import { KubeBlockStore } from './allocator/store/kube-block-store.ts'
import type { AllocatorEvents, ConflictOutcome } from './allocator/world.ts'
import type { Caches } from './caches.ts'
import { ClusterWorld } from './cluster-world.ts'
import { finalizePool, letGo, waitsForUs } from './final-objects.ts'
import { followBlocks } from './follow-blocks.ts'
import { ClaimWatch } from './ip-claims/claim-watch.ts'
import { ownerOfNetwork, reconcileMultusConfig } from './multus-config-reconciler.ts'
import type { ControllerOptions } from './options.ts'
import { mendPool } from './pools/mend-pool.ts'
import { offersTheSame } from './pools/offers-the-same.ts'
import { subnetConflicts } from './pools/subnet-conflicts.ts'
import { ClaimResolver } from './reclaim/claim-resolver.ts'
import { NodeReports } from './reclaim/node-reports.ts'
import { Reclaimer } from './reclaim/reclaimer.ts'
import { EndpointView } from './views/endpoint-view.ts'
import { reconcilePoolStatus, StatusPace } from './views/pool-status-view.ts'

const reconcileDeadlineMs = 30_000
/** Changes of a pool's counts are collected this long before they are written. */
const poolStatusDelayMs = 500
/** A full pool asks for a scan at most this often. */
const fullPoolScanMs = 1_000
/** The blocks are listed again, and endpoints compared with the ledger, this often. */
const sweepMs = 600_000
const sweepBudgetMs = 300_000
/** Views are written for so long after the lead is over; the next leader writes what is left. */
const closeBudgetMs = 300

/** What one time as leader is made of. */
export interface LeadershipContext {
  readonly options: ControllerOptions
  readonly api: KubeApi
  /** For views and scans: work behind it cannot hold up an allocation. */
  readonly background: KubeApi
  /** For the endpoints of pods: many, and all at once when the last ADD is answered. */
  readonly views: KubeApi
  readonly caches: Caches
  readonly events: EventRecorder
  readonly conflicts: Counter<ConflictOutcome>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** One time as leader: the ledger, the allocator over it, and what keeps the views and the reclaimer going. */
export class Leadership {
  readonly #context: LeadershipContext
  readonly #ledger: Ledger
  readonly #world: ClusterWorld
  readonly #allocator: Allocator
  readonly #reports: NodeReports
  readonly #reclaimer: Reclaimer
  readonly #adoption: Adoption
  readonly #claims: ClaimResolver
  /** Of both kinds of objects that keep addresses. */
  readonly ipClaims: ClaimWatch
  readonly #endpoints: EndpointView
  readonly #endpointQueue: Queue<string>
  readonly #poolQueue: Queue<string>
  readonly #reclaimQueue: Queue<string>
  readonly #multusQueue: Queue<string>
  readonly #subnetQueue: Queue<string>
  readonly #coordinatorQueue: Queue<string>
  readonly #claimQueue: Queue<string>
  readonly #adoptionQueue: Queue<string>
  readonly #timers: NodeJS.Timeout[] = []
  readonly #pace = new StatusPace()
  readonly #term: Term
  readonly #store: KubeBlockStore
  #following: Promise<void> | undefined
  #conflicts: ReadonlyMap<string, PoolConflict> = new Map()
  #lastFullScanMs = -Infinity

  private constructor(context: LeadershipContext, ledger: Ledger, store: KubeBlockStore, term: Term) {
    const { api, background, views, caches, clock, logger, options, events } = context
    this.#context = context
    this.#ledger = ledger
    this.#term = term
    this.#store = store
    this.#world = new ClusterWorld(options, api, caches)
    this.#allocator = createAllocator({ ledger, world: this.#world, clock, logger, events: this.#tell() })
    const findPod = (ref: ObjectRef) => caches.pods.get(ref)
    this.#reports = new NodeReports(clock)
    this.#reclaimer = new Reclaimer({
      api: background,
      ledger,
      reports: this.#reports,
      clock,
      logger,
      findPod,
      findNode: (name) => caches.nodes.get({ name }),
      isReplicaValid: (entry, signal) => isReplicaValid(entry, this.#world, signal),
    })
    const findOwner = (pod: Pod, signal: AbortSignal) => this.#world.topOwner(pod, signal)
    this.#endpoints = new EndpointView({ api: views, ledger, logger, findPod, findOwner })
    this.#adoption = new Adoption({
      ...context,
      ledger,
      world: this.#world,
      findPod,
      pods: () => caches.pods.values(),
      blockedPools: this.#world.blockedPools,
    })
    this.#claims = new ClaimResolver({
      ...context,
      api: background,
      ledger,
      findPod,
      findPool: (name) => caches.pools.get({ name }),
      isReplicaValid: (entry, signal) => isReplicaValid(entry, this.#world, signal),
    })
    this.#claimQueue = this.#queue(4, (ip, signal) => this.#claims.reconcile(ip, signal))
    this.ipClaims = new ClaimWatch({
      ...{ api: background, ledger, world: this.#world, events, logger, caches },
      requireOpen: () => this.#adoption.requireOpen(),
      queueOf: (work) => this.#queue(4, work),
    })
    this.#adoptionQueue = this.#queue(1, (_, signal) => this.#adoption.reconcile(signal))
    const ofPod = (key: string, signal: AbortSignal) => this.#endpoints.reconcile(key, signal)
    this.#endpointQueue = this.#queue(() => this.#endpoints.atOnce, ofPod)
    this.#poolQueue = this.#queue(4, (name, signal) => this.#reconcilePool(name, signal))
    this.#reclaimQueue = this.#queue(8, (key, signal) => this.#reclaimer.reconcile(key, signal))
    this.#multusQueue = this.#queue(2, (key, signal) => this.#reconcileMultus(key, signal))
    this.#subnetQueue = this.#finalQueue(resources.subnet, (ref) => caches.subnets.get(ref))
    this.#coordinatorQueue = this.#finalQueue(resources.coordinator, (ref) => caches.coordinators.get(ref))
  }

  #tell(): AllocatorEvents {
    const { events, conflicts } = this.#context
    return {
      podEvent: (pod, type, reason, message) =>
        events.event({ apiVersion: 'v1', kind: 'Pod', metadata: pod.metadata }, type, reason, message),
      poolEvent: (name, type, reason, message) => {
        const pool = this.#world.pools().get(name)
        if (pool === undefined) return
        events.event(this.#subject('SpiderIPPool', pool.metadata), type, reason, message)
      },
      conflict: (outcome) => conflicts.add(outcome),
    }
  }

  /** Rebuilds the ledger from its blocks and starts to serve. */
  static async start(context: LeadershipContext, term: Term): Promise<Leadership> {
    const { api, clock, random, logger } = context
    const store = new KubeBlockStore(api)
    const ledger = await Ledger.open({ store, term: term.number, clock, random, logger }, term.signal)
    const leadership = new Leadership(context, ledger, store, term)
    try {
      await leadership.#adoption.start(AbortSignal.any([term.signal, ledger.ended]))
    } catch (error) {
      await leadership.close()
      throw error
    }
    leadership.#begin()
    return leadership
  }

  /** Resolves when `signal` aborts or the ledger was deposed. */
  async ended(signal: AbortSignal): Promise<void> {
    const both = AbortSignal.any([signal, this.#ledger.ended])
    if (both.aborted) return
    await new Promise<void>((resolve) => both.addEventListener('abort', () => resolve(), { once: true }))
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    using budget = deadlineAfter(closeBudgetMs)
    // Deciding ends at once: a reclaimer without a ledger would only complain.
    const deciders = [
      ...[this.#reclaimQueue, this.#multusQueue, this.#claimQueue, this.#adoptionQueue],
      ...[this.#subnetQueue, this.#coordinatorQueue, this.ipClaims.queue],
    ]
    const deciding = deciders.map((queue) => queue.close(AbortSignal.abort()))
    const viewing = [this.#endpointQueue, this.#poolQueue].map((queue) => queue.close(budget.signal))
    await Promise.all([this.#ledger.close(), ...deciding, ...viewing, this.#following])
  }

  async allocate(node: string, request: AllocateRequest, signal: AbortSignal): Promise<AllocateResponse> {
    this.#adoption.requireOpen()
    try {
      return await this.#allocator.allocate(node, request, signal)
    } catch (error) {
      if (error instanceof PoolFullError) this.#scanForFullPool()
      throw error
    }
  }

  async release(node: string, request: ReleaseRequest, signal: AbortSignal): Promise<void> {
    await this.#allocator.release(node, request, signal)
  }

  check(node: string, request: CheckRequest): void {
    this.#allocator.check(node, request)
  }

  /** Why nothing is allocated; undefined when all is well. */
  get haltReason(): string | undefined {
    return this.#adoption.haltReason
  }

  ledgerStats(): LedgerStats {
    return this.#ledger.stats()
  }

  nodeReport(node: string, report: NodeReport): NodeReportAnswer {
    this.#reports.add(node, report)
    const awaited = this.#reclaimer.awaitedOf(node)
    for (const key of awaited) this.#reclaimQueue.add(key)
    return { isAwaited: awaited.length > 0 }
  }

  podChanged(old: Pod | undefined, now: Pod | undefined): void {
    const pod = now ?? old
    if (pod === undefined) return
    if (this.#adoption.podChanged(old, now)) this.#adoptionQueue.add('agents')
    const isDead = now === undefined || !isAlive(now)
    // A pod that comes into the cache late had its endpoint written without it: its owner was not known.
    const isNew = old === undefined
    for (const key of recordKeysOf(pod)) {
      if (isDead) for (const { ip } of this.#ledger.claimedBy(key)) this.#claimQueue.add(ip)
      if ((!isDead && !isNew) || this.#ledger.ofPod(key).length === 0) continue
      if (isDead) this.#reclaimQueue.add(key)
      if (isNew) this.#endpointQueue.add(key)
    }
  }

  poolChanged(old: SpiderIpPool | undefined, now: SpiderIpPool | undefined): void {
    const name = (now ?? old)?.metadata.name
    // Also when its status alone changed: others may have written it.
    if (name !== undefined) this.#poolQueue.add(name)
    if (offersTheSame(old, now)) return
    this.#world.poolsChanged()
    this.ipClaims.retryPending()
    const before = this.#conflicts
    this.#conflicts = this.#world.poolConflicts()
    if (before === this.#conflicts) return
    // A pool may get into another's way, or out of it.
    for (const other of [...before.keys(), ...this.#conflicts.keys()]) this.#poolQueue.add(other)
  }

  /** A coordinator of the reference project has its finalizer, and nobody else takes it away. */
  coordinatorChanged(now: SpiderCoordinator | undefined): void {
    if (now !== undefined && waitsForUs(now)) this.#coordinatorQueue.add(now.metadata.name)
  }

  /** Two subnets that were created at once: admission saw neither. Deleted ones go as coordinators do. */
  subnetChanged(now: SpiderSubnet | undefined): void {
    if (now !== undefined && waitsForUs(now)) this.#subnetQueue.add(now.metadata.name)
    if (now === undefined) return
    for (const [subnet, message] of subnetConflicts(now, this.#context.caches.subnets.values())) {
      const subject = this.#subject('SpiderSubnet', subnet.metadata)
      this.#context.events.event(subject, 'Warning', 'SubnetOverlaps', message)
    }
  }

  reservationsChanged(now: SpiderReservedIp | undefined): void {
    this.#world.reservationsChanged()
    this.ipClaims.retryPending()
    this.#reportReservation(now)
  }

  /** A range that admission would have refused reserves nothing; it came while the webhooks were away. */
  #reportReservation(reserved: SpiderReservedIp | undefined): void {
    const [problem] = reserved === undefined ? [] : reservedOf([reserved]).problems
    if (reserved === undefined || problem === undefined) return
    const subject = this.#subject('SpiderReservedIP', reserved.metadata)
    this.#context.events.event(subject, 'Warning', 'ReservationUnreadable', `${problem}: it reserves nothing`)
  }

  #subject(kind: string, metadata: ObjectMeta): EventSubject {
    return { apiVersion: `${spiderGroup}/${spiderVersion}`, kind, metadata }
  }

  ipClaimChanged(old: SpiderIpClaim | undefined, now: SpiderIpClaim | undefined): void {
    this.#world.ipClaimsChanged()
    this.ipClaims.changed('SpiderIPClaim', old, now)
  }

  multusConfigChanged(now: SpiderMultusConfig | undefined): void {
    if (now !== undefined) this.#multusQueue.add(`${now.metadata.namespace ?? ''}/${now.metadata.name}`)
  }

  /** Somebody may have changed or deleted what a SpiderMultusConfig stands for. */
  networkAttachmentChanged(
    old: NetworkAttachmentDefinition | undefined,
    now: NetworkAttachmentDefinition | undefined,
  ): void {
    for (const attachment of [old, now]) {
      const owner = attachment === undefined ? undefined : ownerOfNetwork(attachment)
      if (owner !== undefined) this.#multusQueue.add(`${attachment?.metadata.namespace ?? ''}/${owner.name}`)
    }
  }

  #begin(): void {
    const { caches, options } = this.#context
    // Nobody told of what changed while the records of others were taken in.
    this.#world.poolsChanged()
    this.#world.reservationsChanged()
    this.#conflicts = this.#world.poolConflicts()
    for (const reserved of caches.reservedIps.values()) this.#reportReservation(reserved)
    for (const subnet of caches.subnets.values()) this.subnetChanged(subnet)
    for (const coordinator of caches.coordinators.values()) this.coordinatorChanged(coordinator)
    this.#ledger.onChange((change) => this.#addressChanged(change))
    this.ipClaims.begin()
    for (const { metadata } of caches.pools.values()) this.#poolQueue.add(metadata.name)
    for (const { ip } of this.#ledger.contested()) this.#claimQueue.add(ip)
    if (this.#adoption.seesAgents()) this.#adoptionQueue.add('agents')
    for (const config of caches.multusConfigs.values()) this.multusConfigChanged(config)
    this.#scan()
    this.#inBackground('endpoints not swept', async (signal) => {
      try {
        await this.#sweepEndpoints(signal)
      } catch (error) {
        for (const { entry } of this.#ledger.all()) if (entry.pod !== '') this.#endpointQueue.add(entry.pod)
        throw error
      }
    })
    const { background, clock, random, logger } = this.#context
    const ports = { api: background, ledger: this.#ledger, store: this.#store, clock, random, logger }
    this.#following = followBlocks(ports, this.#ledger.ended)
    this.#timers.push(
      setInterval(() => this.#inBackground('not resynced', (signal) => this.#resync(signal)), sweepMs),
    )
    this.#timers.push(setInterval(() => this.#scan(), options.scanSeconds * 1_000))
  }

  #addressChanged({ ip, before, after }: AddressChange): void {
    if (after !== undefined && isContested(after)) this.#claimQueue.add(ip)
    this.ipClaims.addressChanged({ ip, before, after })
    for (const entry of [before, after]) {
      if (entry === undefined) continue
      if (entry.pod !== '') this.#endpointQueue.add(entry.pod)
      this.#poolQueue.addAfter(entry.pool, poolStatusDelayMs)
    }
  }

  #scan(): void {
    for (const key of this.#reclaimer.nominees()) this.#reclaimQueue.add(key)
    for (const { metadata } of this.#context.caches.pools.values()) this.#poolQueue.add(metadata.name)
  }

  /** A write of an earlier leader may have landed after our first list of the blocks. */
  async #resync(signal: AbortSignal): Promise<void> {
    await this.#ledger.resync(signal)
    this.ipClaims.begin()
    await this.#sweepEndpoints(signal)
  }

  async #sweepEndpoints(signal: AbortSignal): Promise<void> {
    for (const key of await this.#endpoints.sweep(signal)) this.#endpointQueue.add(key)
  }

  /** Work of a term that nobody waits for; it ends with the term. */
  #inBackground(complaint: string, work: (signal: AbortSignal) => Promise<void>): void {
    const deadline = deadlineAfter(sweepBudgetMs, this.#ledger.ended)
    work(deadline.signal)
      .catch((error: unknown) => {
        if (!this.#ledger.ended.aborted) this.#context.logger.warn(complaint, { err: toError(error) })
      })
      .finally(() => deadline[Symbol.dispose]())
  }

  /** A pod waits for an address: what is due to be freed must not wait for the next scan. */
  #scanForFullPool(): void {
    const nowMs = this.#context.clock.monotonicMs()
    if (nowMs - this.#lastFullScanMs < fullPoolScanMs) return
    this.#lastFullScanMs = nowMs
    for (const key of this.#reclaimer.nominees()) this.#reclaimQueue.add(key)
  }

  async #reconcilePool(name: string, signal: AbortSignal): Promise<number | undefined> {
    const { caches, background, clock } = this.#context
    const pool = caches.pools.get({ name })
    if (pool === undefined) return undefined
    const takeIn = (one: SpiderIpPool, until: AbortSignal) => this.#adoption.takeIn(one, until)
    // A pool whose records cannot be read may be in use: it does not go.
    const isRead = (await takeIn(pool, signal)).kind !== 'unreadable'
    if (isRead && (await finalizePool(pool, this.#ledger, background, signal))) return undefined
    if (isRead && waitsForUs(pool)) this.#reportPoolInUse(pool)
    const findPool = () => caches.pools.get({ name })
    const conflictOf = (one: string) => this.#world.poolConflicts().get(one)?.message
    this.#reportConflict(pool, conflictOf(name))
    const waitMs = this.#pace.waitMs(name, this.#ledger.isBusy, clock.monotonicMs())
    if (waitMs !== undefined) return waitMs
    const seen = { ledger: this.#ledger, term: this.#term.number, findPool, takeIn, conflictOf }
    await reconcilePoolStatus(name, { api: background, ...seen }, signal)
    await mendPool(pool, background, signal)
    return undefined
  }

  /** Once, before the condition says it too. */
  #reportConflict(pool: SpiderIpPool, message: string | undefined): void {
    const isKnown = pool.status?.conditions?.some((one) => one.message === message) === true
    if (message === undefined || isKnown) return
    this.#context.events.event(
      this.#subject('SpiderIPPool', pool.metadata),
      'Warning',
      'PoolOverlaps',
      message,
    )
  }

  /** `kubectl delete` waits, and says nothing. */
  #reportPoolInUse({ metadata }: SpiderIpPool): void {
    const used = this.#ledger.ofPool(metadata.name)
    const [first] = used
    if (first === undefined) return
    const kind = first.entry.pod === '' ? 'claim' : 'pod'
    const holder = `${kind} ${holderOf(first.entry).pod}`
    const message =
      used.length === 1
        ? `1 address of ${holder} keeps it from being deleted: delete that ${kind}`
        : `${used.length} addresses, such as that of ${holder}, keep it from being deleted: delete who holds them`
    this.#context.events.event(this.#subject('SpiderIPPool', metadata), 'Warning', 'PoolInUse', message)
  }

  async #reconcileMultus(key: string, signal: AbortSignal): Promise<undefined> {
    const { caches, background, events } = this.#context
    const [namespace = '', name = ''] = key.split('/')
    const config = caches.multusConfigs.get({ namespace, name })
    if (config !== undefined) await reconcileMultusConfig(config, background, events, signal)
    return undefined
  }

  /** Of objects whose deletion waits for nothing of ours. */
  #finalQueue(resource: Resource, find: (ref: ObjectRef) => KubeObject | undefined): Queue<string> {
    return this.#queue(2, async (name, signal) => {
      const object = find({ name })
      if (object !== undefined && waitsForUs(object))
        await letGo(resource, object, this.#context.background, signal)
      return undefined
    })
  }

  #queue(
    concurrency: number | (() => number),
    reconcile: (key: string, signal: AbortSignal) => Promise<number | undefined>,
  ): Queue<string> {
    const handle = async (key: string, signal: AbortSignal): Promise<Requeue> => {
      // Woken after the lease is over: memory says nothing any more, also not that a pool is empty.
      if (!this.#term.isOurs()) return { afterMs: reconcileDeadlineMs }
      const afterMs = await reconcile(key, signal)
      return afterMs === undefined ? 'settled' : { afterMs }
    }
    const { clock, random, logger } = this.#context
    return createQueue({ handle, concurrency, deadlineMs: reconcileDeadlineMs, clock, random }, logger)
  }
}
