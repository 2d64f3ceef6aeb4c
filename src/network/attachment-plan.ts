import { InvalidInputError } from '../base/index.ts'
import type { NetworkSelection } from './network-selection.ts'

/** One attachment that a pod gets, in the order of attaching. */
export interface PlannedAttachment {
  readonly ifName: string
  readonly selection: NetworkSelection
  /** The cluster's default network, or what the pod put in its place. */
  readonly isDefault: boolean
}

/** What a pod's attachments are made from. */
export interface AttachmentRequest {
  readonly podNamespace: string
  /** Interface name that the runtime asks for. */
  readonly ifName: string
  readonly defaultNetwork: NetworkSelection
  readonly selected: readonly NetworkSelection[]
  readonly isolation: NamespaceIsolation
}

/** `off`, or the namespaces whose networks every pod may use (`default` is always one of them). */
export type NamespaceIsolation =
  | { readonly kind: 'off' }
  | { readonly kind: 'on'; readonly globalNamespaces: readonly string[] }

/**
 * Names and orders the attachments of a pod: the default network first, then the selected ones; an attachment without a
 * requested name is `net<position in the whole list>`.
 * @param annotation key of the selection, for errors
 * @throws {InvalidInputError} for a name used twice, or a network of a namespace that is not open to the pod
 */
export function planAttachments(
  annotation: string,
  request: AttachmentRequest,
): readonly PlannedAttachment[] {
  const { isolation, podNamespace, selected } = request
  const planned: PlannedAttachment[] = [
    { ifName: request.ifName, selection: request.defaultNetwork, isDefault: true },
    ...selected.map((selection, index) => ({
      ifName: selection.interface ?? `net${index + 1}`,
      selection,
      isDefault: false,
    })),
  ]
  const names = new Set<string>()
  planned.forEach(({ ifName, selection, isDefault }, position) => {
    const at = isDefault ? 'CNI_IFNAME' : `${annotation}[${position - 1}].interface`
    if (names.has(ifName))
      throw new InvalidInputError(
        at,
        ifName,
        'is the name of two interfaces',
        'give each attachment a name of its own',
      )
    names.add(ifName)
    const { namespace, name } = selection
    const isOpen =
      isDefault ||
      isolation.kind === 'off' ||
      [podNamespace, 'default', ...isolation.globalNamespaces].includes(namespace)
    if (!isOpen)
      throw new InvalidInputError(
        `${annotation}[${position - 1}]`,
        `${namespace}/${name}`,
        `is not open to pods of namespace ${podNamespace} (namespace isolation)`,
        `use a network of ${podNamespace}, or list ${namespace} as a global namespace`,
      )
  })
  return planned
}

/** What a selection asks of the plugins, by CNI capability. */
export function requestedCapabilities(selection: NetworkSelection): Readonly<Record<string, unknown>> {
  const { mac, ips, portMappings, bandwidth, infinibandGuid, deviceId } = selection
  return {
    ...(mac === undefined ? {} : { mac }),
    ...(ips === undefined || ips.length === 0 ? {} : { ips }),
    ...(portMappings === undefined || portMappings.length === 0 ? {} : { portMappings }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(infinibandGuid === undefined ? {} : { infinibandGUID: infinibandGuid }),
    ...(deviceId === undefined ? {} : { deviceID: deviceId }),
  }
}

/** Pairs that a selection adds to CNI_ARGS. */
export function requestedArgs(selection: NetworkSelection): readonly (readonly [string, string])[] {
  const { mac, ips } = selection
  return [
    ...(ips === undefined || ips.length === 0 ? [] : [['IP', ips.join(',')] as const]),
    ...(mac === undefined ? [] : [['MAC', mac] as const]),
  ]
}

/**
 * Checks that some plugin of the chain declares what the pod asks for (NPWG standard §4.1.2.1).
 * @param declared capabilities of all plugins of the chain; `ips` is one when the IPAM is ours
 * @throws {InvalidInputError} naming the capability that none declares
 */
export function requireCapabilities(
  at: string,
  selection: NetworkSelection,
  declared: ReadonlySet<string>,
): void {
  for (const [capability, value] of Object.entries(requestedCapabilities(selection))) {
    if (capability === 'deviceID' || declared.has(capability)) continue
    const hint = `add "capabilities":{"${capability}":true} to a plugin of ${selection.namespace}/${selection.name}`
    throw new InvalidInputError(
      `${at}.${capability}`,
      value,
      'is a request that no plugin of the network takes',
      hint,
    )
  }
}
