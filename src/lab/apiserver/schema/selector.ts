import { InvalidInputError, unreachable } from '../../../base/index.ts'
import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from './record.ts'

/** One requirement on labels; all of a selector must hold. */
interface LabelRequirement {
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt'
  readonly values: readonly string[]
}

export type LabelMatcher = readonly LabelRequirement[]

/** One comparison of a field's text. */
export interface FieldRequirement {
  readonly field: string
  readonly operator: '=' | '!='
  readonly value: string
}

const keyForm = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/
const valueForm = /^([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?$/
const maxSelectorCharacters = 64 * 1024

/**
 * Parses `?labelSelector=`: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
 * @returns no requirements for an empty text, which matches all
 * @throws {InvalidInputError} when the text is none
 */
export function parseLabelSelector(text: string): LabelMatcher {
  if (text.length > maxSelectorCharacters) bad('labelSelector', text, 'is too long')
  return splitOutsideParentheses(text).map((part) => parseLabelPart(part, text))
}

function bad(field: string, text: string, problem: string): never {
  const hint =
    field === 'labelSelector'
      ? 'write terms such as app=web,tier in (a,b),!old'
      : 'write terms such as metadata.name=a'
  throw new InvalidInputError(field, text, problem, hint)
}

function splitOutsideParentheses(text: string): readonly string[] {
  if (text.trim() === '') return []
  const parts: string[] = []
  let depth = 0
  let part = ''
  for (const character of text) {
    if (character === '(') depth += 1
    if (character === ')') depth -= 1
    if (character === ',' && depth === 0) {
      parts.push(part)
      part = ''
    } else part += character
  }
  return [...parts, part].map((item) => item.trim())
}

function parseLabelPart(part: string, text: string): LabelRequirement {
  const set = /^(\S+?)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part)
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim())
    return requirement({ key: set[1] ?? '', operator: set[2] === 'in' ? 'In' : 'NotIn', values }, text)
  }
  const compare = /^([^=!<>\s]+)\s*(==|=|!=|>|<)\s*([^=!<>\s]*)$/.exec(part)
  if (compare !== null) {
    const operators = { '=': 'In', '==': 'In', '!=': 'NotIn', '>': 'Gt', '<': 'Lt' } as const
    const sign = compare[2]
    const operator =
      sign === '=' || sign === '==' || sign === '!=' || sign === '>' || sign === '<' ? operators[sign] : 'In'
    return requirement({ key: compare[1] ?? '', operator, values: [compare[3] ?? ''] }, text)
  }
  const absent = part.startsWith('!')
  const key = absent ? part.slice(1).trim() : part
  return requirement({ key, operator: absent ? 'DoesNotExist' : 'Exists', values: [] }, text)
}

function requirement(found: LabelRequirement, text: string): LabelRequirement {
  if (!keyForm.test(found.key))
    bad('labelSelector', text, `has ${JSON.stringify(found.key)} where a label key is wanted`)
  for (const value of found.values) {
    if (!valueForm.test(value))
      bad('labelSelector', text, `has ${JSON.stringify(value)} where a label value is wanted`)
  }
  const isNumeric = found.operator === 'Gt' || found.operator === 'Lt'
  if (isNumeric && !/^-?\d+$/.test(found.values[0] ?? ''))
    bad('labelSelector', text, 'compares with what is no integer')
  return found
}

/**
 * A LabelSelector object of meta/v1 (`matchLabels`, `matchExpressions`). Absent matches nothing, empty matches all.
 * @throws {InvalidInputError} for an unknown operator or an expression without values
 */
export function labelMatcherOf(selector: unknown, field: string): LabelMatcher | undefined {
  if (!isObject(selector)) return undefined
  const equal = Object.entries(objectAt(selector, 'matchLabels') ?? {}).map(
    ([key, value]): LabelRequirement => ({ key, operator: 'In', values: [String(value)] }),
  )
  const expressions = listAt(selector, 'matchExpressions').map((raw, index): LabelRequirement => {
    const operator = stringAt(raw, 'operator') ?? ''
    const key = stringAt(raw, 'key') ?? ''
    const values = listAt(raw, 'values').map(String)
    const known = (['In', 'NotIn', 'Exists', 'DoesNotExist'] as const).find((name) => name === operator)
    const place = `${field}.matchExpressions[${index}]`
    if (known === undefined) {
      throw new InvalidInputError(
        `${place}.operator`,
        operator,
        'is not an operator',
        'write In, NotIn, Exists or DoesNotExist',
      )
    }
    if ((known === 'In' || known === 'NotIn') === (values.length === 0)) {
      throw new InvalidInputError(
        `${place}.values`,
        values,
        `does not fit ${known}`,
        'In and NotIn need values, the others take none',
      )
    }
    return { key, operator: known, values }
  })
  return [...equal, ...expressions]
}

/** Whether labels meet all requirements. */
export function matchesLabels(matcher: LabelMatcher, labels: unknown): boolean {
  return matcher.every((requirement) => meets(requirement, labels))
}

function meets({ key, operator, values }: LabelRequirement, labels: unknown): boolean {
  const found = isObject(labels) ? ownValue(labels, key) : undefined
  const value = found === undefined ? undefined : String(found)
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0])
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0])
    default:
      return unreachable(operator)
  }
}

/**
 * Parses `?fieldSelector=`: `metadata.name=a,spec.nodeName!=b`. Which fields are allowed is the caller's choice.
 * @throws {InvalidInputError} when the text is none
 */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  if (text.length > maxSelectorCharacters) bad('fieldSelector', text, 'is too long')
  if (text.trim() === '') return []
  const parts = text.split(/(?<!\\),/).filter((part) => part !== '')
  return parts.map((part) => {
    const match = /^([^=!\s]+)(==|=|!=)(.*)$/s.exec(part.trim())
    if (match === null)
      return bad('fieldSelector', text, `has the term ${JSON.stringify(part)}, which compares nothing`)
    const value = (match[3] ?? '').replaceAll(/\\([,=\\])/g, '$1')
    return { field: match[1] ?? '', operator: match[2] === '!=' ? '!=' : '=', value }
  })
}

/** Whether an object's fields meet all requirements; an absent field is the empty text. */
export function matchesFields(requirements: readonly FieldRequirement[], object: JsonObject): boolean {
  return requirements.every(
    ({ field, operator, value }) => (fieldText(object, field) === value) === (operator === '='),
  )
}

function fieldText(object: JsonObject, field: string): string {
  let found: unknown = object
  for (const step of field.split('.')) found = isObject(found) ? ownValue(found, step) : undefined
  return found === undefined || found === null || typeof found === 'object' ? '' : String(found)
}
