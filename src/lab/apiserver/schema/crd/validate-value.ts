import {
  childPath,
  duplicate,
  type FieldFailure,
  invalid,
  jsonTypeName,
  notSupported,
  requiredField,
  tooLong,
  tooMany,
  wrongType,
} from '../failure.ts'
import { isObject, type JsonObject, jsonEqual } from '../record.ts'
import { fitsInteger, hasFormat } from './formats.ts'
import type { Limits, Schema } from './schema.ts'

const maxFailures = 100 // a message with more would help nobody

/** Checks a value against a structural schema, without CEL rules. `path` is '' for a whole resource. */
export function validateValue(value: unknown, schema: Schema, path: string): readonly FieldFailure[] {
  const failures: FieldFailure[] = []
  checkValue(value, schema, path, failures)
  return failures.slice(0, maxFailures)
}

function checkValue(value: unknown, schema: Schema, path: string, out: FieldFailure[]): void {
  if (out.length >= maxFailures) return
  if (value === null && schema.nullable) return
  const typeFailure = checkType(value, schema, path)
  if (typeFailure !== undefined) {
    out.push(typeFailure)
    return
  }
  checkLimits(value, schema.limits, path, out)
  checkJunctors(value, schema, path, out)
  if (Array.isArray(value)) checkItems(value, schema, path, out)
  else if (isObject(value)) checkFields(value, schema, path, out)
}

function checkType(value: unknown, schema: Schema, path: string): FieldFailure | undefined {
  const found = jsonTypeName(value)
  if (schema.intOrString) {
    if (found === 'integer' || found === 'string') return undefined
    return wrongType(path, 'integer,string', value)
  }
  const { type } = schema
  if (type === undefined || found === type || (type === 'number' && found === 'integer')) {
    if (type === 'integer' && isNumeric(value) && !fitsInteger(schema.limits.format, value)) {
      const format = schema.limits.format ?? 'int64'
      return invalid(path, value, `${path} in body must be of type ${format}`)
    }
    return undefined
  }
  return wrongType(path, type, value)
}

const isNumeric = (value: unknown): value is number | bigint =>
  typeof value === 'number' || typeof value === 'bigint'

function checkLimits(value: unknown, limits: Limits, path: string, out: FieldFailure[]): void {
  if (limits.enum !== undefined && !limits.enum.some((option) => jsonEqual(option, value))) {
    out.push(notSupported(path, value, limits.enum))
  }
  if (typeof value === 'string') checkString(value, limits, path, out)
  else if (isNumeric(value)) checkNumber(value, limits, path, out)
  else if (Array.isArray(value)) out.push(...checkCount(value.length, 'items', limits, path))
  else if (isObject(value)) {
    const size = Object.keys(value).length
    out.push(...checkCount(size, 'properties', limits, path))
  }
}

function checkString(value: string, limits: Limits, path: string, out: FieldFailure[]): void {
  const { minLength, maxLength, pattern, format } = limits
  const characters = minLength === undefined && maxLength === undefined ? 0 : [...value].length
  if (maxLength !== undefined && characters > maxLength) out.push(tooLong(path, maxLength))
  if (minLength !== undefined && characters < minLength) {
    out.push(invalid(path, value, `${path} in body should be at least ${minLength} chars long`))
  }
  if (pattern !== undefined && !pattern.expression.test(value)) {
    out.push(invalid(path, value, `${path} in body should match '${pattern.source}'`))
  }
  if (format !== undefined && !hasFormat(format, value)) {
    out.push(invalid(path, value, `${path} in body must be of type ${format}: ${JSON.stringify(value)}`))
  }
}

