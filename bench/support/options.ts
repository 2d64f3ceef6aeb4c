// What a benchmark is told on its command line. What it cannot use is answered in one line, with the remedy, and exit code 2.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

type Defaults = Readonly<Record<string, string | boolean>>
/** Texts and switches by name; a text without a usual value has the empty one. */
export type Values<T extends Defaults> = {
  readonly [name in keyof T]: T[name] extends boolean ? boolean : string
}

/** Ends the process. */
export function refuse(problem: string, remedy: string): never {
  process.stderr.write(`${problem}: ${remedy}\n`)
  process.exit(2)
}

/**
 * The options of the command line, or their usual values. `--help` shows the comment at the head of `file`, and ends.
 * @param usual of each option: a text, or false for a switch
 */
export function optionsOf<T extends Defaults>(file: string, usual: T): Values<T> {
  const options = Object.fromEntries(
    Object.entries(usual).map(([name, value]) => [
      name,
      typeof value === 'boolean' ? ({ type: 'boolean' } as const) : ({ type: 'string' } as const),
    ]),
  )
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean' } } })
    if (values['help'] === true) showHelp(file)
    return { ...usual, ...values } as unknown as Values<T>
  } catch (error) {
    const names = [...Object.keys(usual), 'help'].map((name) => `--${name}`)
    const [problem = ''] = (error instanceof Error ? error.message : String(error)).split(/\.\s/)
    return refuse(problem, `use ${names.join(', ')}`)
  }
}

function showHelp(file: string): never {
  const lines = readFileSync(file, 'utf8').split('\n')
  const head = lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('//')),
  )
  process.stdout.write(`${head.map((line) => line.replace(/^\/\/ ?/, '')).join('\n')}\n`)
  process.exit(0)
}

/** One of the known texts. */
export function oneOf(name: string, value: string, known: readonly string[]): string {
  if (!known.includes(value)) refuse(`--${name} is "${value}"`, `use ${known.join(' or ')}`)
  return value
}

/** A whole number from `least` to `most`. */
export function whole(
  name: string,
  text: string,
  { least, most = Number.MAX_SAFE_INTEGER }: { readonly least: number; readonly most?: number },
): number {
  const value = Number(text)
  const isGood = text !== '' && Number.isSafeInteger(value) && value >= least && value <= most
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  return isGood ? value : refuse(`--${name} is "${text}"`, `use a whole number ${range}`)
}
