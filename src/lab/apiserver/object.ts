import { isObject, type JsonObject, ownValue } from './schema/record.ts'
import { badRequest } from './status.ts'

export interface OwnerRef {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** `metadata` of any object, its known fields of the right type. */
export interface Meta {
  readonly name?: string
  readonly generateName?: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: readonly string[]
  readonly ownerReferences?: readonly OwnerRef[]
  readonly managedFields?: unknown
  readonly [key: string]: unknown
}

/** An object of the API: parsed JSON with a sound `metadata`, the rest unknown. Never changed in place. */
export interface ApiObject extends JsonObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Meta
  readonly [key: string]: unknown
}

const maxDepth = 200

/**
 * Checks the envelope of an object that came from outside: apiVersion, kind, types within metadata, depth.
 * Null members of metadata are dropped, as API servers read null as absent.
 * @throws {StatusError} 400 that names the field
 */
export function parseObject(value: unknown, expected: { apiVersion: string; kind: string }): ApiObject {
  if (!isObject(value)) throw badRequest(`the body is not a JSON object but ${typeName(value)}`)
  checkDepth(value, maxDepth)
  const apiVersion = ownValue(value, 'apiVersion') ?? expected.apiVersion
  const kind = ownValue(value, 'kind') ?? expected.kind
  if (apiVersion !== expected.apiVersion || kind !== expected.kind) {
    throw badRequest(
      `the object provided is unrecognized (apiVersion ${JSON.stringify(apiVersion)}, kind ${JSON.stringify(kind)}): ` +
        `this path takes ${expected.apiVersion}, Kind=${expected.kind}`,
    )
  }
  const metadata = parseMeta(ownValue(value, 'metadata'))
  return { ...value, apiVersion: expected.apiVersion, kind: expected.kind, metadata }
}

type Check = (value: unknown, field: string) => unknown

const checks: Readonly<Record<string, Check>> = {
  name: text,
  generateName: text,
  namespace: text,
  uid: text,
  resourceVersion: text,
  generation: integer,
  creationTimestamp: timestamp,
  deletionTimestamp: timestamp,
  deletionGracePeriodSeconds: integer,
  labels: textMap,
  annotations: textMap,
  finalizers: textList,
  ownerReferences: ownerList,
}

/** @throws {StatusError} 400 that names the field */
export function parseMeta(value: unknown): Meta {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) throw wrong('metadata', 'object', value)
  const entries = Object.entries(value).filter(([, item]) => item !== null && item !== undefined)
  return Object.fromEntries(
    entries.map(([key, item]) => [
      key,
      Object.hasOwn(checks, key) ? checks[key]?.(item, `metadata.${key}`) : item,
    ]),
  )
}

function wrong(field: string, wanted: string, value: unknown): Error {
  return badRequest(
    `cannot decode ${field}: it must be of type ${wanted}, not ${typeName(value)} ${shorten(value)}`,
  )
}

function text(value: unknown, field: string): unknown {
  if (typeof value !== 'string') throw wrong(field, 'string', value)
  return value
}

function integer(value: unknown, field: string): unknown {
  if (!Number.isSafeInteger(value)) throw wrong(field, 'integer', value)
  return value
}

function timestamp(value: unknown, field: string): unknown {
  if (typeof value !== 'string' || Number.isNaN(Date.parse(value)))
    throw wrong(field, 'RFC 3339 timestamp', value)
  return value
}

function textMap(value: unknown, field: string): unknown {
  if (!isObject(value)) throw wrong(field, 'object', value)
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'string') throw wrong(`${field}[${JSON.stringify(key)}]`, 'string', item)
  }
  return value
}

function textList(value: unknown, field: string): unknown {
  if (!Array.isArray(value)) throw wrong(field, 'array', value)
  for (const [index, item] of value.entries()) text(item, `${field}[${index}]`)
  return value
}

function ownerList(value: unknown, field: string): unknown {
  if (!Array.isArray(value)) throw wrong(field, 'array', value)
  for (const [index, item] of value.entries()) {
    if (!isObject(item)) throw wrong(`${field}[${index}]`, 'object', item)
    for (const key of ['apiVersion', 'kind', 'name', 'uid'])
      text(ownValue(item, key) ?? '', `${field}[${index}].${key}`)
    for (const key of ['controller', 'blockOwnerDeletion']) {
      const flag = ownValue(item, key)
      if (flag !== undefined && flag !== null && typeof flag !== 'boolean')
        throw wrong(`${field}[${index}].${key}`, 'boolean', flag)
    }
  }
  return value
}

// A deep value would overflow the stack of everything that walks it later.
function checkDepth(value: unknown, left: number): void {
  if (typeof value !== 'object' || value === null) return
  if (left === 0) throw badRequest(`the body is nested deeper than ${maxDepth} levels; flatten it`)
  for (const item of Object.values(value)) checkDepth(item, left - 1)
}

export function typeName(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function shorten(value: unknown): string {
  const shown = typeof value === 'bigint' ? String(value) : (JSON.stringify(value, plain) ?? '')
  return shown.length > 100 ? `${shown.slice(0, 97)}...` : shown
}

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)
