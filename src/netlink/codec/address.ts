// struct ifaddrmsg and IFA_* in linux/if_addr.h; rtnetlink(7).
import type { IpAddress, IpVersion } from '../../address/index.ts'
import { AttributeReader, concat, encodeAttribute, text, u32 } from './attribute.ts'
import { HeaderWriter, littleEndian, splitHeader } from './header.ts'
import { decodeIp, encodeIp, familyOf } from './ip.ts'
import { optional } from './link.ts'
import { MalformedReplyError } from './malformed-reply-error.ts'

export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
export const RTM_GETADDR = 22
const headerBytes = 8
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_LABEL = 3
const IFA_BROADCAST = 4
const IFA_FLAGS = 8
/** Usable at once, without duplicate address detection (IPv6). */
export const IFA_F_NODAD = 0x02
/** Somebody else on the link has the address. */
export const IFA_F_DADFAILED = 0x08
/** Not usable yet: duplicate address detection is under way. */
export const IFA_F_TENTATIVE = 0x40
/** Without a lifetime. */
export const IFA_F_PERMANENT = 0x80
/** The kernel makes no route to the network of the address. */
export const IFA_F_NOPREFIXROUTE = 0x200

/** An address on a link. */
export interface LinkAddress {
  readonly linkIndex: number
  readonly ip: IpAddress
  readonly prefixBits: number
  /** 0 universe, 253 link, 254 host. */
  readonly scope: number
  /** IFA_F_*. */
  readonly flags: number
  readonly broadcast?: IpAddress
  /** The other end of a point-to-point link, when it is not `ip`. */
  readonly peer?: IpAddress
  readonly label?: string
}

/** The payload that asks for the addresses of a family (all when undefined) and, where the kernel can, of one link. */
export function encodeAddressQuery(version?: IpVersion, linkIndex = 0): Uint8Array {
  return new HeaderWriter(headerBytes).u8(0, familyOf(version)).u32(4, linkIndex).bytes
}

export function encodeAddress(address: LinkAddress): Uint8Array {
  const header = new HeaderWriter(headerBytes)
    .u8(0, familyOf(address.ip.version))
    .u8(1, address.prefixBits)
    .u8(2, address.flags & 0xff)
    .u8(3, address.scope)
    .u32(4, address.linkIndex)
  const parts = [
    header.bytes,
    encodeAttribute(IFA_LOCAL, encodeIp(address.ip)),
    encodeAttribute(IFA_ADDRESS, encodeIp(address.peer ?? address.ip)),
    u32(IFA_FLAGS, address.flags),
  ]
  if (address.broadcast !== undefined) parts.push(encodeAttribute(IFA_BROADCAST, encodeIp(address.broadcast)))
  if (address.label !== undefined) parts.push(text(IFA_LABEL, address.label))
  return concat(parts)
}

/** @throws {MalformedReplyError} when the bytes are none of an address */
export function decodeAddress(payload: Uint8Array): LinkAddress {
  const [header, rest] = splitHeader(payload, headerBytes, 'address')
  const attributes = new AttributeReader(rest)
  // On a point-to-point link IFA_ADDRESS is the other end; IPv6 leaves IFA_LOCAL out elsewhere.
  const local = attributes.bytes(IFA_LOCAL) ?? attributes.bytes(IFA_ADDRESS)
  if (local === undefined) throw new MalformedReplyError('address message without an address', payload)
  const ip = decodeIp(local)
  const other = attributes.bytes(IFA_ADDRESS)
  const peer = other === undefined ? undefined : decodeIp(other)
  const broadcast = attributes.bytes(IFA_BROADCAST)
  return {
    linkIndex: header.getUint32(4, littleEndian),
    ip,
    prefixBits: header.getUint8(1),
    scope: header.getUint8(3),
    flags: attributes.u32(IFA_FLAGS) ?? header.getUint8(2),
    ...optional('broadcast', broadcast === undefined ? undefined : decodeIp(broadcast)),
    ...optional('peer', peer === undefined || peer.value === ip.value ? undefined : peer),
    ...optional('label', attributes.text(IFA_LABEL)),
  }
}
