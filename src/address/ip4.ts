import { AssertionError, type Brand } from '../base/index.ts'

/** An IPv4 address as an unsigned 32-bit number: 10.0.0.1 is 0x0a000001. */
export type Ip4 = Brand<number, 'Ip4'>

const maxIp4 = 0xffff_ffff
const zero = 48
const nine = 57
const dot = 46

/** Brands a number. @throws {AssertionError} when it is no unsigned 32-bit integer */
export function toIp4(value: number): Ip4 {
  // Not by assert(): its message would be made for each address.
  if (!Number.isInteger(value) || value < 0 || value > maxIp4)
    throw new AssertionError(`${value} is outside IPv4`)
  return value as Ip4
}

/**
 * Four decimal numbers without leading zeros (RFC 6943 §3.1.1, strict form), read from `text[start..]`.
 * @returns undefined when the text is anything else
 */
export function tryParseIp4(text: string, start = 0): Ip4 | undefined {
  let value = 0
  let part = 0
  let digits = 0
  let dots = 0
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === dot) {
      if (digits === 0 || ++dots > 3) return undefined
      value = value * 256 + part
      part = 0
      digits = 0
    } else if (code >= zero && code <= nine) {
      if (digits > 0 && part === 0) return undefined
      part = part * 10 + (code - zero)
      if (++digits > 3 || part > 255) return undefined
    } else return undefined
  }
  return dots === 3 && digits > 0 ? toIp4(value * 256 + part) : undefined
}

/** Dotted decimal text. */
export function formatIp4(ip: Ip4): string {
  return `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`
}
