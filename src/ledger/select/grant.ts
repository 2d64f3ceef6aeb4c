import { cidrContains, cidrOf, formatCidr, formatIp, parseCidr, parseIp } from '../../address/index.ts'
import {
  type Attributes,
  type EntryGrant,
  mergeAttributes,
  type PodRoute,
  type Route,
  type SpiderIpPool,
} from '../../api/index.ts'
import type { OwnedAddress } from '../entry.ts'
import { sharedData } from '../shared-data.ts'

export interface GrantInput {
  readonly pool: SpiderIpPool
  readonly cleanGateway: boolean
  /** Routes of the pod's annotation. */
  readonly podRoutes: readonly PodRoute[]
  /** Routes that other NICs of the pod have already: a pod route goes to one NIC. */
  readonly taken: readonly Route[]
  /** What the pod's annotations put in the place of the pool's DNS settings and metadata. */
  readonly attributes?: Attributes
}

/**
 * What an address of the pool is answered with: a snapshot, so that a repeat gives the same (spec/ipam.md §9).
 * @throws {InvalidInputError} when pool and pod together give more than is recorded
 */
export function grantOf({ pool, cleanGateway, podRoutes, taken, attributes = {} }: GrantInput): EntryGrant {
  const { spec } = pool
  const subnet = parseCidr(spec.subnet, { field: `SpiderIPPool "${pool.metadata.name}" spec.subnet` })
  const own = podRoutes
    .filter(({ gw }) => cidrContains(subnet, gw))
    .map(({ dst, gw }): Route => ({ dst: formatCidr(dst), gw: formatIp(gw) }))
    .filter((route) => !taken.some(({ dst, gw }) => dst === route.dst && gw === route.gw))
  const routes = [...(spec.routes ?? []).map(({ dst, gw }) => ({ dst, gw })), ...own]
  const hasGateway = spec.gateway !== undefined && spec.gateway !== ''
  const { vlanID = 0 } = spec
  const { dns, metadata } = mergeAttributes(pool.metadata.name, spec, attributes)
  return sharedData({
    prefixBits: subnet.prefixBits,
    ...(hasGateway ? { gateway: spec.gateway } : {}),
    ...(routes.length === 0 ? {} : { routes: sharedData(routes) }),
    // As it was asked for, whether or not there is a gateway: repeats must not depend on which family has one.
    ...(cleanGateway ? { cleanGateway } : {}),
    ...(vlanID === 0 ? {} : { vlan: vlanID }),
    ...(dns === undefined ? {} : { dns: sharedData(dns) }),
    ...(metadata === undefined ? {} : { metadata: sharedData(metadata) }),
  })
}

/** All routes that go with an address: those of its grant, and the default route unless the gateway is left out. */
export function routesOf({ ip, entry }: OwnedAddress): readonly Route[] {
  const { gateway, routes = [], cleanGateway = false } = entry.grant
  const dst = ip.includes(':') ? '::/0' : '0.0.0.0/0'
  const hasDefault = routes.some((route) => route.dst === dst)
  if (gateway === undefined || cleanGateway || hasDefault) return routes
  return [...routes, { dst, gw: gateway }]
}

/** `address/prefix length` of an entry. */
export function addressText({ ip, entry }: OwnedAddress): string {
  const address = parseIp(ip)
  // The check that the length fits the family: a block may have been edited by hand.
  return `${ip}/${cidrOf(address, Math.min(entry.grant.prefixBits, address.version === 4 ? 32 : 128)).prefixBits}`
}
