import { tryParseIp } from '../../address/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { crdLimits } from '../crd/limits.ts'
import type { DnsSettings } from '../spider.ts'
import { AnnotationError } from './annotation-error.ts'
import { itemsOf, type JsonSource, jsonError, membersOf, podJson, readJson, textOf } from './json-shape.ts'
import { annotationKeys } from './keys.ts'

/** What travels with an allocation besides addresses and routes. */
export interface Attributes {
  readonly dns?: DnsSettings
  readonly metadata?: Metadata
}

/** Free-form facts. */
export type Metadata = Readonly<Record<string, string>>

const dnsExample = '{"nameservers":["10.6.0.53"],"search":["shop.example"],"options":["ndots:2"]}'
const metadataExample = '{"rack":"r7","owner":"shop"}'
const lists = ['nameservers', 'search', 'options'] as const
const dnsMembers: readonly string[] = ['nameservers', 'domain', 'search', 'options']

/**
 * Annotation `ipam.spidernet.io/dns`: `dns` of a CNI result. A member that is there replaces the pool's, an empty list too.
 * @throws {InvalidInputError} with the words of spec/ipam.md §4.2
 */
export function parsePodDns(text: string): DnsSettings {
  const source = podJson(annotationKeys.dns, text, dnsExample)
  const value = readJson(source)
  const members = membersOf(source, value, 'the value')
  const unknown = Object.keys(value ?? {}).find((name) => !dnsMembers.includes(name.toLowerCase()))
  if (unknown !== undefined) {
    const problem = `it has no member '${unknown.slice(0, 60)}': known are ${dnsMembers.join(', ')}`
    throw jsonError(source, problem)
  }
  const dns: Record<string, string | readonly string[]> = {}
  for (const name of lists) {
    if (!members.has(name)) continue
    const items = itemsOf(source, members.get(name), name)
    if (items.length > crdLimits.dnsItems) {
      throw jsonError(source, `${name} has ${items.length} items, more than ${crdLimits.dnsItems}`)
    }
    dns[name] = items.map((item, index) => dnsText(source, item, `${name}[${index}]`))
  }
  for (const server of dns['nameservers'] ?? []) {
    if (tryParseIp(server) === undefined)
      throw jsonError(source, `nameserver '${server}' is not an IP address`)
  }
  if (members.has('domain')) {
    const domain = textOf(source, members.get('domain'), 'domain')
    dns['domain'] = domain === '' ? '' : dnsText(source, domain, 'domain')
  }
  return dns
}

/** One word of resolv.conf(5): a line break or a blank in it would be another setting. */
function dnsText(source: JsonSource, value: unknown, where: string): string {
  const text = textOf(source, value, where)
  if (isWord(text)) return text
  throw jsonError(source, `${where} is no word of 1 to ${crdLimits.dnsText} characters without blanks`)
}

function isWord(text: string): boolean {
  return text !== '' && text.length <= crdLimits.dnsText && !/[\s\p{Cc}]/u.test(text)
}

/**
 * Annotation `ipam.spidernet.io/metadata`: texts by key.
 * @throws {InvalidInputError} with the words of spec/ipam.md §4.2
 */
export function parsePodMetadata(text: string): Metadata {
  const source = podJson(annotationKeys.metadata, text, metadataExample)
  const value = readJson(source)
  membersOf(source, value, 'the value')
  const entries: readonly [string, unknown][] = Object.entries(value ?? {})
  if (entries.length > crdLimits.metadataItems) {
    throw jsonError(source, `it has ${entries.length} keys, more than ${crdLimits.metadataItems}`)
  }
  for (const [key, item] of entries) {
    if (key === '' || key.length > crdLimits.metadataKey) {
      throw jsonError(source, `key '${key.slice(0, 60)}' has not 1 to ${crdLimits.metadataKey} characters`)
    }
    if (typeof item !== 'string') throw jsonError(source, `the value of '${key}' must be text`)
    if (item.length > crdLimits.recordedText) {
      throw jsonError(source, `the value of '${key}' is longer than ${crdLimits.recordedText} characters`)
    }
  }
  return Object.fromEntries(entries) as Metadata // each value was checked above
}

/**
 * Annotation `ipam.spidernet.io/refresh-attributes`; absent: no.
 * @throws {InvalidInputError} when it is neither true nor false: somebody meant one of them
 */
export function parseRefreshAttributes(text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false
  if (text === 'true') return true
  const problem = 'is neither true nor false'
  throw new AnnotationError(annotationKeys.refreshAttributes, text, problem, 'write "true" or "false"')
}

