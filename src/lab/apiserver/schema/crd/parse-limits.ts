import { toError } from '../../../../base/index.ts'
import { compilePattern } from '../cel/pattern.ts'
import { type JsonObject, ownValue } from '../record.ts'
import { refuse } from './refuse.ts'
import type { Limits } from './schema.ts'

/** Parses the keywords that compare one value. @throws {InvalidInputError} for a keyword of the wrong type */
export function parseLimits(raw: JsonObject, path: string): Limits {
  const options = ownValue(raw, 'enum')
  if (options !== undefined && (!Array.isArray(options) || options.length === 0)) {
    refuse(`${path}.enum`, options, 'is not a list with values', 'list the allowed values')
  }
  return {
    ...(Array.isArray(options) ? { enum: options } : {}),
    ...patternOf(raw, path),
    ...formatOf(raw, path),
    ...numbers(raw, path),
    ...counts(raw, path),
  }
}

function patternOf(raw: JsonObject, path: string): Pick<Limits, 'pattern'> {
  const source = ownValue(raw, 'pattern')
  if (source === undefined || source === '') return {}
  if (typeof source !== 'string')
    refuse(`${path}.pattern`, source, 'is not a string', 'write a regular expression')
  try {
    return { pattern: { source, expression: compilePattern(source) } }
  } catch (error) {
    return refuse(
      `${path}.pattern`,
      source,
      `is not a regular expression: ${toError(error).message}`,
      'use RE2 syntax',
    )
  }
}

function formatOf(raw: JsonObject, path: string): Pick<Limits, 'format'> {
  const format = ownValue(raw, 'format')
  if (format === undefined || format === '') return {}
  if (typeof format !== 'string') refuse(`${path}.format`, format, 'is not a string', 'write a format name')
  return { format }
}

function numbers(raw: JsonObject, path: string): Limits {
  const number = (key: string): number | bigint | undefined => {
    const value = ownValue(raw, key)
    if (value === undefined) return undefined
    if (typeof value === 'bigint') return value
    if (typeof value !== 'number') return refuse(`${path}.${key}`, value, 'is not a number', 'write a number')
    return value
  }
  const flag = (key: string): boolean => {
    const value = ownValue(raw, key)
    if (value === undefined) return false
    if (typeof value !== 'boolean')
      return refuse(`${path}.${key}`, value, 'is not a boolean', 'write true or false')
    return value
  }
  const minimum = number('minimum')
  const maximum = number('maximum')
  const multipleOf = number('multipleOf')
  if (multipleOf !== undefined && multipleOf <= 0) {
    refuse(`${path}.multipleOf`, multipleOf, 'is not above 0', 'write a positive number')
  }
  return {
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
    ...(multipleOf === undefined ? {} : { multipleOf }),
    exclusiveMinimum: flag('exclusiveMinimum'),
    exclusiveMaximum: flag('exclusiveMaximum'),
  }
}

function counts(raw: JsonObject, path: string): Limits {
  const keys = ['minLength', 'maxLength', 'minItems', 'maxItems', 'minProperties', 'maxProperties'] as const
  const found: Partial<Record<(typeof keys)[number], number>> = {}
  for (const key of keys) {
    const value = ownValue(raw, key)
    if (value === undefined) continue
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0) found[key] = value
    else refuse(`${path}.${key}`, value, 'is not a count', 'write an integer from 0 on')
  }
  return found
}
