import { cidrContains, parseCidr, parseIp } from '../../address/index.ts'
import { type LabelSelector, type Labels, matchesSelector, type SpiderIpPool } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { versionOf } from '../pool/offered.ts'
import { applicationOf, applicationText, fitsApplication, isAutoCreated } from './application.ts'
import { confinementOf } from './confinement.ts'
import type { SelectionInput, Wanted } from './selection-input.ts'

/** Stable codes of the rules that a pool must pass, in the order in which they are asked (spec/ipam.md §6). */
export type RuleCode =
  | 'pool-terminating'
  | 'pool-disabled'
  | 'pool-records-unreadable'
  | 'pool-wrong-family'
  | 'node-name-mismatch'
  | 'node-affinity-mismatch'
  | 'namespace-name-mismatch'
  | 'namespace-affinity-mismatch'
  | 'namespace-confined'
  | 'application-mismatch'
  | 'pod-affinity-mismatch'
  | 'network-unknown'
  | 'network-mismatch'
  | 'master-subnet-mismatch'

/** The words of a rule that refuses. */
export type Rule =
  | 'terminating IPPool'
  | 'disabled IPPool'
  | 'unreadable records'
  | `expect an IPv${4 | 6} IPPool`
  | 'unmatched Node name'
  | 'unmatched Node affinity'
  | 'unmatched Namespace name'
  | 'unmatched Namespace affinity'
  | 'Namespace is confined to other IPPools'
  | 'unmatched Pod affinity'
  | 'spec.multusName is not matched'
  | `subnet ${string} not found on pod's PF`

/** One rule. Each is asked alone: none answers for another (spec/ipam.md §23, 23). */
export interface PoolRule {
  readonly code: RuleCode
  /** Keeps new addresses from being taken, but strands nobody who has one. */
  readonly isLenient: boolean
  /** False when no pool of this spec can ever fail it, whoever asks. */
  concerns(pool: SpiderIpPool): boolean
  /** False when no pool at all can fail it for this request. Absent: the request does not matter. */
  isAsked?(input: SelectionInput): boolean
  passes(pool: SpiderIpPool, wanted: Wanted, input: SelectionInput): boolean
  words(pool: SpiderIpPool, wanted: Wanted): Rule
  /** The values that were compared, whether they fit or not. */
  compared(pool: SpiderIpPool, wanted: Wanted, input: SelectionInput): string
}

const always = (): boolean => true

const terminating: PoolRule = {
  code: 'pool-terminating',
  isLenient: true,
  concerns: ({ metadata }) => metadata.deletionTimestamp !== undefined,
  passes: ({ metadata }) => metadata.deletionTimestamp === undefined,
  words: () => 'terminating IPPool',
  compared: ({ metadata: { deletionTimestamp } }) =>
    deletionTimestamp === undefined ? 'it is not being deleted' : `deleted at ${deletionTimestamp}`,
}

const disabled: PoolRule = {
  code: 'pool-disabled',
  isLenient: true,
  concerns: ({ spec }) => spec.disable === true,
  passes: ({ spec }) => spec.disable !== true,
  words: () => 'disabled IPPool',
  compared: ({ spec }) => `spec.disable is ${spec.disable === true}`,
}

const unreadable: PoolRule = {
  code: 'pool-records-unreadable',
  isLenient: true,
  concerns: always,
  isAsked: ({ blockedPools }) => blockedPools !== undefined && blockedPools.size > 0,
  passes: ({ metadata }, _, { blockedPools }) => blockedPools?.has(metadata.name) !== true,
  words: () => 'unreadable records',
  compared: ({ metadata }, _, { blockedPools }) =>
    blockedPools?.get(metadata.name) ?? 'its records could be read',
}

const family: PoolRule = {
  code: 'pool-wrong-family',
  isLenient: false,
  concerns: always,
  passes: (pool, { version }) => versionOf(pool) === version,
  words: (_, { version }) => `expect an IPv${version} IPPool`,
  compared: ({ spec }) => `spec.subnet is ${spec.subnet}`,
}

const nodeName: PoolRule = {
  code: 'node-name-mismatch',
  isLenient: false,
  concerns: ({ spec }) => hasItems(spec.nodeName),
  passes: ({ spec }, _, { node }) => !hasItems(spec.nodeName) || spec.nodeName.includes(node.name),
  words: () => 'unmatched Node name',
  compared: ({ spec }, _, { node }) =>
    `${listText('spec.nodeName', spec.nodeName)}, the pod is on ${node.name}`,
}

