import type { JsonObject } from '../../schema/record.ts'
import { badRequest, StatusError } from '../../status.ts'
import { type MessageField, messageFields } from './messages.ts'
import { readFields } from './wire.ts'

const magic = Buffer.from('k8s\0')
const maxDepth = 30
const envelope = { typeMeta: 1, raw: 2, contentEncoding: 3 }

/**
 * Reads an object in Kubernetes' protobuf form (which typed commands of kubectl send, such as `create token`) into what its
 * JSON would be. Only what is described in `messages.ts` is read; anything else is refused, never dropped.
 * @throws {StatusError} 400 for broken bytes, 415 for kinds and fields that are not described
 */
export function decodeProtobuf(body: Uint8Array): JsonObject {
  if (!magic.equals(body.subarray(0, magic.byteLength)))
    throw badRequest('the protobuf body does not start with "k8s\\0"; send the object again, or as JSON')
  let apiVersion = ''
  let kind = ''
  let raw: Uint8Array = new Uint8Array()
  for (const { number, value } of readFields(body.subarray(magic.byteLength))) {
    if (typeof value === 'bigint') continue
    if (number === envelope.raw) raw = value
    if (number === envelope.contentEncoding && value.byteLength > 0)
      throw undescribed(`content encoding ${text(value)}`)
    if (number !== envelope.typeMeta) continue
    for (const field of readFields(value)) {
      if (field.number === 1) apiVersion = text(field.value)
      if (field.number === 2) kind = text(field.value)
    }
  }
  return { apiVersion, kind, ...decodeMessage(kind, raw, maxDepth) }
}

function decodeMessage(message: string, bytes: Uint8Array, depth: number): JsonObject {
  const fields = messageFields(message)
  if (fields === undefined) throw undescribed(`kind ${message}`)
  if (depth === 0) throw badRequest(`the protobuf body is nested deeper than ${maxDepth} messages`)
  const found: Record<string, unknown> = {}
  for (const { number, value } of readFields(bytes)) {
    const field = fields.get(number)
    if (field === undefined) throw undescribed(`field ${number} of ${message}`)
    if (field.type === '_') continue
    if (field.type.startsWith('m:')) {
      const [key, item] = decodeEntry(field.type.slice(2), bytesOf(value), depth)
      found[field.name] = withEntry(found[field.name], key, item)
    } else if (field.isList) {
      const before: unknown = found[field.name]
      found[field.name] = [...(Array.isArray(before) ? before : []), decodeValue(field.type, value, depth)]
    } else {
      const item = decodeValue(field.type, value, depth)
      if (field.keepsZero || !isZero(field, item)) found[field.name] = item
    }
  }
  return found
}

function withEntry(map: unknown, key: string, item: unknown): JsonObject {
  const before = typeof map === 'object' && map !== null ? Object.entries(map) : []
  return Object.fromEntries([...before, [key, item]])
}

function isZero(field: MessageField, item: unknown): boolean {
  if (item === null || item === '' || item === false) return true
  return item === 0 && field.type !== 'n'
}

function decodeEntry(type: string, bytes: Uint8Array, depth: number): [string, unknown] {
  let key = ''
  let item: unknown = type === 's' || type === 'y' ? '' : {}
  for (const { number, value } of readFields(bytes)) {
    if (number === 1) key = text(value)
    if (number === 2) item = decodeValue(type, value, depth)
  }
  return [key, item]
}

function decodeValue(type: string, value: bigint | Uint8Array, depth: number): unknown {
  switch (type) {
    case 's':
      return text(value)
    case 'i':
      return integer(value)
    case 'b':
      return integer(value) !== 0
    case 'y':
      return Buffer.from(bytesOf(value)).toString('base64')
    case 't':
      return time(bytesOf(value))
    case 'q':
      return first(bytesOf(value), 1, '', text)
    case 'n':
      return intOrString(bytesOf(value))
    default:
      return decodeMessage(type, bytesOf(value), depth - 1)
  }
}

function first<T>(
  bytes: Uint8Array,
  number: number,
  fallback: T,
  read: (value: bigint | Uint8Array) => T,
): T {
  for (const field of readFields(bytes)) if (field.number === number) return read(field.value)
  return fallback
}

function intOrString(bytes: Uint8Array): number | string {
  const isText = first(bytes, 1, 0, integer) === 1
  return isText ? first(bytes, 3, '', text) : first(bytes, 2, 0, integer)
}

// Seconds and nanoseconds since the epoch; no bytes at all are Go's zero time, null in JSON.
function time(bytes: Uint8Array): string | null {
  if (bytes.byteLength === 0) return null
  const ms = first(bytes, 1, 0, integer) * 1000 + Math.floor(first(bytes, 2, 0, integer) / 1_000_000)
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) throw badRequest(`the protobuf body holds the impossible time ${ms} ms`)
  return date.toISOString()
}

function integer(value: bigint | Uint8Array): number {
  if (typeof value !== 'bigint') throw badRequest('the protobuf body holds bytes where a number is wanted')
  return Number(BigInt.asIntN(64, value))
}

function bytesOf(value: bigint | Uint8Array): Uint8Array {
  if (typeof value === 'bigint') throw badRequest('the protobuf body holds a number where bytes are wanted')
  return value
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function text(value: bigint | Uint8Array): string {
  try {
    return utf8.decode(bytesOf(value))
  } catch (error) {
    if (error instanceof StatusError) throw error
    throw badRequest('the protobuf body holds text that is not UTF-8')
  }
}

function undescribed(what: string): StatusError {
  const message =
    `this server cannot read ${what} in protobuf; send JSON: ` +
    'kubectl does so with create -f FILE or apply -f FILE'
  return new StatusError(415, 'UnsupportedMediaType', message)
}
