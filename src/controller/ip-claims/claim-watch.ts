import {
  type BlockEntry,
  type ClaimKind,
  type ClaimRef,
  claimOfOwner,
  type KubeObject,
} from '../../api/index.ts'
import type { Queue } from '../../kube/index.ts'
import type { AddressChange, Ledger } from '../../ledger/index.ts'
import type { Caches } from '../caches.ts'
import { ClaimReconciler, type ClaimReconcilerPorts, claimKey } from './claim-reconciler.ts'

/** Claims that wait are looked at so long after something was freed: many addresses are freed at once. */
const freedDelayMs = 200

export interface ClaimWatchPorts extends Omit<ClaimReconcilerPorts, 'isSeen'> {
  readonly ledger: Ledger
  readonly caches: Pick<Caches, 'ipClaims' | 'ipamClaims'>
  /** Makes the queue of claims. */
  queueOf(work: (key: string, signal: AbortSignal) => Promise<number | undefined>): Queue<string>
}

/** Brings claims to their reconciler: when they change, when their addresses do, and when those that wait may get some. */
export class ClaimWatch {
  /** Whoever made the watch closes it. */
  readonly queue: Queue<string>
  readonly #ports: ClaimWatchPorts
  readonly #reconciler: ClaimReconciler

  constructor(ports: ClaimWatchPorts) {
    this.#ports = ports
    const isSeen = (ref: ClaimRef) => ports.caches.ipamClaims.get(ref)?.metadata.uid === ref.uid
    this.#reconciler = new ClaimReconciler({ ...ports, isSeen })
    this.queue = ports.queueOf((key, signal) => this.#reconciler.reconcile(key, signal))
  }

  /** A new leader looks at all claims, and at what the ledger holds for such as are gone. */
  begin(): void {
    for (const claim of this.#ports.caches.ipClaims.values()) this.changed('SpiderIPClaim', undefined, claim)
    for (const { entry } of this.#ports.ledger.all()) this.#addOwner(entry)
  }

  /** An IPAMClaim that is not over is of no interest: what it has is told by its addresses. */
  changed(kind: ClaimKind, old: KubeObject | undefined, now: KubeObject | undefined): void {
    const { metadata } = now ?? old ?? {}
    if (metadata === undefined) return
    if (kind === 'IPAMClaim' && now !== undefined && metadata.deletionTimestamp === undefined) return
    const { namespace = '', name, uid = '' } = metadata
    this.queue.add(claimKey({ kind, namespace, name, uid }))
  }

  addressChanged({ before, after }: AddressChange): void {
    for (const entry of [before, after]) if (entry !== undefined) this.#addOwner(entry)
    if (before !== undefined && after === undefined) this.retryPending()
  }

  /** A pool, a reservation or an address is not as it was. */
  retryPending(): void {
    for (const key of this.#reconciler.pending()) this.queue.addAfter(key, freedDelayMs)
  }

  #addOwner({ owner }: BlockEntry): void {
    const claim = claimOfOwner(owner)
    if (claim !== undefined) this.queue.add(claimKey(claim))
  }
}
