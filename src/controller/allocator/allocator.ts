import { formatCidr, formatIp, tryParseIp } from '../../address/index.ts'
import {
  type AllocateRequest,
  type AllocateResponse,
  annotationKeys,
  type CheckRequest,
  isAlive,
  type Pod,
  type PodRoute,
  type ReleaseRequest,
  type Route,
} from '../../api/index.ts'
import { type Clock, deadlineAfter, InvalidInputError, type Logger } from '../../base/index.ts'
import {
  type AddAnswer,
  attachmentsOf,
  claimsOf,
  grantOf,
  isUsedBy,
  type Ledger,
  NoPoolError,
  type OwnedAddress,
  PoolFullError,
  reservedOf,
  type SandboxNic,
  type Selection,
  type SelectionInput,
  selectPools,
} from '../../ledger/index.ts'
import { CallerRefusedError } from '../../rpc/index.ts'
import { planAdd, podRoutesOf } from './add-plan.ts'
import { NotReadyError, NotRecordedError } from './errors.ts'
import { isReplicaValid, provenOwnerOf } from './owner.ts'
import { entryNode, readOwnPod, requireNode } from './pod-identity.ts'
import { responseOf } from './response.ts'
import type { AllocatorWorld, PodEvents } from './world.ts'

/** What the allocator is made of. */
export interface AllocatorPorts {
  readonly ledger: Ledger
  readonly world: AllocatorWorld
  readonly clock: Clock
  readonly logger: Logger
  readonly events: PodEvents
}

/** Answers agents. `node` is the caller's, from its token. */
export interface Allocator {
  /** CNI ADD. @throws {OperationError}; see `toRpcFailure` */
  allocate(node: string, request: AllocateRequest, signal: AbortSignal): Promise<AllocateResponse>
  /** CNI DEL, or the undo of a failed ADD. */
  release(node: string, request: ReleaseRequest, signal: AbortSignal): Promise<void>
  /** CNI CHECK. @throws {NotRecordedError} */
  check(node: string, request: CheckRequest): void
}

/** What becomes of the addresses of a sandbox that ended. */
interface Outlook {
  /** The pod was seen to be dead or gone. */
  readonly isOver: boolean
  /** Why the addresses may be freed; none when their owner keeps them. */
  readonly why?: string
}

const budgetCapMs = 100_000

export function createAllocator(ports: AllocatorPorts): Allocator {
  return new LedgerAllocator(ports)
}

class LedgerAllocator implements Allocator {
  readonly #ports: AllocatorPorts

  constructor(ports: AllocatorPorts) {
    this.#ports = ports
  }

