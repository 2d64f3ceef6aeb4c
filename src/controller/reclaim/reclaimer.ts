import { isAlive, type Node, type Pod, resources } from '../../api/index.ts'
import type { Clock, Logger } from '../../base/index.ts'
import type { KubeApi, ObjectRef } from '../../kube/index.ts'
import type { Ledger, OwnedAddress } from '../../ledger/index.ts'
import type { NodeReports } from './node-reports.ts'
import { type PodFinding, planReclaim, type SandboxEvidence, type Verdict } from './plan-reclaim.ts'

/** How long a nominated pod waits before its evidence is looked at again. */
const recheckMs = 5_000

export interface ReclaimerPorts {
  readonly api: KubeApi
  readonly ledger: Pick<Ledger, 'all' | 'ofPod' | 'free'>
  readonly reports: NodeReports
  readonly clock: Clock
  readonly logger: Logger
  /** From the cache; it may only nominate. */
  findPod(ref: ObjectRef): Pod | undefined
  /** Uncached: does the replica of a sticky owner still belong to its workload? */
  isReplicaValid(entry: OwnedAddress['entry'], signal: AbortSignal): Promise<boolean>
}

/**
 * Frees the addresses of pods that went without a DEL. Works on one pod name at a time: the caller's queue decides when.
 */
export class Reclaimer {
  readonly #ports: ReclaimerPorts
  /** When each pod was first nominated, by `namespace/name`; bounded by the addresses held. */
  readonly #nominatedMs = new Map<string, number>()

  constructor(ports: ReclaimerPorts) {
    this.#ports = ports
  }

  /** Pods with addresses that the cache thinks are gone, dead or of another uid. */
  *nominees(): Iterable<string> {
    const seen = new Set<string>()
    for (const { entry } of this.#ports.ledger.all()) {
      if (seen.has(entry.pod)) continue
      seen.add(entry.pod)
      if (this.#isNominated(entry.pod)) yield entry.pod
    }
  }

  #isNominated(podKey: string): boolean {
    const pod = this.#ports.findPod(refOf(podKey))
    const held = this.#ports.ledger.ofPod(podKey)
    return held.some(({ entry }) => pod === undefined || pod.metadata.uid !== entry.podUid || !isAlive(pod))
  }

  /**
   * Reads afresh and frees what may be freed.
   *
   * @returns milliseconds after which to look again, or undefined when nothing is left to decide
   */
  async reconcile(podKey: string, signal: AbortSignal): Promise<number | undefined> {
    if (!this.#isNominated(podKey)) {
      this.#nominatedMs.delete(podKey)
      return undefined
    }
    const sinceMs = this.#nominatedMs.get(podKey) ?? this.#ports.clock.nowMs()
    this.#nominatedMs.set(podKey, sinceMs)
    // Read before the fresh pod: an entry that is written after it is not in this list, and not judged by it.
    const held = this.#ports.ledger.ofPod(podKey)
    const pod = await this.#readPod(podKey, signal)
    let isWaiting = false
    for (const address of held) {
      const verdict = await this.#judge(address, pod, sinceMs, signal)
      if (verdict.kind === 'wait') isWaiting = true
      if (verdict.kind === 'free') await this.#free(address, verdict, signal)
    }
    if (isWaiting) return recheckMs
    this.#nominatedMs.delete(podKey)
    return undefined
  }

  async #free(address: OwnedAddress, verdict: Verdict, signal: AbortSignal): Promise<void> {
    const { ip, entry } = address
    const freed = await this.#ports.ledger.free([address], signal)
    if (freed.length > 0) {
      this.#ports.logger.info('address reclaimed', {
        ip,
        pool: entry.pool,
        pod: entry.pod,
        uid: entry.podUid,
        node: entry.node,
        why: verdict.why,
      })
    }
  }

  async #readPod(podKey: string, signal: AbortSignal): Promise<PodFinding> {
    const pod = await this.#ports.api.get<Pod>(resources.pod, refOf(podKey), signal)
    if (pod === undefined) return { kind: 'gone' }
    const uid = pod.metadata.uid ?? ''
    return isAlive(pod) ? { kind: 'alive', uid } : { kind: 'dead', uid }
  }

  async #judge(
    address: OwnedAddress,
    pod: PodFinding,
    sinceMs: number,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const { entry } = address
    const isReplicaValid = entry.owner.kind === 'sticky' && (await this.#ports.isReplicaValid(entry, signal))
    const sandboxes: SandboxEvidence[] = []
    for (const { node, containerId } of entry.attachments ?? []) {
      const reported = this.#ports.reports.evidence(node, containerId, sinceMs)
      const isNodeGone = reported === 'unknown' && (await this.#isNodeGone(node, signal))
      sandboxes.push(isNodeGone ? 'gone' : reported)
    }
    return planReclaim({ entry, pod, isReplicaValid, sandboxes })
  }

  /** A node whose object was removed is declared dead by an administrator or the cloud: that is a fence. */
  async #isNodeGone(name: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#ports.api.get<Node>(resources.node, { name }, signal)) === undefined
  }
}

function refOf(podKey: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = podKey.split('/')
  return { namespace, name }
}
