import type { SpiderMultusConfig } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { recordOf } from '../admission-review.ts'
import { injectionProblem } from '../multus/block-rules.ts'
import type { PodInjectSettings } from '../world.ts'

/** What a pod asks by: an inject annotation and its value. */
export interface Token {
  readonly key: string
  readonly value: string
}

interface Asking {
  readonly podNamespace: string
  readonly token: Token
  readonly settings: PodInjectSettings
}

/** The networks for a pod, in their order. */
interface Chosen {
  readonly configs: readonly SpiderMultusConfig[]
  readonly warnings: readonly string[]
}

/**
 * The SpiderMultusConfigs that carry the token, of namespaces that may give networks to the pod: or else anybody could put a network
 * into the pods of others.
 * @throws {InvalidInputError} when there is none (W-01), or one of them cannot be injected (W-02)
 */
export function chooseNetworks(asking: Asking, all: readonly SpiderMultusConfig[]): Chosen {
  const { podNamespace, token, settings } = asking
  const trusted = new Set([podNamespace, settings.installNamespace, ...settings.trustedNamespaces])
  const isTrusted = ({ metadata }: SpiderMultusConfig): boolean =>
    trusted.has('*') || trusted.has(metadata.namespace ?? '')
  const labelled = all.filter(({ metadata }) => metadata.labels?.[token.key] === token.value)
  const foreign = labelled.filter((config) => !isTrusted(config)).map(nameOf)
  const configs = labelled.filter(isTrusted)
  if (configs.length === 0) throw nothingError(asking, foreign)
  for (const config of configs) refuseUnfit(config, token)
  const sorted = configs.map((config) => ({ config, order: [orderOf(config), nameOf(config)].join('\0') }))
  sorted.sort((a, b) => (a.order < b.order ? -1 : 1))
  const left = `${token.key} "${token.value}": left out ${foreign.join(', ')}: their namespaces are not trusted`
  return { configs: sorted.map(({ config }) => config), warnings: foreign.length === 0 ? [] : [left] }
}

const nameOf = ({ metadata }: SpiderMultusConfig): string => `${metadata.namespace ?? ''}/${metadata.name}`

function nothingError(
  { podNamespace, token, settings }: Asking,
  foreign: readonly string[],
): InvalidInputError {
  const { key, value } = token
  if (foreign.length > 0) {
    const problem = `selects only ${foreign.join(', ')}, of namespaces that are not trusted`
    const hint =
      'name the namespaces in podResourceInject.trustedNamespaces of the installation, or remove the annotation'
    return new InvalidInputError(key, value, problem, hint)
  }
  const places = [...new Set([podNamespace, settings.installNamespace])].join(' or ')
  const hint = `annotate a SpiderMultusConfig of namespace ${places} with it, or remove it from the pod or its namespace`
  return new InvalidInputError(key, value, 'selects no SpiderMultusConfig', hint)
}

function refuseUnfit(config: SpiderMultusConfig, { key, value }: Token): void {
  const problem = injectionProblem(config, key)
  if (problem === undefined) return
  const { field, message, hint } = problem.error
  const what = `selects SpiderMultusConfig ${nameOf(config)}, which is wrong in ${field}: ${message}`
  throw new InvalidInputError(key, value, what, hint)
}

/** Spec/webhooks.md §8: by bond or first parent, or by resource. */
function orderOf({ spec }: SpiderMultusConfig): string {
  const { cniType, sriov } = spec
  if (cniType === 'sriov') return String(recordOf(sriov)['resourceName'] ?? '')
  const parent =
    cniType === 'macvlan' || cniType === 'ipvlan' || cniType === 'vlan' ? spec[cniType] : undefined
  if (parent === undefined) return ''
  return (parent.master.length > 1 ? parent.bond?.name : parent.master[0]) ?? ''
}
