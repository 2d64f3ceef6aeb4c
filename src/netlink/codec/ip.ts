import { type IpAddress, type IpVersion, toIp4, toIp6 } from '../../address/index.ts'
import { assert } from '../../base/index.ts'
import { viewOf } from './attribute.ts'
import { MalformedReplyError } from './malformed-reply-error.ts'

export const AF_INET = 2
export const AF_INET6 = 10

/** The kernel's number of an address family; 0 asks for all. */
export function familyOf(version: IpVersion | undefined): number {
  if (version === undefined) return 0
  return version === 4 ? AF_INET : AF_INET6
}

/** 4 or 16 bytes in network order. */
export function encodeIp(ip: IpAddress): Uint8Array {
  if (ip.version === 4) {
    const bytes = new Uint8Array(4)
    viewOf(bytes).setUint32(0, ip.value)
    return bytes
  }
  const bytes = new Uint8Array(16)
  viewOf(bytes).setBigUint64(0, ip.value >> 64n)
  viewOf(bytes).setBigUint64(8, ip.value & 0xffff_ffff_ffff_ffffn)
  return bytes
}

/** @throws {MalformedReplyError} when it is neither 4 nor 16 bytes long */
export function decodeIp(bytes: Uint8Array): IpAddress {
  const view = viewOf(bytes)
  if (bytes.byteLength === 4) return { version: 4, value: toIp4(view.getUint32(0)) }
  if (bytes.byteLength === 16) {
    return { version: 6, value: toIp6((view.getBigUint64(0) << 64n) | view.getBigUint64(8)) }
  }
  throw new MalformedReplyError(`address of ${bytes.byteLength} bytes`, bytes)
}

/** `02:fc:00:00:00:01` for bytes of any length. */
export function formatMac(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}

/** The bytes of {@link formatMac}'s text, which was validated where it came in. */
export function encodeMac(mac: string): Uint8Array {
  assert(/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2})*$/.test(mac), `"${mac}" is no hardware address`)
  return Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16))
}
