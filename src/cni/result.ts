import { InvalidInputError } from '../base/index.ts'
import { CniError } from './cni-error.ts'
import { asCniCode, cniCodes } from './error-codes.ts'
import { isAtLeast, isResultVersion, type ResultVersion, resultVersions } from './versions.ts'

/** A result of ADD in the shape of its `cniVersion`; unknown keys are kept. Build and read it in the shape of 1.x. */
export interface CniResult {
  readonly cniVersion: string
  readonly interfaces?: readonly CniInterface[]
  readonly ips?: readonly CniIp[]
  readonly routes?: readonly CniRoute[]
  readonly dns?: CniDns
}

export interface CniInterface {
  readonly name: string
  readonly mac?: string
  readonly mtu?: number
  readonly sandbox?: string // path of the namespace; '' or absent: on the host
  readonly socketPath?: string
  readonly pciID?: string
}

export interface CniIp {
  readonly version?: string // 0.3 and 0.4 alone
  readonly interface?: number // index into interfaces
  readonly address: string // CIDR
  readonly gateway?: string
}

export interface CniRoute {
  readonly dst: string
  readonly gw?: string
  readonly mtu?: number
  readonly advmss?: number
  readonly priority?: number
  readonly table?: number
  readonly scope?: number
}

export interface CniDns {
  readonly nameservers?: readonly string[]
  readonly domain?: string
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

type JsonObject = Readonly<Record<string, unknown>>

const interfaceKeysOf11 = ['mtu', 'socketPath', 'pciID']
const routeKeysOf11 = ['mtu', 'advmss', 'priority', 'table', 'scope']

/**
 * Checks a parsed result and gives it back in the shape of 1.x (without converting `cniVersion` down: see convertResult).
 * @param assumed version of a result that says none
 * @throws {CniError} code 6 naming the bad field, code 1 for an unknown version
 */
export function parseResult(value: unknown, assumed: ResultVersion): CniResult {
  return asCniCode(cniCodes.decoding, 'result', () => {
    const given = object('result', value)
    const version = given['cniVersion'] === undefined ? assumed : given['cniVersion']
    if (typeof version !== 'string' || !isResultVersion(version)) throw unknownVersion(version)
    const result = isAtLeast(version, '0.3.0') ? given : fromFamilies(given)
    list('interfaces', result['interfaces'], (at, item) => text(`${at}.name`, object(at, item)['name']))
    list('ips', result['ips'], (at, item) => {
      const ip = object(at, item)
      text(`${at}.address`, ip['address'])
      if (ip['gateway'] !== undefined) text(`${at}.gateway`, ip['gateway'])
      const index = ip['interface']
      if (index !== undefined && index !== null && !Number.isSafeInteger(index))
        throw new InvalidInputError(`${at}.interface`, index, 'is not an index', 'write an integer')
    })
    list('routes', result['routes'], (at, item) => text(`${at}.dst`, object(at, item)['dst']))
    if (result['dns'] !== undefined && result['dns'] !== null) object('dns', result['dns'])
    const { cniVersion: _, ...rest } = result
    return dropNull({ cniVersion: version, ...rest }) as unknown as CniResult // every key was checked above
  })
}

/**
 * Converts a result between versions (CNI spec, "Result types"). Equal versions: the same object.
 * @throws {CniError} code 6 when a result without addresses is asked for in 0.1.0 or 0.2.0
 */
export function convertResult(result: CniResult, to: ResultVersion): JsonObject {
  if (result.cniVersion === to) return isAtLeast(to, '0.3.0') ? { ...result } : toFamilies(result, to)
  if (!isAtLeast(to, '0.3.0')) return toFamilies(result, to)
  const { cniVersion, interfaces, ips, routes, dns, ...extras } = result
  const from = isResultVersion(cniVersion) ? cniVersion : to
  const isNewest = to === '1.1.0'
  const hasIpVersion = !isAtLeast(to, '1.0.0')
  const keepsInterface = isNewest || !isAtLeast(from, '1.0.0')
  const isEmptyDns = dns === undefined || Object.keys(dns).length === 0
  return {
    cniVersion: to,
    ...(interfaces === undefined
      ? {}
      : {
          interfaces: keepsInterface
            ? interfaces
            : interfaces.map((item) => without(item, interfaceKeysOf11)),
        }),
    ...(ips === undefined
      ? {}
      : { ips: ips.map((ip) => (hasIpVersion ? withFamily(ip) : without(ip, ['version']))) }),
    ...(routes === undefined
      ? {}
      : { routes: to === '1.0.0' ? routes.map((route) => without(route, routeKeysOf11)) : routes }),
    ...(hasIpVersion ? { dns: dns ?? {} } : isEmptyDns ? {} : { dns }),
    ...extras,
  }
}

function withFamily(ip: CniIp): JsonObject {
  return { version: ip.address.includes(':') ? '6' : '4', ...without(ip, ['version']) }
}

function without(item: object, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(item).filter(([key]) => !keys.includes(key)))
}

