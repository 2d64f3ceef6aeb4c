import assert from 'node:assert/strict'
import { type BlockEntry, resources, type SpiderIpBlock } from '../../../src/api/index.ts'
import { cniCodes, cniErrorObject } from '../../../src/cni/index.ts'
import { entriesOf } from '../../../src/ledger/index.ts'
import type { PluginCall } from './agent-process.ts'
import type { ApiServer } from './api-server.ts'
import type { ConfigLog } from './config-log.ts'

/** What a pod wants: the families of each of its NICs. */
export type Wish = Readonly<Record<string, readonly (4 | 6)[]>>

/** One pod as the model knows it. */
export interface ModelPod {
  readonly uid: string
  readonly key: string
  readonly wish: Wish
  /** Of a replica of a StatefulSet. */
  readonly sticky?: { readonly uid: string; readonly ordinal: number }
}

/** One NIC that was told its addresses, and uses them. */
interface LiveNic {
  readonly call: PluginCall
  readonly node: string
  readonly ips: readonly string[]
}

/** The simple model: who was told what, and what must be so in the durable truth because of it. */
export class Model {
  readonly counts = { acked: 0, failed: 0, repeated: 0 }
  /** Is an attachment in the durable journal of its node? Told by the disk. */
  isInJournal: (node: string, name: string) => boolean = () => true
  isQuiet = false
  /**
   * A leader may go on after its lease, as if clocks did not tell it: then two may each know another address of one owner.
   * No address has two owners even so, and that is all that is promised.
   */
  isLeaseBroken = false
  readonly #server: ApiServer
  readonly #config: ConfigLog
  readonly #pods = new Map<string, ModelPod>()
  readonly #live = new Map<string, LiveNic>()
  readonly #ended = new Set<string>()
  /** What other pods were told, by uid and NIC. */
  readonly #own = new Map<string, readonly string[]>()
  /** What each replica of a StatefulSet has, by owner and NIC, until it may be given away. */
  readonly #kept = new Map<string, readonly string[]>()

  constructor(server: ApiServer, config: ConfigLog) {
    this.#server = server
    this.#config = config
  }

  /** How many replicas each StatefulSet has; 0 when it is gone. */
  readonly #replicas = new Map<string, number>()

