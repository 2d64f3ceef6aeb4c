import { badRequest } from '../../status.ts'

/** One field of a message in the protocol buffers wire format. */
export interface WireField {
  readonly number: number
  /** An unsigned integer, or the bytes of a string, message or packed list. */
  readonly value: bigint | Uint8Array
}

const maxVarintBytes = 10

/** Splits a message into its fields, in their order. @throws {StatusError} 400 when the bytes are no message */
export function* readFields(bytes: Uint8Array): Generator<WireField> {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let index = 0; index < maxVarintBytes; index++) {
      const byte = bytes[at++]
      if (byte === undefined) throw broken('an integer breaks off')
      value |= BigInt(byte & 0x7f) << BigInt(7 * index)
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw broken('an integer is longer than 10 bytes')
  }
  const take = (count: number): Uint8Array => {
    if (count > bytes.byteLength - at) throw broken(`${count} bytes are announced, fewer are there`)
    at += count
    return bytes.subarray(at - count, at)
  }
  while (at < bytes.byteLength) {
    const key = varint()
    const number = Number(key >> 3n)
    switch (Number(key & 7n)) {
      case 0:
        yield { number, value: varint() }
        break
      case 1:
        yield { number, value: take(8) }
        break
      case 2:
        yield { number, value: take(Number(varint())) }
        break
      case 5:
        yield { number, value: take(4) }
        break
      default:
        throw broken(`field ${number} has the unknown wire type ${Number(key & 7n)}`)
    }
  }
}

function broken(problem: string): Error {
  return badRequest(`cannot read the protobuf body: ${problem}; send the object again, or as JSON`)
}
