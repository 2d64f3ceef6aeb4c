import { parseArgs } from 'node:util'
import type { ProductConfig } from '../api/index.ts'
import { InvalidInputError, type LogLevel } from '../base/index.ts'
import type { PodInjectSettings, WebhookSettings } from '../webhook/index.ts'
import { parsePodInject, podInjectFlags, podInjectUsage } from './pod-inject-options.ts'
import { parseTlsOptions, type TlsOptions, tlsFlags, tlsUsage } from './trust/tls-options.ts'

/** A port of a Service. */
export interface WebhookService {
  readonly namespace: string
  readonly name: string
  readonly port: number
}

/** What the controller is started with. */
export interface ControllerOptions {
  /** undefined = in-cluster credentials. */
  readonly kubeconfig: string | undefined
  readonly host: string
  readonly port: number
  readonly tls: TlsOptions
  /** Plain HTTP for numbers; undefined: none. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined
  /** Where the API server and the agents reach this replica. */
  readonly url: string
  readonly namespace: string
  readonly identity: string
  /** ServiceAccount of the agents, `namespace/name`. */
  readonly agentAccount: string
  /** NetworkAttachmentDefinition of the first NIC of pods that name none, `namespace/name`. */
  readonly clusterNetwork: string
  readonly enableIpv4: boolean
  readonly enableIpv6: boolean
  /** Pools and subnets whose addresses are in use cannot be deleted. */
  readonly guardDeletion: boolean
  /** undefined: pods are left alone. */
  readonly podInject: PodInjectSettings | undefined
  /** Pods of a StatefulSet keep their addresses. */
  readonly enableStatefulSet: boolean
  /** Virtual machines of KubeVirt keep their addresses. */
  readonly enableKubevirtStaticIp: boolean
  readonly enableSpiderSubnet: boolean
  /** `conf.yml` of the installation; undefined: there is none. */
  readonly configFile: string | undefined
  /** The API server reaches the webhooks by this Service; undefined: by `url`. */
  readonly webhookService: WebhookService | undefined
  readonly leaseSeconds: number
  readonly scanSeconds: number
  readonly logLevel: LogLevel
}

const flags = {
  kubeconfig: { type: 'string' },
  'in-cluster': { type: 'boolean', default: false },
  listen: { type: 'string', default: '127.0.0.1:5722' },
  ...tlsFlags,
  'metrics-listen': { type: 'string' },
  'webhook-url': { type: 'string' },
  'webhook-service': { type: 'string' },
  namespace: { type: 'string' },
  config: { type: 'string' },
  identity: { type: 'string' },
  'agent-account': { type: 'string' },
  'cluster-network': { type: 'string' },
  'disable-ipv4': { type: 'boolean', default: false },
  'disable-ipv6': { type: 'boolean', default: false },
  'guard-deletion': { type: 'boolean', default: false },
  ...podInjectFlags,
  'lease-seconds': { type: 'string', default: '10' },
  'scan-seconds': { type: 'string', default: '60' },
  'log-level': { type: 'string', default: 'info' },
} as const

/** Text for `--help`. */
export const controllerUsage: string = `Usage: controller --kubeconfig FILE | --in-cluster
  --listen HOST:PORT       HTTPS address for agents, webhooks and probes (127.0.0.1:5722)
${tlsUsage}  --metrics-listen HOST:PORT  plain HTTP address of /metrics (none)
  --webhook-url URL        where the API server and agents reach this replica (https://HOST:PORT)
  --webhook-service NS/NAME:PORT  Service by which the API server reaches the webhooks (--webhook-url)
  --config FILE            conf.yml of the installation: families and features
  --namespace NAME         namespace of the product ($SPIDERPOOL_NAMESPACE, kube-system)
  --identity NAME          name of this replica in the lease (host name)
  --agent-account NS/NAME  ServiceAccount of the agents (NAMESPACE/spiderpool-agent)
  --cluster-network NS/NAME  network of the first NIC of pods that name none ($MULTUS_CLUSTER_NETWORK)
  --disable-ipv4, --disable-ipv6  hand out no addresses of this family
  --guard-deletion         refuse to delete pools and subnets whose addresses are in use
${podInjectUsage}  --lease-seconds N        life of the leader's lease, 5 to 300 (10)
  --scan-seconds N         time between two full scans for leaked addresses, 5 to 86400 (60)
  --log-level LEVEL        debug, info, warn or error (info)
`

/**
 * Reads flags and environment.
 *
 * @throws {InvalidInputError} for an unknown flag or a value out of range
 */