const nodeAffinity: PoolRule = {
  code: 'node-affinity-mismatch',
  isLenient: false,
  concerns: ({ spec }) => spec.nodeAffinity !== undefined && !hasItems(spec.nodeName),
  passes: ({ spec }, _, { node }) => hasItems(spec.nodeName) || fits(spec.nodeAffinity, node.labels),
  words: () => 'unmatched Node affinity',
  compared: ({ spec }, _, { node }) =>
    hasItems(spec.nodeName) && spec.nodeAffinity !== undefined
      ? 'spec.nodeAffinity is not asked, as spec.nodeName is set'
      : affinityText('spec.nodeAffinity', spec.nodeAffinity, `Node ${node.name}`, node.labels),
}

const namespaceName: PoolRule = {
  code: 'namespace-name-mismatch',
  isLenient: false,
  concerns: ({ spec }) => hasItems(spec.namespaceName),
  passes: ({ spec }, _, { namespace }) =>
    !hasItems(spec.namespaceName) || spec.namespaceName.includes(namespace.name),
  words: () => 'unmatched Namespace name',
  compared: ({ spec }, _, { namespace }) =>
    `${listText('spec.namespaceName', spec.namespaceName)}, the pod is in ${namespace.name}`,
}

const namespaceAffinity: PoolRule = {
  code: 'namespace-affinity-mismatch',
  isLenient: false,
  concerns: ({ spec }) => spec.namespaceAffinity !== undefined && !hasItems(spec.namespaceName),
  passes: ({ spec }, _, { namespace }) =>
    hasItems(spec.namespaceName) || fits(spec.namespaceAffinity, namespace.labels),
  words: () => 'unmatched Namespace affinity',
  compared: ({ spec }, _, { namespace: { name, labels } }) =>
    hasItems(spec.namespaceName) && spec.namespaceAffinity !== undefined
      ? 'spec.namespaceAffinity is not asked, as spec.namespaceName is set'
      : affinityText('spec.namespaceAffinity', spec.namespaceAffinity, `Namespace ${name}`, labels),
}

const confinement: PoolRule = {
  code: 'namespace-confined',
  isLenient: false,
  concerns: always,
  isAsked: ({ namespace }) => confinementOf(namespace) !== undefined,
  passes: ({ metadata }, _, { namespace }) => confinementOf(namespace)?.allows(metadata.name) !== false,
  words: () => 'Namespace is confined to other IPPools',
  compared: (_, __, { namespace }) => {
    const found = confinementOf(namespace)
    return found === undefined
      ? `Namespace ${namespace.name} is confined to no IPPools`
      : `Namespace ${namespace.name} may use ${list(found.entries)} alone`
  },
}

const application: PoolRule = {
  code: 'application-mismatch',
  isLenient: false,
  concerns: (pool) => isAutoCreated(pool) && pool.spec.podAffinity !== undefined,
  passes: (pool, _, { pod }) => !application.concerns(pool) || fitsApplication(pool, pod.owner),
  words: () => 'unmatched Pod affinity',
  compared: (pool, _, { pod }) =>
    application.concerns(pool)
      ? `spec.podAffinity wants ${applicationText(applicationOf(pool))}, the top owner of Pod ${pod.namespace}/${pod.name} is ${applicationText(pod.owner)}`
      : 'the IPPool was not made for one application',
}

const podAffinity: PoolRule = {
  code: 'pod-affinity-mismatch',
  isLenient: false,
  concerns: (pool) => pool.spec.podAffinity !== undefined && !isAutoCreated(pool),
  passes: (pool, _, { pod }) => isAutoCreated(pool) || fits(pool.spec.podAffinity, pod.labels),
  words: () => 'unmatched Pod affinity',
  compared: (pool, _, { pod }) =>
    application.concerns(pool)
      ? 'spec.podAffinity names an application, and no labels'
      : affinityText(
          'spec.podAffinity',
          pool.spec.podAffinity,
          `Pod ${pod.namespace}/${pod.name}`,
          pod.labels,
        ),
}

const networkKnown: PoolRule = {
  code: 'network-unknown',
  isLenient: false,
  concerns: ({ spec }) => hasItems(spec.multusName),
  passes: ({ spec }, { nic }, { nadOf }) => !hasItems(spec.multusName) || nadOf(nic) !== undefined,
  words: () => 'spec.multusName is not matched',
  compared: ({ spec }, { nic }, { nadOf, installNamespace }) => {
    const found = nadOf(nic)
    const wanted = listText('spec.multusName', networkNames(spec.multusName, installNamespace))
    return `${wanted}, ${found === undefined ? `unknown: no matched multus object for NIC ${nic}` : `the network of ${nic} is known`}`
  },
}

