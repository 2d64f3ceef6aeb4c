// struct ndmsg and NDA_* in linux/neighbour.h; rtnetlink(7).
import type { IpAddress, IpVersion } from '../../address/index.ts'
import { AttributeReader, concat, encodeAttribute } from './attribute.ts'
import { HeaderWriter, littleEndian, splitHeader } from './header.ts'
import { AF_INET, AF_INET6, decodeIp, encodeIp, encodeMac, familyOf, formatMac } from './ip.ts'
import { optional } from './link.ts'

export const RTM_NEWNEIGH = 28
export const RTM_DELNEIGH = 29
export const RTM_GETNEIGH = 30
const headerBytes = 12
const NDA_DST = 1
const NDA_LLADDR = 2
/** Confirmed a short while ago. */
export const NUD_REACHABLE = 0x02
/** Was confirmed; is asked again when it is used. */
export const NUD_STALE = 0x04
/** Nobody answered. */
export const NUD_FAILED = 0x20
/** Set by hand: never asked for, never forgotten. */
export const NUD_PERMANENT = 0x80

/** An entry of the ARP or neighbour discovery table. */
export interface Neighbour {
  readonly linkIndex: number
  readonly ip: IpAddress
  /** Away while it is being resolved, or when that failed. */
  readonly mac?: string
  /** NUD_*. */
  readonly state: number
  /** NTF_*; 8 is a proxy entry. */
  readonly flags: number
}

export function encodeNeighbourQuery(version?: IpVersion): Uint8Array {
  return new HeaderWriter(headerBytes).u8(0, familyOf(version)).bytes
}

export function encodeNeighbour(neighbour: Neighbour): Uint8Array {
  const header = new HeaderWriter(headerBytes)
    .u8(0, familyOf(neighbour.ip.version))
    .u32(4, neighbour.linkIndex)
    .u16(8, neighbour.state)
    .u8(10, neighbour.flags)
  const parts = [header.bytes, encodeAttribute(NDA_DST, encodeIp(neighbour.ip))]
  if (neighbour.mac !== undefined) parts.push(encodeAttribute(NDA_LLADDR, encodeMac(neighbour.mac)))
  return concat(parts)
}

/**
 * @returns undefined for an entry of another family, such as a bridge's
 * @throws {MalformedReplyError} when the bytes are none of a neighbour
 */
export function decodeNeighbour(payload: Uint8Array): Neighbour | undefined {
  const [header, rest] = splitHeader(payload, headerBytes, 'neighbour')
  const family = header.getUint8(0)
  const attributes = new AttributeReader(rest)
  const ip = attributes.bytes(NDA_DST)
  if ((family !== AF_INET && family !== AF_INET6) || ip === undefined) return undefined
  const mac = attributes.bytes(NDA_LLADDR)
  return {
    linkIndex: header.getUint32(4, littleEndian),
    ip: decodeIp(ip),
    ...optional('mac', mac === undefined ? undefined : formatMac(mac)),
    state: header.getUint16(8, littleEndian),
    flags: header.getUint8(10),
  }
}
