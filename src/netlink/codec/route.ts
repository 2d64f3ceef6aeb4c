// struct rtmsg and RTA_* in linux/rtnetlink.h; rtnetlink(7).
import { type Cidr, cidrOf, type IpAddress, type IpVersion, ipOf, parseIp } from '../../address/index.ts'
import {
  AttributeReader,
  alignUp,
  concat,
  encodeAttribute,
  hostIsLittleEndian,
  u32,
  viewOf,
} from './attribute.ts'
import { HeaderWriter, littleEndian, splitHeader } from './header.ts'
import { AF_INET, AF_INET6, decodeIp, encodeIp, familyOf } from './ip.ts'
import { optional } from './link.ts'
import { MalformedReplyError } from './malformed-reply-error.ts'

export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
export const RTM_GETROUTE = 26
const headerBytes = 12
const nextHopBytes = 8
const RTA_DST = 1
const RTA_SRC = 2
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6
const RTA_PREFSRC = 7
const RTA_MULTIPATH = 9
const RTA_TABLE = 15
const RTA_VIA = 18
const RTNH_F_ONLINK = 4
export const RTM_F_CLONED = 0x200

const routeTypes = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
}
/** Kinds of route; any other comes as its number in text. */
export type RouteType = keyof typeof routeTypes

export interface NextHop {
  readonly gateway?: IpAddress
  readonly linkIndex?: number
  /** The gateway is on the link, whatever the link's addresses say. */
  readonly isOnLink: boolean
  readonly weight: number // 1 for the only one
}

/** A route of one family. */
export interface Route {
  readonly version: IpVersion
  /** 254 is main, 255 local. */
  readonly table: number
  /** 0.0.0.0/0 or ::/0 is the default route. */
  readonly destination: Cidr
  readonly source?: Cidr
  readonly nextHops: readonly NextHop[]
  readonly preferredSource?: IpAddress
  readonly metric: number
  /** RTPROT_*: 2 kernel, 3 boot, 4 static. */
  readonly protocol: number
  /** 0 universe, 253 link, 254 host. */
  readonly scope: number
  readonly type: RouteType
  /** RTM_F_*, and of a single hop RTNH_F_*. */
  readonly flags: number
}

/** The payload that asks for all routes of a family, or of both. */
export function encodeRouteQuery(version?: IpVersion): Uint8Array {
  return new HeaderWriter(headerBytes).u8(0, familyOf(version)).bytes
}

export function encodeRoute(route: Route): Uint8Array {
  const { destination, source, nextHops, preferredSource } = route
  const [only] = nextHops
  const isSingle = nextHops.length === 1 && only !== undefined
  const header = new HeaderWriter(headerBytes)
    .u8(0, familyOf(route.version))
    .u8(1, destination.prefixBits)
    .u8(2, source?.prefixBits ?? 0)
    .u8(4, route.table < 256 ? route.table : 0)
    .u8(5, route.protocol)
    .u8(6, route.scope)
    .u8(7, routeTypes[route.type])
    .u32(8, isSingle && only.isOnLink ? RTNH_F_ONLINK : 0)
  const parts = [header.bytes, u32(RTA_TABLE, route.table)]
  if (destination.prefixBits > 0) parts.push(encodeAttribute(RTA_DST, encodeIp(ipOf(destination.first))))
  if (source !== undefined) parts.push(encodeAttribute(RTA_SRC, encodeIp(ipOf(source.first))))
  if (preferredSource !== undefined) parts.push(encodeAttribute(RTA_PREFSRC, encodeIp(preferredSource)))
  if (route.metric !== 0) parts.push(u32(RTA_PRIORITY, route.metric))
  if (isSingle) {
    if (only.gateway !== undefined) parts.push(encodeGateway(route.version, only.gateway))
    if (only.linkIndex !== undefined) parts.push(u32(RTA_OIF, only.linkIndex))
  } else if (nextHops.length > 1) {
    const hops = nextHops.map((hop) => encodeNextHop(route.version, hop))
    parts.push(encodeAttribute(RTA_MULTIPATH, concat(hops)))
  }
  return concat(parts)
}

/** A gateway of the other family (RFC 5549) goes as RTA_VIA. */
function encodeGateway(version: IpVersion, gateway: IpAddress): Uint8Array {
  const bytes = encodeIp(gateway)
  if (gateway.version === version) return encodeAttribute(RTA_GATEWAY, bytes)
  const family = new HeaderWriter(2).u16(0, familyOf(gateway.version)).bytes
  return encodeAttribute(RTA_VIA, concat([family, bytes]))
}