  async allocate(node: string, request: AllocateRequest, signal: AbortSignal): Promise<AllocateResponse> {
    using deadline = deadlineAfter(Math.min(request.budgetMs, budgetCapMs), signal)
    const pod = await readOwnPod(node, request, this.#ports, deadline.signal)
    try {
      return await this.#allocateFor(pod, node, request, deadline.signal)
    } catch (error) {
      const isForPeople =
        error instanceof NoPoolError || error instanceof PoolFullError || error instanceof InvalidInputError
      if (isForPeople) {
        const message = `failed to allocate IP addresses in standard mode: ${error.message}; ${error.hint}`
        this.#ports.events.podEvent(pod, 'Warning', 'FailedAllocateIP', message)
      }
      throw error
    }
  }

  async release(node: string, request: ReleaseRequest, signal: AbortSignal): Promise<void> {
    const { ledger, logger } = this.#ports
    const { containerId, ifName, reason } = request
    const sandbox = { containerId, ifName, node }
    const held = this.#releasedBy(node, request)
    if (reason === 'undo') {
      const freed = await ledger.undo(sandbox, signal)
      logger.info('addition undone', { containerId, ifName, node, freed })
      return
    }
    const first = held[0]
    if (first === undefined) return
    const { why, isOver } = await this.#outlookOf(first, { node, containerId }, signal)
    const freed = why === undefined ? [] : await ledger.free(this.#withUnattached(held), signal)
    // Not freed: the pod lives on, or something changed meanwhile. The sandbox is gone either way.
    if (held.some(({ ip }) => !freed.includes(ip))) await ledger.detach(sandbox, signal)
    // While the pod lives, nobody knows whether the DEL is that of the sandbox that uses what was adopted, or of an older one.
    const matched = held.filter(({ ip, entry }) => entry.adopted !== undefined && !freed.includes(ip))
    if (isOver) await ledger.match(matched, signal)
    const { pod, podUid } = first.entry
    logger.info('sandbox released', {
      pod,
      uid: podUid,
      node,
      containerId,
      ifName,
      freed,
      why: why ?? 'kept',
    })
  }

  check(node: string, { containerId, ifName, ips }: CheckRequest): void {
    const held = this.#usedBy({ containerId, ifName, node })
    for (const text of ips) {
      const ip = tryParseIp(text)
      if (ip !== undefined && held.some((address) => address.ip === formatIp(ip))) continue
      throw new NotRecordedError(
        `Cannot confirm address ${text} of ${ifName} in sandbox ${containerId}: it is not recorded`,
        'Delete the pod, so that it gets a new sandbox',
      )
    }
  }

  async #allocateFor(
    pod: Pod,
    node: string,
    request: AllocateRequest,
    signal: AbortSignal,
  ): Promise<AllocateResponse> {
    const { ledger, world } = this.#ports
    const { namespace = '', name, uid = '' } = pod.metadata
    const owner = await provenOwnerOf(pod, world, signal)
    const input = await this.#selectionInput(pod, node, request, signal)
    const podRoutes = podRoutesOf(pod.metadata.annotations?.[annotationKeys.routes])
    let selection: Selection | undefined
    const select = () => {
      selection ??= selectPools(input)
      return selection
    }
    let existing: readonly OwnedAddress[] = []
    const answer = await ledger.add(
      {
        owner,
        pod: `${namespace}/${name}`,
        podUid: uid,
        node,
        containerId: request.containerId,
        nic: request.ifName,
        reserved: reservedOf(world.reservedIps()),
        plan: (held) => {
          existing = held
          return planAdd(held, {
            nic: request.ifName,
            containerId: request.containerId,
            isSticky: owner.kind === 'sticky',
            select,
            pools: input.pools,
          })
        },
        grant: ({ pool, want }, earlier) => {
          const candidates = selection?.candidates.find(
            (one) => one.nic === want.nic && one.version === want.version,
          )
          const others = [
            ...existing.filter(({ entry }) => entry.nic !== want.nic).map(({ entry }) => entry.grant),
            ...earlier.filter(({ chosen }) => chosen.want.nic !== want.nic).map(({ grant }) => grant),
          ]
          const taken = others.flatMap(({ routes = [] }) => routes)
          return grantOf({ pool, cleanGateway: candidates?.cleanGateway ?? false, podRoutes, taken })
        },
      },
      signal,
    )
    await this.#withdrawClaims(`${namespace}/${name}`, uid, signal)
    this.#report(pod, request, answer, { warnings: selection?.warnings ?? [], podRoutes, nics: input.nics })
    return responseOf(request.ifName, answer.addresses)
  }

  async #selectionInput(
    pod: Pod,
    nodeName: string,
    request: AllocateRequest,
    signal: AbortSignal,
  ): Promise<SelectionInput> {
    const { world } = this.#ports
    const namespaceName = pod.metadata.namespace ?? ''
    const [namespace, node] = await Promise.all([
      world.namespace(namespaceName, signal),
      world.node(nodeName, signal),
    ])
    if (namespace === undefined || node === undefined) {
      const missing = namespace === undefined ? `Namespace "${namespaceName}"` : `Node "${nodeName}"`
      throw new NotReadyError(
        `Cannot allocate for pod "${pod.metadata.name}": ${missing} is not there`,
        'Repeat the request',
      )
    }
    const { nics, nadOf } = world.networksOf(pod)
    const { labels = {}, annotations = {}, name } = pod.metadata
    return {
      pod: { namespace: namespaceName, name, labels, annotations },
      node: { name: nodeName, labels: node.metadata.labels ?? {} },
      namespace: {
        name: namespaceName,
        labels: namespace.metadata.labels ?? {},
        annotations: namespace.metadata.annotations ?? {},
      },
      request: {
        nic: request.ifName,
        defaultIpv4Pools: request.defaultIpv4Pools,
        defaultIpv6Pools: request.defaultIpv6Pools,
        cleanGateway: request.cleanGateway,
      },
      pools: world.pools(),
      blockedPools: world.blockedPools,
      versions: world.versions,
      nics,
      nadOf,
      installNamespace: world.installNamespace,
    }
  }

