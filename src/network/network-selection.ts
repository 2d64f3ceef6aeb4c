import { isIP } from 'node:net'
import { unicastMac } from '../api/index.ts'
import { InvalidInputError, parseJson } from '../base/index.ts'

/** Pod annotation that selects additional networks (NPWG standard §4). */
export const networksAnnotation = 'k8s.v1.cni.cncf.io/networks'
/** Pod annotation that replaces the default network. */
export const defaultNetworkAnnotation = 'v1.multus-cni.io/default-network'

/** One selected network: a NetworkAttachmentDefinition and what the pod asks of it. */
export interface NetworkSelection {
  readonly namespace: string
  readonly name: string
  readonly interface?: string
  readonly mac?: string
  readonly ips?: readonly string[]
  readonly infinibandGuid?: string
  readonly portMappings?: readonly PortMapping[]
  readonly bandwidth?: Bandwidth
  /** Gateways for the pod's default route here; empty: the plugin's own default route stays here. */
  readonly defaultRoute?: readonly string[]
  /** Merged into `args.cni` of every plugin of the network. */
  readonly cniArgs?: Readonly<Record<string, unknown>>
  readonly deviceId?: string
  /** Name of an IPAMClaim in the namespace of the pod (NPWG standard v1.3, 4.1.2.1.11). */
  readonly ipamClaim?: string
}

export interface PortMapping {
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly hostIP?: string
}

/** Bits a second, and bits. */
export interface Bandwidth {
  readonly ingressRate?: number
  readonly ingressBurst?: number
  readonly egressRate?: number
  readonly egressBurst?: number
}

const maxAnnotationCharacters = 256 << 10
const maxSelections = 64
const maxIps = 32
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/**
 * Reads a network selection annotation in its short form (`ns/name@if,...`) or as a JSON list.
 * @param annotation its key, for the error
 * @param namespace of elements that name none
 * @returns in order; empty for an empty text, `null` and `[]`
 * @throws {InvalidInputError} naming the annotation, element index and key, the value and the remedy
 */
