import type { Attachment, BlockEntry } from '../api/index.ts'
import type { AddCall, Sharing } from './add-call.ts'
import { attachmentsOf, type SandboxNic, settled } from './entry.ts'

/**
 * The entry as the sandbox of a call uses it beside others. One of them is active: the one that was, as long as it goes on;
 * the entry names the pod and the node of that one.
 */
export function sharedEntry(call: AddCall, current: BlockEntry, sharing: Sharing): BlockEntry {
  const before = attachmentsOf(current)
  const own = before.find((one) => one.podUid === call.podUid)
  const mine = { ...attachmentOf(call), active: false }
  const left = before.flatMap((one) => {
    if (one === own) return [{ ...mine, active: one.active }]
    return sharing.others.some((other) => isSameSandbox(other, one)) ? [one] : []
  })
  const attachments = own === undefined ? [...left, mine] : left
  const { attachments: _, createdBy, ...rest } = settled(current)
  // The undo of another sandbox that took it, should it come late, frees it no more.
  const creator = createdBy?.containerId === call.containerId ? { createdBy } : {}
  const owned = { ...rest, ...creator, owner: call.owner, nic: call.nic, pod: call.pod }
  // What was adopted stays so while its pod goes on: by that the entry tells of it.
  if (sharing.isPodUnseen) return { ...owned, attachments }
  const { adopted: __, ...matched } = owned
  return withActive(matched, attachments)
}

/** The entry without the sandbox. When the active one goes, the other one takes over. */
export function withoutSandbox(entry: BlockEntry, { containerId, node }: SandboxNic): BlockEntry {
  const left = attachmentsOf(entry).filter((one) => one.containerId !== containerId || one.node !== node)
  const { attachments: _, ...rest } = entry
  if (entry.adopted !== undefined) return left.length === 0 ? rest : { ...rest, attachments: left }
  return left.length === 0 ? rest : withActive(rest, left)
}

/** The attachment that a call makes. */
export function attachmentOf({ containerId, node, podName, podUid }: AddCall): Attachment {
  const sandbox = { containerId, node, active: true }
  return podName === undefined ? sandbox : { ...sandbox, podName, podUid }
}

function withActive(entry: BlockEntry, attachments: readonly Attachment[]): BlockEntry {
  const active = attachments.find((one) => one.active) ?? attachments[0]
  const marked = attachments.map((one) => (one === active ? { ...one, active: true } : one))
  const { node = entry.node, podUid = entry.podUid } = active ?? {}
  return { ...entry, node, podUid, attachments: marked }
}

function isSameSandbox(a: Attachment, b: Attachment): boolean {
  return a.containerId === b.containerId && a.node === b.node
}
