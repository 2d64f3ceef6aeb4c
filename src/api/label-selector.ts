import { InvalidInputError } from '../base/index.ts'
import type { LabelExpression, LabelSelector } from './meta.ts'

const namePattern = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/
const prefixPattern = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const maxNameLength = 63
const maxPrefixLength = 253

/** Labels of an object, by key. */
export type Labels = Readonly<Record<string, string>>

/**
 * True when the labels fit a selector; an empty selector fits everything. A malformed condition fits nothing.
 * (Kubernetes documentation, "Labels and Selectors")
 */
export function matchesSelector(selector: LabelSelector, labels: Labels = {}): boolean {
  const { matchLabels, matchExpressions } = selector
  // Thousands of selectors are asked for one pod: nothing is made on the way.
  for (const key in matchLabels) {
    if (Object.hasOwn(matchLabels, key) && labelOf(labels, key) !== matchLabels[key]) return false
  }
  if (matchExpressions === undefined) return true
  for (const expression of matchExpressions) if (!matchesExpression(expression, labels)) return false
  return true
}

function matchesExpression({ key, operator, values = [] }: LabelExpression, labels: Labels): boolean {
  const value = labelOf(labels, key)
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    default:
      return false
  }
}

function labelOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined
}

/** True when the selector has no condition at all. */
export function isEmptySelector(selector: LabelSelector): boolean {
  return (
    Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0
  )
}

/** All that Kubernetes would refuse in a selector. @param field its path, such as `spec.podAffinity` */
export function selectorErrors(selector: LabelSelector, field: string): readonly InvalidInputError[] {
  const errors: InvalidInputError[] = []
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    errors.push(...keyErrors(key, `${field}.matchLabels`))
    errors.push(...valueErrors(value, `${field}.matchLabels[${key}]`))
  }
  for (const [i, expression] of (selector.matchExpressions ?? []).entries()) {
    errors.push(...expressionErrors(expression, `${field}.matchExpressions[${i}]`))
  }
  return errors
}

function expressionErrors(expression: LabelExpression, field: string): readonly InvalidInputError[] {
  const { key, operator, values = [] } = expression
  const errors = [...keyErrors(key, `${field}.key`)]
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) {
      const problem = `must not be empty when operator is ${operator}`
      errors.push(new InvalidInputError(`${field}.values`, values, problem, 'list the values'))
    }
    for (const [i, value] of values.entries()) errors.push(...valueErrors(value, `${field}.values[${i}]`))
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) {
      const problem = `must be empty when operator is ${operator}`
      errors.push(new InvalidInputError(`${field}.values`, values, problem, 'leave the values out'))
    }
  } else {
    const hint = 'write In, NotIn, Exists or DoesNotExist'
    errors.push(new InvalidInputError(`${field}.operator`, operator, 'is not an operator', hint))
  }
  return errors
}

function keyErrors(key: string, field: string): readonly InvalidInputError[] {
  if (isLabelKey(key)) return []
  const hint =
    'write name or prefix/name: a name of at most 63 letters, digits, -, _ and ., a prefix like a host name'
  return [new InvalidInputError(field, key, 'is not a label key', hint)]
}

function valueErrors(value: string, field: string): readonly InvalidInputError[] {
  if (isLabelValue(value)) return []
  const hint = 'write at most 63 letters, digits, -, _ and ., with a letter or digit at both ends'
  return [new InvalidInputError(field, value, 'is not a label value', hint)]
}

/** True for a legal label value; '' is one. */
export function isLabelValue(value: string): boolean {
  return value === '' || (value.length <= maxNameLength && namePattern.test(value))
}

/** True for a legal label key, with or without prefix. */
export function isLabelKey(key: string): boolean {
  const slash = key.indexOf('/')
  const name = key.slice(slash + 1)
  const prefix = slash < 0 ? undefined : key.slice(0, slash)
  const isPrefixFine = prefix === undefined || isDnsSubdomain(prefix)
  return isPrefixFine && name.length <= maxNameLength && namePattern.test(name)
}

/** True for a DNS-1123 subdomain: what most object names must be. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= maxPrefixLength && prefixPattern.test(text)
}
