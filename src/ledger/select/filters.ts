import { type LabelSelector, matchesSelector, type SpiderIpPool } from '../../api/index.ts'
import { versionOf } from '../pool/offered.ts'
import type { SelectionInput } from './selection-input.ts'
import type { NamedPools } from './sources.ts'

/** Why a pool may not serve a request, or that it may. */
export type Verdict =
  | { readonly pool: string; readonly kind: 'pass' }
  | {
      readonly pool: string
      readonly kind: 'reject'
      readonly rule: Rule
      /** The values that were compared. */
      readonly compared: string
    }

/** Names of the filters (spec/ipam.md §6): the words that a message has. */
export type Rule =
  | 'terminating IPPool'
  | 'disabled IPPool'
  | 'unreadable records'
  | `expect an IPv${4 | 6} IPPool`
  | 'unmatched Node name'
  | 'unmatched Node affinity'
  | 'unmatched Namespace name'
  | 'unmatched Namespace affinity'
  | 'unmatched Pod affinity'
  | 'spec.multusName is not matched'

/** Applies the filters in order; the first that refuses decides. */
export function judgePool(pool: SpiderIpPool, wanted: NamedPools, input: SelectionInput): Verdict {
  const name = pool.metadata.name
  const refused = refusal(pool, wanted, input)
  return refused === undefined
    ? { pool: name, kind: 'pass' }
    : { pool: name, kind: 'reject', rule: refused.rule, compared: refused.compared }
}

/** One line for a message: `p4: unmatched Node name: spec.nodeName [node1], pod is on node2`. */
export function formatVerdict(verdict: Verdict): string {
  return verdict.kind === 'pass'
    ? `${verdict.pool}: fits`
    : `${verdict.pool}: ${verdict.rule}: ${verdict.compared}`
}

type Refusal = { readonly rule: Rule; readonly compared: string } | undefined

function refusal(pool: SpiderIpPool, wanted: NamedPools, input: SelectionInput): Refusal {
  const { metadata, spec } = pool
  if (metadata.deletionTimestamp !== undefined) {
    return { rule: 'terminating IPPool', compared: `deleted at ${metadata.deletionTimestamp}` }
  }
  if (spec.disable === true) return { rule: 'disabled IPPool', compared: 'spec.disable is true' }
  const blocked = input.blockedPools?.get(metadata.name)
  if (blocked !== undefined) return { rule: 'unreadable records', compared: blocked }
  const version = versionOf(pool)
  if (version !== wanted.version) {
    return { rule: `expect an IPv${wanted.version} IPPool`, compared: `spec.subnet is ${spec.subnet}` }
  }
  return (
    nodeRefusal(pool, input) ??
    namespaceRefusal(pool, input) ??
    podRefusal(pool, input) ??
    multusRefusal(pool, wanted.nic, input)
  )
}

function nodeRefusal({ spec }: SpiderIpPool, { node }: SelectionInput): Refusal {
  if (hasItems(spec.nodeName)) {
    if (spec.nodeName.includes(node.name)) return undefined
    const compared = `spec.nodeName ${list(spec.nodeName)}, the pod is on ${node.name}`
    return { rule: 'unmatched Node name', compared }
  }
  if (spec.nodeAffinity === undefined || matchesSelector(spec.nodeAffinity, node.labels)) return undefined
  const compared = `spec.nodeAffinity wants ${selectorText(spec.nodeAffinity)}, Node ${node.name} has ${labelText(spec.nodeAffinity, node.labels)}`
  return { rule: 'unmatched Node affinity', compared }
}

function namespaceRefusal({ spec }: SpiderIpPool, { namespace }: SelectionInput): Refusal {
  if (hasItems(spec.namespaceName)) {
    if (spec.namespaceName.includes(namespace.name)) return undefined
    const compared = `spec.namespaceName ${list(spec.namespaceName)}, the pod is in ${namespace.name}`
    return { rule: 'unmatched Namespace name', compared }
  }
  const affinity = spec.namespaceAffinity
  if (affinity === undefined || matchesSelector(affinity, namespace.labels)) return undefined
  const compared = `spec.namespaceAffinity wants ${selectorText(affinity)}, Namespace ${namespace.name} has ${labelText(affinity, namespace.labels)}`
  return { rule: 'unmatched Namespace affinity', compared }
}

function podRefusal({ spec }: SpiderIpPool, { pod }: SelectionInput): Refusal {
  if (spec.podAffinity === undefined || matchesSelector(spec.podAffinity, pod.labels)) return undefined
  const compared = `spec.podAffinity wants ${selectorText(spec.podAffinity)}, Pod ${pod.namespace}/${pod.name} has ${labelText(spec.podAffinity, pod.labels)}`
  return { rule: 'unmatched Pod affinity', compared }
}

function multusRefusal({ spec }: SpiderIpPool, nic: string, input: SelectionInput): Refusal {
  if (!hasItems(spec.multusName)) return undefined
  const nad = input.nadOf(nic)
  const names = spec.multusName.map((name) =>
    name.includes('/') ? name : `${input.installNamespace}/${name}`,
  )
  if (nad !== undefined && names.includes(nad)) return undefined
  const found = nad === undefined ? 'unknown: no matched multus object for NIC' : 'the network of'
  const compared = `spec.multusName ${list(names)}, ${found} ${nic}${nad === undefined ? '' : ` is ${nad}`}`
  return { rule: 'spec.multusName is not matched', compared }
}

export function hasItems<T>(items: readonly T[] | undefined): items is readonly T[] {
  return items !== undefined && items.length > 0
}

const list = (names: readonly string[]) => `[${names.join(', ')}]`

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
type Labels = Readonly<Record<string, string>>