const network: PoolRule = {
  code: 'network-mismatch',
  isLenient: false,
  concerns: ({ spec }) => hasItems(spec.multusName),
  passes: ({ spec }, { nic }, { nadOf, installNamespace }) => {
    if (!hasItems(spec.multusName)) return true
    const found = nadOf(nic)
    // An unknown one is told by the rule before.
    if (found === undefined) return true
    const short = found.startsWith(`${installNamespace}/`) ? found.slice(installNamespace.length + 1) : found
    return spec.multusName.includes(found) || (!short.includes('/') && spec.multusName.includes(short))
  },
  words: () => 'spec.multusName is not matched',
  compared: ({ spec }, { nic }, { nadOf, installNamespace }) =>
    `${listText('spec.multusName', networkNames(spec.multusName, installNamespace))}, the network of ${nic} is ${nadOf(nic) ?? 'unknown'}`,
}

const masterSubnet: PoolRule = {
  code: 'master-subnet-mismatch',
  isLenient: false,
  concerns: always,
  isAsked: ({ request }) => request.masterAddresses !== undefined,
  passes: ({ spec }, { nic }, { request }) => {
    // A request is about its own NIC: what is behind another one is told when that is added.
    if (request.masterAddresses === undefined || nic !== request.nic) return true
    return isOnMaster(spec.subnet, request.masterAddresses)
  },
  words: ({ spec }) => `subnet ${spec.subnet} not found on pod's PF`,
  compared: (_, { nic }, { request: { masterAddresses, masterProblem, nic: asked } }) => {
    if (masterAddresses === undefined) return 'match_master_subnet is not set'
    if (nic !== asked) return `the interface behind ${nic} is looked at when that NIC is added`
    return masterAddresses.length === 0
      ? `no interface with addresses was found behind ${nic}: ${masterProblem ?? 'the agent does not say why'}`
      : `the interface behind ${nic} has ${list(masterAddresses)}`
  },
}

/** All rules, in the order in which they are asked. */
export const poolRules: readonly PoolRule[] = [
  terminating,
  disabled,
  unreadable,
  family,
  nodeName,
  nodeAffinity,
  namespaceName,
  namespaceAffinity,
  confinement,
  application,
  podAffinity,
  networkKnown,
  network,
  masterSubnet,
]

export function hasItems<T>(items: readonly T[] | undefined): items is readonly T[] {
  return items !== undefined && items.length > 0
}

const fits = (selector: LabelSelector | undefined, labels: Labels): boolean =>
  selector === undefined || matchesSelector(selector, labels)

const networkNames = (names: readonly string[] = [], installNamespace: string): readonly string[] =>
  names.map((name) => (name.includes('/') ? name : `${installNamespace}/${name}`))

function isOnMaster(subnet: string, addresses: readonly string[]): boolean {
  try {
    const cidr = parseCidr(subnet)
    return addresses.some((text) => cidrContains(cidr, parseIp(text.split('/')[0] ?? '')))
  } catch (error) {
    // A subnet that cannot be read is on no interface; the view of the pool tells what is wrong with it.
    if (error instanceof InvalidInputError) return false
    throw error
  }
}

const list = (names: readonly string[]): string => `[${names.join(', ')}]`

const listText = (field: string, names: readonly string[] | undefined): string =>
  hasItems(names) ? `${field} ${list(names)}` : `${field} is not set`

function affinityText(
  field: string,
  selector: LabelSelector | undefined,
  who: string,
  labels: Labels,
): string {
  if (selector === undefined) return `${field} is not set`
  return `${field} wants ${selectorText(selector)}, ${who} has ${labelText(selector, labels)}`
}

function selectorText({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const terms = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`)
  for (const { key, operator, values = [] } of matchExpressions) {
    terms.push(`${key} ${operator}${values.length === 0 ? '' : ` ${list(values)}`}`)
  }
  return `{${terms.join(', ')}}`
}

/** The labels that the selector asks about, as the object has them. */
function labelText({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: Labels): string {
  const keys = new Set([...Object.keys(matchLabels), ...matchExpressions.map(({ key }) => key)])
  const found = [...keys].map((key) => (Object.hasOwn(labels, key) ? `${key}=${labels[key]}` : `no ${key}`))
  return `{${found.join(', ')}}`
}
