import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { formatIp } from '../../address/index.ts'
import { openNetlink } from '../../netlink/index.ts'

/** The addresses of the interface behind an SR-IOV device, in CIDR text; none, and why, when there is none. */
export interface MasterAddresses {
  readonly addresses: readonly string[]
  readonly problem?: string
}

/** Where a node's devices and interfaces are looked for. */
export interface DeviceTree {
  /** Where sysfs is mounted. */
  readonly sysfs: string
  /** Path of the node's network namespace. */
  readonly hostNetns: string
}

const maxInterfaces = 256 // a physical function and the representors of its virtual ones
const maxAddresses = 256

/**
 * Finds the physical function of a virtual one and reads its addresses in the node's namespace (spec/ipam.md §6, rule 9): the
 * virtual function itself may be in the pod by now, its device stays where it is.
 * @param deviceId PCI address such as `0000:03:02.1`; absent when the configuration names no device
 */
export async function readMasterAddresses(
  deviceId: string | undefined,
  { sysfs, hostNetns }: DeviceTree,
): Promise<MasterAddresses> {
  if (deviceId === undefined) return none('the CNI configuration has no deviceID')
  const folder = join(sysfs, 'bus/pci/devices', deviceId, 'physfn/net')
  let names: readonly string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if (!isAbsent(error)) throw error
    return none(`device ${deviceId} is no virtual function of this node: there is no ${folder}`)
  }
  if (names.length === 0) return none(`the physical function of device ${deviceId} has no interface`)
  const addresses = addressesOf(names.slice(0, maxInterfaces), hostNetns)
  if (addresses.length > 0) return { addresses: addresses.slice(0, maxAddresses) }
  return none(`${names.slice(0, 8).join(', ')}, behind device ${deviceId}, has no address`)
}

function addressesOf(names: readonly string[], hostNetns: string): readonly string[] {
  using netlink = openNetlink(hostNetns)
  return names.flatMap((name) => {
    const link = netlink.findLink(name)
    if (link === undefined) return []
    const found = netlink.addresses({ linkIndex: link.index }).filter((one) => one.linkIndex === link.index)
    return found.map(({ ip, prefixBits }) => `${formatIp(ip)}/${prefixBits}`)
  })
}

const none = (problem: string): MasterAddresses => ({ addresses: [], problem })

const isAbsent = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR'].includes(String(error.code))
