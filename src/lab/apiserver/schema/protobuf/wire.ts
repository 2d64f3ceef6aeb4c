import { InvalidInputError } from '../../../../base/index.ts'

/** One field of a message as it stands on the wire. */
export interface WireField {
  readonly number: number
  /** A varint, or the bytes of a text, message or list. Fixed-width numbers appear in no kind that is read. */
  readonly value: bigint | Uint8Array
}

const remedy = 'send JSON: kubectl apply -f FILE does'
const maxVarintBytes = 10

/** Splits a message into fields. https://protobuf.dev/programming-guides/encoding/ @throws {InvalidInputError} */
export function readFields(bytes: Uint8Array, place: string): readonly WireField[] {
  const fields: WireField[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let index = 0; index < maxVarintBytes; index += 1) {
      const byte = bytes[at]
      if (byte === undefined) return broken(place, 'ends inside a number')
      at += 1
      value |= BigInt(byte & 0x7f) << BigInt(7 * index)
      if (byte < 0x80) return value
    }
    return broken(place, 'has a number of over ten bytes')
  }
  while (at < bytes.byteLength) {
    const tag = varint()
    const number = Number(tag >> 3n)
    const wireType = tag & 7n
    if (wireType === 0n) fields.push({ number, value: varint() })
    else if (wireType === 2n) {
      const length = Number(varint())
      if (length > bytes.byteLength - at) broken(place, 'ends inside a field')
      fields.push({ number, value: bytes.subarray(at, at + length) })
      at += length
    } else broken(place, `has a field of the unexpected wire type ${wireType}`)
  }
  return fields
}

export function broken(place: string, problem: string): never {
  throw new InvalidInputError(place, '(protobuf)', problem, remedy)
}

/** Writes one field of text or a nested message. */
export function writeField(number: number, value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([writeVarint((number << 3) | 2), writeVarint(bytes.byteLength), bytes])
}

function writeVarint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return Uint8Array.from([...bytes, rest])
}
