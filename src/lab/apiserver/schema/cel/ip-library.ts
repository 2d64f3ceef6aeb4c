import type { Environment } from '@marcbachmann/cel-js'
import {
  type Cidr,
  cidrContains,
  cidrOf,
  equalIp,
  formatCidr,
  formatIp,
  formatIpWithPrefix,
  type IpAddress,
  type IpWithPrefix,
  parseCidr,
  parseIp,
  rangeContains,
  tryParseIp,
  tryParseIpWithPrefix,
} from '../../../../address/index.ts'
import { CelRuntimeError } from './runtime-error.ts'
import { sync } from './sync.ts'

/** The CEL type `net.IP`. */
export class CelIp {
  readonly ip: IpAddress
  constructor(ip: IpAddress) {
    this.ip = ip
  }
}

/** The CEL type `net.CIDR`; `address` keeps its host bits. */
export class CelCidr {
  readonly address: IpWithPrefix
  readonly network: Cidr
  constructor(address: IpWithPrefix) {
    this.address = address
    this.network = cidrOf(address.ip, address.prefixBits)
  }
}

/** Receiver of `ip.isCanonical()`: in CEL a name with a dot, here a constant. */
class IpNamespace {}

// Kubernetes takes neither zones nor IPv4-mapped IPv6 addresses, which src/address reads as IPv4.
const isMapped = (text: string): boolean =>
  text.includes(':') && tryParseIp(text.split('/')[0] ?? '')?.version === 4

function findIp(text: string): CelIp | undefined {
  const ip = isMapped(text) ? undefined : tryParseIp(text)
  return ip === undefined ? undefined : new CelIp(ip)
}

function findCidr(text: string): CelCidr | undefined {
  const address = isMapped(text) ? undefined : tryParseIpWithPrefix(text)
  return address === undefined ? undefined : new CelCidr(address)
}

function toIp(text: string): CelIp {
  const ip = findIp(text)
  if (ip === undefined)
    throw new CelRuntimeError(`IP Address ${JSON.stringify(text)} parse error during conversion from string`)
  return ip
}

function toCidr(text: string): CelCidr {
  const cidr = findCidr(text)
  if (cidr === undefined)
    throw new CelRuntimeError(
      `network address parse error during conversion from string: ${JSON.stringify(text)}`,
    )
  return cidr
}

/** Registers `ip()`, `cidr()` and what belongs to them, as the IP and CIDR libraries of Kubernetes have it. */
export function registerIpLibrary(env: Environment): void {
  env.registerType('net.IP', CelIp)
  env.registerType('net.CIDR', CelCidr)
  env.registerType('net.IPNamespace', IpNamespace)
  env.registerConstant('ip', 'net.IPNamespace', new IpNamespace())
  env.registerOperator('net.IP == net.IP', (a: CelIp, b: CelIp) => equalIp(a.ip, b.ip))
  env.registerOperator('net.CIDR == net.CIDR', (a: CelCidr, b: CelCidr) => sameCidr(a, b))
  const add = sync(env)
  add('ip(string): net.IP', toIp)
  add('ip(net.IP): net.IP', (ip: CelIp) => ip)
  add('isIP(string): bool', (text: string) => findIp(text) !== undefined)
  add(
    'net.IPNamespace.isCanonical(string): bool',
    (_: IpNamespace, text: string) => formatIp(toIp(text).ip) === text,
  )
  add('string(net.IP): string', (ip: CelIp) => formatIp(ip.ip))
  add('net.IP.family(): int', (ip: CelIp) => BigInt(ip.ip.version))
  for (const [name, ranges] of Object.entries(kinds)) {
    add(`net.IP.${name}(): bool`, (ip: CelIp) => ranges.some((range) => cidrContains(range, ip.ip)))
  }
  add('net.IP.isGlobalUnicast(): bool', (ip: CelIp) => !notGlobal.some((range) => cidrContains(range, ip.ip)))
  registerCidr(env)
}

function registerCidr(env: Environment): void {
  const add = sync(env)
  const containsIp = (cidr: CelCidr, ip: CelIp): boolean => cidrContains(cidr.network, ip.ip)
  const containsCidr = (outer: CelCidr, inner: CelCidr): boolean =>
    rangeContains(outer.network, inner.network)
  add('cidr(string): net.CIDR', toCidr)
  add('isCIDR(string): bool', (text: string) => findCidr(text) !== undefined)
  add('string(net.CIDR): string', (cidr: CelCidr) => formatIpWithPrefix(cidr.address))
  add('net.CIDR.containsIP(net.IP): bool', containsIp)
  add('net.CIDR.containsIP(string): bool', (cidr: CelCidr, text: string) => containsIp(cidr, toIp(text)))
  add('net.CIDR.containsCIDR(net.CIDR): bool', containsCidr)
  add('net.CIDR.containsCIDR(string): bool', (outer: CelCidr, text: string) =>
    containsCidr(outer, toCidr(text)),
  )
  add('net.CIDR.ip(): net.IP', (cidr: CelCidr) => new CelIp(cidr.address.ip))
  add('net.CIDR.prefixLength(): int', (cidr: CelCidr) => BigInt(cidr.address.prefixBits))
  add('net.CIDR.masked(): net.CIDR', (cidr: CelCidr) => toCidr(formatCidr(cidr.network)))
}

const sameCidr = (a: CelCidr, b: CelCidr): boolean =>
  a.address.prefixBits === b.address.prefixBits && equalIp(a.address.ip, b.address.ip)

const single = (text: string): Cidr => cidrOf(parseIp(text), text.includes(':') ? 128 : 32)
const kinds: Readonly<Record<string, readonly Cidr[]>> = {
  isUnspecified: [single('0.0.0.0'), single('::')],
  isLoopback: [parseCidr('127.0.0.0/8'), single('::1')],
  isLinkLocalMulticast: [parseCidr('224.0.0.0/24'), parseCidr('ff02::/16')],
  isLinkLocalUnicast: [parseCidr('169.254.0.0/16'), parseCidr('fe80::/10')],
}
const notGlobal: readonly Cidr[] = [
  ...Object.values(kinds).flat(),
  parseCidr('224.0.0.0/4'),
  parseCidr('ff00::/8'),
  single('255.255.255.255'),
]
