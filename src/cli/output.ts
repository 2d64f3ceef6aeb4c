import { InvalidInputError, stringifyJson } from '../base/index.ts'
import { formatYaml } from '../kube/index.ts'
import type { FlagHelp } from './command.ts'
import { type ParsedArgs, textFlag } from './flags.ts'

const formats = ['table', 'json', 'yaml'] as const
/** How an answer is written. The shapes behind json and yaml are in docs/spiderpoolctl.md, and stay. */
export type OutputFormat = (typeof formats)[number]

export const outputFlag: FlagHelp = {
  name: 'output',
  short: 'o',
  value: 'FORMAT',
  values: formats,
  text: `${formats.join(', ')} (table)`,
}

/** @throws {InvalidInputError} for a format that is not known */
export function outputFormat(parsed: ParsedArgs): OutputFormat {
  const text = textFlag(parsed, 'output') ?? 'table'
  const format = formats.find((one) => one === text)
  if (format !== undefined) return format
  throw new InvalidInputError('--output', text, 'is not known', `write one of ${formats.join(', ')}`)
}

/** The lines of an answer. @param table makes those for people; `value` is what programs get */
export function formatOutput(
  format: OutputFormat,
  value: object,
  table: () => readonly string[],
): readonly string[] {
  if (format === 'table') return table()
  return [format === 'json' ? stringifyJson(value, 2) : formatYaml(value)]
}

/** Lines of names and values, aligned, as kubectl describe has them. A value of several lines stands below itself. */
export function formatFields(
  fields: readonly (readonly [string, string | readonly string[]])[],
): readonly string[] {
  const width = Math.max(0, ...fields.map(([name]) => name.length + 1))
  return fields.flatMap(([name, value]) => {
    const [first = '', ...others] = typeof value === 'string' ? [value] : value
    return [
      `${`${name}:`.padEnd(width)}   ${first}`.trimEnd(),
      ...others.map((line) => `${' '.repeat(width)}   ${line}`),
    ]
  })
}
