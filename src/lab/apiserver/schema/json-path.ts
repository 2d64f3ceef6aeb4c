import { InvalidInputError } from '../../../base/index.ts'
import { isObject, ownValue } from './record.ts'

type Step = { readonly key: string } | { readonly index: number } | { readonly each: true }

/** A compiled JSONPath of the small kind that printer columns use. */
export type JsonPath = readonly Step[]

/**
 * Parses `.spec.ips[0]`, `.a['b\.c']`, `.items[*].name`. Braces around it are allowed; filters are not.
 * @throws {InvalidInputError} for other text
 */
export function parseJsonPath(text: string, field: string): JsonPath {
  const path = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text
  const steps: Step[] = []
  let rest = path.startsWith('$') ? path.slice(1) : path
  while (rest !== '') {
    const found = nextStep(rest)
    if (found === undefined) {
      throw new InvalidInputError(
        field,
        text,
        'is not a JSONPath',
        "write steps such as .spec.ips[0] or ['a\\.b']",
      )
    }
    if (found.step !== undefined) steps.push(found.step)
    rest = rest.slice(found.length)
  }
  return steps
}

function nextStep(rest: string): { readonly step?: Step; readonly length: number } | undefined {
  if (rest === '.') return { length: 1 }
  const index = /^\[(-?\d+)\]/.exec(rest)
  if (index !== null) return { step: { index: Number(index[1]) }, length: index[0].length }
  const wild = /^(\[\*\]|\.\*)/.exec(rest)
  if (wild !== null) return { step: { each: true }, length: wild[0].length }
  const quoted = /^\.?\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/.exec(rest)
  if (quoted !== null)
    return { step: { key: withoutBackslashes(quoted[1] ?? quoted[2] ?? '') }, length: quoted[0].length }
  const name = /^\.((?:[^.[\]'"\\]|\\.)+)/.exec(rest)
  return name === null
    ? undefined
    : { step: { key: withoutBackslashes(name[1] ?? '') }, length: name[0].length }
}

const withoutBackslashes = (text: string): string => text.replaceAll(/\\(.)/g, '$1')

/** All values at a path, in order; none when a step leads nowhere. */
export function evaluateJsonPath(path: JsonPath, object: unknown): readonly unknown[] {
  let found: readonly unknown[] = [object]
  for (const step of path) found = found.flatMap((value) => follow(value, step))
  return found
}

function follow(value: unknown, step: Step): readonly unknown[] {
  if ('each' in step) return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []
  if ('index' in step) {
    const item: unknown = Array.isArray(value) ? value.at(step.index) : undefined
    return item === undefined ? [] : [item]
  }
  const item = isObject(value) ? ownValue(value, step.key) : undefined
  return item === undefined ? [] : [item]
}
