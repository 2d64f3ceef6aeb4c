import { parseArgs } from 'node:util'
import { InvalidInputError } from '../base/index.ts'
import type { Command } from './command.ts'

export interface ParsedArgs {
  readonly flags: Readonly<Record<string, string | true>>
  readonly positionals: readonly string[]
  /** What follows `--`. */
  readonly rest: readonly string[]
}

/**
 * Reads the flags that a command declares, each at most once.
 * @throws {InvalidInputError} for an unknown, doubled or incomplete flag
 */
export function parseFlags(command: Pick<Command, 'name' | 'flags'>, args: readonly string[]): ParsedArgs {
  const end = args.indexOf('--')
  const own = end < 0 ? args : args.slice(0, end)
  const options = Object.fromEntries(
    command.flags.map(({ name, value, short }) => {
      const type = value === undefined ? ('boolean' as const) : ('string' as const)
      return [name, { type, multiple: true as const, ...(short === undefined ? {} : { short }) }]
    }),
  )
  const { values, positionals } = parseOrRefuse(command, own, options)
  const flags: Record<string, string | true> = {}
  for (const [name, given] of Object.entries(values)) {
    const [first, second] = given ?? []
    if (second !== undefined) {
      throw new InvalidInputError(`--${name}`, given, 'is given twice', 'give it once')
    }
    if (typeof first === 'string') flags[name] = first
    else if (first === true) flags[name] = true
  }
  return { flags, positionals, rest: end < 0 ? [] : args.slice(end + 1) }
}

type Options = Record<
  string,
  { readonly type: 'string' | 'boolean'; readonly multiple: true; readonly short?: string }
>
interface Values {
  readonly values: Readonly<Record<string, readonly (string | boolean)[] | undefined>>
  readonly positionals: readonly string[]
}

function parseOrRefuse(command: Pick<Command, 'name'>, args: readonly string[], options: Options): Values {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true })
  } catch (error) {
    const problem = error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error)
    const hint = `see: spiderpoolctl ${command.name} --help`
    throw new InvalidInputError('arguments', args.join(' '), `cannot be read: ${problem}`, hint)
  }
}

/** The text of a flag; undefined when it was not given. @throws {InvalidInputError} when it is empty */
export function textFlag(parsed: ParsedArgs, name: string): string | undefined {
  const value = parsed.flags[name]
  if (typeof value !== 'string') return undefined
  if (value === '')
    throw new InvalidInputError(`--${name}`, value, 'is empty', `give a value: --${name} VALUE`)
  return value
}

/** A whole number in a range; undefined when it was not given. @throws {InvalidInputError} when it is none */
export function numberFlag(
  parsed: ParsedArgs,
  name: string,
  range: { readonly least: number; readonly most: number },
): number | undefined {
  const text = textFlag(parsed, name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < range.least || value > range.most) {
    const hint = `give a whole number from ${range.least} to ${range.most}`
    throw new InvalidInputError(`--${name}`, text, 'is out of range', hint)
  }
  return value
}

/** Refuses what a command does not take. @throws {InvalidInputError} when there are more than `most` */
export function refuseMore(command: Pick<Command, 'name'>, parsed: ParsedArgs, most: number): void {
  const extra = parsed.positionals[most]
  if (extra === undefined) return
  throw new InvalidInputError(
    'argument',
    extra,
    'is not expected',
    `see: spiderpoolctl ${command.name} --help`,
  )
}

/** The one argument of a command. @throws {InvalidInputError} when it is missing, or there are more */
export function oneArgument(
  command: Pick<Command, 'name' | 'usage'>,
  parsed: ParsedArgs,
  name: string,
): string {
  refuseMore(command, parsed, 1)
  const [value] = parsed.positionals
  if (value !== undefined && value !== '') return value
  const hint = `write: spiderpoolctl ${command.name} ${command.usage}`
  throw new InvalidInputError(name, value ?? '', 'is missing', hint)
}
