import { InvalidInputError } from '../../base/index.ts'

/** What the ConfigMap of an installation sets for its daemons: key `conf.yml` of `spiderpool-conf`. */
export interface ProductConfig {
  readonly ipamUnixSocketPath: string
  readonly enableIPv4: boolean
  readonly enableIPv6: boolean
  /** Pods of a StatefulSet keep their addresses. */
  readonly enableStatefulSet: boolean
  /** Virtual machines of KubeVirt keep their addresses. */
  readonly enableKubevirtStaticIP: boolean
  readonly enableSpiderSubnet: boolean
  /** Deleting a pool or subnet that is in use is refused. */
  readonly enableValidatingResourcesDeletedWebhook: boolean
  readonly podResourceInject: {
    readonly enabled: boolean
    readonly namespacesExclude: readonly string[]
    readonly namespacesInclude: readonly string[]
    /** Namespaces whose networks may go into pods of other namespaces. */
    readonly trustedNamespaces: readonly string[]
  }
}

/** What holds where the file says nothing: the chart's own defaults. */
export const defaultProductConfig: ProductConfig = {
  ipamUnixSocketPath: '/var/run/spidernet/spiderpool.sock',
  enableIPv4: true,
  enableIPv6: true,
  enableStatefulSet: true,
  enableKubevirtStaticIP: true,
  enableSpiderSubnet: true,
  enableValidatingResourcesDeletedWebhook: false,
  podResourceInject: { enabled: false, namespacesExclude: [], namespacesInclude: [], trustedNamespaces: [] },
}

/** Keys of the file that this release reads and does nothing with, and the values that ask for nothing. */
const withoutEffect: Readonly<Record<string, readonly unknown[]>> = {
  enableAutoPoolForApplication: [true, false],
  clusterSubnetAutoPoolDefaultRedundantIPNumber: [0, 1],
  clusterSubnetDefaultFlexibleIPNumber: [0, 1],
  enableCleanOutdatedEndpoint: [true, false],
  enableIPConflictDetection: [false],
  enableGatewayDetection: [false],
  tuneSysctlConfig: [false],
  agent: [],
  iaasNetworkProvider: [],
}

const maxNamespaces = 1_000
const file = 'conf.yml'

/**
 * Reads the content of `conf.yml` after its YAML: a key that is missing has its documented default, an unknown one is warned of.
 * @throws {InvalidInputError} naming the key, its value and the remedy
 */
export function parseProductConfig(value: unknown): {
  readonly config: ProductConfig
  readonly warnings: readonly string[]
} {
  const source = value === undefined || value === null ? {} : value
  if (!isRecord(source))
    throw new InvalidInputError(file, value, 'is no map', 'write lines of the form KEY: VALUE')
  const read = new Reader(source, '')
  const inject = new Reader(read.map('podResourceInject'), 'podResourceInject.')
  const fallback = defaultProductConfig
  const config: ProductConfig = {
    ipamUnixSocketPath: read.path('ipamUnixSocketPath', fallback.ipamUnixSocketPath),
    enableIPv4: read.switch('enableIPv4', fallback.enableIPv4),
    enableIPv6: read.switch('enableIPv6', fallback.enableIPv6),
    enableStatefulSet: read.switch('enableStatefulSet', fallback.enableStatefulSet),
    enableKubevirtStaticIP: read.switch('enableKubevirtStaticIP', fallback.enableKubevirtStaticIP),
    enableSpiderSubnet: read.switch('enableSpiderSubnet', fallback.enableSpiderSubnet),
    enableValidatingResourcesDeletedWebhook: read.switch(
      'enableValidatingResourcesDeletedWebhook',
      fallback.enableValidatingResourcesDeletedWebhook,
    ),
    podResourceInject: {
      enabled: inject.switch('enabled', false),
      namespacesExclude: inject.names('namespacesExclude'),
      namespacesInclude: inject.names('namespacesInclude'),
      trustedNamespaces: inject.names('trustedNamespaces'),
    },
  }
  if (!config.enableIPv4 && !config.enableIPv6)
    throw new InvalidInputError(`${file}: enableIPv4`, false, 'is off, and so is enableIPv6', 'turn one on')
  return {
    config,
    warnings: [...warningsOf(source, config, ''), ...unknownOf(read.map('podResourceInject'))],
  }
}

function warningsOf(source: Readonly<Record<string, unknown>>, config: object, prefix: string): string[] {
  return Object.entries(source).flatMap(([key, value]) => {
    if (Object.hasOwn(config, key)) return []
    const harmless = withoutEffect[key]
    if (harmless === undefined) return [`${file}: the key "${prefix}${key}" is not known, and ignored`]
    const asksNothing = harmless.includes(value) || isEmpty(value)
    return asksNothing ? [] : [`${file}: "${prefix}${key}" has no effect in this release`]
  })
}

function unknownOf(inject: Readonly<Record<string, unknown>>): string[] {
  const known = defaultProductConfig.podResourceInject
  return Object.keys(inject)
    .filter((key) => !Object.hasOwn(known, key))
    .map((key) => `${file}: the key "podResourceInject.${key}" is not known, and ignored`)
}

/** Nothing in it says yes: every switch is off, every text and list is empty. */
function isEmpty(value: unknown): boolean {
  if (isRecord(value)) return Object.values(value).every(isEmpty)
  if (Array.isArray(value)) return value.length === 0
  return value === null || value === false || value === ''
}

class Reader {
  readonly #source: Readonly<Record<string, unknown>>
  readonly #prefix: string

  constructor(source: Readonly<Record<string, unknown>>, prefix: string) {
    this.#source = source
    this.#prefix = prefix
  }

  switch(key: string, fallback: boolean): boolean {
    const value = this.#source[key] ?? fallback
    if (typeof value === 'boolean') return value
    throw this.#refusal(key, 'is neither true nor false', 'write true or false, without quotes')
  }

  path(key: string, fallback: string): string {
    const value = this.#source[key] ?? fallback
    if (typeof value === 'string' && value.startsWith('/')) return value
    throw this.#refusal(key, 'is no absolute path', 'begin it with "/"')
  }

  map(key: string): Readonly<Record<string, unknown>> {
    const value = this.#source[key] ?? {}
    if (isRecord(value)) return value
    throw this.#refusal(key, 'is no map', 'write keys below it')
  }

  names(key: string): readonly string[] {
    const value = this.#source[key] ?? []
    const isList = Array.isArray(value) && value.length <= maxNamespaces
    const names: readonly unknown[] = isList ? value : []
    const isName = (name: unknown): name is string =>
      typeof name === 'string' && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)
    if (isList && names.every(isName)) return names
    const hint = `write at most ${maxNamespaces} names of namespaces, each on a line of its own after "- "`
    throw this.#refusal(key, 'is no list of namespaces', hint)
  }

  #refusal(key: string, problem: string, hint: string): InvalidInputError {
    return new InvalidInputError(`${file}: ${this.#prefix}${key}`, this.#source[key], problem, hint)
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
