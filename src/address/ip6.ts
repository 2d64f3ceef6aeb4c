import { AssertionError, type Brand } from '../base/index.ts'
import { formatIp4, type Ip4, toIp4, tryParseIp4 } from './ip4.ts'

/** An IPv6 address as an unsigned 128-bit bigint. */
export type Ip6 = Brand<bigint, 'Ip6'>

const maxIp6 = (1n << 128n) - 1n
const groupPattern = /^[0-9a-fA-F]{1,4}$/
/** Longest legal text: eight groups, the last two as dotted decimal. */
const maxTextLength = 45

/** Brands a bigint. @throws {AssertionError} when it is no unsigned 128-bit integer */
export function toIp6(value: bigint): Ip6 {
  // Not by assert(): its message would be made for each address.
  if (value < 0n || value > maxIp6) throw new AssertionError(`${value} is outside IPv6`)
  return value as Ip6
}

/**
 * Text of RFC 4291 §2.2, all three forms, without zone.
 * @returns undefined when the text is anything else
 */
export function tryParseIp6(text: string): Ip6 | undefined {
  if (text.length > maxTextLength || !text.includes(':')) return undefined
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] ?? '', halves.length === 1)
  if (halves.length === 1) return head?.length === 8 ? joinGroups(head) : undefined
  const tail = parseGroups(halves[1] ?? '', true)
  if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined
  return joinGroups([...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail])
}

function parseGroups(text: string, canEndInIp4: boolean): readonly number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  const groups: number[] = []
  for (const [index, part] of parts.entries()) {
    if (groupPattern.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const ip4 = canEndInIp4 && index === parts.length - 1 ? tryParseIp4(part) : undefined
    if (ip4 === undefined) return undefined
    groups.push(ip4 >>> 16, ip4 & 0xffff)
  }
  return groups
}

function joinGroups(groups: readonly number[]): Ip6 {
  const hex = groups.map((group) => group.toString(16).padStart(4, '0')).join('')
  return toIp6(BigInt(`0x${hex}`))
}

/** The IPv4 address inside an IPv4-mapped one (::ffff:0:0/96), or undefined. */
export function mappedIp4(ip: Ip6): Ip4 | undefined {
  return ip >> 32n === 0xffffn ? toIp4(Number(ip & 0xffff_ffffn)) : undefined
}

/** 32 lower-case hexadecimal digits. */
export function hexOfIp6(ip: Ip6): string {
  return ip.toString(16).padStart(32, '0')
}

/** Canonical text (RFC 5952): lower case, the first longest run of zero groups shortened. */
export function formatIp6(ip: Ip6): string {
  const mapped = mappedIp4(ip)
  if (mapped !== undefined) return `::ffff:${formatIp4(mapped)}`
  const hex = hexOfIp6(ip)
  const groups: string[] = []
  for (let i = 0; i < 32; i += 4) groups.push(Number.parseInt(hex.slice(i, i + 4), 16).toString(16))
  const run = longestZeroRun(groups)
  if (run.length < 2) return groups.join(':')
  const head = groups.slice(0, run.start).join(':')
  return `${head}::${groups.slice(run.start + run.length).join(':')}`
}

function longestZeroRun(groups: readonly string[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (const [index, group] of groups.entries()) {
    if (group !== '0') start = index + 1
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start }
  }
  return best
}
