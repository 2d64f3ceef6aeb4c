import { crdLimits } from './limits.ts'
import { list, map, object, type Rule, type Schema, text } from './schema.ts'

// A misspelt operator would otherwise be found only when a pod fails to start (P-17).
const expressionRules: readonly Rule[] = [
  {
    rule: "self.operator in ['In', 'NotIn', 'Exists', 'DoesNotExist']",
    message: 'is not an operator: write In, NotIn, Exists or DoesNotExist',
    messageExpression: `'"' + self.operator + '" is not an operator: write In, NotIn, Exists or DoesNotExist'`,
    fieldPath: '.operator',
  },
  {
    rule: "!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)",
    message: 'must not be empty when operator is In or NotIn: list the values',
    fieldPath: '.values',
  },
  {
    rule: "!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0",
    message: 'must be empty when operator is Exists or DoesNotExist: leave the values out',
    fieldPath: '.values',
  },
]

/** A label selector (spec/api.md §3.5). */
export function selectorSchema(description: string, rules: readonly Rule[] = []): Schema {
  const expression = object(
    'One condition on a label.',
    {
      key: text('Label key.'),
      operator: text('In, NotIn, Exists or DoesNotExist.', { maxLength: 63 }),
      values: list('Label values.', { type: 'string' }, { 'x-kubernetes-list-type': 'atomic' }),
    },
    { required: ['key', 'operator'], 'x-kubernetes-validations': expressionRules },
  )
  const properties = {
    matchExpressions: list('Conditions that must all hold.', expression, {
      maxItems: crdLimits.labelExpressions,
      'x-kubernetes-list-type': 'atomic',
    }),
    matchLabels: map('Labels that must all be there.', { type: 'string' }),
  }
  return object(description, properties, {
    'x-kubernetes-map-type': 'atomic',
    ...(rules.length === 0 ? {} : { 'x-kubernetes-validations': rules }),
  })
}

/** `podAffinity` that selects nothing in particular is a mistake (P-16). */
export const selectorNotEmpty: Rule = {
  rule:
    '(has(self.matchLabels) && size(self.matchLabels) > 0) || ' +
    '(has(self.matchExpressions) && size(self.matchExpressions) > 0)',
  message: 'is empty: write matchLabels or matchExpressions, or leave podAffinity out for all pods',
}