  #report(
    pod: Pod,
    request: AllocateRequest,
    { addresses, created, hurried }: AddAnswer,
    found: {
      readonly warnings: readonly string[]
      readonly podRoutes: readonly PodRoute[]
      readonly nics: readonly string[]
    },
  ): void {
    const { logger, events, ledger } = this.#ports
    const { namespace = '', name, uid = '' } = pod.metadata
    const key = `${namespace}/${name}`
    logger.info('addresses allocated', {
      pod: key,
      uid,
      containerId: request.containerId,
      ifName: request.ifName,
      ips: addresses.map(({ ip }) => ip),
      created: created.map(({ ip }) => ip),
    })
    for (const warning of found.warnings) events.podEvent(pod, 'Warning', 'PoolIgnored', warning)
    for (const { ip, restedMs } of hurried) {
      const message = `address ${ip} was released only ${Math.round(restedMs / 1000)} s ago: nothing else was free`
      events.podEvent(pod, 'Warning', 'AddressReusedEarly', message)
    }
    if (created.length === 0 || request.ifName !== (found.nics.at(-1) ?? request.ifName)) return
    const given = ledger.ofPod(key).flatMap(({ entry }) => entry.grant.routes ?? [])
    for (const { dst, gw } of found.podRoutes) {
      const route: Route = { dst: formatCidr(dst), gw: formatIp(gw) }
      if (given.some((one) => one.dst === route.dst && one.gw === route.gw)) continue
      const message = `route ${route.dst} via ${route.gw} is left out: no address of the pod has that gateway in its subnet`
      events.podEvent(pod, 'Warning', 'RouteIgnored', message)
    }
  }

  /** What the container uses; else what was adopted for its pod, of which nobody knows the container. */
  #releasedBy(node: string, { containerId, ifName, reason, pod }: ReleaseRequest): readonly OwnedAddress[] {
    const held = this.#usedBy({ containerId, ifName, node })
    if (held.length > 0 || reason === 'undo' || pod === undefined || pod.uid === '') return held
    const adopted = this.#ports.ledger
      .ofPod(`${pod.namespace}/${pod.name}`)
      .filter(({ entry }) => entry.adopted !== undefined && entry.podUid === pod.uid)
      .filter(({ entry }) => entry.nic === ifName || entry.nic === '')
    for (const { entry } of adopted) if (entry.node !== '') requireNode(node, entry.node, containerId)
    return adopted
  }

  /**
   * What the container of the caller's node uses. A namesake on another node, which its agent named, is in nobody's way.
   * @throws {CallerRefusedError} when only containers of other nodes have that id
   */
  #usedBy(sandbox: SandboxNic): readonly OwnedAddress[] {
    const { containerId, ifName, node } = sandbox
    const named = this.#ports.ledger.ofContainer(containerId, ifName)
    const used = named.filter(({ entry }) => isUsedBy(entry, sandbox))
    const [other] = named
    if (used.length === 0 && other !== undefined) {
      requireNode(node, entryNode(other.entry, containerId), containerId)
    }
    return used
  }

  /** A pod with a new sandbox uses no address of its old one: what it is recorded for beside the owner is the owner's. */
  async #withdrawClaims(podKey: string, uid: string, signal: AbortSignal): Promise<void> {
    const { ledger } = this.#ports
    for (const { ip, entry } of ledger.claimedBy(podKey)) {
      const claim = claimsOf(entry).find(({ podUid }) => podUid === uid)
      if (claim !== undefined) await ledger.withdraw(ip, claim, signal)
    }
  }

  /**
   * What a fresh read says of the pod whose sandbox ended.
   * @throws {CallerRefusedError} when what was adopted for it is asked for by another node than its own
   */
  async #outlookOf(
    { entry }: OwnedAddress,
    caller: Pick<SandboxNic, 'node' | 'containerId'>,
    signal: AbortSignal,
  ): Promise<Outlook> {
    const { world, logger } = this.#ports
    const [namespace = '', name = ''] = entry.pod.split('/')
    try {
      const pod = await world.readPod(namespace, name, signal)
      const same = pod?.metadata.uid === entry.podUid ? pod : undefined
      if (entry.adopted !== undefined && same !== undefined) {
        requireNode(caller.node, same.spec?.nodeName ?? '', caller.containerId)
      }
      const isNowhere = entry.adopted !== undefined && same === undefined && entry.node === ''
      // Nothing says on which node a pod was that is gone: the reclaimer frees what was adopted for it.
      if (isNowhere || (same !== undefined && isAlive(same))) return { isOver: false }
      if (entry.owner.kind === 'sticky' && (await isReplicaValid(entry, world, signal)))
        return { isOver: true }
      if (pod === undefined) return { isOver: true, why: 'the pod is gone' }
      const why = same === undefined ? 'was replaced by another of its name' : 'is terminating or finished'
      return { isOver: true, why: `the pod ${why}` }
    } catch (error) {
      if (error instanceof CallerRefusedError) throw error
      // Without evidence nothing is freed: the reclaimer comes back to a detached entry.
      logger.warn('pod cannot be read, its addresses are only detached', { pod: entry.pod, err: error })
      return { isOver: false }
    }
  }

  /** With the owner's addresses that no sandbox uses: taken beforehand for NICs that were never added. */
  #withUnattached(held: readonly OwnedAddress[]): readonly OwnedAddress[] {
    const first = held[0]
    if (first === undefined) return held
    const others = this.#ports.ledger
      .ofOwner(first.entry.owner)
      .filter(({ ip, entry }) => attachmentsOf(entry).length === 0 && held.every((one) => one.ip !== ip))
    return [...held, ...others.filter(({ entry }) => entry.podUid === first.entry.podUid)]
  }
}
