import { stringifyJson } from '../../../base/index.ts'

/** Reasons as `StatusCause.reason` of meta/v1 spells them. */
type FailureReason =
  | 'FieldValueInvalid'
  | 'FieldValueRequired'
  | 'FieldValueNotSupported'
  | 'FieldValueTypeInvalid'
  | 'FieldValueForbidden'
  | 'FieldValueDuplicate'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'

/** One refused field. `message` is worded as a Kubernetes API server does: `Invalid value: "x": spec.a in body ...`. */
export interface FieldFailure {
  readonly field: string
  readonly reason: FailureReason
  readonly message: string
}

const shownCharacters = 256

/** A value as API servers print it in messages: strings quoted, the rest as JSON, shortened. */
export function renderValue(value: unknown): string {
  const text = stringifyJson(value) ?? 'null'
  return text.length > shownCharacters ? `${text.slice(0, shownCharacters)}...` : text
}

export function invalid(field: string, value: unknown, detail: string): FieldFailure {
  const message = `Invalid value: ${renderValue(value)}: ${detail}`
  return { field, reason: 'FieldValueInvalid', message }
}

/** A wrong JSON type; API servers print the name of the type that was found, in quotes. */
export function wrongType(field: string, wanted: string, found: unknown): FieldFailure {
  const name = renderValue(jsonTypeName(found))
  return {
    field,
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: ${name}: ${field} in body must be of type ${wanted}: ${name}`,
  }
}

export function requiredField(field: string, detail = ''): FieldFailure {
  return {
    field,
    reason: 'FieldValueRequired',
    message: `Required value${detail === '' ? '' : `: ${detail}`}`,
  }
}

export function notSupported(field: string, value: unknown, supported: readonly unknown[]): FieldFailure {
  const list = supported.map(renderValue).join(', ')
  const message = `Unsupported value: ${renderValue(value)}: supported values: ${list}`
  return { field, reason: 'FieldValueNotSupported', message }
}

export function duplicate(field: string, value: unknown): FieldFailure {
  return { field, reason: 'FieldValueDuplicate', message: `Duplicate value: ${renderValue(value)}` }
}

export function forbidden(field: string, detail: string): FieldFailure {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` }
}

export function tooLong(field: string, most: number): FieldFailure {
  return { field, reason: 'FieldValueTooLong', message: `Too long: may not be more than ${most} bytes` }
}

export function tooMany(field: string, found: number, most: number): FieldFailure {
  return {
    field,
    reason: 'FieldValueTooMany',
    message: `Too many: ${found}: must have at most ${most} items`,
  }
}

/** `spec.ips[0]: Invalid value: ...`, all failures joined as in the message of a 422 answer. */
export function renderFailures(failures: readonly FieldFailure[]): string {
  const lines = failures.map(({ field, message }) => `${field}: ${message}`)
  return lines.length === 1 ? lines.join('') : `[${lines.join(', ')}]`
}

/** JSON's names of types, with `integer` apart from `number`. */
export function jsonTypeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  switch (typeof value) {
    case 'bigint':
      return 'integer'
    case 'number':
      return Number.isInteger(value) ? 'integer' : 'number'
    case 'string':
    case 'boolean':
    case 'object':
      return typeof value
    default:
      return 'unknown'
  }
}

/** `parent.key`, or `parent[key]` for a key that would not read as one word. */
export function childPath(parent: string, key: string): string {
  const plain = /^[A-Za-z_$][\w$-]*$/.test(key)
  if (!plain) return `${parent}[${key}]`
  return parent === '' ? key : `${parent}.${key}`
}
