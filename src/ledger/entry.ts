import type { Attachment, BlockEntry, BlockOwner } from '../api/index.ts'

/** An address with what the ledger records of it. */
export interface OwnedAddress {
  readonly ip: string
  readonly entry: BlockEntry
}

/** One text per owner: what {@link BlockOwner} says without the name, which a re-created workload shares. */
export function ownerKey(owner: BlockOwner): string {
  return owner.kind === 'pod' ? owner.uid : `${owner.group}/${owner.ownerKind}/${owner.uid}/${owner.replica}`
}

/** True when both are the same allocation: of one owner and NIC, made by the same attempt. */
export function isSameAllocation(a: BlockEntry, b: BlockEntry): boolean {
  return (
    a.since === b.since &&
    a.nic === b.nic &&
    a.pool === b.pool &&
    a.intent?.id === b.intent?.id &&
    ownerKey(a.owner) === ownerKey(b.owner)
  )
}

/** True when `now` is the allocation that was seen, of the same pod, and nothing attached to it since. */
export function isUnchangedSince(seen: BlockEntry, now: BlockEntry): boolean {
  return (
    isSameAllocation(seen, now) &&
    seen.podUid === now.podUid &&
    attachmentsOf(now).every((a) =>
      attachmentsOf(seen).some((b) => b.containerId === a.containerId && b.node === a.node),
    )
  )
}

const none: readonly Attachment[] = []

/** The sandboxes that use the address; empty when it is detached. */
export function attachmentsOf(entry: BlockEntry): readonly Attachment[] {
  return entry.attachments ?? none
}

/** True when the container is one of those that use the address. */
export function isAttachedTo(entry: BlockEntry, containerId: string): boolean {
  return attachmentsOf(entry).some((attachment) => attachment.containerId === containerId)
}

/** The addresses that must all carry the intent before any may be answered; undefined when that was seen before. */
export function openIntent(entry: BlockEntry): readonly string[] | undefined {
  const ips = entry.intent?.ips
  return ips === undefined || ips.length === 0 ? undefined : ips
}

/**
 * The same entry, its intent seen to be complete: the id stays, so that siblings that list this address see it complete;
 * its own list goes, so that freeing a sibling does not make this one look incomplete.
 */
export function settled(entry: BlockEntry): BlockEntry {
  return entry.intent === undefined ? entry : { ...entry, intent: { id: entry.intent.id, ips: [] } }
}

/** A NIC of a sandbox. A node names its containers itself: the same id on another node is another container. */
export interface SandboxNic {
  readonly containerId: string
  readonly ifName: string
  readonly node: string
}

/** True when the entry is of the NIC, and the container of that node uses it. */
export function isUsedBy(entry: BlockEntry, { containerId, ifName, node }: SandboxNic): boolean {
  if (entry.nic !== ifName) return false
  return attachmentsOf(entry).some((one) => one.containerId === containerId && one.node === node)
}

/** True when both hold the same data, whatever the order of their keys. */
export function isEqualData(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const x = Object.entries(a)
  const y = new Map(Object.entries(b))
  return x.length === y.size && x.every(([key, value]) => y.has(key) && isEqualData(value, y.get(key)))
}
