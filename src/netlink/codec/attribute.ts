// struct nlattr in linux/netlink.h, in the byte order of the host.
import { endianness } from 'node:os'
import { assert } from '../../base/index.ts'
import { MalformedReplyError } from './malformed-reply-error.ts'

/** Byte order of numbers in kernel messages; addresses and ports alone are in network order. */
export const hostIsLittleEndian: boolean = endianness() === 'LE'

const headerBytes = 4
const alignBytes = 4
const typeMask = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
const NLA_F_NESTED = 0x8000

export type Attributes = ReadonlyMap<number, Uint8Array>

/** One attribute, padded to 4 bytes. */
export function encodeAttribute(type: number, payload: Uint8Array): Uint8Array {
  const lengthBytes = headerBytes + payload.byteLength // leaves out the padding that follows
  assert(lengthBytes <= 0xffff, 'attribute is longer than its u16 length field can say')
  const bytes = new Uint8Array(alignUp(lengthBytes))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, lengthBytes, hostIsLittleEndian)
  view.setUint16(2, type, hostIsLittleEndian)
  bytes.set(payload, headerBytes)
  return bytes
}

export function u8(type: number, value: number): Uint8Array {
  return encodeAttribute(type, Uint8Array.of(value))
}

export function u16(type: number, value: number): Uint8Array {
  const payload = new Uint8Array(2)
  new DataView(payload.buffer).setUint16(0, value, hostIsLittleEndian)
  return encodeAttribute(type, payload)
}

export function u32(type: number, value: number): Uint8Array {
  const payload = new Uint8Array(4)
  new DataView(payload.buffer).setUint32(0, value >>> 0, hostIsLittleEndian)
  return encodeAttribute(type, payload)
}

/** A text that ends with NUL. */
export function text(type: number, value: string): Uint8Array {
  return encodeAttribute(type, new TextEncoder().encode(`${value}\0`))
}

export function nested(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return encodeAttribute(type | NLA_F_NESTED, concat(parts))
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.byteLength
  }
  return bytes
}

/**
 * Attributes by type; of a type that comes twice the later wins, as in the kernel's own parser.
 * @throws {MalformedReplyError} when a length runs out of the bytes
 */
export function decodeAttributes(bytes: Uint8Array): Attributes {
  const found = new Map<number, Uint8Array>()
  const view = viewOf(bytes)
  let offset = 0
  while (offset + headerBytes <= bytes.byteLength) {
    const lengthBytes = view.getUint16(offset, hostIsLittleEndian)
    if (lengthBytes < headerBytes || offset + lengthBytes > bytes.byteLength) {
      throw new MalformedReplyError(`attribute of ${lengthBytes} bytes at offset ${offset}`, bytes)
    }
    const type = view.getUint16(offset + 2, hostIsLittleEndian) & typeMask
    found.set(type, bytes.subarray(offset + headerBytes, offset + lengthBytes))
    offset += alignUp(lengthBytes)
  }
  return found
}

export function alignUp(byteCount: number): number {
  return Math.ceil(byteCount / alignBytes) * alignBytes
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Reads attributes of one message, each with its length checked. */
export class AttributeReader {
  readonly #attributes: Attributes

  constructor(bytes: Uint8Array) {
    this.#attributes = decodeAttributes(bytes)
  }

  bytes(type: number): Uint8Array | undefined {
    return this.#attributes.get(type)
  }

  u8(type: number): number | undefined {
    const bytes = this.#sized(type, 1)
    return bytes === undefined ? undefined : viewOf(bytes).getUint8(0)
  }

  u16(type: number): number | undefined {
    const bytes = this.#sized(type, 2)
    return bytes === undefined ? undefined : viewOf(bytes).getUint16(0, hostIsLittleEndian)
  }

  u32(type: number): number | undefined {
    const bytes = this.#sized(type, 4)
    return bytes === undefined ? undefined : viewOf(bytes).getUint32(0, hostIsLittleEndian)
  }

  i32(type: number): number | undefined {
    const value = this.u32(type)
    return value === undefined ? undefined : value | 0
  }

  /** Up to the first NUL. */
  text(type: number): string | undefined {
    const bytes = this.#attributes.get(type)
    if (bytes === undefined) return undefined
    const end = bytes.indexOf(0)
    return new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end))
  }

  nested(type: number): AttributeReader | undefined {
    const bytes = this.#attributes.get(type)
    return bytes === undefined ? undefined : new AttributeReader(bytes)
  }

  #sized(type: number, byteCount: number): Uint8Array | undefined {
    const bytes = this.#attributes.get(type)
    if (bytes !== undefined && bytes.byteLength < byteCount) {
      throw new MalformedReplyError(`attribute ${type} shorter than ${byteCount} bytes`, bytes)
    }
    return bytes
  }
}
