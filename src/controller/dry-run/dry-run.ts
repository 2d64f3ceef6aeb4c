import {
  type AllocateRequest,
  claimOfOwner,
  crdLimits,
  type KubeObject,
  type NetworkAttachmentDefinition,
  type Pod,
  type ProductConfig,
  type Resource,
  resources,
  type SpiderIpClaim,
  type SpiderIpPool,
  type SpiderReservedIp,
} from '../../api/index.ts'
import { OperationError, silentLogger, systemClock, systemRandom } from '../../base/index.ts'
import { ApiError, type KubeApi, type KubeCache } from '../../kube/index.ts'
import { attachmentsOf, Ledger, type OwnedAddress, type SelectionInput } from '../../ledger/index.ts'
import type { PodNetworks } from '../../network/index.ts'
import { type Allocator, createAllocator } from '../allocator/allocator.ts'
import { gatherSelection } from '../allocator/gather-selection.ts'
import { recordKeysOf } from '../allocator/sticky/machine.ts'
import type { Caches } from '../caches.ts'
import { parseControllerOptions, withConfig } from '../options.ts'
import { BlocksCopy } from './blocks-copy.ts'
import { type DryWorkload, DryWorld } from './dry-world.ts'

/** How the installation is set up: its ConfigMap says it. */
export interface DryRunSettings {
  readonly installNamespace: string
  /** Network of the first NIC of pods that name none, `namespace/name`; '' = unknown. */
  readonly clusterNetwork: string
  readonly config: ProductConfig
}

/** One address of an answer. */
export interface DryAddress {
  /** CIDR text. */
  readonly ip: string
  readonly pool: string
  /** Kind, namespace and name of the claim that keeps it. */
  readonly claim?: string
  /** The pod asked for this very address. */
  readonly isStatic?: true
}

/** What an ADD would come to. */
export type DryAnswer =
  | { readonly kind: 'answered'; readonly addresses: readonly DryAddress[] }
  | {
      readonly kind: 'refused'
      readonly message: string
      readonly hint: string
      readonly reason: string
      /** Text of the Event that the pod gets; undefined: of such a refusal no Event tells. */
      readonly event?: string
    }

type Networks = KubeCache<NetworkAttachmentDefinition>

const page = 100
const budgetMs = 30_000

/**
 * The allocator over a copy of what the API server holds: it decides as the leader would, with the leader's own code, and
 * writes nothing. It works while no controller runs.
 */
export class DryRun implements AsyncDisposable {
  readonly #world: DryWorld
  readonly #blocks: BlocksCopy
  readonly #ledger: Ledger
  readonly #allocator: Allocator
  readonly #networks: Networks
  readonly #events: string[] = []

