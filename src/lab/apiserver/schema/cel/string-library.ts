import type { Environment } from '@marcbachmann/cel-js'
import { formatCidr, formatIp } from '../../../../address/index.ts'
import { CelCidr, CelIp } from './ip-library.ts'
import { compilePattern } from './pattern.ts'
import { CelRuntimeError } from './runtime-error.ts'
import { sync } from './sync.ts'
import { matchesName } from './syntax-tree.ts'

/** Registers what the evaluator lacks of the strings and regex libraries of Kubernetes. */
export function registerStringLibrary(env: Environment): void {
  const add = sync(env)
  add('string.charAt(int): string', (text: string, index: bigint) => charAt(text, Number(index)))
  add('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, () => to),
  )
  add(
    'string.replace(string, string, int): string',
    (text: string, from: string, to: string, count: bigint) => replace(text, from, to, Number(count)),
  )
  add(
    'string.find(string): string',
    (text: string, pattern: string) => compilePattern(pattern).exec(text)?.[0] ?? '',
  )
  add('string.findAll(string): list<string>', (text: string, pattern: string) => findAll(text, pattern, -1n))
  add('string.findAll(string, int): list<string>', findAll)
  add(`string.${matchesName}(string): bool`, (text: string, pattern: string) =>
    compilePattern(pattern).test(text),
  )
  add('string.reverse(): string', (text: string) => [...text].reverse().join(''))
  add('string.format(list): string', format)
  splitFunctions(env)
}

function splitFunctions(env: Environment): void {
  const names = env.getDefinitions().functions
  const known = (params: number): boolean =>
    names.some(
      ({ name, receiverType, params: list }) =>
        name === 'split' && receiverType === 'string' && list.length === params,
    )
  const add = sync(env)
  if (!known(1)) add('string.split(string): list<string>', (text: string, by: string) => split(text, by, -1))
  if (!known(2)) {
    add('string.split(string, int): list<string>', (text: string, by: string, count: bigint) =>
      split(text, by, Number(count)),
    )
  }
}

function charAt(text: string, index: number): string {
  const characters = [...text]
  if (index < 0 || index > characters.length) throw new CelRuntimeError(`index out of range: ${index}`)
  return characters[index] ?? ''
}

function replace(text: string, from: string, to: string, count: number): string {
  if (count < 0) return text.replaceAll(from, () => to)
  let left = count
  return text.replaceAll(from, () => {
    left -= 1
    return left >= 0 ? to : from
  })
}

function split(text: string, by: string, count: number): readonly string[] {
  if (count === 0) return []
  const parts = by === '' ? [...text] : text.split(by)
  if (count < 0 || parts.length <= count) return parts
  return [...parts.slice(0, count - 1), parts.slice(count - 1).join(by)]
}

function findAll(text: string, pattern: string, count: bigint): readonly string[] {
  const expression = compilePattern(pattern)
  const found = [...text.matchAll(new RegExp(expression.source, `${expression.flags}g`))].map(
    (match) => match[0],
  )
  return count < 0n ? found : found.slice(0, Number(count))
}

/** `"%s has %d".format([...])` of the strings library: verbs s, d, f, e, b, o, x, X and %%. */
function format(template: string, values: readonly unknown[]): string {
  let next = 0
  const text = template.replaceAll(
    /%(\.(\d+))?(.)/gs,
    (_all, _dot, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%'
      if (next >= values.length) throw new CelRuntimeError(`index ${next} out of range in format()`)
      next += 1
      return formatOne(verb, values[next - 1], precision === undefined ? undefined : Number(precision))
    },
  )
  return text
}

function formatOne(verb: string, value: unknown, precision: number | undefined): string {
  switch (verb) {
    case 's':
      return celText(value)
    case 'd':
      if (typeof value === 'bigint') return String(value)
      break
    case 'f':
    case 'e':
      if (typeof value === 'number' || typeof value === 'bigint') {
        return verb === 'f'
          ? Number(value).toFixed(precision ?? 6)
          : Number(value).toExponential(precision ?? 6)
      }
      break
    case 'b':
    case 'o':
      if (typeof value === 'bigint') return value.toString(verb === 'b' ? 2 : 8)
      if (typeof value === 'boolean' && verb === 'b') return value ? '1' : '0'
      break
    case 'x':
    case 'X': {
      const hex = typeof value === 'bigint' ? value.toString(16) : Buffer.from(celText(value)).toString('hex')
      return verb === 'x' ? hex : hex.toUpperCase()
    }
    default:
      break
  }
  throw new CelRuntimeError(`format(): %${verb} does not take ${celText(value)}`)
}

/** How CEL shows a value as text. */
function celText(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null) return 'null'
  if (value instanceof CelIp) return formatIp(value.ip)
  if (value instanceof CelCidr) return formatCidr(value.network)
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return `[${value.map(celText).join(', ')}]`
  if (typeof value !== 'object') return String(value)
  const entries: (readonly [string, unknown])[] = value instanceof Map ? [...value] : Object.entries(value)
  entries.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, item]) => `${key}: ${celText(item)}`).join(', ')}}`
}
