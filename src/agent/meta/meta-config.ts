import { InvalidInputError } from '../../base/index.ts'
import { asCniCode, cniCodes, type PluginConfig } from '../../cni/index.ts'
import {
  type NamespaceIsolation,
  type NetworkSelection,
  parseNetworkSelections,
} from '../../network/index.ts'

/** What the configuration of the meta-plugin says. */
export interface MetaConfig {
  readonly clusterNetwork: NetworkSelection
  readonly isolation: NamespaceIsolation
  /** Refuse a request that no plugin of the network takes. */
  readonly strictCapabilities: boolean
  /** What the runtime passes down, by capability. */
  readonly runtimeConfig: Readonly<Record<string, unknown>>
}

/** What stands in the agent's flags. */
export interface MetaDefaults {
  /** `[namespace/]name` of the default network. */
  readonly clusterNetwork: string
  /** Namespace of the product, and of default networks that name none. */
  readonly namespace: string
}

/**
 * Reads the keys of the meta-plugin from its configuration.
 * @throws {CniError} code 7 naming field, value and remedy
 */
export function parseMetaConfig(config: PluginConfig, defaults: MetaDefaults): MetaConfig {
  return asCniCode(cniCodes.config, 'network-config', () => {
    const { value } = config
    const isIsolated = boolean(value, 'namespaceIsolation', false)
    const globals = text(value, 'globalNamespaces', '')
    const runtimeConfig = value['runtimeConfig'] ?? {}
    if (typeof runtimeConfig !== 'object' || runtimeConfig === null || Array.isArray(runtimeConfig))
      throw new InvalidInputError(
        'runtimeConfig',
        runtimeConfig,
        'is not an object',
        'write {"capability":value}',
      )
    return {
      clusterNetwork: parseDefaultNetwork('clusterNetwork', text(value, 'clusterNetwork', ''), defaults),
      isolation: isIsolated
        ? { kind: 'on', globalNamespaces: globals.split(',').map((item) => item.trim()) }
        : { kind: 'off' },
      strictCapabilities: boolean(value, 'strictCapabilities', true),
      runtimeConfig: runtimeConfig as Readonly<Record<string, unknown>>,
    }
  })
}

/**
 * Reads the one network that takes the place of the default network; its namespace defaults to that of the product.
 * @param field annotation or key, for the error
 * @throws {InvalidInputError} when there is more than one
 */
export function parseDefaultNetwork(field: string, given: string, defaults: MetaDefaults): NetworkSelection {
  const content = given.trim() === '' ? defaults.clusterNetwork : given
  const selections = parseNetworkSelections(field, content, defaults.namespace)
  const [only] = selections
  if (only !== undefined && selections.length === 1) return only
  const problem = selections.length === 0 ? 'names no network' : 'names more than one network'
  throw new InvalidInputError(field, content, problem, 'write one network as [namespace/]name')
}

function boolean(value: Readonly<Record<string, unknown>>, key: string, fallback: boolean): boolean {
  const found = value[key] ?? fallback
  if (typeof found === 'boolean') return found
  throw new InvalidInputError(key, found, 'is not a boolean', 'write true or false')
}

function text(value: Readonly<Record<string, unknown>>, key: string, fallback: string): string {
  const found = value[key] ?? fallback
  if (typeof found === 'string') return found
  throw new InvalidInputError(key, found, 'is not a text', 'write a string')
}
