import { InvalidInputError } from '../../../../base/index.ts'

const maxPatternCharacters = 4096
const posixClasses: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7F',
  blank: '\\t ',
  cntrl: '\\x00-\\x1F\\x7F',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
}

/**
 * Compiles a regular expression of RE2 (the syntax of Kubernetes' `pattern` and CEL's `matches`).
 * @throws {SyntaxError} for bad syntax; {InvalidInputError} for what RE2 has not: look-around, back references
 */
export function compilePattern(source: string): RegExp {
  if (source.length > maxPatternCharacters) {
    const problem = `is longer than ${maxPatternCharacters} characters`
    throw new InvalidInputError('pattern', source, problem, 'write a shorter expression')
  }
  const [flags, body] = leadingFlags(source)
  const text = translate(body)
  // Without the u flag an escape such as \- or \. outside a class means what RE2 takes it for.
  return needsUnicode(text) ? new RegExp(text, `${flags}u`) : new RegExp(text, flags)
}

function leadingFlags(source: string): readonly [string, string] {
  const match = /^\(\?([ims]+)\)/.exec(source)
  return match?.[1] === undefined
    ? ['', source]
    : [[...new Set(match[1])].join(''), source.slice(match[0].length)]
}

const needsUnicode = (text: string): boolean => /\\p|\\P|[^\0-\uFFFF]/u.test(text)

function translate(source: string): string {
  let text = ''
  let inClass = false
  for (let at = 0; at < source.length; at += 1) {
    const rest = source.slice(at)
    const posix = inClass ? /^\[:(\^?)([a-z]+):\]/.exec(rest) : null
    if (posix !== null) {
      text += posixClass(source, posix[1] === '^', posix[2] ?? '')
      at += posix[0].length - 1
    } else if (rest.startsWith('\\')) {
      text += translateEscape(source, rest, inClass)
      at += 1
    } else if (!inClass && rest.startsWith('(?')) {
      const group = translateGroup(source, rest)
      text += group.text
      at += group.length - 1
    } else {
      const character = source.charAt(at)
      if (character === '[' && !inClass) inClass = true
      else if (character === ']' && inClass && !/\[\^?$/.test(text)) inClass = false
      text += character
    }
  }
  return text
}

function posixClass(source: string, negated: boolean, name: string): string {
  const members = posixClasses[name]
  if (members === undefined || negated) {
    throw new InvalidInputError(
      'pattern',
      source,
      `uses the unknown class [:${name}:]`,
      'write the characters out',
    )
  }
  return members
}

function translateEscape(source: string, rest: string, inClass: boolean): string {
  const next = rest.charAt(1)
  if (/[1-9]/.test(next) && !inClass) unsupported(source, 'a back reference')
  if (next === 'A' && !inClass) return '^'
  if (next === 'z' && !inClass) return '$(?![\\s\\S])'
  return rest.slice(0, 2)
}

function translateGroup(source: string, rest: string): { readonly text: string; readonly length: number } {
  if (/^\(\?(=|!|<=|<!)/.test(rest)) unsupported(source, 'look-around')
  if (rest.startsWith('(?P<')) return { text: '(?<', length: 4 }
  const bare = /^\(\?[ims-]+\)/.exec(rest)
  if (bare !== null) unsupported(source, 'flags in the middle')
  return { text: '(?', length: 2 }
}

function unsupported(source: string, what: string): never {
  throw new InvalidInputError('pattern', source, `uses ${what}`, 'use RE2 syntax, which does without')
}
