import {
  countIpValues,
  formatIpValue,
  type IpVersion,
  offsetIpValue,
  parseRange,
  tryParseIpWithPrefix,
} from '../../address/index.ts'
import { InvalidInputError, toError } from '../../base/index.ts'
import { crdLimits } from '../crd/limits.ts'
import { itemsOf, type JsonSource, jsonError, podJson, readJson, textOf } from './json-shape.ts'
import { annotationKeys } from './keys.ts'
import { nicNameProblem } from './nic-name.ts'

/** An address that a pod asks for. */
export interface AskedIp {
  readonly version: IpVersion
  /** Canonical text. */
  readonly ip: string
  /** The prefix length that was written with it: the pool has to give this one. */
  readonly prefixBits?: number
}

/** What an annotation says: of the pod's first NIC that gets addresses from here, or of NICs by name. */
export type ByNic<T> =
  | { readonly kind: 'first'; readonly value: T }
  | { readonly kind: 'named'; readonly values: ReadonlyMap<string, T> }

const ipsExample = '["10.6.0.20","fd00::20"] or {"eth0":["10.6.0.20"],"net1":["10.7.0.20-10.7.0.29"]}'
const macExample = '"02:00:0a:06:00:14" or {"eth0":"02:00:0a:06:00:14"}'
const maxNics = 64

/**
 * Annotation `ipam.spidernet.io/ips`: addresses, with prefix length or without, and ranges `a-b`, of which each address counts.
 * @throws {InvalidInputError} with the words of spec/ipam.md §4.2
 */
export function parsePodIps(text: string): ByNic<readonly AskedIp[]> {
  const source = podJson(annotationKeys.ips, text, ipsExample)
  const value = readJson(source)
  if (Array.isArray(value)) return { kind: 'first', value: askedOf(source, value, 'the value') }
  const values = nicsOf(source, value, (list, where) => askedOf(source, list, where))
  const seen = new Map<string, string>()
  for (const [nic, asked] of values) {
    for (const { ip } of asked) {
      const other = seen.get(ip)
      if (other !== undefined) throw jsonError(source, `${ip} is asked for by ${other} and by ${nic}`)
      seen.set(ip, nic)
    }
  }
  return { kind: 'named', values }
}

/**
 * Annotation `ipam.spidernet.io/mac`: one unicast MAC address, as JSON or as bare text, or one for each NIC.
 * @throws {InvalidInputError} with the words of spec/ipam.md §4.2
 */
export function parsePodMac(text: string): ByNic<string> {
  const source = podJson(annotationKeys.mac, text, macExample)
  const bare = unicastMac(text.trim())
  const value = bare ?? readJson(source)
  if (typeof value === 'string') return { kind: 'first', value: macOf(source, value, 'the value') }
  const values = nicsOf(source, value, (mac, where) => macOf(source, textOf(source, mac, where), where))
  if (new Set(values.values()).size !== values.size)
    throw jsonError(source, 'two interfaces have the same MAC address')
  return { kind: 'named', values }
}

/**
 * A unicast MAC address in canonical form: six bytes in lower case between colons.
 * @returns undefined when the text is none: another length, a group address, or all zero
 */
export function unicastMac(text: string): string | undefined {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) return undefined
  const mac = text.toLowerCase().replaceAll('-', ':')
  const isGroup = Number.parseInt(mac.slice(0, 2), 16) % 2 === 1
  return isGroup || mac === '00:00:00:00:00:00' ? undefined : mac
}

/**
 * An address as `a` or `a/prefix length`.
 * @param where what to call it in the error
 * @throws {InvalidInputError} when it is none
 */
export function parseAskedIp(text: string, where: string): AskedIp {
  const parsed = text.includes('/') ? tryParseIpWithPrefix(text) : undefined
  if (parsed !== undefined) {
    const { ip, prefixBits } = parsed
    return { version: ip.version, ip: formatIpValue(ip.value), prefixBits }
  }
  const hint = 'write one address such as 10.6.0.20, 10.6.0.20/16 or fd00::20'
  if (text.includes('/') || text.includes('-')) {
    throw new InvalidInputError(where, text, 'is not an IP address', hint)
  }
  const { version, first } = parseRange(text, { field: where })
  return { version, ip: formatIpValue(first) }
}

function askedOf(source: JsonSource, list: unknown, where: string): readonly AskedIp[] {
  const asked: AskedIp[] = []
  for (const [index, item] of itemsOf(source, list, where).entries()) {
    const at = `${where}[${index}]`
    const text = textOf(source, item, at)
    for (const one of withWords(source, () => addressesOf(source, text, at))) {
      if (asked.some(({ ip }) => ip === one.ip)) throw jsonError(source, `${at}: ${one.ip} is there twice`)
      asked.push(one)
      if (asked.length > crdLimits.askedIps) {
        throw jsonError(source, `${where} has more than ${crdLimits.askedIps} addresses`)
      }
    }
  }
  if (asked.length === 0) throw jsonError(source, `${where} has no address`)
  return asked
}

function addressesOf(source: JsonSource, text: string, at: string): readonly AskedIp[] {
  if (!text.includes('-')) return [parseAskedIp(text, at)]
  const { version, first, last } = parseRange(text, { field: at })
  const count = countIpValues(first, last)
  if (count > crdLimits.askedIps) {
    throw jsonError(source, `${at} has ${count} addresses, more than ${crdLimits.askedIps}`)
  }
  return Array.from({ length: Number(count) }, (_, index) => ({
    version,
    ip: formatIpValue(offsetIpValue(first, index)),
  }))
}

/** The error of a part, as one of the whole annotation. */
function withWords<T>(source: JsonSource, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    const isOfWhole = error instanceof InvalidInputError && error.field === source.key
    if (!(error instanceof InvalidInputError) || isOfWhole) throw error
    throw jsonError(source, toError(error).message)
  }
}

function nicsOf<T>(
  source: JsonSource,
  value: unknown,
  parse: (value: unknown, where: string) => T,
): ReadonlyMap<string, T> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw jsonError(source, 'the value is neither of the two forms')
  }
  const entries = Object.entries(value)
  if (entries.length === 0) throw jsonError(source, 'the value names no interface')
  if (entries.length > maxNics) throw jsonError(source, `the value names more than ${maxNics} interfaces`)
  for (const [nic] of entries) {
    const problem = nicNameProblem(nic)
    if (problem !== undefined) throw jsonError(source, `interface '${nic.slice(0, 60)}' ${problem}`)
  }
  return new Map(entries.map(([nic, item]) => [nic, parse(item, nic)]))
}

function macOf(source: JsonSource, text: string, where: string): string {
  const mac = unicastMac(text)
  if (mac !== undefined) return mac
  throw jsonError(
    source,
    `${where} '${text.slice(0, 60)}' is no unicast MAC address of six bytes, the first one even`,
  )
}
