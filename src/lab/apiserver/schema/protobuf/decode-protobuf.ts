import { fromEntries, isObject, type JsonObject } from '../record.ts'
import { type FieldType, type MessageType, messageTypes } from './message-types.ts'
import { broken, readFields, type WireField } from './wire.ts'

/** Media type of a protobuf body. */
export const protobufMediaType = 'application/vnd.kubernetes.protobuf'

const magic = Buffer.from('k8s\0')

/**
 * Reads a protobuf body as the JSON object that it stands for. Current kubectl sends `create namespace` and the like
 * this way. Only the kinds that it creates are known; a field that is not known is refused, never dropped.
 * @throws {InvalidInputError} that names the field and the way out
 */
export function decodeProtobuf(body: Uint8Array): JsonObject {
  if (Buffer.compare(body.subarray(0, magic.length), magic) !== 0)
    broken('body', 'does not begin with "k8s" and zero')
  // runtime.Unknown: 1 typeMeta {1 apiVersion, 2 kind}, 2 raw, 3 contentEncoding, 4 contentType
  const envelope = readFields(body.subarray(magic.length), 'body')
  const typeMeta = readFields(bytesOf(envelope, 1), 'body.typeMeta')
  const apiVersion = textOf(bytesOf(typeMeta, 1), 'apiVersion')
  const kind = textOf(bytesOf(typeMeta, 2), 'kind')
  const type = Object.hasOwn(messageTypes, `${apiVersion}/${kind}`)
    ? messageTypes[`${apiVersion}/${kind}`]
    : undefined
  if (type === undefined) return broken('body', `is a ${kind} of ${apiVersion}, which is read as JSON alone`)
  return { apiVersion, kind, ...readMessage(bytesOf(envelope, 2), type, kind) }
}

function bytesOf(fields: readonly WireField[], number: number): Uint8Array {
  const value = fields.find((field) => field.number === number)?.value
  return value instanceof Uint8Array ? value : new Uint8Array()
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function textOf(bytes: Uint8Array, place: string): string {
  try {
    return utf8.decode(bytes)
  } catch {
    return broken(place, 'is not UTF-8 text')
  }
}

function readMessage(bytes: Uint8Array, type: MessageType, place: string): JsonObject {
  const entries = new Map<string, unknown>()
  for (const { number, value } of readFields(bytes, place)) {
    const known = type.fields[number]
    if (known === undefined)
      return broken(place, `has the field number ${number}, which is read as JSON alone`)
    const [name, fieldType] = known
    const read = readValue(value, fieldType, `${place}.${name}`)
    if (read === undefined) continue
    const before = entries.get(name)
    if (Array.isArray(before) && Array.isArray(read)) entries.set(name, [...before, ...read])
    else if (isMap(fieldType) && isObject(before) && isObject(read)) entries.set(name, { ...before, ...read })
    else entries.set(name, read)
  }
  return fromEntries(entries)
}

const isMap = (type: FieldType): boolean => typeof type === 'object' && 'map' in type

/** @returns undefined for what the JSON form leaves out */
function readValue(value: bigint | Uint8Array, type: FieldType, place: string): unknown {
  if (typeof type === 'string') return scalarValue(value, type, place)
  if ('zero' in type) return zeroValue(value, type.zero, place)
  if ('list' in type) return [readValue(value, type.list, place) ?? '']
  const bytes = expectBytes(value, place)
  if ('map' in type) return mapEntry(bytes, type.map, place)
  const message = readMessage(bytes, type, place)
  return Object.keys(message).length === 0 && Object.keys(type.fields).length === 0 ? undefined : message
}

function scalarValue(value: bigint | Uint8Array, type: Extract<FieldType, string>, place: string): unknown {
  switch (type) {
    case 'text': {
      const text = textOf(expectBytes(value, place), place)
      return text === '' ? undefined : text
    }
    case 'base64':
      return Buffer.from(expectBytes(value, place)).toString('base64')
    case 'int': {
      const number = signed(value, place)
      return number === 0 ? undefined : number
    }
    case 'flag':
      return value === 1n ? true : undefined
    case 'intOrString':
      return intOrString(expectBytes(value, place), place)
    case 'ignored':
      return undefined
    case 'time':
      return timeText(expectBytes(value, place), place)
  }
}

function zeroValue(value: bigint | Uint8Array, type: 'int' | 'flag' | 'text', place: string): unknown {
  if (type === 'text') return textOf(expectBytes(value, place), place)
  return type === 'int' ? signed(value, place) : value === 1n
}

function expectBytes(value: bigint | Uint8Array, place: string): Uint8Array {
  return value instanceof Uint8Array ? value : broken(place, 'is a number')
}

function signed(value: bigint | Uint8Array, place: string): number | bigint {
  if (value instanceof Uint8Array) return broken(place, 'is not a number')
  const exact = BigInt.asIntN(64, value)
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact
}

function mapEntry(bytes: Uint8Array, type: 'text' | 'base64', place: string): JsonObject {
  const fields = readFields(bytes, place)
  const key = textOf(bytesOf(fields, 1), place)
  const value = bytesOf(fields, 2)
  return fromEntries([[key, type === 'text' ? textOf(value, place) : Buffer.from(value).toString('base64')]])
}

// IntOrString: 1 type (0 int, 1 string), 2 intVal, 3 strVal
function intOrString(bytes: Uint8Array, place: string): unknown {
  const fields = readFields(bytes, place)
  const number = fields.find((field) => field.number === 2)?.value ?? 0n
  const isText = fields.some((field) => field.number === 1 && field.value === 1n)
  return isText ? textOf(bytesOf(fields, 3), place) : signed(number, place)
}

// Time: 1 seconds, 2 nanos; empty for no time.
function timeText(bytes: Uint8Array, place: string): string | undefined {
  const seconds = readFields(bytes, place).find((field) => field.number === 1)?.value
  if (seconds === undefined) return undefined
  const date = new Date(Number(signed(seconds, place)) * 1000)
  return Number.isNaN(date.getTime())
    ? broken(place, 'is out of the range of times')
    : `${date.toISOString().slice(0, 19)}Z`
}
