import type { AllocateRequest, CheckRequest, ReleaseRequest } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'

const textLimit = 512 // characters
const listLimit = 256 // items

type Fields = Readonly<Record<string, unknown>>

/** @throws {InvalidInputError} naming the field and the value */
export function parseAllocateRequest(body: unknown): AllocateRequest {
  const fields = fieldsOf(body)
  return {
    containerId: textOf(fields, 'containerId'),
    ifName: textOf(fields, 'ifName'),
    netns: textOf(fields, 'netns', true),
    podNamespace: textOf(fields, 'podNamespace'),
    podName: textOf(fields, 'podName'),
    podUid: textOf(fields, 'podUid', true),
    defaultIpv4Pools: textsOf(fields, 'defaultIpv4Pools'),
    defaultIpv6Pools: textsOf(fields, 'defaultIpv6Pools'),
    cleanGateway: flagOf(fields, 'cleanGateway'),
    budgetMs: countOf(fields, 'budgetMs'),
  }
}

/** @throws {InvalidInputError} naming the field and the value */
export function parseReleaseRequest(body: unknown): ReleaseRequest {
  const fields = fieldsOf(body)
  const reason = fields['reason']
  if (reason !== 'detach' && reason !== 'undo') {
    throw new InvalidInputError('reason', reason, 'is not known', 'send detach or undo')
  }
  return { containerId: textOf(fields, 'containerId'), ifName: textOf(fields, 'ifName'), reason }
}

/** @throws {InvalidInputError} naming the field and the value */
export function parseCheckRequest(body: unknown): CheckRequest {
  const fields = fieldsOf(body)
  return {
    containerId: textOf(fields, 'containerId'),
    ifName: textOf(fields, 'ifName'),
    ips: textsOf(fields, 'ips'),
  }
}

function fieldsOf(body: unknown): Fields {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Fields
  throw new InvalidInputError('request body', body, 'is not a JSON object', 'send the fields as an object')
}

function textOf(fields: Fields, name: string, mayBeEmpty = false): string {
  const value = fields[name]
  const isFine = typeof value === 'string' && value.length <= textLimit && (mayBeEmpty || value !== '')
  if (isFine) return value
  throw new InvalidInputError(name, value, 'is not usable', `send text of 1 to ${textLimit} characters`)
}

function textsOf(fields: Fields, name: string): readonly string[] {
  const value = fields[name] ?? []
  const isText = (item: unknown): item is string => typeof item === 'string' && item.length <= textLimit
  if (Array.isArray(value) && value.length <= listLimit && value.every(isText)) return value
  throw new InvalidInputError(name, value, 'is not usable', `send a list of at most ${listLimit} texts`)
}

function flagOf(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false
  if (typeof value === 'boolean') return value
  throw new InvalidInputError(name, value, 'is not true or false', 'send true or false')
}

function countOf(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
  throw new InvalidInputError(name, value, 'is not a positive number', 'send the milliseconds that are left')
}