/**
 * Checks what a pool gives, beyond what its schema says.
 * @throws {InvalidInputError} naming the field
 */
export function requirePoolAttributes({ dns = {}, metadata = {} }: Attributes): void {
  const refuse = (field: string, value: unknown, problem: string, hint: string): never => {
    throw new InvalidInputError(`spec.${field}`, value, problem, hint)
  }
  for (const [index, server] of (dns.nameservers ?? []).entries()) {
    if (tryParseIp(server) !== undefined) continue
    refuse(`dns.nameservers[${index}]`, server, 'is not an IP address', 'write one such as 10.6.0.53')
  }
  const words = [
    ...(dns.domain === undefined ? [] : [['dns.domain', dns.domain] as const]),
    ...(dns.search ?? []).map((text, index) => [`dns.search[${index}]`, text] as const),
    ...(dns.options ?? []).map((text, index) => [`dns.options[${index}]`, text] as const),
  ]
  for (const [field, text] of words) {
    if (!isWord(text)) refuse(field, text, 'is not one word', 'write it without blanks and line breaks')
  }
  const key = Object.keys(metadata).find((one) => one === '' || one.length > crdLimits.metadataKey)
  if (key !== undefined) {
    refuse('metadata', key, 'has a key of no or too many characters', `write 1 to ${crdLimits.metadataKey}`)
  }
  const byteCount = Buffer.byteLength(JSON.stringify({ dns, metadata }))
  if (byteCount > crdLimits.attributeBytes) {
    const found = `${byteCount} bytes of JSON with spec.dns`
    refuse(
      'metadata',
      found,
      `is more than ${crdLimits.attributeBytes}`,
      'shorten it: each address records it',
    )
  }
}

/**
 * What a pool gives, with what the pod's annotations put in its place: of `dns` each member, of `metadata` each key.
 * @param pool its name, for the error
 * @throws {InvalidInputError} when both together are more than is recorded with one address
 */
export function mergeAttributes(pool: string, ofPool: Attributes, ofPod: Attributes): Attributes {
  const dns = withoutEmpty({ ...ofPool.dns, ...ofPod.dns })
  const metadata: Metadata = { ...ofPool.metadata, ...ofPod.metadata }
  const merged = {
    ...(Object.keys(dns).length === 0 ? {} : { dns }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  }
  const keyCount = Object.keys(metadata).length
  const byteCount = Buffer.byteLength(JSON.stringify(merged))
  if (keyCount <= crdLimits.metadataItems && byteCount <= crdLimits.attributeBytes) return merged
  throw new InvalidInputError(
    `dns and metadata of SpiderIPPool "${pool}" with those of the pod's annotations`,
    `${byteCount} bytes of JSON, ${keyCount} keys of metadata`,
    `is more than is recorded with an address: ${crdLimits.attributeBytes} bytes, ${crdLimits.metadataItems} keys`,
    `shorten spec.dns and spec.metadata of the pool, or ${annotationKeys.dns} and ${annotationKeys.metadata} of the pod`,
  )
}

function withoutEmpty(dns: DnsSettings): DnsSettings {
  return Object.fromEntries(
    Object.entries(dns).filter(([, value]) => value !== undefined && value.length > 0),
  )
}

/**
 * The DNS settings of several addresses as one: lists joined in order, each item once; the first domain.
 * @param all in the order that counts: IPv4 before IPv6
 * @returns undefined when none has any
 */
export function joinDns(all: readonly (DnsSettings | undefined)[]): DnsSettings | undefined {
  const known = all.filter((dns) => dns !== undefined)
  if (known.length < 2) return known[0]
  const joined = (name: (typeof lists)[number]): readonly string[] => {
    const items = new Set(known.flatMap((dns) => dns[name] ?? []))
    return [...items].slice(0, crdLimits.dnsItems)
  }
  const domain = known.find((dns) => dns.domain !== undefined)?.domain
  return withoutEmpty({
    nameservers: joined('nameservers'),
    ...(domain === undefined ? {} : { domain }),
    search: joined('search'),
    options: joined('options'),
  })
}

/** The metadata of several addresses as one: of a key that several have the first counts. undefined when none has any. */
export function joinMetadata(all: readonly (Metadata | undefined)[]): Metadata | undefined {
  const known = all.filter((metadata) => metadata !== undefined)
  if (known.length < 2) return known[0]
  return Object.fromEntries(known.toReversed().flatMap((metadata) => Object.entries(metadata)))
}
