import type { Pod } from '../../api/index.ts'
import { InvalidInputError, type Logger } from '../../base/index.ts'
import {
  type AttachmentEnvironment,
  asCniCode,
  cniCodes,
  findNetworkList,
  type NetworkList,
  parseNetworkList,
  type Runner,
} from '../../cni/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import {
  configOfNad,
  defaultNetworkAnnotation,
  networksAnnotation,
  type PlannedAttachment,
  parseNetworkSelections,
  planAttachments,
  requestedArgs,
  requestedCapabilities,
  requireCapabilities,
  withPluginExtras,
} from '../../network/index.ts'
import { readNetwork } from './cluster-reader.ts'
import { type MetaConfig, type MetaDefaults, parseDefaultNetwork } from './meta-config.ts'
import type { ScratchAttachment } from './scratch.ts'

/** One attachment, ready to be run. */
export interface ResolvedAttachment extends ScratchAttachment {
  readonly list: NetworkList
  /** Gateways that it asks for, as the pod wrote it; an empty list keeps what the plugins make. */
  readonly defaultRoute?: readonly string[]
}

/** What resolving reads from. */
export interface ResolvePorts {
  readonly kube: KubeApi
  readonly runner: Runner
  readonly confDir: string
  readonly logger: Logger
  readonly defaults: MetaDefaults
}

// What kubelet passes down goes to the default network; these go to all (multi-network §2.4).
const capabilitiesForAll = ['dns', 'aliases', 'cgroupPath']
const ownIpam = 'spiderpool'

/**
 * Reads and checks everything that an ADD will need, before the first plugin runs: annotations, networks, configurations,
 * names, capabilities, executables and their versions.
 * @throws {CniError} naming what is wrong
 */
export async function resolveAttachments(
  call: { readonly env: AttachmentEnvironment; readonly pod: Pod; readonly config: MetaConfig },
  ports: ResolvePorts,
  signal: AbortSignal,
): Promise<readonly ResolvedAttachment[]> {
  const { env, pod, config } = call
  const annotations = pod.metadata.annotations ?? {}
  const podNamespace = pod.metadata.namespace ?? ''
  const planned = asCniCode(cniCodes.config, 'network-selection', () => {
    const wanted = annotations[defaultNetworkAnnotation] ?? ''
    return planAttachments(networksAnnotation, {
      podNamespace,
      ifName: env.ifName,
      defaultNetwork:
        wanted.trim() === ''
          ? config.clusterNetwork
          : parseDefaultNetwork(defaultNetworkAnnotation, wanted, ports.defaults),
      selected: parseNetworkSelections(
        networksAnnotation,
        annotations[networksAnnotation] ?? '',
        podNamespace,
      ),
      isolation: config.isolation,
    })
  })
  const resolved: ResolvedAttachment[] = []
  for (const attachment of planned) {
    const item = await resolveOne(attachment, call, ports, signal)
    await ports.runner.prepare(item.list, signal)
    resolved.push(item)
  }
  return resolved
}

async function resolveOne(
  planned: PlannedAttachment,
  call: { readonly env: AttachmentEnvironment; readonly config: MetaConfig },
  ports: ResolvePorts,
  signal: AbortSignal,
): Promise<ResolvedAttachment> {
  const { selection, ifName, isDefault } = planned
  const name = `${selection.namespace}/${selection.name}`
  const list = await resolveList(planned, ports, signal)
  const at = isDefault ? defaultNetworkAnnotation : `${networksAnnotation} (${ifName})`
  if (call.config.strictCapabilities)
    asCniCode(cniCodes.config, 'capability', () => {
      requireCapabilities(at, selection, declaredCapabilities(list))
    })
  const fromRuntime = Object.entries(call.config.runtimeConfig).filter(
    ([key]) => isDefault || capabilitiesForAll.includes(key),
  )
  return {
    list,
    ifName,
    name,
    isDefault,
    listText: list.text,
    args: [...call.env.args, ...requestedArgs(selection)],
    capabilityArgs: { ...Object.fromEntries(fromRuntime), ...requestedCapabilities(selection) },
    gateways: selection.defaultRoute ?? [],
    ...(selection.defaultRoute === undefined ? {} : { defaultRoute: selection.defaultRoute }),
  }
}

/** The plugin list of a network, from its object or from the node's disk, with what the pod adds to it. */
export async function resolveList(
  planned: Pick<PlannedAttachment, 'selection'>,
  ports: Pick<ResolvePorts, 'kube' | 'confDir' | 'logger'>,
  signal: AbortSignal,
): Promise<NetworkList> {
  const { selection } = planned
  const label = `${selection.namespace}/${selection.name}`
  const nad = await readNetwork(ports.kube, selection, signal)
  const config = asCniCode(cniCodes.config, 'network-config', () => configOfNad(label, nad))
  const plain =
    selection.deviceId === undefined ? {} : { deviceID: selection.deviceId, pciBusID: selection.deviceId }
  const extras = { cniArgs: selection.cniArgs ?? {}, plain }
  if (config.kind === 'inline')
    return asCniCode(cniCodes.config, 'network-config', () => {
      const field = `NetworkAttachmentDefinition ${label}: spec.config`
      parseNetworkList(config.text, field)
      return parseNetworkList(withPluginExtras(config.text, extras), field)
    })
  const found = await findNetworkList(ports.confDir, config.networkName, ports.logger)
  return asCniCode(cniCodes.config, 'network-config', () => {
    if (found === undefined) {
      const hint = `write spec.config, or put a conflist named "${config.networkName}" into ${ports.confDir}`
      throw new InvalidInputError(
        `NetworkAttachmentDefinition ${label}: spec.config`,
        '',
        `is empty, and no network "${config.networkName}" is in ${ports.confDir}`,
        hint,
      )
    }
    return parseNetworkList(withPluginExtras(found.text, extras), config.networkName)
  })
}

function declaredCapabilities(list: NetworkList): ReadonlySet<string> {
  const declared = new Set(list.plugins.flatMap((plugin) => plugin.capabilities))
  if (list.plugins.some((plugin) => plugin.ipamType === ownIpam)) declared.add('ips')
  return declared
}
