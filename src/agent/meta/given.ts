import type { DnsSettings } from '../../api/index.ts'
import { toError } from '../../base/index.ts'
import {
  CniError,
  type CniInterface,
  type CniResult,
  cniCodes,
  type RuntimeAttachment,
} from '../../cni/index.ts'
import type { Namespaces } from '../ports.ts'

/** What came with the addresses of an interface, and is lost on its way through a main plugin. */
export interface Given {
  readonly mac?: string
  readonly dns?: DnsSettings
}

/**
 * Puts right what the plugin of an interface could not do. Its MAC address, asked for by the pod or kept from an earlier one:
 * the plugin may not know how to give it, and a kept one is known only after it made the interface. The DNS settings: the
 * standard plugins show those of their own configuration alone.
 * @param network `namespace/name`, for the error
 * @returns the result as it is then; the same object when nothing was missing
 * @throws {CniError} when the kernel refuses the address
 */
export function withGiven(
  result: CniResult,
  runtime: RuntimeAttachment,
  { given, network }: { readonly given: Given; readonly network: string },
  namespaces: Pick<Namespaces, 'giveMac'>,
): CniResult {
  const asked = runtime.capabilityArgs?.['mac']
  const mac = typeof asked === 'string' ? asked : given.mac
  const addressed = mac === undefined ? result : withMac(result, { runtime, mac, network }, namespaces)
  const hasDns = Object.values(result.dns ?? {}).some((value) => value.length > 0)
  return given.dns === undefined || hasDns ? addressed : { ...addressed, dns: given.dns }
}

function withMac(
  result: CniResult,
  call: { readonly runtime: RuntimeAttachment; readonly mac: string; readonly network: string },
  namespaces: Pick<Namespaces, 'giveMac'>,
): CniResult {
  const { mac, network } = call
  const { ifName, netns } = call.runtime
  const isWrong = (link: CniInterface): boolean => {
    const isInSandbox = link.sandbox !== undefined && link.sandbox !== ''
    return isInSandbox && link.name === ifName && link.mac?.toLowerCase() !== mac
  }
  const { interfaces = [] } = result
  if (!interfaces.some(isWrong)) return result
  try {
    namespaces.giveMac(netns, ifName, mac)
  } catch (cause) {
    const message = `Cannot give ${ifName} MAC address ${mac}: ${toError(cause).message}`
    const hint = `use a network whose interfaces may have an address of their own, or ask for none of ${network}`
    throw new CniError({ cniCode: cniCodes.unsupportedField, slug: 'mac', message, hint }, { cause })
  }
  return { ...result, interfaces: interfaces.map((link) => (isWrong(link) ? { ...link, mac } : link)) }
}