  private constructor(world: DryWorld, blocks: BlocksCopy, ledger: Ledger, networks: Networks) {
    this.#world = world
    this.#blocks = blocks
    this.#ledger = ledger
    this.#networks = networks
    this.#allocator = createAllocator({
      ledger,
      world,
      clock: systemClock,
      logger: silentLogger,
      events: {
        podEvent: (_pod, _type, reason, message) => {
          if (reason === 'FailedAllocateIP') this.#events.push(message)
        },
        poolEvent: () => undefined,
        conflict: () => undefined,
      },
    })
  }

  /** Reads pools, reservations, networks and blocks. What is asked for later is read when it is. */
  static async open(api: KubeApi, settings: DryRunSettings, signal: AbortSignal): Promise<DryRun> {
    const [pools, reservedIps, ipClaims, networkAttachments, store] = await Promise.all([
      listed<SpiderIpPool>(api, resources.ipPool, signal),
      listed<SpiderReservedIp>(api, resources.reservedIp, signal),
      listed<SpiderIpClaim>(api, resources.ipClaim, signal),
      listed<NetworkAttachmentDefinition>(api, resources.networkAttachmentDefinition, signal),
      BlocksCopy.read(api, signal),
    ])
    const args = [
      '--in-cluster',
      '--namespace',
      settings.installNamespace,
      '--cluster-network',
      settings.clusterNetwork,
    ]
    const options = withConfig(parseControllerOptions(args, {}, 'dry-run'), settings.config)
    const none = { subnets: [], coordinators: [], multusConfigs: [], namespaces: [], nodes: [], pods: [] }
    const caches = snapshotOf({ ...none, pools, reservedIps, ipClaims, ipamClaims: [], networkAttachments })
    const world = new DryWorld(options, api, caches)
    for (const pool of pools) {
      const condition = pool.status?.conditions?.find(({ type }) => type === 'AllocatedIPsReadable')
      if (condition?.status === 'False') world.blockedPools.set(pool.metadata.name, condition.message)
    }
    // Of a term that no block is ahead of: the copy is ours alone.
    const ledger = await Ledger.open(
      { store, term: crdLimits.term, clock: systemClock, random: systemRandom, logger: silentLogger },
      signal,
    )
    return new DryRun(world, store, ledger, caches.networkAttachments)
  }

  /** @throws {InvalidInputError} when the annotations of the pod cannot be read */
  networksOf(pod: Pod): PodNetworks {
    return this.#world.networksOf(pod)
  }

  /**
   * The workload of a pod that need not exist: the allocator reads it as it is given, and knows what is recorded for the one of
   * that name if there is one. @returns its uid
   */
  assume(workload: DryWorkload, signal: AbortSignal): Promise<string> {
    return this.#world.assume(workload, signal)
  }

  findNetwork(ref: {
    readonly namespace: string
    readonly name: string
  }): NetworkAttachmentDefinition | undefined {
    return this.#networks.get(ref)
  }

  /** What the pod has; the launcher pod of a virtual machine has what the machine has, that it uses. */
  heldBy(pod: Pod): readonly OwnedAddress[] {
    const { uid } = pod.metadata
    const isUsed = ({ entry }: OwnedAddress) =>
      entry.podUid === uid || attachmentsOf(entry).some((one) => one.podUid === uid)
    return recordKeysOf(pod)
      .flatMap((key) => this.#ledger.ofPod(key))
      .filter(isUsed)
  }

  /** What the pools are selected by. @throws {NotReadyError} when the node or the namespace is not there */
  selectionOf(
    pod: Pod,
    node: string,
    request: AllocateRequest,
    signal: AbortSignal,
  ): Promise<SelectionInput> {
    return gatherSelection(this.#world, { pod, node }, request, signal)
  }

  /** What the ADDs of one pod would come to, in their order. Afterwards what is recorded is as before. */
  async add(
    pod: Pod,
    node: string,
    requests: readonly AllocateRequest[],
    signal: AbortSignal,
  ): Promise<readonly DryAnswer[]> {
    this.#world.pod = { ...pod, spec: { ...pod.spec, nodeName: node } }
    const answers: DryAnswer[] = []
    for (const request of requests) answers.push(await this.#addOne(node, request, signal))
    for (const { containerId, ifName } of requests)
      await this.#ledger.undo({ containerId, ifName, node }, signal)
    // An undo does not give back what the owner of the pod had, and was taken from it or renewed.
    for (const [name, version] of await this.#blocks.rewind(signal))
      await this.#ledger.noteVersion(name, version, signal)
    return answers
  }

  async #addOne(node: string, request: AllocateRequest, signal: AbortSignal): Promise<DryAnswer> {
    this.#events.length = 0
    try {
      const { ips } = await this.#allocator.allocate(node, { ...request, budgetMs }, signal)
      return { kind: 'answered', addresses: ips.map(({ address, pool }) => this.#addressOf(address, pool)) }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof OperationError) || error instanceof ApiError) throw error
      const { message, hint, reasonCode } = error
      const [event] = this.#events
      return { kind: 'refused', message, hint, reason: reasonCode, ...(event === undefined ? {} : { event }) }
    }
  }

  #addressOf(ip: string, pool: string): DryAddress {
    const entry = this.#ledger.entry(ip.split('/')[0] ?? '')
    const claim = entry === undefined ? undefined : claimOfOwner(entry.owner)
    return {
      ip,
      pool,
      ...(claim === undefined ? {} : { claim: `${claim.kind} ${claim.namespace}/${claim.name}` }),
      ...(entry?.grant.isStatic === true ? { isStatic: true } : {}),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ledger.close()
  }
}

/** All objects of a kind; none when the kind is not served. */
async function listed<T extends KubeObject>(
  api: KubeApi,
  resource: Resource,
  signal: AbortSignal,
): Promise<readonly T[]> {
  try {
    return (await api.listAll<T>(resource, { limit: page }, signal)).items
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return []
    throw error
  }
}

type Kinds = Omit<Caches, 'synced' | 'close'>
type Lists = { readonly [K in keyof Kinds]: Kinds[K] extends KubeCache<infer T> ? readonly T[] : never }

/** Caches that hold what was listed, and never change. */
function snapshotOf(lists: Lists): Caches {
  const entries = Object.entries(lists).map(([kind, items]) => [kind, stillCache<KubeObject>(items)])
  const caches = Object.fromEntries(entries) as Kinds
  const done = () => Promise.resolve()
  return { ...caches, synced: done, close: done }
}

function stillCache<T extends KubeObject>(items: readonly T[]): KubeCache<T> {
  const byKey = new Map(items.map((item) => [keyOf(item.metadata), item]))
  const done = () => Promise.resolve()
  return {
    synced: done,
    get: (ref) => byKey.get(keyOf(ref)),
    values: () => byKey.values(),
    size: byKey.size,
    onChange: () => undefined,
    stats: () => ({ ...noStats }),
    close: done,
  }
}

const noStats = {
  ...{
    lists: 1,
    listFailures: 0,
    watchesOpened: 0,
    watchFailures: 0,
    silentWatches: 0,
    expired: 0,
    events: 0,
  },
  ...{ bookmarks: 0, lastMessageAtMs: 0 },
}

const keyOf = ({ namespace = '', name }: { readonly namespace?: string; readonly name: string }): string =>
  `${namespace}/${name}`
