import type { Command, Completes, FlagHelp } from '../command.ts'

/** What may stand where the cursor is: these words, and names of this kind. */
export interface Completion {
  readonly words: readonly string[]
  readonly names?: Completes
}

/**
 * What completes a command line.
 * @param line the words after the name of the program; the last one is where the cursor is, and may be empty
 */
export function complete(line: readonly string[], commands: readonly Command[]): Completion {
  // bash cuts a line at "=" too: `--output=json` comes as three words.
  const words = line.flatMap((word, at) => (word !== '=' ? [word] : at === line.length - 1 ? [''] : []))
  const current = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  const listed = commands.filter(({ isHidden }) => isHidden !== true)
  const called = listed.find(({ name }) => name.split(' ').every((word, at) => before[at] === word))
  if (called === undefined) return matching(nextWords(before, listed), current)
  const rest = before.slice(called.name.split(' ').length)
  if (rest.includes('--')) return { words: [] }
  const awaited = flagOf(rest.at(-1), called.flags)
  if (awaited?.value !== undefined) return valuesOf(awaited.values, current)
  const [, inline] = /^(--[^=]+)=/.exec(current) ?? []
  if (inline !== undefined)
    return withPrefix(
      `${inline}=`,
      valuesOf(flagOf(inline, called.flags)?.values, current.slice(inline.length + 1)),
    )
  if (current.startsWith('-')) return matching(flagWords(called.flags, rest), current)
  return called.argument === undefined || hasArgument(rest, called.flags)
    ? { words: [] }
    : valuesOf(called.argument, current)
}

/** The words that follow what was written of the names of commands. */
function nextWords(before: readonly string[], commands: readonly Command[]): readonly string[] {
  const next = commands.flatMap(({ name }) => {
    const parts = name.split(' ')
    const isOn = before.every((word, at) => parts[at] === word)
    const word = parts[before.length]
    return isOn && word !== undefined ? [word] : []
  })
  return before.length === 0 ? [...next, 'help'] : next
}

function flagWords(flags: readonly FlagHelp[], rest: readonly string[]): readonly string[] {
  const isLeft = (flag: FlagHelp) => !rest.some((word) => flagOf(word, [flag]) !== undefined)
  return [...flags.filter(isLeft).map(({ name }) => `--${name}`), '--help']
}

function flagOf(word: string | undefined, flags: readonly FlagHelp[]): FlagHelp | undefined {
  return flags.find(
    ({ name, short }) => word === `--${name}` || (short !== undefined && word === `-${short}`),
  )
}

/** True when a word is there that is neither a flag nor the value of one. */
function hasArgument(rest: readonly string[], flags: readonly FlagHelp[]): boolean {
  return rest.some((word, at) => !word.startsWith('-') && flagOf(rest[at - 1], flags)?.value === undefined)
}

function valuesOf(values: FlagHelp['values'], current: string): Completion {
  if (values === undefined) return { words: [] }
  return typeof values === 'string' ? { words: [], names: values } : matching(values, current)
}

function matching(words: readonly string[], current: string): Completion {
  return { words: [...new Set(words)].filter((word) => word.startsWith(current)).sort() }
}

function withPrefix(prefix: string, { words, names }: Completion): Completion {
  return { words: words.map((word) => `${prefix}${word}`), ...(names === undefined ? {} : { names }) }
}
