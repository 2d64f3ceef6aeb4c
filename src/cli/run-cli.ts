import { InvalidInputError, OperationError, toError } from '../base/index.ts'
import type { Command, Terminal } from './command.ts'

const program = 'spiderpoolctl'
/** Done, not done, and wrongly asked. */
export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const

/**
 * Finds the command that `args` names, runs it, and words its errors.
 * @returns the exit code: 0 done, 1 failed, 2 wrongly called, 130 interrupted, or what the command gave
 */
export async function runCli(
  args: readonly string[],
  commands: readonly Command[],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  const called = findCommand(args, commands)
  if (called === undefined) return helpOrRefuse(args, commands, terminal)
  const own = called.args.slice(0, called.args.includes('--') ? called.args.indexOf('--') : undefined)
  if (own.includes('--help') || own.includes('-h')) {
    for (const line of commandHelp(called.command)) terminal.print(line)
    return exitCodes.done
  }
  try {
    return await called.command.run(called.args, terminal, signal)
  } catch (error) {
    if (signal.aborted) {
      terminal.note(`${program}: interrupted`)
      return exitCodes.interrupted
    }
    for (const line of errorLines(toError(error))) terminal.note(line)
    return error instanceof InvalidInputError ? exitCodes.usage : exitCodes.failed
  }
}

interface Called {
  readonly command: Command
  readonly args: readonly string[]
}

function findCommand(args: readonly string[], commands: readonly Command[]): Called | undefined {
  for (const command of commands) {
    const words = command.name.split(' ')
    if (words.every((word, index) => args[index] === word)) return { command, args: args.slice(words.length) }
  }
  return undefined
}

function helpOrRefuse(args: readonly string[], commands: readonly Command[], terminal: Terminal): number {
  const words = args.filter((arg) => !arg.startsWith('-') && arg !== 'help')
  const isAsked = args.length === 0 || args.some((arg) => ['help', '--help', '-h'].includes(arg))
  const [group] = words
  const listed = commands.filter(({ isHidden }) => isHidden !== true)
  const shown = listed.filter(({ name }) => group === undefined || name.split(' ')[0] === group)
  if (isAsked && shown.length > 0) {
    for (const line of programHelp(shown)) terminal.print(line)
    return args.length === 0 ? exitCodes.usage : exitCodes.done
  }
  const isGroup = shown.length > 0 && words.length === 1
  const problem = isGroup ? `"${group}" alone is no command` : `there is no command "${args.join(' ')}"`
  terminal.note(`${program}: ${problem}`)
  for (const line of programHelp(shown.length > 0 ? shown : listed)) terminal.note(line)
  return exitCodes.usage
}

function programHelp(commands: readonly Command[]): readonly string[] {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return [
    `Usage: ${program} COMMAND [FLAGS]`,
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}   ${summary}`),
    '',
    `More about one: ${program} COMMAND --help`,
  ]
}

function commandHelp(command: Command): readonly string[] {
  const flags = command.flags.map(({ name, value, short, text }) => {
    const long = value === undefined ? `--${name}` : `--${name} ${value}`
    return { label: short === undefined ? long : `-${short}, ${long}`, text }
  })
  const width = Math.max(0, ...flags.map(({ label }) => label.length))
  return [
    `Usage: ${program} ${command.name}${command.usage === '' ? '' : ` ${command.usage}`}`,
    '',
    `${command.summary}.`,
    ...(flags.length === 0 ? [] : ['']),
    ...flags.map(({ label, text }) => `  ${label.padEnd(width)}   ${text}`),
  ]
}

/** What failed, then what to do about it. */
export function errorLines(error: Error): readonly string[] {
  const hint = error instanceof OperationError ? error.hint : ''
  return [`${program}: ${error.message}`, ...(hint === '' ? [] : [`  ${hint}`])]
}
