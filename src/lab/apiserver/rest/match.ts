import { InvalidInputError } from '../../../base/index.ts'
import type { Kind } from '../kinds/kind.ts'
import type { ApiObject } from '../object.ts'
import {
  type FieldRequirement,
  type LabelMatcher,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from '../schema/selector.ts'
import { badRequest } from '../status.ts'

/** Which objects of a collection a request is about. */
export interface Match {
  readonly namespace: string
  readonly labels: LabelMatcher
  readonly fields: readonly FieldRequirement[]
}

/** Reads both selectors of a query. @throws {StatusError} 400 that holds the selector */
export function parseMatch(query: URLSearchParams, kind: Kind, namespace: string, name = ''): Match {
  const fields = [...read(() => parseFieldSelector(query.get('fieldSelector') ?? ''))]
  const known = kind.fields({ apiVersion: '', kind: '', metadata: {} })
  for (const { field } of fields) {
    if (field === 'metadata.name' || field === 'metadata.namespace' || Object.hasOwn(known, field)) continue
    throw badRequest(
      `Unable to find "${kind.plural}" that match field selector ${JSON.stringify(query.get('fieldSelector'))}: ` +
        `field label not supported: ${field}; use metadata.name, metadata.namespace or one of ${JSON.stringify(Object.keys(known))}`,
    )
  }
  if (name !== '') fields.push({ field: 'metadata.name', operator: '=', value: name })
  return { namespace, labels: read(() => parseLabelSelector(query.get('labelSelector') ?? '')), fields }
}

function read<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof InvalidInputError)
      throw badRequest(`unable to parse requirement: ${error.message}; ${error.hint}`)
    throw error
  }
}

export function isMatch(match: Match, kind: Kind, object: ApiObject): boolean {
  const { namespace, labels, fields } = match
  if (namespace !== '' && object.metadata.namespace !== namespace) return false
  if (labels.length > 0 && !matchesLabels(labels, object.metadata.labels)) return false
  if (fields.length === 0) return true
  const { metadata } = object
  const values: Readonly<Record<string, string>> = {
    ...kind.fields(object),
    'metadata.name': metadata.name ?? '',
    'metadata.namespace': metadata.namespace ?? '',
  }
  return fields.every(({ field, operator, value }) => (values[field] === value) === (operator === '='))
}
