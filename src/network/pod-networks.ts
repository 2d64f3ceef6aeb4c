import type { NetworkAttachmentDefinition, Pod } from '../api/index.ts'
import { parseJson } from '../base/index.ts'
import { type PlannedAttachment, planAttachments } from './attachment-plan.ts'
import { configOfNad } from './nad-config.ts'
import {
  defaultNetworkAnnotation,
  type NetworkSelection,
  networksAnnotation,
  parseNetworkSelections,
} from './network-selection.ts'

/** The networks of one pod, as far as addresses are concerned. */
export interface PodNetworks {
  /** NICs that get their addresses from here, in the order of the pod's networks (eth0 first when it does). */
  readonly nics: readonly string[]
  /** `namespace/name` of the NetworkAttachmentDefinition of a NIC; undefined when none can be found. */
  nadOf(nic: string): string | undefined
  /** What the selection of the NIC's network asks for. */
  requestOf(nic: string): NicRequest
}

/** Addresses, each with prefix length or without, the MAC address and the IPAMClaim that a network selection asks for. */
export type NicRequest = Pick<NetworkSelection, 'ips' | 'mac' | 'ipamClaim'>

/** What the networks of a pod are looked up in. */
export interface NetworkSource {
  /** `namespace/name`, or a name in the namespace of the product, of the network that pods get without asking; '' = unknown. */
  readonly clusterNetwork: string
  /** Namespace of the product. */
  readonly installNamespace: string
  findNetwork(ref: {
    readonly namespace: string
    readonly name: string
  }): NetworkAttachmentDefinition | undefined
}

const firstNic = 'eth0'
const ipamType = 'spiderpool'

/** The NICs of a pod that get addresses from here, by its annotations. @throws {InvalidInputError} when they cannot be read */
export function podNetworks(pod: Pod, source: NetworkSource): PodNetworks {
  const { clusterNetwork, installNamespace } = source
  const { annotations = {}, namespace = '' } = pod.metadata
  const isNamed = annotations[defaultNetworkAnnotation] !== undefined || clusterNetwork !== ''
  const wanted = annotations[defaultNetworkAnnotation] ?? clusterNetwork
  const [first] = parseNetworkSelections(defaultNetworkAnnotation, wanted, installNamespace)
  const selected = parseNetworkSelections(
    networksAnnotation,
    annotations[networksAnnotation] ?? '',
    namespace,
  )
  const planned = planAttachments(networksAnnotation, {
    podNamespace: namespace,
    ifName: firstNic,
    defaultNetwork: first ?? { namespace: '', name: '' },
    selected,
    isolation: { kind: 'off' },
  })
  const known = planned.filter(({ isDefault }) => !isDefault || (isNamed && first !== undefined))
  const names = new Map(
    known.map(({ ifName, selection }) => [ifName, `${selection.namespace}/${selection.name}`]),
  )
  const served = planned.filter((attachment) => isServed(attachment, known.includes(attachment), source))
  const requests = new Map(planned.map(({ ifName, selection }) => [ifName, selection]))
  return {
    nics: served.map(({ ifName }) => ifName),
    nadOf: (nic) => names.get(nic),
    requestOf: (nic) => requests.get(nic) ?? {},
  }
}

/** An attachment whose network cannot be looked at is taken to be ours: its ADD is what asks. */
function isServed(
  { selection, isDefault }: PlannedAttachment,
  isKnown: boolean,
  source: NetworkSource,
): boolean {
  if (!isKnown) return isDefault
  const { namespace, name } = selection
  const attachment = source.findNetwork({ namespace, name })
  return attachment === undefined || usesOurIpam(`${namespace}/${name}`, attachment)
}

function usesOurIpam(label: string, attachment: NetworkAttachmentDefinition): boolean {
  let config: ReturnType<typeof configOfNad>
  try {
    config = configOfNad(label, attachment)
  } catch {
    // An unreadable network fails in the agent, which says why; whether it is ours cannot be told.
    return true
  }
  if (config.kind === 'onDisk') return true
  return ourIpamIn(parseJson(config.text)) !== undefined
}

/** The `ipam` object of the first plugin of a CNI configuration that asks us; undefined: none does. */
export function ourIpamIn(config: unknown): Readonly<Record<string, unknown>> | undefined {
  const parsed = isRecord(config) ? config : {}
  const plugins: readonly unknown[] = Array.isArray(parsed['plugins']) ? parsed['plugins'] : [parsed]
  for (const plugin of plugins) {
    const ipam = isRecord(plugin) ? plugin['ipam'] : undefined
    if (isRecord(ipam) && ipam['type'] === ipamType) return ipam
  }
  return undefined
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
