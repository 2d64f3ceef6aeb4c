// struct ifinfomsg and IFLA_* in linux/rtnetlink.h and linux/if_link.h; rtnetlink(7).
import { unreachable } from '../../base/index.ts'
import { AttributeReader, concat, encodeAttribute, nested, text, u8, u16, u32 } from './attribute.ts'
import { HeaderWriter, littleEndian, splitHeader } from './header.ts'
import { encodeMac, formatMac } from './ip.ts'

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
export const RTM_GETLINK = 18
const headerBytes = 16
const IFF_UP = 1
const IFF_RUNNING = 0x40
const IFF_PROMISC = 0x100

const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_LINK = 5
const IFLA_MASTER = 10
const IFLA_TXQLEN = 13
const IFLA_OPERSTATE = 16
const IFLA_LINKINFO = 18
const IFLA_IFALIAS = 20
const IFLA_NET_NS_FD = 28
const IFLA_LINK_NETNSID = 37
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const VETH_INFO_PEER = 1
const IFLA_MACVLAN_MODE = 1
const IFLA_IPVLAN_MODE = 1
const IFLA_VLAN_ID = 1
const IFLA_BR_MCAST_SNOOPING = 23

const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const
const ipvlanModes = { l2: 0, l3: 1, l3s: 2 } as const
export type MacvlanMode = keyof typeof macvlanModes
export type IpvlanMode = keyof typeof ipvlanModes

/** A link as the kernel tells it. */
export interface Link {
  readonly index: number
  readonly name: string
  readonly isUp: boolean
  readonly isRunning: boolean
  readonly isPromiscuous: boolean
  readonly mtuBytes: number
  readonly mac: string // '' for one without
  /** `veth`, `bridge`, `macvlan`, ...; undefined for hardware. */
  readonly kind?: string
  /** Index of the bridge, bond or VRF that it belongs to. */
  readonly master?: number
  /** Index of the parent, or of a veth's peer; in the namespace `parentNsid` when that is there. */
  readonly parent?: number
  readonly parentNsid?: number
  readonly operState: number // 6 is up (RFC 2863)
  readonly alias?: string
  readonly vlanId?: number
  readonly macvlanMode?: MacvlanMode
}

/** What a new link is. Names are at most 15 bytes. */
export type LinkKind =
  | { readonly kind: 'veth'; readonly peer: LinkChange & { readonly name: string } }
  | { readonly kind: 'bridge'; readonly hasMulticastSnooping?: boolean }
  | { readonly kind: 'macvlan'; readonly parent: number; readonly mode: MacvlanMode }
  | { readonly kind: 'ipvlan'; readonly parent: number; readonly mode: IpvlanMode }
  | { readonly kind: 'vlan'; readonly parent: number; readonly vlanId: number }
  | { readonly kind: 'dummy' }

/** What may be set on a link, new or not. */
export interface LinkChange {
  readonly name?: string
  readonly isUp?: boolean
  readonly isPromiscuous?: boolean
  readonly mtuBytes?: number
  readonly mac?: string
  /** Index of the bridge or bond; 0 takes it out of one. */
  readonly master?: number
  readonly txQueueLength?: number
  readonly alias?: string
  /** Open descriptor of the namespace to put it in. */
  readonly netnsFd?: number
}

/** The payload that asks for all links, or for one by index or name. */
export function encodeLinkQuery(which: { readonly index?: number; readonly name?: string } = {}): Uint8Array {
  const header = new HeaderWriter(headerBytes).u32(4, which.index ?? 0).bytes
  return which.name === undefined ? header : concat([header, text(IFLA_IFNAME, which.name)])
}

/** The payload that changes (index) or, with a kind, makes a link. */
export function encodeLink(index: number, change: LinkChange, kind?: LinkKind): Uint8Array {
  const parts = [encodeHeader(index, change), ...changeAttributes(change)]
  if (kind !== undefined) {
    if ('parent' in kind) parts.push(u32(IFLA_LINK, kind.parent))
    parts.push(nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, kind.kind), ...kindData(kind)))
  }
  return concat(parts)
}

function encodeHeader(index: number, change: LinkChange): Uint8Array {
  let flags = 0
  let mask = 0
  if (change.isUp !== undefined) mask |= IFF_UP
  if (change.isUp === true) flags |= IFF_UP
  if (change.isPromiscuous !== undefined) mask |= IFF_PROMISC
  if (change.isPromiscuous === true) flags |= IFF_PROMISC
  return new HeaderWriter(headerBytes).u32(4, index).u32(8, flags).u32(12, mask).bytes
}

