/** Pod annotation that says what was attached (NPWG standard §4.2). */
export const networkStatusAnnotation = 'k8s.v1.cni.cncf.io/network-status'

/** A result of ADD as far as the status tells of it. */
export interface AttachmentResult {
  readonly interfaces?: readonly {
    readonly name: string
    readonly mac?: string
    readonly mtu?: number
    readonly sandbox?: string
  }[]
  readonly ips?: readonly { readonly address: string; readonly interface?: number }[]
  readonly dns?: Readonly<Record<string, unknown>>
}

/** One finished attachment. */
export interface StatusSource {
  /** `namespace/name` of the NetworkAttachmentDefinition, or the name of a network on disk. */
  readonly name: string
  readonly ifName: string
  readonly isDefault: boolean
  /** Gateways that the pod asked for by `default-route`. */
  readonly gateways: readonly string[]
  readonly result: AttachmentResult
}

/** One element of the annotation; the order of its keys is the order in which they are written. */
export interface NetworkStatus {
  readonly name: string
  readonly interface?: string
  readonly ips?: readonly string[]
  readonly mac?: string
  readonly mtu?: number
  readonly default?: boolean
  readonly dns: Readonly<Record<string, unknown>>
  readonly gateway?: readonly string[]
}

/** The status list of a pod, in the order of its attachments; addresses are bare. */
export function buildNetworkStatus(attachments: readonly StatusSource[]): readonly NetworkStatus[] {
  return attachments.map(({ name, ifName, isDefault, gateways, result }) => {
    const interfaces = result.interfaces ?? []
    const at = interfaces.findIndex((item) => (item.sandbox ?? '') !== '')
    const link = interfaces[at]
    const ips = (result.ips ?? [])
      .filter((ip) => ip.interface === undefined || at < 0 || ip.interface === at)
      .map((ip) => ip.address.split('/')[0] ?? '')
    return {
      name,
      interface: link?.name ?? ifName,
      ...(ips.length === 0 ? {} : { ips }),
      ...(link?.mac === undefined ? {} : { mac: link.mac }),
      ...(link?.mtu === undefined ? {} : { mtu: link.mtu }),
      ...(isDefault ? { default: true } : {}),
      dns: filled(result.dns ?? {}),
      ...(gateways.length === 0 ? {} : { gateway: gateways }),
    }
  })
}

function filled(dns: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const hasContent = (value: unknown): boolean =>
    Array.isArray(value) ? value.length > 0 : value != null && value !== ''
  return Object.fromEntries(Object.entries(dns).filter(([, value]) => hasContent(value)))
}
