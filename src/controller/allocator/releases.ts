import { formatIp, tryParseIp } from '../../address/index.ts'
import {
  type CheckRequest,
  claimOfOwner,
  isAlive,
  isMachineEntry,
  type ReleaseRequest,
} from '../../api/index.ts'
import { attachmentsOf, isUsedBy, type OwnedAddress, ownerKey, type SandboxNic } from '../../ledger/index.ts'
import { CallerRefusedError } from '../../rpc/index.ts'
import { NotRecordedError } from './errors.ts'
import { isReplicaValid } from './owner.ts'
import { entryNode, requireNode } from './pod-identity.ts'
import type { AllocatorPorts } from './ports.ts'
import { readUser, userOf } from './sticky/machine.ts'

/** What becomes of the addresses of a sandbox that ended. */
interface Outlook {
  /** The pod was seen to be dead or gone. */
  readonly isOver: boolean
  /** Why the addresses may be freed; none when their owner keeps them. */
  readonly why?: string
}

/** Addresses of a sandbox that one owner has, and what becomes of them. */
interface Judged {
  readonly share: readonly OwnedAddress[]
  readonly first: OwnedAddress
  readonly outlook: Outlook
}

/** What becomes of addresses when their sandbox ends, and whether they are recorded for it. */
export class Releases {
  readonly #ports: AllocatorPorts

  constructor(ports: AllocatorPorts) {
    this.#ports = ports
  }

  /** CNI DEL, or the undo of a failed ADD. */
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
    // A claim may own one of two addresses, and a workload the other: what becomes of one says nothing of the other.
    const judged: Judged[] = []
    for (const share of Map.groupBy(held, ({ entry }) => ownerKey(entry.owner)).values()) {
      const [first] = share
      if (first === undefined) continue
      judged.push({ share, first, outlook: await this.#outlookOf(first, { node, containerId }, signal) })
    }
    const due = judged.filter(({ outlook }) => outlook.why !== undefined)
    const freed: string[] = []
    for (const { share } of due) freed.push(...(await ledger.free(this.#withUnattached(share), signal)))
    // Not freed: the pod lives on, or something changed meanwhile. The sandbox is gone either way.
    if (held.some(({ ip }) => !freed.includes(ip))) await ledger.detach(sandbox, signal)
    for (const { share, first, outlook } of judged) {
      const { isOver, why } = outlook
      // While the pod lives, nobody knows whether the DEL is that of the sandbox that uses what was adopted, or of an older one.
      const matched = share.filter(({ ip, entry }) => entry.adopted !== undefined && !freed.includes(ip))
      if (isOver) await ledger.match(matched, signal)
      if (isOver && why === undefined) await this.#vacate(share, signal)
      const { pod, podUid } = first.entry
      const of = { pod, uid: podUid, node, containerId, ifName }
      const ofShare = freed.filter((ip) => share.some((one) => one.ip === ip))
      logger.info('sandbox released', { ...of, freed: ofShare, why: why ?? 'kept' })
    }
  }

  /** What a claim keeps has no pod any more when that is over and all its sandboxes are. */
  async #vacate(held: readonly OwnedAddress[], signal: AbortSignal): Promise<void> {
    const { ledger } = this.#ports
    const left = held.flatMap(({ ip, entry }) => {
      const now = ledger.entry(ip)
      const isLeft = now?.podUid === entry.podUid && attachmentsOf(now).length === 0
      return isLeft && claimOfOwner(entry.owner) !== undefined ? [{ ip, entry: now }] : []
    })
    if (left.length > 0) await ledger.vacate(left, signal)
  }

  /** CNI CHECK. @throws {NotRecordedError} */
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
      if (isMachineEntry(entry)) return await this.#machineOutlookOf(entry, caller, signal)
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

  /** As {@link #outlookOf} for the launcher pod of a virtual machine: the entry bears the machine's name. */
  async #machineOutlookOf(
    entry: OwnedAddress['entry'],
    { containerId, node }: Pick<SandboxNic, 'node' | 'containerId'>,
    signal: AbortSignal,
  ): Promise<Outlook> {
    const { world } = this.#ports
    const own = attachmentsOf(entry).find((one) => one.containerId === containerId && one.node === node)
    // Another sandbox uses the address, or may: this one alone is over.
    if (own === undefined || attachmentsOf(entry).length > 1 || entry.adopted !== undefined)
      return { isOver: false }
    const pod = await readUser(userOf(own), entry, world, signal)
    if (pod !== undefined && isAlive(pod)) return { isOver: false }
    if (await isReplicaValid(entry, world, signal)) return { isOver: true }
    return { isOver: true, why: 'the virtual machine is deleted, and its pod ends' }
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
