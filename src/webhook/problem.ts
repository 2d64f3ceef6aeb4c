import { InvalidInputError } from '../base/index.ts'

/** Types of field errors, with the spelling of `status.details.causes[].reason`. */
type ProblemType =
  | 'FieldValueInvalid'
  | 'FieldValueRequired'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'InternalError'

/** One reason to refuse an object. */
export interface Problem {
  readonly type: ProblemType
  readonly error: InvalidInputError
}

/** Field, value, what is wrong, and the remedy. */
type Parts = readonly [field: string, value: unknown, problem: string, hint: string]

const make =
  (type: ProblemType) =>
  (...[field, value, problem, hint]: Parts): Problem => ({
    type,
    error: new InvalidInputError(field, value, problem, hint),
  })

/** A value that breaks a rule. */
export const invalid: (...parts: Parts) => Problem = make('FieldValueInvalid')
/** A value that is missing. */
export const required: (...parts: Parts) => Problem = make('FieldValueRequired')
/** A value outside a closed list. */
export const notSupported: (...parts: Parts) => Problem = make('FieldValueNotSupported')
/** A value that is fine by itself, but not here or not now. */
export const forbidden: (...parts: Parts) => Problem = make('FieldValueForbidden')
/** Something that admission has to read and cannot. */
export const unreadable: (...parts: Parts) => Problem = make('InternalError')

/** What a reader gives, or the problem that it throws. */
export function attempt<T>(read: () => T): T | Problem {
  try {
    return read()
  } catch (error) {
    if (error instanceof InvalidInputError) return { type: 'FieldValueInvalid', error }
    throw error
  }
}

/** True for what {@link attempt} gives on failure. */
export function isProblem(value: unknown): value is Problem {
  return (
    typeof value === 'object' &&
    value !== null &&
    'error' in value &&
    value.error instanceof InvalidInputError
  )
}
