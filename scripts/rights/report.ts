import {
  type AccessRule,
  type AccountName,
  accessRights,
  accountOf,
  trustNames,
} from '../../src/api/index.ts'

/** One verb on one resource that an account may use, and how often it did. */
export interface Grant {
  readonly account: string
  readonly resource: string
  readonly verb: string
  readonly names: readonly string[]
  count: number
}

/** What the audit logs say of our accounts. */
export interface RightsReport {
  readonly grants: readonly Grant[]
  readonly requests: number
  /** Requests that were not allowed and that no grant covers, worded. */
  readonly forbidden: readonly string[]
  /** Requests that were not allowed although a grant covers them: an API server that starts does not know its roles yet. */
  readonly tooEarly: number
  /** Requests that no grant of ours explains: somebody gave the account more. */
  readonly unexplained: readonly string[]
}

interface AuditEvent {
  readonly verb?: string
  readonly requestURI?: string
  readonly user?: { readonly username?: string }
  readonly objectRef?: {
    readonly resource?: string
    readonly subresource?: string
    readonly apiGroup?: string
    readonly name?: string
    readonly namespace?: string
  }
  readonly annotations?: Readonly<Record<string, string>>
}

/** @param lines of audit logs, one JSON object each */
export function reportRights(lines: Iterable<string>): RightsReport {
  const grants = allGrants()
  const forbidden = new Set<string>()
  const unexplained = new Set<string>()
  let requests = 0
  let tooEarly = 0
  for (const line of lines) {
    if (line === '') continue
    const event = JSON.parse(line) as AuditEvent
    const account = /^system:serviceaccount:[^:]+:(spiderpool-[a-z]+)$/.exec(event.user?.username ?? '')?.[1]
    if (account === undefined) continue
    requests += 1
    const asked = `${account}: ${event.verb} ${event.requestURI?.split('?')[0]}`
    if (event.annotations?.['authorization.k8s.io/decision'] === 'forbid') {
      if (fittingGrants(grants, account, event).length > 0) tooEarly += 1
      else if (!isFarewell(account, event)) forbidden.add(asked)
    } else if (event.objectRef !== undefined && !count(grants, account, event)) unexplained.add(asked)
  }
  const sorted = (texts: ReadonlySet<string>) => [...texts].sort()
  return { grants, requests, tooEarly, forbidden: sorted(forbidden), unexplained: sorted(unexplained) }
}

/** An agent that ends asks this: after an uninstall it may not any more, which is its answer. */
function isFarewell(account: string, { verb, objectRef = {} }: AuditEvent): boolean {
  const { resource, name } = objectRef
  const isAsked = verb === 'get' && resource === 'configmaps' && name === trustNames.authorities
  return isAsked && account === accountOf('agent')
}

function fittingGrants(
  grants: readonly Grant[],
  account: string,
  { verb, objectRef = {} }: AuditEvent,
): readonly Grant[] {
  const { apiGroup = '', resource = '', subresource, name = '' } = objectRef
  const asked = labelOf(apiGroup, subresource === undefined ? resource : `${resource}/${subresource}`)
  return grants.filter(
    (grant) =>
      grant.account === account &&
      grant.verb === verb &&
      grant.resource === asked &&
      (grant.names.length === 0 || grant.names.includes(name)),
  )
}

function count(grants: readonly Grant[], account: string, event: AuditEvent): boolean {
  const fitting = fittingGrants(grants, account, event)
  for (const grant of fitting) grant.count += 1
  // Every account may ask what it may do, and who it is.
  return fitting.length > 0 || event.objectRef?.apiGroup === 'authorization.k8s.io'
}

function allGrants(): Grant[] {
  // The uninstaller that removes data may all that the other one may, under the same name.
  const accounts = (Object.keys(accessRights) as AccountName[]).filter((name) => name !== 'uninstall')
  return accounts.flatMap((name) => {
    const { cluster, namespace } = accessRights[name]
    return [...cluster, ...namespace].flatMap((rule) => grantsOf(accountOf(name), rule))
  })
}

function grantsOf(account: string, rule: AccessRule): Grant[] {
  return rule.apiGroups.flatMap((group) =>
    rule.resources.flatMap((resource) =>
      rule.verbs.map((verb) => {
        const names = rule.resourceNames ?? []
        return { account, resource: labelOf(group, resource), verb, names, count: 0 }
      }),
    ),
  )
}

const labelOf = (group: string, resource: string): string =>
  group === '' ? resource : `${resource}.${group}`
