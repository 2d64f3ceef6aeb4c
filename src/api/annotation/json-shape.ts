import { type InvalidInputError, parseJson, toError } from '../../base/index.ts'
import { AnnotationError } from './annotation-error.ts'

/** The JSON text of one annotation, and how its errors are worded. */
export interface JsonSource {
  readonly key: string
  readonly text: string
  /** Words before the problem, such as `cannot be used: wrong input, invalid format of Pod annotation '...'`. */
  readonly preamble: string
  /** A right example, for the remedy. */
  readonly example: string
}

/** A source for an annotation of a pod, with the error words of spec/ipam.md §4.2. */
export function podJson(key: string, text: string, example: string): JsonSource {
  return {
    key,
    text,
    preamble: `cannot be used: wrong input, invalid format of Pod annotation '${key}'`,
    example,
  }
}

/** The error about a source. */
export function jsonError(source: JsonSource, problem: string): InvalidInputError {
  const hint = `write ${source.example}`
  return new AnnotationError(source.key, source.text, `${source.preamble}: ${problem}`, hint)
}

/** Any JSON. @throws {InvalidInputError} when the text is none */
export function readJson(source: JsonSource): unknown {
  try {
    return parseJson(source.text)
  } catch (error) {
    throw jsonError(source, toError(error).message)
  }
}

/**
 * Members of an object by lower-case name, as keys are matched without regard to case; of equal ones the last wins.
 * `null` is an empty object.
 */
export function membersOf(source: JsonSource, value: unknown, where: string): ReadonlyMap<string, unknown> {
  if (value === null || value === undefined) return new Map()
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw jsonError(source, `${where} must be an object, not ${typeOf(value)}`)
  }
  return new Map(Object.entries(value).map(([name, member]) => [name.toLowerCase(), member]))
}

/** Items of a list; `null` or absent is an empty list. */
export function itemsOf(source: JsonSource, value: unknown, where: string): readonly unknown[] {
  if (value === null || value === undefined) return []
  if (!Array.isArray(value)) throw jsonError(source, `${where} must be a list, not ${typeOf(value)}`)
  return value
}

/** Text; `null` or absent is ''. */
export function textOf(source: JsonSource, value: unknown, where: string): string {
  if (value === null || value === undefined) return ''
  if (typeof value !== 'string') throw jsonError(source, `${where} must be text, not ${typeOf(value)}`)
  return value
}

/** True or false; `null` or absent is undefined. */
export function flagOf(source: JsonSource, value: unknown, where: string): boolean | undefined {
  if (value === null || value === undefined) return undefined
  if (typeof value !== 'boolean')
    throw jsonError(source, `${where} must be true or false, not ${typeOf(value)}`)
  return value
}

/** A list of names, none of them empty. */
export function namesOf(source: JsonSource, value: unknown, where: string): readonly string[] {
  return itemsOf(source, value, where).map((item, i) => {
    const name = textOf(source, item, `${where}[${i}]`)
    if (name === '') throw jsonError(source, `${where}[${i}] is an empty name`)
    return name
  })
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${String(value).slice(0, 60)}`
}
