// struct nlmsghdr and struct nlmsgerr in linux/netlink.h.
import { AttributeReader, alignUp, hostIsLittleEndian, viewOf } from './attribute.ts'
import { MalformedReplyError } from './malformed-reply-error.ts'

export const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_CAPPED = 0x100
export const NLM_F_ACK_TLVS = 0x200
export const NLM_F_DUMP = 0x300
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3

const headerBytes = 16
const NLMSGERR_ATTR_MSG = 1

export interface Message {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly payload: Uint8Array
}

export function encodeMessage(message: Message): Uint8Array {
  const lengthBytes = headerBytes + message.payload.byteLength
  const bytes = new Uint8Array(alignUp(lengthBytes))
  const view = viewOf(bytes)
  view.setUint32(0, lengthBytes, hostIsLittleEndian)
  view.setUint16(4, message.type, hostIsLittleEndian)
  view.setUint16(6, message.flags, hostIsLittleEndian)
  view.setUint32(8, message.sequence, hostIsLittleEndian)
  bytes.set(message.payload, headerBytes)
  return bytes
}

/**
 * The messages of one datagram.
 * @throws {MalformedReplyError} when a length runs out of the bytes
 */
export function splitMessages(bytes: Uint8Array): readonly Message[] {
  const messages: Message[] = []
  const view = viewOf(bytes)
  let offset = 0
  while (offset < bytes.byteLength) {
    const isHeaderThere = offset + headerBytes <= bytes.byteLength
    const lengthBytes = isHeaderThere ? view.getUint32(offset, hostIsLittleEndian) : 0
    if (lengthBytes < headerBytes || offset + lengthBytes > bytes.byteLength) {
      throw new MalformedReplyError(`message of ${lengthBytes} bytes at offset ${offset}`, bytes)
    }
    messages.push({
      type: view.getUint16(offset + 4, hostIsLittleEndian),
      flags: view.getUint16(offset + 6, hostIsLittleEndian),
      sequence: view.getUint32(offset + 8, hostIsLittleEndian),
      payload: bytes.subarray(offset + headerBytes, offset + lengthBytes),
    })
    offset += alignUp(lengthBytes)
  }
  return messages
}

/** What an NLMSG_ERROR or NLMSG_DONE says: 0 is an acknowledgement; `text` is the kernel's extended one. */
export interface Verdict {
  readonly errno: number
  readonly text?: string
}

/** Of an error the request that it answers follows, whole or (NLM_F_CAPPED) its header alone, then the attributes. */
export function decodeVerdict(message: Message): Verdict {
  const { payload, flags, type } = message
  if (payload.byteLength < 4) throw new MalformedReplyError('verdict without an errno', payload)
  const view = viewOf(payload)
  const errno = -view.getInt32(0, hostIsLittleEndian)
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno }
  let attributesAt = 4
  if (type === NLMSG_ERROR) {
    if (payload.byteLength < 4 + headerBytes)
      throw new MalformedReplyError('error without a request', payload)
    const requestBytes = view.getUint32(4, hostIsLittleEndian)
    attributesAt += (flags & NLM_F_CAPPED) !== 0 ? headerBytes : alignUp(requestBytes)
  }
  if (attributesAt > payload.byteLength) throw new MalformedReplyError('error request too long', payload)
  const text = new AttributeReader(payload.subarray(attributesAt)).text(NLMSGERR_ATTR_MSG)
  return text === undefined ? { errno } : { errno, text }
}