// 0.1.0 and 0.2.0: one address a family, each with its routes.
function fromFamilies(given: JsonObject): JsonObject {
  const { ip4, ip6, ...rest } = given
  const ips: CniIp[] = []
  const routes: unknown[] = []
  for (const [key, family, version] of [
    ['ip4', ip4, '4'],
    ['ip6', ip6, '6'],
  ] as const) {
    if (family === undefined || family === null) continue
    const value = object(key, family)
    const address = text(`${key}.ip`, value['ip'])
    const gateway =
      value['gateway'] === undefined ? {} : { gateway: text(`${key}.gateway`, value['gateway']) }
    ips.push({ version, address, ...gateway })
    list(`${key}.routes`, value['routes'], (_at, route) => routes.push(route))
  }
  if (ips.length === 0)
    throw new InvalidInputError('ips', given, 'holds no valid IP addresses', 'give ip4 or ip6')
  return { ...rest, ips, ...(routes.length === 0 ? {} : { routes }) }
}

function toFamilies(result: CniResult, to: ResultVersion): JsonObject {
  const family = (isFamily6: boolean): JsonObject | undefined => {
    const ip = result.ips?.find((item) => item.address.includes(':') === isFamily6)
    if (ip === undefined) return undefined
    const routes = (result.routes ?? [])
      .filter((route) => route.dst.includes(':') === isFamily6)
      .map(({ dst, gw }) => ({ dst, ...(gw === undefined ? {} : { gw }) }))
    return {
      ip: ip.address,
      ...(ip.gateway === undefined ? {} : { gateway: ip.gateway }),
      ...(routes.length === 0 ? {} : { routes }),
    }
  }
  const ip4 = family(false)
  const ip6 = family(true)
  if (ip4 === undefined && ip6 === undefined)
    throw new CniError({
      cniCode: cniCodes.decoding,
      slug: 'result',
      message: `Cannot convert the result to CNI ${to}: no valid IP addresses`,
      hint: 'use cniVersion 0.3.1 or newer',
    })
  return {
    cniVersion: to,
    ...(ip4 === undefined ? {} : { ip4 }),
    ...(ip6 === undefined ? {} : { ip6 }),
    dns: result.dns ?? {},
  }
}

function unknownVersion(version: unknown): CniError {
  const known = resultVersions.join(', ')
  return new CniError({
    cniCode: cniCodes.incompatibleVersion,
    slug: 'incompatible-version',
    message: `Cannot accept result.cniVersion ${JSON.stringify(version)}: known are ${known}`,
    hint: 'use a plugin that answers in the version of the configuration',
  })
}

function object(field: string, value: unknown): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw new InvalidInputError(field, value, 'is not an object', 'write {...}')
}

function text(field: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  throw new InvalidInputError(field, value, 'is not a text', 'write a non-empty string')
}

function list(field: string, value: unknown, check: (at: string, item: unknown) => void): void {
  if (value === undefined || value === null) return
  if (!Array.isArray(value)) throw new InvalidInputError(field, value, 'is not a list', 'write [...]')
  value.forEach((item: unknown, index) => {
    check(`${field}[${index}]`, item)
  })
}

function dropNull(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null))
}
