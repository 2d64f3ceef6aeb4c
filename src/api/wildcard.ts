import { InvalidInputError } from '../base/index.ts'

/** Longest pattern, in characters: that of an object name. */
const maxPatternLength = 253

/** Wildcards of one list of pools, or of all lists of one annotation: each is held against the name of every pool. */
export const wildcardLimit = 16

type Token = { readonly kind: 'star' } | CharToken
type CharToken =
  | { readonly kind: 'any' }
  | { readonly kind: 'literal'; readonly char: string }
  | {
      readonly kind: 'class'
      readonly negated: boolean
      readonly spans: readonly (readonly [string, string])[]
    }

/** A pattern that cannot be read. */
class WildcardError extends InvalidInputError {
  override get reasonCode(): string {
    return 'wildcard-malformed'
  }
}

/** True when the entry is a wildcard, not a plain name: it holds `*`, `?` or a `[`...`]` pair. */
export function isWildcard(entry: string): boolean {
  if (entry.includes('*') || entry.includes('?')) return true
  const open = entry.indexOf('[')
  return open >= 0 && entry.indexOf(']', open) > open
}

/**
 * A test for names: `*` any run without `/`, `?` one character, `[abc]`, `[a-z]`, `[^a]`, `\` before a literal
 * (spec/ipam.md §4.3). Takes at most eight steps for each character of the name, whatever the pattern.
 * @throws {InvalidInputError} on a bad pattern
 */
export function compileWildcard(pattern: string, field = 'wildcard'): (name: string) => boolean {
  return matcherOf(tokensOf(pattern, field))
}

/**
 * The pools that a list of references means: plain names as they stand, wildcards replaced by the names that they
 * match in ascending order; each name once, where it came first.
 * @param names of existing pools of the wanted family
 * @throws {InvalidInputError} on a bad pattern
 */
export function expandPoolNames(
  entries: readonly string[],
  names: Iterable<string>,
  field = 'wildcard',
): readonly string[] {
  const found = new Set<string>()
  let sorted: readonly string[] | undefined
  for (const entry of entries) {
    if (!isWildcard(entry)) {
      found.add(entry)
      continue
    }
    sorted ??= [...names].sort()
    const fits = compileWildcard(entry, field)
    for (const name of sorted) if (fits(name)) found.add(name)
  }
  return [...found]
}

function tokensOf(pattern: string, field: string): readonly Token[] {
  const refuse = (problem: string): never => {
    const hint = 'write * for any text, ? for one character, [a-z] for one of a set'
    throw new WildcardError(field, pattern, `failed to match wildcard: ${problem}`, hint)
  }
  if (pattern.length > maxPatternLength) return refuse(`it is longer than ${maxPatternLength} characters`)
  const chars = Array.from(pattern)
  const tokens: Token[] = []
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] ?? ''
    if (char === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' })
    } else if (char === '?') tokens.push({ kind: 'any' })
    else if (char === '[') {
      const read = classAt(chars, i + 1)
      if (read === undefined) return refuse('a [ has no matching ], or the set in it is empty or reversed')
      tokens.push(read.token)
      i = read.end
    } else if (char === '\\') {
      const literal = chars[++i]
      if (literal === undefined) return refuse('it ends in a backslash')
      tokens.push({ kind: 'literal', char: literal })
    } else tokens.push({ kind: 'literal', char })
  }
  return tokens
}

function classAt(
  chars: readonly string[],
  start: number,
): { readonly token: Token; readonly end: number } | undefined {
  const negated = chars[start] === '^'
  const spans: (readonly [string, string])[] = []
  let i = negated ? start + 1 : start
  const take = (): string | undefined => {
    const char = chars[i++]
    if (char === '\\') return chars[i++]
    return char === '-' || char === ']' ? undefined : char
  }
  while (i < chars.length && chars[i] !== ']') {
    const low = take()
    if (low === undefined) return undefined
    let high: string | undefined = low
    if (chars[i] === '-') {
      i++
      high = take()
    }
    if (high === undefined || high < low) return undefined
    spans.push([low, high])
  }
  if (i >= chars.length || spans.length === 0) return undefined
  return { token: { kind: 'class', negated, spans }, end: i }
}

const wordBits = 32

/**
 * All ways to match are followed at once: bit i of the state says that the first i tokens other than stars fit what was read. A
 * bit moves up when the next token fits the character, and stays where a star is. What fits a character is found out when it is
 * first met; for those that names are made of its cost is not paid again.
 */
function matcherOf(tokens: readonly Token[]): (name: string) => boolean {
  const fixed = tokens.filter((token) => token.kind !== 'star')
  const words = Math.floor(fixed.length / wordBits) + 1
  const stars = starBits(tokens, words)
  const ascii: Uint32Array[] = []
  const makeFits = (code: number): Uint32Array => {
    const bits = fitBits(fixed, String.fromCodePoint(code), words)
    if (code < 128) ascii[code] = bits
    return bits
  }
  const hasStar = tokens.length > fixed.length
  const state = new Uint32Array(words)
  return (name) => {
    // Each token takes a character, of one or two units.
    if (name.length < fixed.length || (!hasStar && name.length > 2 * fixed.length)) return false
    state.fill(0)
    state[0] = 1
    for (let at = 0; at < name.length; at++) {
      const code = name.codePointAt(at) ?? 0
      if (code > 0xffff) at++
      const fits = ascii[code] ?? makeFits(code)
      if (!advance(state, fits, code === slash ? undefined : stars)) return false
    }
    return hasBit(state, fixed.length)
  }
}

const slash = 0x2f

/** @returns false when no way to match is left */
function advance(state: Uint32Array, fits: Uint32Array, stars: Uint32Array | undefined): boolean {
  let carry = 0
  let rest = 0
  for (let word = 0; word < state.length; word++) {
    const before = state[word] ?? 0
    const moved = ((before << 1) | carry) & (fits[word] ?? 0)
    const after = moved | (before & (stars?.[word] ?? 0))
    carry = before >>> (wordBits - 1)
    state[word] = after
    rest |= after
  }
  return rest !== 0
}

/** Bit i: a star stands before token i, stars not counted. */
function starBits(tokens: readonly Token[], words: number): Uint32Array {
  const bits = new Uint32Array(words)
  let at = 0
  for (const token of tokens) {
    if (token.kind === 'star') setBit(bits, at)
    else at++
  }
  return bits
}

/** Bit i + 1: token i fits the character. */
function fitBits(fixed: readonly CharToken[], char: string, words: number): Uint32Array {
  const bits = new Uint32Array(words)
  for (const [index, token] of fixed.entries()) if (fitsChar(token, char)) setBit(bits, index + 1)
  return bits
}

function setBit(bits: Uint32Array, at: number): void {
  const word = Math.floor(at / wordBits)
  bits[word] = (bits[word] ?? 0) | (1 << (at % wordBits))
}

function hasBit(bits: Uint32Array, at: number): boolean {
  return (((bits[Math.floor(at / wordBits)] ?? 0) >>> (at % wordBits)) & 1) === 1
}

function fitsChar(token: CharToken, char: string): boolean {
  if (token.kind === 'literal') return token.char === char
  if (char === '/') return false
  if (token.kind === 'any') return true
  return token.spans.some(([low, high]) => low <= char && char <= high) !== token.negated
}
