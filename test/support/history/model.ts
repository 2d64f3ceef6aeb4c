// Who was told what in one history, and what must be so in the ledger because of it.
import assert from 'node:assert/strict'
import type { BlockEntry, Pod } from '../../../src/api/index.ts'
import type { SandboxOf } from '../process-rig.ts'

/** A sandbox that was told its addresses, and uses them. */
interface Live extends SandboxOf {
  readonly ips: readonly string[]
  /** What its ADD was answered with. */
  readonly result: unknown
}

export class HistoryModel {
  readonly counts = { acked: 0, failed: 0, repeated: 0 }
  readonly #live = new Map<string, Live>()
  /** By uid: what each pod that is no replica was told, for life. */
  readonly #told = new Map<string, readonly string[]>()
  /** By ordinal: what each replica of the set was told, until it may be given away. */
  readonly #kept = new Map<string, readonly string[]>()
  /** Pods that may hold addresses though nobody heard which. */
  readonly #unheard = new Set<string>()
  #before: ReadonlyMap<string, BlockEntry> = new Map()

  liveOf(pod: Pod): Live | undefined {
    return [...this.#live.values()].find((one) => one.pod.metadata.uid === pod.metadata.uid)
  }

  get live(): readonly Live[] {
    return [...this.#live.values()]
  }

  /**
   * An ADD was answered.
   * @param forbidden what must not be newly given, for as long as every controller knows it
   */
  acked(sandbox: SandboxOf, result: Readonly<Record<string, unknown>>, forbidden: ReadonlySet<string>): void {
    const { pod, containerId } = sandbox
    const ips = (result['ips'] as readonly { readonly address: string }[]).map(
      ({ address }) => address.split('/')[0] ?? '',
    )
    this.counts.acked++
    const families = ips.map((ip) => (ip.includes(':') ? 6 : 4))
    assert.deepEqual(families, [4, 6], `half an answer to ${containerId}: ${ips.join(', ')}`)
    for (const ip of ips) {
      const other = this.live.find((one) => one.containerId !== containerId && one.ips.includes(ip))
      assert.ok(other === undefined, `${ip} was given to ${containerId} while ${other?.containerId} lives`)
      const isNew = this.#before.get(ip)?.pod !== keyOf(pod)
      assert.ok(
        !isNew || !forbidden.has(ip),
        `${ip} is reserved or excluded, and was given to ${containerId}`,
      )
    }
    const ordinal = ordinalOf(pod)
    const remembered = ordinal === undefined ? this.#told : this.#kept
    const key = ordinal ?? pod.metadata.uid ?? ''
    const earlier = remembered.get(key)
    if (earlier !== undefined)
      assert.deepEqual(ips, earlier, `${keyOf(pod)} got other addresses for ${containerId}`)
    remembered.set(key, ips)
    this.#live.set(containerId, { ...sandbox, ips, result })
  }

  /** Nobody heard the answer of an ADD, or its sandbox had ended already: what it took stays the pod's, or is given back. */
  answeredUnheard({ pod }: SandboxOf): void {
    this.#unheard.add(pod.metadata.uid ?? '')
  }

  /** Nobody uses the addresses of the sandbox from now on. */
  ended({ containerId }: SandboxOf): void {
    this.#live.delete(containerId)
  }

  /** The set has so many replicas now: the others may lose what they have. */
  scaled(replicas: number): void {
    for (const ordinal of this.#kept.keys()) if (Number(ordinal) >= replicas) this.#kept.delete(ordinal)
  }

  /** A replica moves off an address that its pool may no longer give. */
  forbade(ips: ReadonlySet<string>): void {
    for (const [ordinal, kept] of this.#kept) if (kept.some((ip) => ips.has(ip))) this.#kept.delete(ordinal)
  }

  /** What must be so after every step, when no call is under way. */
  check(entries: ReadonlyMap<string, BlockEntry>): void {
    for (const { pod, containerId, ips } of this.#live.values()) {
      for (const ip of ips) {
        const entry = entries.get(ip)
        const what = `${ip} of the live sandbox ${containerId}`
        assert.ok(entry !== undefined, `${what} is free`)
        assert.equal(entry.podUid, pod.metadata.uid, `${what} is of another pod: ${textOf(entry)}`)
        const isAttached = entry.attachments?.some((one) => one.containerId === containerId)
        assert.ok(isAttached, `the ledger does not know that ${what} is used: ${textOf(entry)}`)
      }
    }
    for (const [ordinal, ips] of this.#kept) {
      for (const ip of ips) {
        const owner = entries.get(ip)?.owner
        const has = owner?.kind === 'sticky' ? owner.replica : undefined
        assert.equal(
          has,
          ordinal,
          `${ip} is no longer kept for replica ${ordinal}: ${textOf(entries.get(ip))}`,
        )
      }
    }
    this.#before = entries
  }

  /**
   * Once nothing is under way and all reports have come: what is too much in the ledger.
   * A sandbox that was lost may still be noted at an address as long as its pod exists: the address is the pod's either way.
   * @param pods all that exist
   */
  leftover(
    entries: ReadonlyMap<string, BlockEntry>,
    pods: readonly Pod[],
    replicas: number,
  ): string | undefined {
    const uids = new Set(pods.map(({ metadata }) => metadata.uid))
    for (const [ip, entry] of entries) {
      const isOwed =
        entry.owner.kind === 'pod'
          ? uids.has(entry.owner.uid) &&
            (this.#told.has(entry.owner.uid) || this.#unheard.has(entry.owner.uid))
          : Number(entry.owner.replica) < replicas
      if (!isOwed) return `${ip} is held for nobody: ${textOf(entry)}`
    }
    return undefined
  }
}

/** Of a replica of the history's StatefulSet. */
export function ordinalOf({ metadata: { name, ownerReferences = [] } }: Pod): string | undefined {
  return ownerReferences.some(({ kind }) => kind === 'StatefulSet') ? name.split('-').at(-1) : undefined
}

const keyOf = ({ metadata: { namespace, name } }: Pod): string => `${namespace}/${name}`
const textOf = (entry: BlockEntry | undefined): string => JSON.stringify(entry) ?? 'nothing'
