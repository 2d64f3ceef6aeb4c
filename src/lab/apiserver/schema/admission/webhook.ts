import { InvalidInputError } from '../../../../base/index.ts'
import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from '../record.ts'
import { type LabelMatcher, labelMatcherOf, matchesLabels } from '../selector.ts'
import type { AdmissionRequest } from './admission-types.ts'
import { type MatchCondition, readMatchConditions } from './match-conditions.ts'

/** One webhook of a configuration, read. */
export interface Webhook {
  readonly name: string
  readonly clientConfig: JsonObject
  readonly timeoutMs: number
  readonly failsOpen: boolean
  readonly rules: readonly JsonObject[]
  readonly namespaceSelector: LabelMatcher
  readonly objectSelector: LabelMatcher
  /** To be asked of what {@link wants} lets through. */
  readonly conditions: readonly MatchCondition[]
}

const defaultTimeoutSeconds = 10
const maxTimeoutSeconds = 30

/**
 * The webhooks of configurations in the order of calls: by name of the configuration, then as listed.
 * @throws {InvalidInputError} for a webhook that cannot be read
 */
export function readWebhooks(configurations: readonly JsonObject[]): readonly Webhook[] {
  const nameOf = (configuration: JsonObject): string =>
    stringAt(objectAt(configuration, 'metadata'), 'name') ?? ''
  const sorted = configurations.toSorted((a, b) =>
    nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0,
  )
  return sorted.flatMap((configuration) =>
    listAt(configuration, 'webhooks').map((raw, index) => readWebhook(raw, `webhooks[${index}]`)),
  )
}

function readWebhook(raw: unknown, path: string): Webhook {
  const name = stringAt(raw, 'name') ?? ''
  if (!isObject(raw) || name === '')
    throw new InvalidInputError(`${path}.name`, name, 'is empty', 'name the webhook')
  const seconds = ownValue(raw, 'timeoutSeconds')
  const timeoutSeconds =
    typeof seconds === 'number' ? Math.min(Math.max(seconds, 1), maxTimeoutSeconds) : defaultTimeoutSeconds
  return {
    name,
    clientConfig: objectAt(raw, 'clientConfig') ?? {},
    timeoutMs: timeoutSeconds * 1000,
    failsOpen: stringAt(raw, 'failurePolicy') === 'Ignore',
    rules: listAt(raw, 'rules').filter(isObject),
    namespaceSelector: labelMatcherOf(ownValue(raw, 'namespaceSelector'), `${path}.namespaceSelector`) ?? [],
    objectSelector: labelMatcherOf(ownValue(raw, 'objectSelector'), `${path}.objectSelector`) ?? [],
    conditions: readMatchConditions(raw, path),
  }
}

/** Whether a webhook wants to see a request. */
export function wants(webhook: Webhook, request: AdmissionRequest): boolean {
  if (!webhook.rules.some((rule) => ruleMatches(rule, request))) return false
  return namespaceMatches(webhook, request) && objectMatches(webhook, request)
}

function ruleMatches(rule: JsonObject, request: AdmissionRequest): boolean {
  const { resource, operation, subresource } = request
  const has = (key: string, value: string): boolean => {
    const list = listAt(rule, key)
    return list.includes('*') || list.includes(value)
  }
  const scope = stringAt(rule, 'scope') ?? '*'
  const isNamespaced = request.namespace !== undefined && !isNamespaceItself(request)
  if (scope !== '*' && (scope === 'Namespaced') !== isNamespaced) return false
  if (!has('apiGroups', resource.group) || !has('apiVersions', resource.version)) return false
  if (!has('operations', operation)) return false
  return listAt(rule, 'resources').some((entry) =>
    resourceMatches(String(entry), resource.plural, subresource),
  )
}

/** `pods`, `pods/status`, `pods/*`, `*` (no subresources), `*` + `/status`, `*` + `/*` (all). */
function resourceMatches(entry: string, plural: string, subresource: string): boolean {
  const [resource = '', sub = ''] = entry.split('/')
  if (resource !== '*' && resource !== plural) return false
  return sub === subresource || (sub === '*' && entry.includes('/'))
}

const isNamespaceItself = ({ resource }: AdmissionRequest): boolean =>
  resource.group === '' && resource.plural === 'namespaces'

function namespaceMatches(webhook: Webhook, request: AdmissionRequest): boolean {
  if (webhook.namespaceSelector.length === 0) return true
  if (isNamespaceItself(request)) {
    return matchesLabels(webhook.namespaceSelector, labelsOf(request.object ?? request.oldObject))
  }
  return request.namespace === undefined || matchesLabels(webhook.namespaceSelector, request.namespaceLabels)
}

function objectMatches(webhook: Webhook, { object, oldObject }: AdmissionRequest): boolean {
  if (webhook.objectSelector.length === 0) return true
  const seen = [object, oldObject].filter((item) => item !== undefined)
  return seen.some((item) => matchesLabels(webhook.objectSelector, labelsOf(item)))
}

const labelsOf = (object: JsonObject | undefined): unknown => objectAt(objectAt(object, 'metadata'), 'labels')
