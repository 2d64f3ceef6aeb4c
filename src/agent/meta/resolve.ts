import { annotationKeys, type Pod, parsePodMac } from '../../api/index.ts'
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
const argsOfOneInterface = ['IP', 'MAC']
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
  const mac = annotations[annotationKeys.mac]
  return mac === undefined ? resolved : asCniCode(cniCodes.config, 'mac', () => withMac(resolved, mac))
}

/** Annotation `mac` is for the first interface that gets addresses from us, or for those that it names. */
function withMac(resolved: readonly ResolvedAttachment[], text: string): readonly ResolvedAttachment[] {
  const said = parsePodMac(text)
  const first = resolved.find(({ list }) => usesOurIpam(list))
  return resolved.map((item) => {
    const mac = said.kind === 'named' ? said.values.get(item.ifName) : item === first ? said.value : undefined
    if (mac === undefined) return item
    const selected = item.capabilityArgs['mac']
    if (selected !== undefined && selected !== mac) {
      const field = `annotation ${annotationKeys.mac}, beside mac of ${networksAnnotation},`
      const hint = 'write the same in both places, or in one of them alone'
      throw new InvalidInputError(field, [mac, selected], `asks something else for ${item.ifName}`, hint)
    }
    const args = item.args.filter(([key]) => key !== 'MAC')
    return {
      ...item,
      // Plugins without the capability know the older way, or the agent gives the address itself.
      args: [...args, ['MAC', mac] as const],
      capabilityArgs: { ...item.capabilityArgs, mac },
    }
  })
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
    args: [...runtimeArgs(call.env, isDefault), ...requestedArgs(selection)],
    capabilityArgs: { ...Object.fromEntries(fromRuntime), ...requestedCapabilities(selection) },
    gateways: selection.defaultRoute ?? [],
    ...(selection.defaultRoute === undefined ? {} : { defaultRoute: selection.defaultRoute }),
  }
}

/** What the runtime asks for by address is for the interface that it names. */
function runtimeArgs(
  { args }: AttachmentEnvironment,
  isDefault: boolean,
): readonly (readonly [string, string])[] {
  return [...args].filter(([key]) => isDefault || !argsOfOneInterface.includes(key))
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
  if (usesOurIpam(list)) declared.add('ips')
  return declared
}

function usesOurIpam({ plugins }: NetworkList): boolean {
  return plugins.some(({ ipamType }) => ipamType === ownIpam)
}
