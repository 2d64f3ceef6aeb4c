import { hostIsLittleEndian, viewOf } from './attribute.ts'
import { MalformedReplyError } from './malformed-reply-error.ts'

/** Fills the fixed header of a message; fields have their offset in the struct. */
export class HeaderWriter {
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(byteCount: number) {
    this.bytes = new Uint8Array(byteCount)
    this.#view = viewOf(this.bytes)
  }

  u8(offset: number, value: number): this {
    this.#view.setUint8(offset, value)
    return this
  }

  u16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, hostIsLittleEndian)
    return this
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value >>> 0, hostIsLittleEndian)
    return this
  }
}

/** Splits a payload into its fixed header and the bytes of the attributes. @throws {MalformedReplyError} if shorter */
export function splitHeader(
  payload: Uint8Array,
  byteCount: number,
  name: string,
): readonly [DataView, Uint8Array] {
  if (payload.byteLength < byteCount)
    throw new MalformedReplyError(`${name} shorter than its header`, payload)
  return [viewOf(payload.subarray(0, byteCount)), payload.subarray(byteCount)]
}

/** Numbers of a header in the byte order of the host. */
export const littleEndian: boolean = hostIsLittleEndian