export function parseNetworkSelections(
  annotation: string,
  text: string,
  namespace: string,
): readonly NetworkSelection[] {
  if (text.length > maxAnnotationCharacters)
    throw new InvalidInputError(
      annotation,
      text.length,
      `is longer than ${maxAnnotationCharacters}`,
      'shorten it',
    )
  if (text.trim() === '') return []
  const selections = /[[{"]|^\s*null\s*$/.test(text)
    ? parseJsonForm(annotation, text, namespace)
    : text.split(',').map((item, index) => parseShort(`${annotation}[${index}]`, item.trim(), namespace))
  if (selections.length > maxSelections)
    throw new InvalidInputError(
      annotation,
      selections.length,
      'selects too many networks',
      `at most ${maxSelections}`,
    )
  if (selections.filter((item) => (item.defaultRoute ?? []).length > 0).length > 1)
    throw new InvalidInputError(
      annotation,
      text,
      'has more than one default-route',
      'leave it at one element',
    )
  return selections
}

function parseShort(at: string, text: string, namespace: string): NetworkSelection {
  const bad = (problem: string): InvalidInputError =>
    new InvalidInputError(at, text, problem, 'write [namespace/]name[@interface], separated by commas')
  if (text === '') throw bad('is empty')
  const slashed = text.split('/')
  if (slashed.length > 2) throw bad('has more than one "/"')
  const rest = slashed.at(-1) ?? ''
  const [name = '', requested = '', ...more] = rest.split('@')
  if (more.length > 0) throw bad('has more than one "@"')
  const given = slashed.length === 2 ? (slashed[0] ?? '') : ''
  if (given !== '' && !label.test(given)) throw bad('has a namespace that is not a DNS label')
  if (!label.test(name)) throw bad('has a name that is not a DNS label')
  return {
    namespace: given === '' ? namespace : given,
    name,
    ...(requested === '' ? {} : { interface: interfaceName(`${at}.interface`, requested) }),
  }
}

function parseJsonForm(annotation: string, text: string, namespace: string): readonly NetworkSelection[] {
  const hint = 'write a JSON list such as [{"name":"net-a"}], or [namespace/]name[@interface],...'
  let value: unknown
  try {
    value = parseJson(text)
  } catch {
    throw new InvalidInputError(annotation, text, 'is not JSON', hint)
  }
  if (value === null) return []
  if (!Array.isArray(value)) throw new InvalidInputError(annotation, value, 'is not a list', hint)
  return value.map((item: unknown, index) => parseElement(`${annotation}[${index}]`, item, namespace))
}

function parseElement(at: string, item: unknown, namespace: string): NetworkSelection {
  const given = record(at, item)
  const name = text(`${at}.name`, given['name'], '')
  if (!subdomain.test(name) || name.length > 253)
    throw new InvalidInputError(
      `${at}.name`,
      name,
      'is not an object name',
      'name a NetworkAttachmentDefinition',
    )
  const inside = text(`${at}.namespace`, given['namespace'], '')
  if (inside !== '' && !label.test(inside))
    throw new InvalidInputError(`${at}.namespace`, inside, 'is not a namespace', 'write a DNS label')
  const requested =
    text(`${at}.interface`, given['interface'], '') ||
    text(`${at}.interfaceRequest`, given['interfaceRequest'], '')
  const mac = text(`${at}.mac`, given['mac'], '')
  const guid = text(`${at}.infiniband-guid`, given['infiniband-guid'], '')
  const deviceId = text(`${at}.deviceID`, given['deviceID'], '')
  const ips = given['ips'] == null ? undefined : parseIps(`${at}.ips`, given['ips'])
  const claim = text(`${at}.ipam-claim-reference`, given['ipam-claim-reference'], '')
  const isClaimBad = claim !== '' && (ips !== undefined || !subdomain.test(claim) || claim.length > 253)
  if (isClaimBad)
    throw new InvalidInputError(
      `${at}.ipam-claim-reference`,
      claim,
      ips === undefined ? 'is not an object name' : 'stands beside ips',
      'name an IPAMClaim of the namespace of the pod, and leave ips out',
    )
  return {
    namespace: inside === '' ? namespace : inside,
    name,
    ...(requested === '' ? {} : { interface: interfaceName(`${at}.interface`, requested) }),
    ...(mac === '' ? {} : { mac: macAddress(`${at}.mac`, mac) }),
    ...(ips === undefined ? {} : { ips }),
    ...(guid === '' ? {} : { infinibandGuid: infinibandGuid(`${at}.infiniband-guid`, guid) }),
    ...(deviceId === '' ? {} : { deviceId }),
    ...(claim === '' ? {} : { ipamClaim: claim }),
    ...optional('portMappings', given['portMappings'], (value) => portMappings(`${at}.portMappings`, value)),
    ...optional('bandwidth', given['bandwidth'], (value) => bandwidth(`${at}.bandwidth`, value)),
    ...optional('defaultRoute', given['default-route'], (value) => gateways(`${at}.default-route`, value)),
    ...optional('cniArgs', given['cni-args'], (value) => record(`${at}.cni-args`, value)),
  }
}

function optional<Key extends string, T>(
  key: Key,
  value: unknown,
  parse: (value: unknown) => T,
): { readonly [K in Key]?: T } {
  if (value === undefined || value === null) return {}
  return { [key]: parse(value) } as { readonly [K in Key]?: T } // one computed key
}

function interfaceName(field: string, value: string): string {
  const isName = /^[^\s/:\p{Cc}]+$/u.test(value) && value !== '.' && value !== '..'
  if (isName && Buffer.byteLength(value) <= 15) return value
  const hint = 'use 1-15 bytes without "/", ":" and white space'
  throw new InvalidInputError(field, value, 'is not an interface name', hint)
}

function macAddress(field: string, value: string): string {
  const mac = unicastMac(value)
  if (mac !== undefined) return mac
  const hint = 'write six bytes such as 02:00:0a:06:00:01, the first one even'
  throw new InvalidInputError(field, value, 'is not a unicast MAC address', hint)
}

function infinibandGuid(field: string, value: string): string {
  if (/^[0-9a-f]{2}(:[0-9a-f]{2}){7}$/i.test(value)) return value.toLowerCase()
  throw new InvalidInputError(
    field,
    value,
    'is not a GUID',
    'write eight bytes such as c2:11:22:33:44:55:66:77',
  )
}

function parseIps(field: string, value: unknown): readonly string[] {
  const hint = 'write addresses such as ["10.1.2.3/24", "fd00::5"]'
  if (!Array.isArray(value)) throw new InvalidInputError(field, value, 'is not a list', hint)
  if (value.length > maxIps)
    throw new InvalidInputError(field, value.length, `is longer than ${maxIps}`, hint)
  return value.map((item: unknown, index) => {
    const [ip = '', bits, ...more] = typeof item === 'string' ? item.split('/') : []
    const family = isIP(ip)
    const isPrefix =
      bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
    if (typeof item === 'string' && family !== 0 && isPrefix && more.length === 0 && !ip.includes('%'))
      return item
    throw new InvalidInputError(`${field}[${index}]`, item, 'is not an address', hint)
  })
}

function gateways(field: string, value: unknown): readonly string[] {
  const hint = 'write at most one gateway a family, such as ["10.6.0.1"]'
  if (!Array.isArray(value)) throw new InvalidInputError(field, value, 'is not a list', hint)
  const families = new Set<number>()
  return value.map((item: unknown, index) => {
    const family = typeof item === 'string' && !item.includes('%') ? isIP(item) : 0
    if (typeof item !== 'string' || family === 0)
      throw new InvalidInputError(`${field}[${index}]`, item, 'is not an address', hint)
    if (families.has(family))
      throw new InvalidInputError(`${field}[${index}]`, item, 'is a second gateway of its family', hint)
    families.add(family)
    return item
  })
}

function portMappings(field: string, value: unknown): readonly PortMapping[] {
  const hint = 'write [{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]'
  if (!Array.isArray(value)) throw new InvalidInputError(field, value, 'is not a list', hint)
  return value.map((item: unknown, index) => {
    const at = `${field}[${index}]`
    const given = record(at, item)
    const port = (key: string): number => {
      const found = given[key]
      if (typeof found === 'number' && Number.isInteger(found) && found >= 1 && found <= 65_535) return found
      throw new InvalidInputError(`${at}.${key}`, found ?? '', 'is not a port from 1 to 65535', hint)
    }
    const protocol = text(`${at}.protocol`, given['protocol'], 'tcp').toLowerCase()
    if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')
      throw new InvalidInputError(`${at}.protocol`, protocol, 'is not tcp, udp or sctp', hint)
    const hostIp = text(`${at}.hostIP`, given['hostIP'], '')
    if (hostIp !== '' && isIP(hostIp) === 0)
      throw new InvalidInputError(`${at}.hostIP`, hostIp, 'is not an address', hint)
    return {
      hostPort: port('hostPort'),
      containerPort: port('containerPort'),
      protocol,
      ...(hostIp === '' ? {} : { hostIP: hostIp }),
    }
  })
}

function bandwidth(field: string, value: unknown): Bandwidth {
  const given = record(field, value)
  const hint = 'write {"ingressRate":1000000,"ingressBurst":100000}: bits, each rate with its burst'
  const amount = (key: string): number => {
    const found = given[key] ?? 0
    if (typeof found === 'number' && Number.isSafeInteger(found) && found >= 0) return found
    throw new InvalidInputError(`${field}.${key}`, found, 'is not an integer from 0', hint)
  }
  for (const way of ['ingress', 'egress'])
    if (amount(`${way}Rate`) > 0 !== amount(`${way}Burst`) > 0)
      throw new InvalidInputError(
        `${field}.${way}Rate`,
        given[`${way}Rate`] ?? 0,
        'stands without its burst',
        hint,
      )
  return Object.fromEntries(
    ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst']
      .filter((key) => given[key] !== undefined)
      .map((key) => [key, amount(key)]),
  )
}

function record(field: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw new InvalidInputError(field, value ?? '', 'is not an object', 'write {"key":"value"}')
}

function text(field: string, value: unknown, fallback: string): string {
  if (value === undefined || value === null) return fallback
  if (typeof value === 'string') return value
  throw new InvalidInputError(field, value, 'is not a text', 'write a string')
}
