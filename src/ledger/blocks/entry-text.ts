import type { Attachment, BlockEntry, PastHolder } from '../../api/index.ts'
import { parseJson, stringifyJson } from '../../base/index.ts'
import { type Fields, fieldsOf } from './fields.ts'

/*
 * An entry is stored as one text, JSON inside: the API server takes a custom object apart and puts it together again several times
 * for each write, at a cost per member. What other members say already is left out.
 */

/** An entry as a block stores it. */
export function formatEntry(entry: BlockEntry): string {
  return stringifyJson(compact(entry))
}

/** A past holder as a block stores it. */
export function formatPastHolder(holder: PastHolder): string {
  return stringifyJson(holder)
}

/** The members of an entry as stored: of the text, with those that it leaves out, or of an object as it is. */
export function storedFields(value: unknown): Fields | undefined {
  const fields = textFields(value)
  return fields === undefined || typeof value !== 'string' ? fields : whole(fields)
}

/** The members that a text says, or those of an object; undefined for anything else. */
export function textFields(value: unknown): Fields | undefined {
  if (typeof value !== 'string') return fieldsOf(value)
  try {
    return fieldsOf(parseJson(value))
  } catch {
    return undefined
  }
}

function compact(entry: BlockEntry): Fields {
  const { owner, attachments, createdBy, claims, unknown, ...rest } = entry
  const [first] = attachments ?? []
  const isPlain = owner.kind === 'pod' && owner.uid === entry.podUid && Object.keys(owner).length === 2
  const isByFirst = first?.containerId === createdBy?.containerId && createdBy?.ifName === entry.nic
  return {
    ...rest,
    ...(isPlain ? {} : { owner }),
    ...(attachments === undefined
      ? {}
      : { attachments: attachments.map((one) => compactAttachment(one, entry)) }),
    // null: nobody is known, though there is an attachment.
    ...(isByFirst ? {} : { createdBy: createdBy ?? (first === undefined ? undefined : null) }),
    ...(claims === undefined ? {} : { claims: claims.map(compact) }),
    ...unknown,
  }
}

function compactAttachment({ node, active, ...rest }: Attachment, entry: BlockEntry): Fields {
  return { ...rest, ...(node === entry.node ? {} : { node }), ...(active ? {} : { active }) }
}

function whole(fields: Fields): Fields {
  const { attachments, createdBy, claims } = fields
  const first = Array.isArray(attachments) ? fieldsOf(attachments[0]) : undefined
  const creator =
    first === undefined ? undefined : { containerId: first['containerId'], ifName: fields['nic'] }
  return {
    ...fields,
    owner: 'owner' in fields ? fields['owner'] : { kind: 'pod', uid: fields['podUid'] },
    ...(Array.isArray(attachments)
      ? { attachments: attachments.map((one) => ({ node: fields['node'], ...fieldsOf(one) })) }
      : {}),
    createdBy: createdBy === undefined ? creator : (createdBy ?? undefined),
    ...(Array.isArray(claims) ? { claims: claims.map((one) => whole(fieldsOf(one) ?? {})) } : {}),
  }
}
