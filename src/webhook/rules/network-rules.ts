import {
  type Cidr,
  cidrContains,
  formatCidr,
  formatIp,
  formatRange,
  type IpRange,
  parseIp,
  parseNetworkCidr,
  parseRange,
  rangeContains,
  rangesOverlap,
  tryParseIp,
  tryParseIpWithPrefix,
} from '../../address/index.ts'
import type { IpVersion, SpiderSubnet } from '../../api/index.ts'
import { attempt, forbidden, invalid, isProblem, notSupported, type Problem } from '../problem.ts'
import type { WebhookSettings } from '../world.ts'

/** The part of `spec` that pools and subnets share. */
export type NetworkSpec = SpiderSubnet['spec']

const version6: IpVersion = 6

/** P-01 to P-03: the family is known, one of two, and switched on. */
export function versionProblem(
  version: number | undefined,
  settings: WebhookSettings,
  source: string,
): Problem | undefined {
  const field = 'spec.ipVersion'
  if (version === undefined) {
    return invalid(field, version, `is absent and cannot be read from ${source}`, `correct ${source}`)
  }
  if (version !== 4 && version !== version6)
    return notSupported(field, version, 'is no family', 'write 4 or 6')
  const isEnabled = version === 4 ? settings.enableIPv4 : settings.enableIPv6
  if (isEnabled) return undefined
  const hint = `set enableIPv${version} in the configuration of the controller, or use the other family`
  return forbidden(field, version, `is a family that is switched off (enableIPv${version} is false)`, hint)
}

/** P-04, P-05: the network, or what is wrong with it. */
export function networkOf(spec: NetworkSpec): Cidr | Problem {
  const version = spec.ipVersion === undefined ? {} : { version: spec.ipVersion }
  return attempt(() => parseNetworkCidr(spec.subnet, { field: 'spec.subnet', ...version }))
}

/** P-08: entries of one list are ranges inside the network, and no two of them overlap when `apart` is set. */
function rangesProblem(
  texts: readonly string[] | undefined,
  cidr: Cidr,
  field: string,
  apart: boolean,
): Problem | undefined {
  const ranges: { readonly range: IpRange; readonly at: number }[] = []
  for (const [at, text] of (texts ?? []).entries()) {
    const path = `${field}[${at}]`
    const range = attempt(() => parseRange(text, { field: path, version: cidr.version }))
    if (isProblem(range)) return range
    if (!rangeContains(cidr, range)) {
      const problem = `is not inside spec.subnet ${formatCidr(cidr)}`
      return invalid(path, text, problem, `write addresses of ${formatRange(cidr)}`)
    }
    ranges.push({ range, at })
  }
  if (!apart) return undefined
  ranges.sort((a, b) => (a.range.first < b.range.first ? -1 : 1))
  for (const [i, { range, at }] of ranges.entries()) {
    const previous = ranges[i - 1]
    if (previous === undefined || !rangesOverlap(previous.range, range)) continue
    const problem = `overlaps ${field}[${previous.at}] ${formatRange(previous.range)}`
    return invalid(`${field}[${at}]`, texts?.[at], problem, 'write each address once')
  }
  return undefined
}

/** P-10, P-11: the gateway lies inside the network and is not handed out. */
function gatewayProblem(spec: NetworkSpec, cidr: Cidr): Problem | undefined {
  const { gateway, ips = [], excludeIPs = [] } = spec
  if (gateway === undefined) return undefined
  const field = 'spec.gateway'
  const ip = attempt(() => parseIp(gateway, { field, version: cidr.version }))
  if (isProblem(ip)) return ip
  if (!cidrContains(cidr, ip)) {
    const hint = `write an address of ${formatRange(cidr)}`
    return invalid(field, gateway, `is not inside spec.subnet ${formatCidr(cidr)}`, hint)
  }
  const holds = (text: string): boolean =>
    cidrContains(parseRange(text, { field, version: cidr.version }), ip)
  const at = ips.findIndex(holds)
  if (at < 0 || excludeIPs.some(holds)) return undefined
  const problem = `contains spec.gateway ${formatIp(ip)}, which a pod must not get`
  return invalid(`spec.ips[${at}]`, ips[at], problem, `add ${formatIp(ip)} to spec.excludeIPs`)
}

/** P-12 to P-15: routes lead to other networks, each once, through routers inside the network. */
function routesProblem(spec: NetworkSpec, cidr: Cidr): Problem | undefined {
  const seen = new Map<string, number>()
  for (const [i, { dst, gw }] of (spec.routes ?? []).entries()) {
    const path = `spec.routes[${i}]`
    const twin = seen.get(dst)
    seen.set(dst, i)
    const problem =
      dstProblem(dst, `${path}.dst`, cidr) ??
      (twin === undefined
        ? undefined
        : invalid(`${path}.dst`, dst, `is the dst of spec.routes[${twin}] too`, 'keep one of the two')) ??
      nextHopProblem(gw, `${path}.gw`, cidr)
    if (problem !== undefined) return problem
  }
  return undefined
}

function dstProblem(dst: string, field: string, cidr: Cidr): Problem | undefined {
  const parsed = tryParseIpWithPrefix(dst)
  if (parsed === undefined || parsed.ip.version !== cidr.version) {
    const hint = `write address/prefix length of IPv${cidr.version}`
    return invalid(field, dst, `is not a CIDR of IPv${cidr.version}`, hint)
  }
  if (parsed.prefixBits > 0) return undefined
  return invalid(field, dst, 'is the default route', 'write its gateway into spec.gateway instead')
}

function nextHopProblem(gw: string, field: string, cidr: Cidr): Problem | undefined {
  const ip = tryParseIp(gw)
  if (ip !== undefined && cidrContains(cidr, ip)) return undefined
  const problem =
    ip?.version === cidr.version
      ? `is not inside spec.subnet ${formatCidr(cidr)}`
      : `is not an IPv${cidr.version} address`
  return invalid(field, gw, problem, `write the address of a router in ${formatRange(cidr)}`)
}

/** The first problem of all that one object can show by itself: ranges, gateway, routes. */
export function contentProblem(spec: NetworkSpec, cidr: Cidr): Problem | undefined {
  return (
    rangesProblem(spec.ips, cidr, 'spec.ips', true) ??
    rangesProblem(spec.excludeIPs, cidr, 'spec.excludeIPs', false) ??
    gatewayProblem(spec, cidr) ??
    routesProblem(spec, cidr)
  )
}

/** P-22, S-11: what must never change. */
export function immutableProblem(spec: NetworkSpec, old: NetworkSpec): Problem | undefined {
  const hint = 'create another object, and delete this one when it is empty'
  if (old.ipVersion !== undefined && spec.ipVersion !== old.ipVersion) {
    return forbidden('spec.ipVersion', spec.ipVersion, `cannot change from ${old.ipVersion}`, hint)
  }
  if (spec.subnet === old.subnet) return undefined
  return forbidden('spec.subnet', spec.subnet, `cannot change from ${old.subnet}`, hint)
}

/** Names at most a few ranges, so that a message stays readable. */
export function listRanges(ranges: readonly string[]): string {
  const shown = 8
  const more = ranges.length - shown
  return more > 0 ? `${ranges.slice(0, shown).join(', ')} and ${more} more ranges` : ranges.join(', ')
}
