import { isAlive, isMachineEntry, type Node, type Pod, resources } from '../../api/index.ts'
import type { Clock, Logger } from '../../base/index.ts'
import { findByName, type KubeApi, type ObjectRef } from '../../kube/index.ts'
import { attachmentsOf, type Ledger, type OwnedAddress } from '../../ledger/index.ts'
import { readUser, userOf, usersOf } from '../allocator/sticky/machine.ts'
import { podReaders } from '../allocator/sticky/pod-readers.ts'
import { isOver, machineFinding } from './machine-finding.ts'
import type { NodeReports } from './node-reports.ts'
import {
  findingOf,
  type PodFinding,
  planReclaim,
  type SandboxEvidence,
  type Verdict,
} from './plan-reclaim.ts'

/** How long a nominated pod waits before its evidence is looked at again: in memory, as long as there is none. */
const recheckMs = 5_000
/** By it an administrator declares that nothing runs on the node any more (Kubernetes, "Non-graceful node shutdown"). */
const outOfServiceTaint = 'node.kubernetes.io/out-of-service'

export interface ReclaimerPorts {
  readonly api: KubeApi
  readonly ledger: Pick<Ledger, 'all' | 'ofPod' | 'free' | 'vacate' | 'detach'>
  readonly reports: NodeReports
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly logger: Logger
  /** From the cache; it may only nominate. */
  findPod(ref: ObjectRef): Pod | undefined
  /** From the cache; it may only nominate. */
  findNode(name: string): Node | undefined
  /** Uncached: does the replica of a sticky owner still belong to its workload? */
  isReplicaValid(entry: OwnedAddress['entry'], signal: AbortSignal): Promise<boolean>
}

/**
 * Frees the addresses of pods that went without a DEL. Works on one pod name at a time: the caller's queue decides when.
 */
export class Reclaimer {
  readonly #ports: ReclaimerPorts
  /**
   * When each entry was first nominated, by the monotonic clock: by `namespace/name`, then by {@link markOf}. By entry, as evidence
   * against a dead pod is none against its namesake, which came later. Bounded by the addresses held.
   */
  readonly #nominatedMs = new Map<string, ReadonlyMap<string, number>>()
  /** Nominated pods, by the nodes that have yet to say that a sandbox of theirs is gone. */
  readonly #awaited = new Map<string, Set<string>>()

  constructor(ports: ReclaimerPorts) {
    this.#ports = ports
  }

  /** Pods with addresses that the cache thinks are gone, dead or of another uid. */
  *nominees(): Iterable<string> {
    const { ledger } = this.#ports
    for (const podKey of this.#nominatedMs.keys()) {
      if (ledger.ofPod(podKey).length === 0) this.#nominatedMs.delete(podKey)
    }
    const seen = new Set<string>()
    for (const { entry } of ledger.all()) {
      if (seen.has(entry.pod) || !this.#isNominated(entry)) continue
      seen.add(entry.pod)
      yield entry.pod
    }
  }

  /** Pods, as `namespace/name`, about whose sandboxes the node's next report is awaited. */
  awaitedOf(node: string): readonly string[] {
    return [...(this.#awaited.get(node) ?? [])]
  }

  #isNominated(entry: OwnedAddress['entry']): boolean {
    const { pod: podKey, podUid } = entry
    // A claim keeps it for a pod to come: whether it still does is the claim's reconciler's to see.
    if (podKey === '') return false
    if (!isMachineEntry(entry)) return this.#isNominatedPod(refOf(podKey), podUid)
    const { namespace } = refOf(podKey)
    const users = usersOf(entry)
    return (
      users.length === 0 ||
      users.some(({ name, uid }) => name === undefined || this.#isNominatedPod({ namespace, name }, uid))
    )
  }

  #isNominatedPod(ref: ObjectRef, uid: string): boolean {
    const pod = this.#ports.findPod(ref)
    return pod === undefined || pod.metadata.uid !== uid || !isAlive(pod)
  }

  /**
   * Reads afresh and frees what may be freed.
   *
   * @returns milliseconds after which to look again, or undefined when nothing is left to decide
   */
  async reconcile(podKey: string, signal: AbortSignal): Promise<number | undefined> {
    const { ledger } = this.#ports
    // Read before the fresh pod: an entry that is written after it is not in this list, and not judged by it.
    const held = ledger.ofPod(podKey).filter(({ entry }) => this.#isNominated(entry))
    const since = this.#nominate(podKey, held)
    this.#forgetAwaited(podKey)
    const judged: (readonly [OwnedAddress, readonly SandboxEvidence[]])[] = []
    for (const address of held) {
      const sandboxes = await this.#evidenceOn(address, since.get(markOf(address)) ?? Infinity, signal)
      // What is left of the entry is looked at anew.
      if (await this.#detachDead(address, sandboxes, signal)) return this.reconcile(podKey, signal)
      // Nothing is read for what cannot be freed yet: a node that is away for hours must not cost a read every few seconds.
      if (sandboxes.every((evidence) => evidence === 'gone')) judged.push([address, sandboxes])
    }
    let isWaiting = judged.length < held.length
    if (judged.length > 0) {
      const readPod = once(() => this.#readPod(podKey, signal))
      const guilty: { readonly address: OwnedAddress; readonly why: string }[] = []
      const left: OwnedAddress[] = []
      for (const [address, sandboxes] of judged) {
        const verdict = await this.#judge(address, { readPod, sandboxes }, signal)
        if (verdict.kind === 'wait') isWaiting = true
        if (verdict.kind === 'free') guilty.push({ address, why: verdict.why })
        if (verdict.kind === 'vacate') left.push(address)
      }
      await this.#free(guilty, signal)
      if (left.length > 0) await ledger.vacate(left, signal)
    }
    if (isWaiting) return recheckMs
    this.#nominatedMs.delete(podKey)
    return undefined
  }

  /** @returns since when each of the entries is nominated, by {@link markOf} */
  #nominate(podKey: string, held: readonly OwnedAddress[]): ReadonlyMap<string, number> {
    const known = this.#nominatedMs.get(podKey)
    const nowMs = this.#ports.clock.monotonicMs()
    const marks = held.map(markOf)
    const since = new Map(marks.map((mark) => [mark, known?.get(mark) ?? nowMs]))
    this.#nominatedMs.set(podKey, since)
    return since
  }

  async #evidenceOn(
    { entry }: OwnedAddress,
    sinceMs: number,
    signal: AbortSignal,
  ): Promise<readonly SandboxEvidence[]> {
    const { reports } = this.#ports
    const { pod } = entry
    const sandboxes: SandboxEvidence[] = []
    for (const { node, containerId } of attachmentsOf(entry)) {
      const reported = reports.evidence(node, containerId, sinceMs)
      const isFenced = reported === 'unknown' && (await this.#isFenced(node, signal))
      if (reported === 'unknown' && !isFenced) this.#await(node, pod)
      sandboxes.push(isFenced ? 'gone' : reported)
    }
    return sandboxes
  }

  #await(node: string, podKey: string): void {
    const pods = this.#awaited.get(node) ?? new Set()
    this.#awaited.set(node, pods.add(podKey))
  }

  #forgetAwaited(podKey: string): void {
    for (const [node, pods] of this.#awaited) {
      if (pods.delete(podKey) && pods.size === 0) this.#awaited.delete(node)
    }
  }

  /**
   * A virtual machine outlives its pods: the sandbox of one that went without a DEL is taken off the entry, so that the one
   * that a migration left is the active one. @returns true when one was
   */
  async #detachDead(
    { ip, entry }: OwnedAddress,
    sandboxes: readonly SandboxEvidence[],
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!isMachineEntry(entry)) return false
    const { ledger, api, logger } = this.#ports
    let isDetached = false
    for (const [index, attachment] of attachmentsOf(entry).entries()) {
      if (sandboxes[index] !== 'gone') continue
      if (!isOver(await readUser(userOf(attachment), entry, podReaders(api), signal))) continue
      const { containerId, node, podName, podUid } = attachment
      const detached = await ledger.detach({ containerId, node, ifName: entry.nic }, signal)
      if (detached.length === 0) continue
      isDetached = true
      logger.info('dead sandbox detached', {
        ip,
        machine: entry.pod,
        pod: podName,
        uid: podUid,
        node,
        containerId,
      })
    }
    return isDetached
  }

