import type { ApiObject, Meta } from '../object.ts'
import { type FieldFailure, forbidden, invalid, requiredField } from '../schema/failure.ts'
import { jsonEqual } from '../schema/record.ts'

export type NameRule = 'subdomain' | 'label' | 'label1035' | 'path'

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const label1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const qualifiedName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/

const words: Readonly<Record<Exclude<NameRule, 'path'>, string>> = {
  subdomain:
    'a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "-" or ".", ' +
    'and must start and end with an alphanumeric character',
  label:
    'a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "-", ' +
    'and must start and end with an alphanumeric character',
  label1035:
    'a DNS-1035 label must consist of lower case alphanumeric characters or "-", ' +
    'start with an alphabetic character, and end with an alphanumeric character',
}

/** What is wrong with the name of an object; undefined when nothing is. */
export function nameProblem(rule: NameRule, name: string): string | undefined {
  if (rule === 'path') {
    if (name === '.' || name === '..') return `may not be "${name}"`
    return /[/%]/.test(name) ? 'may not contain "/" or "%"' : undefined
  }
  const longest = rule === 'subdomain' ? 253 : 63
  if (name.length > longest) return `must be no more than ${longest} characters`
  const form = rule === 'subdomain' ? subdomain : rule === 'label' ? label : label1035
  return form.test(name) ? undefined : words[rule]
}

export function isQualifiedName(name: string): boolean {
  const slash = name.indexOf('/')
  const prefix = slash < 0 ? undefined : name.slice(0, slash)
  const last = name.slice(slash + 1)
  if (prefix !== undefined && (prefix.length > 253 || !subdomain.test(prefix))) return false
  return last.length <= 63 && qualifiedName.test(last)
}

export function isLabelValue(value: string): boolean {
  return value === '' || (value.length <= 63 && qualifiedName.test(value))
}

export const labelValueProblem: string =
  'a valid label must be an empty string or consist of alphanumeric characters, "-", "_" or ".", ' +
  'and must start and end with an alphanumeric character'
export const qualifiedNameProblem: string =
  'name part must consist of alphanumeric characters, "-", "_" or ".", and must start and end with an ' +
  'alphanumeric character, with an optional DNS subdomain prefix and "/"'
const maxAnnotationsBytes = 256 * 1024

/** Checks `metadata` of what will be stored. */
export function checkMeta(object: ApiObject, old: ApiObject | undefined, rule: NameRule): FieldFailure[] {
  const { metadata } = object
  const failures: FieldFailure[] = []
  const name = metadata.name ?? ''
  if (name === '') failures.push(requiredField('metadata.name', 'name or generateName is required'))
  else if (old === undefined) {
    const problem = nameProblem(rule, name)
    if (problem !== undefined) failures.push(invalid('metadata.name', name, problem))
  }
  failures.push(...checkLabels(metadata.labels ?? {}, 'metadata.labels'))
  failures.push(...checkAnnotations(metadata))
  for (const [index, finalizer] of (metadata.finalizers ?? []).entries()) {
    if (!isQualifiedName(finalizer))
      failures.push(invalid(`metadata.finalizers[${index}]`, finalizer, qualifiedNameProblem))
  }
  failures.push(...checkOwners(metadata))
  if (old !== undefined) failures.push(...checkMetaChange(metadata, old.metadata))
  return failures
}

export function checkLabels(labels: Readonly<Record<string, unknown>>, field: string): FieldFailure[] {
  const failures: FieldFailure[] = []
  for (const [key, value] of Object.entries(labels)) {
    if (!isQualifiedName(key)) failures.push(invalid(field, key, qualifiedNameProblem))
    if (typeof value !== 'string' || !isLabelValue(value))
      failures.push(invalid(field, value, labelValueProblem))
  }
  return failures
}

function checkAnnotations(metadata: Meta): FieldFailure[] {
  const failures: FieldFailure[] = []
  let bytes = 0
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    bytes += key.length + Buffer.byteLength(value)
    if (!isQualifiedName(key.toLowerCase()))
      failures.push(invalid('metadata.annotations', key, qualifiedNameProblem))
  }
  if (bytes > maxAnnotationsBytes) {
    const message = `Too long: may not be more than ${maxAnnotationsBytes} bytes`
    failures.push({ field: 'metadata.annotations', reason: 'FieldValueTooLong', message })
  }
  return failures
}

function checkOwners(metadata: Meta): FieldFailure[] {
  const failures: FieldFailure[] = []
  let controllers = 0
  for (const [index, owner] of (metadata.ownerReferences ?? []).entries()) {
    const field = `metadata.ownerReferences[${index}]`
    for (const key of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if ((owner[key] ?? '') === '') failures.push(requiredField(`${field}.${key}`, 'must not be empty'))
    }
    if (owner.controller === true) controllers++
  }
  if (controllers > 1) {
    const detail = 'Only one reference can have Controller set to true'
    failures.push(invalid('metadata.ownerReferences', controllers, detail))
  }
  return failures
}

function checkMetaChange(metadata: Meta, old: Meta): FieldFailure[] {
  const failures: FieldFailure[] = []
  if (old.deletionTimestamp !== undefined) {
    const added = (metadata.finalizers ?? []).filter((item) => !(old.finalizers ?? []).includes(item))
    if (added.length > 0) {
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`
      failures.push(forbidden('metadata.finalizers', detail))
    }
  }
  for (const key of ['name', 'namespace', 'uid', 'creationTimestamp'] as const) {
    if (!jsonEqual(metadata[key] ?? '', old[key] ?? ''))
      failures.push(invalid(`metadata.${key}`, metadata[key], 'field is immutable'))
  }
  return failures
}
