import { InvalidInputError } from '../base/index.ts'

/** Values whose shape is not known yet: replies and configuration files. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @throws {InvalidInputError} when `value` is not an object */
export function requireRecord(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw new InvalidInputError(field, value, 'is not an object', 'write an object there')
  return value
}

/** @throws {InvalidInputError} when `value` is not a string, or is empty */
export function requireText(value: unknown, field: string): string {
  const text = optionalText(value, field)
  if (text === undefined)
    throw new InvalidInputError(field, value, 'is missing or empty', 'write a text there')
  return text
}

/** Undefined for an absent, null or empty value. @throws {InvalidInputError} when it is not a string */
export function optionalText(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string')
    throw new InvalidInputError(field, value, 'is not a string', 'write a text there')
  return value
}