function encodeNextHop(version: IpVersion, hop: NextHop): Uint8Array {
  const gateway = hop.gateway === undefined ? new Uint8Array(0) : encodeGateway(version, hop.gateway)
  const header = new HeaderWriter(nextHopBytes)
    .u16(0, nextHopBytes + gateway.byteLength)
    .u8(2, hop.isOnLink ? RTNH_F_ONLINK : 0)
    .u8(3, hop.weight - 1)
    .u32(4, hop.linkIndex ?? 0)
  return concat([header.bytes, gateway])
}

/**
 * @returns undefined for a route of neither IPv4 nor IPv6, or of a type that this file does not know
 * @throws {MalformedReplyError} when the bytes are none of a route
 */
export function decodeRoute(payload: Uint8Array): Route | undefined {
  const [header, rest] = splitHeader(payload, headerBytes, 'route')
  const family = header.getUint8(0)
  if (family !== AF_INET && family !== AF_INET6) return undefined
  const type = findType(header.getUint8(7))
  if (type === undefined) return undefined
  const version = family === AF_INET ? 4 : 6
  const attributes = new AttributeReader(rest)
  const sourceBytes = attributes.bytes(RTA_SRC)
  const preferred = attributes.bytes(RTA_PREFSRC)
  const flags = header.getUint32(8, littleEndian)
  const source = sourceBytes === undefined ? undefined : cidrFrom(version, sourceBytes, header.getUint8(2))
  return {
    version,
    table: attributes.u32(RTA_TABLE) ?? header.getUint8(4),
    destination: cidrFrom(version, attributes.bytes(RTA_DST), header.getUint8(1)),
    ...optional('source', source),
    nextHops: decodeNextHops(attributes, flags),
    ...optional('preferredSource', preferred === undefined ? undefined : decodeIp(preferred)),
    metric: attributes.u32(RTA_PRIORITY) ?? 0,
    protocol: header.getUint8(5),
    scope: header.getUint8(6),
    type,
    flags,
  }
}

function findType(value: number): RouteType | undefined {
  const names = Object.keys(routeTypes) as RouteType[] // a closed object of our own
  return names.find((name) => routeTypes[name] === value)
}

function cidrFrom(version: IpVersion, bytes: Uint8Array | undefined, prefixBits: number): Cidr {
  const ip = bytes === undefined ? parseIp(version === 4 ? '0.0.0.0' : '::') : decodeIp(bytes)
  if (ip.version !== version || prefixBits > (version === 4 ? 32 : 128)) {
    throw new MalformedReplyError(`route with a prefix of ${prefixBits} bits`, bytes ?? new Uint8Array(0))
  }
  return cidrOf(ip, prefixBits)
}

function decodeNextHops(attributes: AttributeReader, flags: number): readonly NextHop[] {
  const multipath = attributes.bytes(RTA_MULTIPATH)
  if (multipath !== undefined) return decodeMultipath(multipath)
  const gateway = decodeGateway(attributes)
  const linkIndex = attributes.u32(RTA_OIF)
  if (gateway === undefined && linkIndex === undefined) return []
  const isOnLink = (flags & RTNH_F_ONLINK) !== 0
  return [{ ...optional('gateway', gateway), ...optional('linkIndex', linkIndex), isOnLink, weight: 1 }]
}

function decodeGateway(attributes: AttributeReader): IpAddress | undefined {
  const gateway = attributes.bytes(RTA_GATEWAY)
  if (gateway !== undefined) return decodeIp(gateway)
  const via = attributes.bytes(RTA_VIA)
  return via === undefined ? undefined : decodeIp(via.subarray(2))
}

function decodeMultipath(bytes: Uint8Array): readonly NextHop[] {
  const hops: NextHop[] = []
  const view = viewOf(bytes)
  let offset = 0
  while (offset + nextHopBytes <= bytes.byteLength) {
    const lengthBytes = view.getUint16(offset, hostIsLittleEndian)
    if (lengthBytes < nextHopBytes || offset + lengthBytes > bytes.byteLength) {
      throw new MalformedReplyError(`next hop of ${lengthBytes} bytes at offset ${offset}`, bytes)
    }
    const attributes = new AttributeReader(bytes.subarray(offset + nextHopBytes, offset + lengthBytes))
    hops.push({
      ...optional('gateway', decodeGateway(attributes)),
      linkIndex: view.getUint32(offset + 4, hostIsLittleEndian),
      isOnLink: (view.getUint8(offset + 2) & RTNH_F_ONLINK) !== 0,
      weight: view.getUint8(offset + 3) + 1,
    })
    offset += alignUp(lengthBytes)
  }
  return hops
}
