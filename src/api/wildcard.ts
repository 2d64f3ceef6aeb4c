import { InvalidInputError } from '../base/index.ts'

/** Longest pattern, in characters; object names have at most 253. */
const maxPatternLength = 1024

type Token =
  | { readonly kind: 'star' }
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
 * (spec/ipam.md §4.3). Takes at most pattern length × name length steps, whatever the pattern.
 * @throws {InvalidInputError} on a bad pattern
 */
export function compileWildcard(pattern: string, field = 'wildcard'): (name: string) => boolean {
  const tokens = tokensOf(pattern, field)
  return (name) => matches(tokens, Array.from(name))
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

// Only the last star is ever tried again: an earlier one that took less could gain nothing.
function matches(tokens: readonly Token[], chars: readonly string[]): boolean {
  let at = 0
  let token = 0
  let starToken = -1
  let starAt = 0
  while (at < chars.length || token < tokens.length) {
    const wanted = tokens[token]
    const char = chars[at]
    if (wanted?.kind === 'star') {
      starToken = token++
      starAt = at
    } else if (wanted !== undefined && char !== undefined && fitsChar(wanted, char)) {
      token++
      at++
    } else if (starToken >= 0 && starAt < chars.length && chars[starAt] !== '/') {
      at = ++starAt
      token = starToken + 1
    } else return false
  }
  return true
}

function fitsChar(token: Token, char: string): boolean {
  if (token.kind === 'literal') return token.char === char
  if (char === '/') return false
  if (token.kind !== 'class') return true
  return token.spans.some(([low, high]) => low <= char && char <= high) !== token.negated
}
