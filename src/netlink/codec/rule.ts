// struct fib_rule_hdr and FRA_* in linux/fib_rules.h; ip-rule(8).
import { type Cidr, cidrOf, type IpVersion, ipOf } from '../../address/index.ts'
import { AttributeReader, concat, encodeAttribute, text, u8, u32 } from './attribute.ts'
import { HeaderWriter, littleEndian, splitHeader } from './header.ts'
import { AF_INET, AF_INET6, decodeIp, encodeIp, familyOf } from './ip.ts'
import { optional } from './link.ts'
import { MalformedReplyError } from './malformed-reply-error.ts'

export const RTM_NEWRULE = 32
export const RTM_DELRULE = 33
export const RTM_GETRULE = 34
const headerBytes = 12
const FRA_DST = 1
const FRA_SRC = 2
const FRA_IIFNAME = 3
const FRA_PRIORITY = 6
const FRA_FWMARK = 10
const FRA_SUPPRESS_PREFIXLEN = 14
const FRA_TABLE = 15
const FRA_FWMASK = 16
const FRA_OIFNAME = 17
const FRA_PROTOCOL = 21
const FIB_RULE_INVERT = 2

/** A rule of policy routing. */
export interface Rule {
  readonly version: IpVersion
  readonly priority: number
  readonly table: number
  /** FR_ACT_*: 1 looks up `table`. */
  readonly action: number
  readonly source?: Cidr
  readonly destination?: Cidr
  readonly inName?: string
  readonly outName?: string
  readonly mark?: number
  readonly mask?: number
  /** Routes of `table` with a prefix of at most so many bits do not count. */
  readonly suppressPrefixBits?: number
  readonly isInverted: boolean
  /** RTPROT_*: who made it. */
  readonly protocol: number
}

export function encodeRuleQuery(version?: IpVersion): Uint8Array {
  return new HeaderWriter(headerBytes).u8(0, familyOf(version)).bytes
}

export function encodeRule(rule: Rule): Uint8Array {
  const header = new HeaderWriter(headerBytes)
    .u8(0, familyOf(rule.version))
    .u8(1, rule.destination?.prefixBits ?? 0)
    .u8(2, rule.source?.prefixBits ?? 0)
    .u8(4, rule.table < 256 ? rule.table : 0)
    .u8(7, rule.action)
    .u32(8, rule.isInverted ? FIB_RULE_INVERT : 0)
  const parts = [header.bytes, u32(FRA_TABLE, rule.table), u32(FRA_PRIORITY, rule.priority)]
  if (rule.destination !== undefined) {
    parts.push(encodeAttribute(FRA_DST, encodeIp(ipOf(rule.destination.first))))
  }
  if (rule.source !== undefined) parts.push(encodeAttribute(FRA_SRC, encodeIp(ipOf(rule.source.first))))
  if (rule.inName !== undefined) parts.push(text(FRA_IIFNAME, rule.inName))
  if (rule.outName !== undefined) parts.push(text(FRA_OIFNAME, rule.outName))
  if (rule.mark !== undefined) parts.push(u32(FRA_FWMARK, rule.mark))
  if (rule.mask !== undefined) parts.push(u32(FRA_FWMASK, rule.mask))
  if (rule.suppressPrefixBits !== undefined) parts.push(u32(FRA_SUPPRESS_PREFIXLEN, rule.suppressPrefixBits))
  if (rule.protocol !== 0) parts.push(u8(FRA_PROTOCOL, rule.protocol))
  return concat(parts)
}

/**
 * @returns undefined for a rule of neither IPv4 nor IPv6
 * @throws {MalformedReplyError} when the bytes are none of a rule
 */
export function decodeRule(payload: Uint8Array): Rule | undefined {
  const [header, rest] = splitHeader(payload, headerBytes, 'rule')
  const family = header.getUint8(0)
  if (family !== AF_INET && family !== AF_INET6) return undefined
  const attributes = new AttributeReader(rest)
  const suppressed = attributes.i32(FRA_SUPPRESS_PREFIXLEN)
  return {
    version: family === AF_INET ? 4 : 6,
    priority: attributes.u32(FRA_PRIORITY) ?? 0,
    table: attributes.u32(FRA_TABLE) ?? header.getUint8(4),
    action: header.getUint8(7),
    ...optional('source', cidrFrom(attributes.bytes(FRA_SRC), header.getUint8(2))),
    ...optional('destination', cidrFrom(attributes.bytes(FRA_DST), header.getUint8(1))),
    ...optional('inName', attributes.text(FRA_IIFNAME)),
    ...optional('outName', attributes.text(FRA_OIFNAME)),
    ...optional('mark', attributes.u32(FRA_FWMARK)),
    ...optional('mask', attributes.u32(FRA_FWMASK)),
    ...optional('suppressPrefixBits', suppressed === undefined || suppressed < 0 ? undefined : suppressed),
    isInverted: (header.getUint32(8, littleEndian) & FIB_RULE_INVERT) !== 0,
    protocol: attributes.u8(FRA_PROTOCOL) ?? 0,
  }
}

function cidrFrom(bytes: Uint8Array | undefined, prefixBits: number): Cidr | undefined {
  if (bytes === undefined) return undefined
  const ip = decodeIp(bytes)
  if (prefixBits > (ip.version === 4 ? 32 : 128)) {
    throw new MalformedReplyError(`rule with a prefix of ${prefixBits} bits`, bytes)
  }
  return cidrOf(ip, prefixBits)
}
