import { formatIp, tryParseIp } from '../address/index.ts'
import { InvalidInputError, jsonMemberList, parseJson, toError } from '../base/index.ts'
import { crdLimits } from './crd/limits.ts'

/** One record of `status.allocatedIPs`, as this or another allocator wrote it. */
export interface AllocationRecord {
  /** Canonical text. */
  readonly ip: string
  /** `namespace/name`. */
  readonly pod: string
  /** '' when the record has none: releases before 0.4 wrote no uid. */
  readonly podUid: string
  /** Of older releases; '' when the record does not say. */
  readonly nic: string
  readonly node: string
}

/** What `status.allocatedIPs` says. */
export interface AllocationRecords {
  /** In the order of the text; an address that is there twice comes twice. */
  readonly records: readonly AllocationRecord[]
  /** What cannot be read: some address may be taken that `records` does not have. */
  readonly unreadable: readonly InvalidInputError[]
  /** What is odd, and takes nothing from the records. */
  readonly remarks: readonly string[]
}

const field = 'status.allocatedIPs'
const maxTextLength = 4_194_304 // characters; an object at the API server has 1.5 MiB
const maxRecords = 50_000
const maxReported = 20 // problems of one text
const knownMembers = new Set([
  'pod',
  'podUid',
  'interface',
  'node',
  'containerID',
  'namespace',
  'ownerControllerType',
])
/** A text that others wrote and we record; '' for one that is longer than any real name or id. */
export function foreignText(text: unknown): string {
  return typeof text === 'string' && text.length <= crdLimits.recordedText ? text : ''
}

const namePart = '[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?'
const podForm = new RegExp(`^${namePart}/${namePart}$`)
const remedy =
  'write {"<address>":{"pod":"<namespace>/<name>","podUid":"<uid>"}}, or see docs/upgrade-in-place.md to discard it'

/**
 * Reads `status.allocatedIPs` as leniently as is safe, in the form of any release (spec/api.md §4.3). Absent, null and ''
 * mean no records. Never throws: what cannot be read is listed.
 */
export function readAllocationRecords(text: unknown): AllocationRecords {
  if (text === undefined || text === null) return nothing
  if (typeof text !== 'string') return unreadableText(text, 'is no text')
  if (text.trim() === '') return nothing
  if (text.length > maxTextLength) return unreadableText(text, `is longer than ${maxTextLength} characters`)
  let parsed: unknown
  try {
    parsed = parseJson(text)
  } catch (error) {
    return unreadableText(text, `is not JSON: ${toError(error).message.slice(0, 100)}`)
  }
  if (parsed === null) return nothing
  if (typeof parsed !== 'object' || Array.isArray(parsed)) return unreadableText(text, 'is not a JSON object')
  return readMembers(text)
}

const nothing: AllocationRecords = { records: [], unreadable: [], remarks: [] }

function unreadableText(value: unknown, problem: string): AllocationRecords {
  return { ...nothing, unreadable: [new InvalidInputError(field, value, problem, remedy)] }
}

function readMembers(text: string): AllocationRecords {
  const records: AllocationRecord[] = []
  const unreadable: InvalidInputError[] = []
  const remarks = new Set<string>()
  const seen = new Set<string>()
  for (const [key, raw] of jsonMemberList(text)) {
    const record = records.length < maxRecords ? readRecord(key, raw, remarks) : tooMany(key)
    if (record instanceof InvalidInputError) {
      if (unreadable.length < maxReported) unreadable.push(record)
      continue
    }
    if (seen.has(record.ip)) remarks.add(`${field} has ${record.ip} twice: both records count`)
    seen.add(record.ip)
    records.push(record)
  }
  return { records, unreadable, remarks: [...remarks].slice(0, maxReported) }
}

function tooMany(key: string): InvalidInputError {
  return new InvalidInputError(field, key, `comes after ${maxRecords} records, and more are not read`, remedy)
}

function readRecord(key: string, raw: string, remarks: Set<string>): AllocationRecord | InvalidInputError {
  const ip = tryParseIp(key)
  if (ip === undefined) return new InvalidInputError(`${field} key`, key, 'is not an IP address', remedy)
  const address = formatIp(ip)
  const value: unknown = parseJson(raw)
  const at = `${field}[${address}]`
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new InvalidInputError(at, value, 'is not an object', remedy)
  }
  const members = new Map<string, unknown>(Object.entries(value))
  const text = (name: string): string => {
    const found = members.get(name)
    return typeof found === 'string' ? found : ''
  }
  for (const name of members.keys()) {
    if (!knownMembers.has(name)) remarks.add(`${field} has a member "${name.slice(0, 60)}" that is ignored`)
  }
  const pod = text('pod').includes('/') ? text('pod') : `${text('namespace')}/${text('pod')}`
  if (!podForm.test(pod)) {
    return new InvalidInputError(`${at}.pod`, members.get('pod'), 'is not namespace/name of a pod', remedy)
  }
  const foreign = (name: string): string => foreignText(text(name))
  const podUid = foreign('podUid')
  if (podUid === '') remarks.add(`${field} has records without podUid: the pod of that name counts`)
  return { ip: address, pod, podUid, nic: foreign('interface'), node: foreign('node') }
}