export function parseControllerOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  hostname: string,
): ControllerOptions {
  const values = parseFlags(args)
  if (values.kubeconfig === undefined && !values['in-cluster']) {
    throw new InvalidInputError(
      '--kubeconfig',
      undefined,
      'is required',
      'give --kubeconfig FILE or --in-cluster',
    )
  }
  const { host, port } = parseListen('--listen', values.listen)
  const namespace = values.namespace ?? env['SPIDERPOOL_NAMESPACE'] ?? 'kube-system'
  const url = values['webhook-url'] ?? `https://${host.includes(':') ? `[${host}]` : host}:${port}`
  const metrics = values['metrics-listen']
  const webhookService = parseService(values['webhook-service'])
  return {
    kubeconfig: values['in-cluster'] ? undefined : values.kubeconfig,
    host,
    port,
    tls: parseTlsOptions({ values, namespace, url, service: webhookService }),
    metrics: metrics === undefined ? undefined : parseListen('--metrics-listen', metrics),
    url,
    namespace,
    identity: values.identity ?? hostname,
    agentAccount: parseNamespaced(
      '--agent-account',
      values['agent-account'] ?? `${namespace}/spiderpool-agent`,
    ),
    clusterNetwork: values['cluster-network'] ?? env['MULTUS_CLUSTER_NETWORK'] ?? '',
    enableIpv4: !values['disable-ipv4'],
    enableIpv6: !values['disable-ipv6'],
    guardDeletion: values['guard-deletion'],
    podInject: parsePodInject(values, namespace),
    enableStatefulSet: true,
    enableKubevirtStaticIp: true,
    enableSpiderSubnet: true,
    configFile: values.config,
    webhookService,
    leaseSeconds: parseSeconds('--lease-seconds', values['lease-seconds'], 5, 300),
    scanSeconds: parseSeconds('--scan-seconds', values['scan-seconds'], 5, 86_400),
    logLevel: parseLogLevel(values['log-level']),
  }
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true }).values
  } catch (error) {
    const problem = error instanceof TypeError ? error.message : String(error)
    throw new InvalidInputError('arguments', args, `cannot be read: ${problem}`, 'see --help')
  }
}

function parseListen(field: string, text: string): { readonly host: string; readonly port: number } {
  const match = /^\[?([^\]]*?)\]?:(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port > 65_535) {
    throw new InvalidInputError(field, text, 'is not HOST:PORT', 'write it as 127.0.0.1:5722 or [::]:5722')
  }
  return { host: match[1] ?? '', port }
}

/** What the installation's `conf.yml` says, where no flag says it. */
export function withConfig(options: ControllerOptions, config: ProductConfig): ControllerOptions {
  return {
    ...options,
    enableIpv4: options.enableIpv4 && config.enableIPv4,
    enableIpv6: options.enableIpv6 && config.enableIPv6,
    enableStatefulSet: config.enableStatefulSet,
    enableKubevirtStaticIp: config.enableKubevirtStaticIP,
    enableSpiderSubnet: config.enableSpiderSubnet,
    guardDeletion: options.guardDeletion || config.enableValidatingResourcesDeletedWebhook,
    podInject: options.podInject ?? podInjectOf(config, options.namespace),
  }
}

function podInjectOf(config: ProductConfig, installNamespace: string): PodInjectSettings | undefined {
  const { enabled, namespacesExclude, namespacesInclude, trustedNamespaces } = config.podResourceInject
  if (!enabled) return undefined
  return {
    installNamespace,
    excludedNamespaces: namespacesExclude,
    includedNamespaces: namespacesInclude,
    trustedNamespaces,
    masterNics: false,
  }
}

function parseService(text: string | undefined): WebhookService | undefined {
  if (text === undefined) return undefined
  const match = /^([a-z0-9][-a-z0-9]*)\/([a-z0-9][-a-z0-9]*):(\d{1,5})$/.exec(text)
  const [, namespace = '', name = '', digits] = match ?? []
  const port = Number(digits)
  if (match !== null && port >= 1 && port <= 65_535) return { namespace, name, port }
  const hint = 'write it as kube-system/spiderpool-controller:5722'
  throw new InvalidInputError('--webhook-service', text, 'is not NAMESPACE/NAME:PORT', hint)
}

function parseNamespaced(field: string, text: string): string {
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(text)) {
    throw new InvalidInputError(
      field,
      text,
      'is not NAMESPACE/NAME',
      'write it as kube-system/spiderpool-agent',
    )
  }
  return text
}

function parseSeconds(field: string, text: string, least: number, most: number): number {
  const seconds = Number(text)
  if (!Number.isInteger(seconds) || seconds < least || seconds > most) {
    const hint = `give whole seconds from ${least} to ${most}`
    throw new InvalidInputError(field, text, `is not between ${least} and ${most}`, hint)
  }
  return seconds
}

function parseLogLevel(text: string): LogLevel {
  if (text === 'debug' || text === 'info' || text === 'warn' || text === 'error') return text
  throw new InvalidInputError('--log-level', text, 'is no level', 'give debug, info, warn or error')
}

/** What admission has to know of the options. */
export function webhookSettings(options: ControllerOptions): WebhookSettings {
  const { enableIpv4, enableIpv6, enableSpiderSubnet, guardDeletion, podInject } = options
  return {
    enableIPv4: enableIpv4,
    enableIPv6: enableIpv6,
    enableSpiderSubnet,
    guardDeletion,
    ...(podInject === undefined ? {} : { podInject }),
  }
}
