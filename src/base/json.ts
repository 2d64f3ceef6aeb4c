declare global {
  interface JSON {
    rawJSON(text: string): unknown
  }
}

/** What JSON can hold here: an integer beyond 2^53 is a bigint, so that it survives a read and a write exactly. */
export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Json[]
  | { readonly [key: string]: Json }

// Where an integer of so many digits can stand: after the start, a name, a bracket or a comma. Container ids, uids and digests in
// texts have as many digits in a row, and reading a page of blocks with exact integers takes five times as long.
const longInteger = /(?:^|[:[,\s-])\d{16}(?<=(?:^|"\s*:|[[,])\s*-?\d{16})/
const integer = /^-?\d+$/

/**
 * JSON.parse that keeps integers beyond 2^53 as bigint.
 * @throws {SyntaxError} as JSON.parse does
 */
export function parseJson(text: string): unknown {
  if (!longInteger.test(text)) return JSON.parse(text)
  const exact = (_key: string, value: unknown, context?: { source?: string }): unknown => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
    const source = context?.source
    return source !== undefined && integer.test(source) ? BigInt(source) : value
  }
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown)
}

/** JSON.stringify that writes a bigint as the integer it is. */
export function stringifyJson(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, undefined, indent)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const raw = (_key: string, item: unknown) =>
      typeof item === 'bigint' ? JSON.rawJSON(String(item)) : item
    return JSON.stringify(value, raw, indent)
  }
}