function checkNumber(value: number | bigint, limits: Limits, path: string, out: FieldFailure[]): void {
  const { minimum, maximum, multipleOf } = limits
  if (minimum !== undefined && (limits.exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    const words = limits.exclusiveMinimum === true ? 'greater than' : 'greater than or equal to'
    out.push(invalid(path, value, `${path} in body should be ${words} ${minimum}`))
  }
  if (maximum !== undefined && (limits.exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    const words = limits.exclusiveMaximum === true ? 'less than' : 'less than or equal to'
    out.push(invalid(path, value, `${path} in body should be ${words} ${maximum}`))
  }
  if (multipleOf !== undefined && !isMultiple(value, multipleOf)) {
    out.push(invalid(path, value, `${path} in body should be a multiple of ${multipleOf}`))
  }
}

function isMultiple(value: number | bigint, of: number | bigint): boolean {
  const whole = (item: number | bigint): boolean => typeof item === 'bigint' || Number.isInteger(item)
  if (whole(value) && whole(of)) return BigInt(value) % BigInt(of) === 0n
  const ratio = Number(value) / Number(of)
  return Math.abs(ratio - Math.round(ratio)) < 1e-9
}

function checkCount(
  count: number,
  what: 'items' | 'properties',
  limits: Limits,
  path: string,
): readonly FieldFailure[] {
  const least = what === 'items' ? limits.minItems : limits.minProperties
  const most = what === 'items' ? limits.maxItems : limits.maxProperties
  if (most !== undefined && count > most) return [tooMany(path, count, most)]
  if (least === undefined || count >= least) return []
  return [invalid(path, count, `${path} in body should have at least ${least} ${what}`)]
}

function checkJunctors(value: unknown, schema: Schema, path: string, out: FieldFailure[]): void {
  const passes = (inner: Schema): boolean => validateValue(value, inner, path).length === 0
  for (const inner of schema.allOf) {
    const failures = validateValue(value, inner, path)
    if (failures.length > 0)
      out.push(...failures, invalid(path, '', `"${path}" must validate all the schemas (allOf)`))
  }
  if (schema.anyOf.length > 0 && !schema.anyOf.some(passes)) {
    out.push(invalid(path, '', `"${path}" must validate at least one schema (anyOf)`))
  }
  if (schema.oneOf.length > 0) {
    const count = schema.oneOf.filter(passes).length
    const found = count === 0 ? 'none' : String(count)
    const detail = `"${path}" must validate one and only one schema (oneOf). Found ${found} valid`
    if (count !== 1) out.push(invalid(path, '', detail))
  }
  if (schema.not !== undefined && passes(schema.not)) {
    out.push(invalid(path, '', `"${path}" must not validate the schema (not)`))
  }
}

function checkItems(list: readonly unknown[], schema: Schema, path: string, out: FieldFailure[]): void {
  if (schema.items !== undefined) {
    for (const [index, item] of list.entries()) checkValue(item, schema.items, `${path}[${index}]`, out)
  }
  if (schema.listType === 'atomic') return
  const seen = new Set<string>()
  for (const [index, item] of list.entries()) {
    const key = schema.listType === 'set' ? item : mapKeyOf(item, schema)
    const text = canonical(key)
    if (seen.has(text)) out.push(duplicate(`${path}[${index}]`, key))
    seen.add(text)
  }
}

/** The key of an item of a map list, as an object of its key fields. */
export function mapKeyOf(item: unknown, schema: Schema): JsonObject {
  if (!isObject(item)) return {}
  const present = schema.listMapKeys.filter((key) => Object.hasOwn(item, key))
  return Object.fromEntries(present.map((key) => [key, item[key]]))
}

/** Text that is equal for equal JSON values, whatever the order of keys. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (isObject(value)) {
    const keys = Object.keys(value).sort()
    return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`
  }
  return typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? 'null')
}

function checkFields(object: JsonObject, schema: Schema, path: string, out: FieldFailure[]): void {
  for (const key of schema.required) {
    if (!Object.hasOwn(object, key)) out.push(requiredField(childPath(path, key)))
  }
  for (const [key, item] of Object.entries(object)) {
    const known = schema.properties.get(key) ?? schema.additionalProperties
    if (known !== undefined && known !== true) checkValue(item, known, childPath(path, key), out)
  }
  if (schema.embedded) checkEmbedded(object, path, out)
}

function checkEmbedded(object: JsonObject, path: string, out: FieldFailure[]): void {
  for (const key of ['apiVersion', 'kind']) {
    const value = Object.hasOwn(object, key) ? object[key] : undefined
    if (value === undefined || value === '')
      out.push(requiredField(childPath(path, key), 'must not be empty'))
    else if (typeof value !== 'string') out.push(wrongType(childPath(path, key), 'string', value))
  }
}