function changeAttributes(change: LinkChange): Uint8Array[] {
  const parts: Uint8Array[] = []
  if (change.name !== undefined) parts.push(text(IFLA_IFNAME, change.name))
  if (change.mac !== undefined) parts.push(encodeAttribute(IFLA_ADDRESS, encodeMac(change.mac)))
  if (change.mtuBytes !== undefined) parts.push(u32(IFLA_MTU, change.mtuBytes))
  if (change.master !== undefined) parts.push(u32(IFLA_MASTER, change.master))
  if (change.txQueueLength !== undefined) parts.push(u32(IFLA_TXQLEN, change.txQueueLength))
  if (change.alias !== undefined)
    parts.push(encodeAttribute(IFLA_IFALIAS, new TextEncoder().encode(change.alias)))
  if (change.netnsFd !== undefined) parts.push(u32(IFLA_NET_NS_FD, change.netnsFd))
  return parts
}

function kindData(kind: LinkKind): readonly Uint8Array[] {
  switch (kind.kind) {
    case 'veth':
      return [nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, encodeLink(0, kind.peer)))]
    case 'bridge': {
      const { hasMulticastSnooping } = kind
      if (hasMulticastSnooping === undefined) return []
      return [nested(IFLA_INFO_DATA, u8(IFLA_BR_MCAST_SNOOPING, hasMulticastSnooping ? 1 : 0))]
    }
    case 'macvlan':
      return [nested(IFLA_INFO_DATA, u32(IFLA_MACVLAN_MODE, macvlanModes[kind.mode]))]
    case 'ipvlan':
      return [nested(IFLA_INFO_DATA, u16(IFLA_IPVLAN_MODE, ipvlanModes[kind.mode]))]
    case 'vlan':
      return [nested(IFLA_INFO_DATA, u16(IFLA_VLAN_ID, kind.vlanId))]
    case 'dummy':
      return []
    default:
      return unreachable(kind)
  }
}

/** @throws {MalformedReplyError} when the bytes are none of a link */
export function decodeLink(payload: Uint8Array): Link {
  const [header, rest] = splitHeader(payload, headerBytes, 'link')
  const attributes = new AttributeReader(rest)
  const flags = header.getUint32(8, littleEndian)
  const mac = attributes.bytes(IFLA_ADDRESS)
  return {
    index: header.getInt32(4, littleEndian),
    name: attributes.text(IFLA_IFNAME) ?? '',
    isUp: (flags & IFF_UP) !== 0,
    isRunning: (flags & IFF_RUNNING) !== 0,
    isPromiscuous: (flags & IFF_PROMISC) !== 0,
    mtuBytes: attributes.u32(IFLA_MTU) ?? 0,
    mac: mac === undefined ? '' : formatMac(mac),
    operState: attributes.u8(IFLA_OPERSTATE) ?? 0,
    ...optional('master', attributes.u32(IFLA_MASTER)),
    ...optional('parent', attributes.u32(IFLA_LINK)),
    ...optional('parentNsid', attributes.i32(IFLA_LINK_NETNSID)),
    ...optional('alias', attributes.text(IFLA_IFALIAS)),
    ...decodeInfo(attributes.nested(IFLA_LINKINFO)),
  }
}

function decodeInfo(info: AttributeReader | undefined): Pick<Link, 'kind' | 'vlanId' | 'macvlanMode'> {
  const kind = info?.text(IFLA_INFO_KIND)
  if (info === undefined || kind === undefined) return {}
  if (kind === 'vlan') return { kind, ...optional('vlanId', info.nested(IFLA_INFO_DATA)?.u16(IFLA_VLAN_ID)) }
  if (kind === 'macvlan') {
    const mode = info.nested(IFLA_INFO_DATA)?.u32(IFLA_MACVLAN_MODE)
    return { kind, ...optional('macvlanMode', findMacvlanMode(mode)) }
  }
  return { kind }
}

function findMacvlanMode(value: number | undefined): MacvlanMode | undefined {
  const names = Object.keys(macvlanModes) as MacvlanMode[] // a closed object of our own
  return names.find((name) => macvlanModes[name] === value)
}

/** `{ [key]: value }`, or nothing when the value is not there. */
export function optional<Key extends string, T>(key: Key, value: T | undefined): { readonly [K in Key]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]?: T })
}