  addPod(pod: ModelPod): void {
    this.#pods.set(pod.uid, pod)
  }
  nicsOf(uid: string): readonly string[] {
    return Object.keys(this.#pods.get(uid)?.wish ?? {})
  }
  pod(uid: string): ModelPod | undefined {
    return this.#pods.get(uid)
  }
  ipsOf(call: PluginCall): readonly string[] {
    return this.#live.get(keyOf(call))?.ips ?? []
  }
  /** True when all NICs of the pod have their addresses. */
  isRunning(uid: string): boolean {
    const nics = new Set<string>()
    for (const { call } of this.#live.values()) if (call.pod.uid === uid) nics.add(call.ifName)
    return nics.size === this.nicsOf(uid).length
  }

  /** An ADD was answered. */
  acked(call: PluginCall, node: string, ips: readonly string[]): void {
    const pod = this.#pods.get(call.pod.uid)
    const wanted = pod?.wish[call.ifName] ?? []
    const what = `${call.pod.name} ${call.ifName} in ${call.containerId}`
    const families = ips.map((ip) => (ip.includes(':') ? 6 : 4))
    assert.deepEqual(families, wanted, `half an answer: ${what} got ${ips.join(', ')}`)
    assert(
      this.isInJournal(node, keyOf(call)),
      `not in the journal: ${what} was answered before it was on disk`,
    )
    this.counts.acked++
    this.#live.set(keyOf(call), { call, node, ips })
    if (pod?.sticky !== undefined) this.#noteKept(pod, call.ifName, ips)
    else this.#noteOwn(call, ips)
    this.check()
  }

  #noteKept(pod: ModelPod, nic: string, ips: readonly string[]): void {
    const key = `${pod.sticky?.uid}/${pod.sticky?.ordinal} ${nic}`
    const kept = this.#kept.get(key)
    if (kept !== undefined && !this.isLeaseBroken)
      assert.deepEqual(ips, kept, `${pod.key} ${nic} did not get its addresses back`)
    const isValid = (pod.sticky?.ordinal ?? 0) < (this.#replicas.get(pod.sticky?.uid ?? '') ?? 0)
    if (isValid && this.#config.areAllowed(ips)) this.#kept.set(key, ips)
  }

  /** A pod of no set has its addresses for life, whatever becomes of its sandboxes. */
  #noteOwn({ pod, ifName }: PluginCall, ips: readonly string[]): void {
    const key = `${pod.uid} ${ifName}`
    const before = this.#own.get(key)
    if (before !== undefined && !this.isLeaseBroken)
      assert.deepEqual(ips, before, `pod ${pod.name} ${ifName} got other addresses for its next sandbox`)
    this.#own.set(key, ips)
  }

  /** A controller knows another configuration: a replica moves off an address that its pool has no more. */
  configChanged(): void {
    for (const [key, ips] of this.#kept) if (!this.#config.areAllowed(ips)) this.#kept.delete(key)
  }

  /** A StatefulSet has so many replicas now, 0 when it is deleted: the others may lose what they have. */
  setReplicas(uid: string, replicas: number): void {
    this.#replicas.set(uid, replicas)
    for (const key of this.#kept.keys()) {
      const [owner, ordinal = ''] = (key.split(' ')[0] ?? '').split('/')
      if (owner === uid && Number(ordinal) >= replicas) this.#kept.delete(key)
    }
  }

  repeated(
    call: PluginCall,
    node: string,
    { first, again }: { readonly first: readonly string[]; readonly again: readonly string[] },
  ): void {
    this.counts.repeated++
    // A replica moves off an address that its pool has no more, also when its pod stays; without its set it is any pod.
    const { sticky } = this.#pods.get(call.pod.uid) ?? {}
    const isOrphan = sticky !== undefined && this.#replicas.get(sticky.uid) === 0
    const mayMove = isOrphan || (sticky !== undefined && !this.#config.areAllowed(first))
    if (!this.isLeaseBroken && !mayMove)
      assert.deepEqual(again, first, `a repeated ADD of ${keyOf(call)} got other addresses`)
    this.acked(call, node, again)
  }

  failed(call: PluginCall, error: unknown): void {
    this.counts.failed++
    this.ended(call)
    assertKnown(error)
  }

  /** @param isQuiet nothing was failing when it began */
  checkFailed(call: PluginCall, error: unknown, isQuiet: boolean): void {
    assertKnown(error)
    const isDenied = cniErrorObject(error).code === cniCodes.addressNotAvailable
    assert(!isQuiet || !isDenied, `CHECK of ${keyOf(call)} failed: ${String(error)}`)
  }

  /** The runtime began to end it, or its namespace is gone. */
  ended(call: PluginCall): void {
    this.#live.delete(keyOf(call))
    this.#ended.add(call.containerId)
  }
  /** Nobody counts on it, until it is acknowledged again. */
  paused(call: PluginCall): void {
    this.#live.delete(keyOf(call))
  }
  hasEnded(containerId: string): boolean {
    return this.#ended.has(containerId)
  }

  entries(): ReadonlyMap<string, BlockEntry> {
    const blocks = this.#server.list<SpiderIpBlock>(resources.ipBlock)
    return new Map(blocks.flatMap((block) => Object.entries(entriesOf(block))))
  }

  /** What must be so after every step. */
  check(): void {
    const entries = this.entries()
    const users = new Map<string, LiveNic>()
    for (const nic of this.#live.values()) {
      for (const ip of nic.ips) {
        const other = users.get(ip)
        assert(
          other === undefined,
          `two live sandboxes have ${ip}: ${[nic, other].map(nameOf).join(' and ')}`,
        )
        users.set(ip, nic)
        this.#checkLive(ip, nic, entries.get(ip))
      }
    }
    for (const [key, ips] of this.#kept) {
      const [owner = '', nic = ''] = key.split(' ')
      for (const ip of ips) {
        const entry = entries.get(ip)
        const has = entry?.owner.kind === 'sticky' ? `${entry.owner.uid}/${entry.owner.replica}` : undefined
        assert(
          has === owner && entry?.nic === nic,
          `${ip} is no longer kept for replica ${owner}: ${textOf(entry)}`,
        )
      }
    }
  }

  #checkLive(ip: string, nic: LiveNic, entry: BlockEntry | undefined): void {
    const { uid } = nic.call.pod
    assert(entry !== undefined, `${ip} of the live sandbox ${nameOf(nic)} is free`)
    const sticky = this.#pods.get(uid)?.sticky
    const owner = entry.owner.kind === 'pod' ? entry.owner.uid : `${entry.owner.uid}/${entry.owner.replica}`
    // A pod of a set that was deleted meanwhile owns its addresses itself.
    const isOrphan = sticky !== undefined && owner === uid && this.#replicas.get(sticky.uid) === 0
    const wanted = sticky === undefined || isOrphan ? uid : `${sticky.uid}/${sticky.ordinal}`
    assert.equal(owner, wanted, `${ip} of the live sandbox ${nameOf(nic)} has another owner`)
    assert.equal(entry.podUid, uid, `${ip} of the live sandbox ${nameOf(nic)} is of another pod`)
    const isAttached = entry.attachments?.some(({ containerId }) => containerId === nic.call.containerId)
    assert(isAttached, `the ledger does not know that ${nameOf(nic)} uses ${ip}: ${textOf(entry)}`)
  }
}

/** Every failure is one that was foreseen: code 999 is a bug of ours. */
function assertKnown(error: unknown): void {
  const { code, msg } = cniErrorObject(error)
  const isSimulated = error instanceof Error && /agent/.test(error.message)
  if (code === 999 && !isSimulated) throw new Error(`an unforeseen failure: ${msg}`, { cause: error })
}

const keyOf = ({ containerId, ifName }: PluginCall): string => `${containerId}:${ifName}`
const nameOf = (nic: LiveNic | undefined): string =>
  `${nic?.call.containerId} ${nic?.call.ifName} on ${nic?.node}`
const textOf = (entry: BlockEntry | undefined): string => JSON.stringify(entry) ?? 'nothing'