  async #free(
    guilty: readonly { readonly address: OwnedAddress; readonly why: string }[],
    signal: AbortSignal,
  ): Promise<void> {
    if (guilty.length === 0) return
    const { ledger, logger } = this.#ports
    const freed = await ledger.free(
      guilty.map(({ address }) => address),
      signal,
    )
    for (const { address, why } of guilty) {
      const { ip, entry } = address
      if (!freed.includes(ip)) continue
      const { pool, pod, podUid: uid, node } = entry
      logger.info('address reclaimed', { ip, pool, pod, uid, node, why })
    }
  }

  async #readPod(podKey: string, signal: AbortSignal): Promise<PodFinding> {
    return findingOf(await this.#ports.api.get<Pod>(resources.pod, refOf(podKey), signal))
  }

  async #judge(
    { entry }: OwnedAddress,
    found: { readPod(): Promise<PodFinding>; readonly sandboxes: readonly SandboxEvidence[] },
    signal: AbortSignal,
  ): Promise<Verdict> {
    const { sandboxes, readPod } = found
    const isReplicaValid = entry.owner.kind === 'sticky' && (await this.#ports.isReplicaValid(entry, signal))
    const isMachine = isMachineEntry(entry)
    // The pods of a machine that exists say nothing more.
    if (isMachine && isReplicaValid)
      return planReclaim({ entry, isReplicaValid, sandboxes, pod: { kind: 'gone' } })
    const pod = isMachine ? await machineFinding(entry, this.#ports.api, signal) : await readPod()
    return planReclaim({ entry, isReplicaValid, sandboxes, pod })
  }

  /** A node whose object was removed, or that is marked out of service, is declared dead by an administrator or the cloud. */
  async #isFenced(name: string, signal: AbortSignal): Promise<boolean> {
    if (!isDeclaredDead(this.#ports.findNode(name))) return false
    return isDeclaredDead(await findByName<Node>(this.#ports.api, resources.node, { name }, signal))
  }
}

function isDeclaredDead(node: Node | undefined): boolean {
  return node?.spec?.taints?.some(({ key }) => key === outOfServiceTaint) ?? node === undefined
}

/** One allocation of an address, with the sandboxes that use it. */
function markOf({ ip, entry }: OwnedAddress): string {
  return [
    ip,
    entry.podUid,
    ...attachmentsOf(entry).map(({ node, containerId }) => `${node}/${containerId}`),
  ].join(' ')
}

function refOf(podKey: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = podKey.split('/')
  return { namespace, name }
}

/** Does the work when it is asked for first. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined
  return () => {
    done ??= work()
    return done
  }
}
