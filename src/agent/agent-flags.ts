import { existsSync, statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { parseArgs } from 'node:util'
import { controllerServerName, type ProductConfig, trustNames } from '../api/index.ts'
import { InvalidInputError } from '../base/index.ts'
import type { AgentOptions } from './agent.ts'

/** What the command line of the agent says. */
export interface AgentFlags extends AgentOptions {
  /** Path of a kubeconfig; absent: in-cluster. */
  readonly kubeconfig?: string
  readonly controllerUrls: readonly string[]
  /** File with the controller's authorities; absent: they are read from the API server. */
  readonly controllerCa?: string
  /** The name in the controller's certificate. */
  readonly controllerName: string
  readonly tokenFile: string
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  /** `conf.yml` of the installation. */
  readonly configFile?: string
  /** --socket was given: the file cannot name another. */
  readonly isSocketGiven: boolean
}

const text = { type: 'string' } as const
const known = {
  node: text,
  kubeconfig: text,
  'in-cluster': { type: 'boolean' },
  'controller-url': { type: 'string', multiple: true },
  'controller-ca': text,
  'controller-name': text,
  'token-file': text,
  socket: text,
  'spool-dir': text,
  'journal-dir': text,
  'cni-bin-dir': text,
  'cni-conf-dir': text,
  'cache-dir': text,
  'host-netns': text,
  'plugin-source': text,
  'plugin-path': text,
  'cluster-network': text,
  namespace: text,
  'log-level': text,
  config: text,
  'health-port': text,
} as const

/** Where the agent's pod has its token for the controller. */
const defaultTokenFile = '/var/run/secrets/spiderpool/token'

/** The flags of the agent, for its help. */
export const agentUsage: string = `Usage: agent --node NAME (--kubeconfig FILE | --in-cluster)
  --controller-url URL[,URL] ... [--token-file ${defaultTokenFile}]
  [--controller-ca FILE, else ConfigMap ${trustNames.authorities}]
  [--controller-name spiderpool-controller.NAMESPACE.svc]
  [--socket /var/run/spidernet/spiderpool.sock] [--spool-dir /var/lib/spiderpool/spool]
  [--journal-dir /var/lib/spiderpool/journal] [--cni-bin-dir /opt/cni/bin] [--cni-conf-dir /etc/cni/net.d]
  [--cache-dir /var/lib/cni] [--host-netns PATH] [--plugin-source FILE] [--plugin-path DIR[:DIR]]
  [--cluster-network NS/NAME] [--namespace kube-system] [--log-level debug|info|warn|error]
  [--config FILE] [--health-port PORT]

--controller-url is by default the Service of the controller: SPIDERPOOL_CONTROLLER_SERVICE_HOST and _PORT.
--config is conf.yml of the installation: its socket is served when --socket is left out.
--health-port serves GET /healthz and /readyz on 127.0.0.1, for probes.`

/**
 * Reads the command line of the agent.
 * @throws {InvalidInputError} naming the flag, its value and the remedy
 */
export function parseAgentFlags(args: readonly string[]): AgentFlags {
  const values = parseValues(args)
  const get = (name: keyof typeof values, fallback?: string): string => {
    const value = values[name] ?? fallback
    if (typeof value === 'string' && value !== '') return value
    throw new InvalidInputError(`--${name}`, value ?? '', 'is missing', `see the usage:\n${agentUsage}`)
  }
  const path = (name: keyof typeof values, fallback?: string): string => absolute(name, get(name, fallback))
  const file = (name: keyof typeof values, fallback?: string): string => existing(name, path(name, fallback))
  const isInCluster = values['in-cluster'] === true
  if (isInCluster === (values.kubeconfig !== undefined))
    throw new InvalidInputError(
      '--kubeconfig',
      values.kubeconfig ?? '',
      'or --in-cluster is needed, one of them',
      agentUsage,
    )
  const namespace = name('namespace', get('namespace', process.env['SPIDERPOOL_NAMESPACE'] ?? 'kube-system'))
  return {
    node: name('node', get('node')),
    ...(isInCluster ? {} : { kubeconfig: file('kubeconfig') }),
    controllerUrls: (values['controller-url'] ?? [get('controller-url', serviceUrl(process.env))])
      .flatMap((value) => value.split(','))
      .map(httpsUrl),
    ...(values['controller-ca'] === undefined ? {} : { controllerCa: file('controller-ca') }),
    controllerName: name('controller-name', get('controller-name', controllerServerName(namespace))),
    tokenFile: file('token-file', defaultTokenFile),
    socketPath: socket(path('socket', '/var/run/spidernet/spiderpool.sock')),
    spoolDir: path('spool-dir', '/var/lib/spiderpool/spool'),
    journalDir: path('journal-dir', '/var/lib/spiderpool/journal'),
    cniBinDir: path('cni-bin-dir', '/opt/cni/bin'),
    cniConfDir: path('cni-conf-dir', '/etc/cni/net.d'),
    cacheDir: path('cache-dir', '/var/lib/cni'),
    ...(values['host-netns'] === undefined ? {} : { hostNetns: path('host-netns') }),
    ...(values['plugin-source'] === undefined ? {} : { pluginSource: file('plugin-source') }),
    pluginPath: (values['plugin-path'] ?? '')
      .split(/[:,]/)
      .filter((folder) => folder !== '')
      .map((folder) => absolute('plugin-path', folder)),
    defaults: {
      clusterNetwork: clusterNetwork(get('cluster-network', `${namespace}/macvlan-ens192`)),
      namespace,
    },
    logLevel: logLevel(values['log-level'] ?? 'info'),
    ...(values.config === undefined ? {} : { configFile: file('config') }),
    isSocketGiven: values.socket !== undefined,
    ...(values['health-port'] === undefined ? {} : { healthPort: port(values['health-port']) }),
  }
}

function parseValues(
  args: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof known }>>['values'] {
  try {
    return parseArgs({ args: [...args], options: known, strict: true }).values
  } catch (error) {
    const problem = error instanceof Error ? error.message : 'are not understood'
    throw new InvalidInputError('flags', args.join(' '), problem, agentUsage)
  }
}

function name(flag: string, value: string): string {
  if (/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(value)) return value
  throw new InvalidInputError(`--${flag}`, value, 'is not a Kubernetes name', 'use a-z, 0-9, "-" and "."')
}

function absolute(flag: string, value: string): string {
  if (isAbsolute(value)) return value
  throw new InvalidInputError(`--${flag}`, value, 'is not an absolute path', 'begin it with "/"')
}

function existing(flag: string, value: string): string {
  if (existsSync(value) && statSync(value).isFile()) return value
  throw new InvalidInputError(`--${flag}`, value, 'is not a file', 'name a file that is there')
}

// struct sockaddr_un has 108 bytes for the path, its end among them.
function socket(value: string): string {
  if (Buffer.byteLength(value) <= 107) return value
  throw new InvalidInputError('--socket', value, 'is longer than 107 bytes', 'use a shorter path')
}

/** The Service of the controller, as Kubernetes names it to pods of the same namespace. */
function serviceUrl(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const { SPIDERPOOL_CONTROLLER_SERVICE_HOST: host = '', SPIDERPOOL_CONTROLLER_SERVICE_PORT: servicePort } =
    env
  if (host === '' || servicePort === undefined) return undefined
  return `https://${host.includes(':') ? `[${host}]` : host}:${servicePort}`
}

function port(value: string): number {
  const number = Number(value)
  if (/^\d{1,5}$/.test(value) && number >= 1 && number <= 65_535) return number
  throw new InvalidInputError('--health-port', value, 'is no port', 'give a number from 1 to 65535')
}

/** What the installation's `conf.yml` says, where no flag says it. */
export function withAgentConfig(flags: AgentFlags, config: ProductConfig): AgentFlags {
  return flags.isSocketGiven ? flags : { ...flags, socketPath: socket(config.ipamUnixSocketPath) }
}

function httpsUrl(value: string): string {
  const url = URL.parse(value.trim())
  if (url?.protocol === 'https:') return value.trim()
  throw new InvalidInputError(
    '--controller-url',
    value,
    'is not an https URL',
    'write https://HOST:PORT[,...]',
  )
}

function clusterNetwork(value: string): string {
  if (/^[a-z0-9][-a-z0-9]*\/[a-z0-9][-a-z0-9.]*$/.test(value)) return value
  throw new InvalidInputError(
    '--cluster-network',
    value,
    'is not namespace/name',
    'write kube-system/macvlan-ens192',
  )
}

function logLevel(value: string): AgentFlags['logLevel'] {
  if (value === 'debug' || value === 'info' || value === 'warn' || value === 'error') return value
  throw new InvalidInputError('--log-level', value, 'is not a level', 'write debug, info, warn or error')
}
