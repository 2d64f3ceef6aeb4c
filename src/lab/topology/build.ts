import { mkdir } from 'node:fs/promises'
import { type IpWithPrefix, parseCidr } from '../../address/index.ts'
import {
  IFA_F_NODAD,
  type Netlink,
  openNamespace,
  openNetlink,
  writeNamespaceSetting,
} from '../../netlink/index.ts'
import { type LabPaths, nodePathsOf } from '../lab-paths.ts'
import type { PauseRunner } from '../pause.ts'
import type { NodePlan, TopologyPlan } from './plan.ts'

const mtuBytes = 1500
const mainTable = 254
const staticProtocol = 4

/**
 * Makes the namespaces, links, addresses and routes of the plan. What stands there already must have been removed before;
 * a failure leaves what was made for `removeTopology()`.
 */
export async function buildTopology(
  plan: TopologyPlan,
  paths: LabPaths,
  pause: PauseRunner,
  signal: AbortSignal,
): Promise<void> {
  await pause.makeNamespace(paths.switchNetns, signal)
  const forwarding = ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']
  for (const name of forwarding) writeNamespaceSetting(paths.switchNetns, name, '1')
  using fabric = openNetlink(paths.switchNetns)
  // Without a querier on the segment snooping would drop the multicast of IPv6 neighbour discovery.
  fabric.addLink({ kind: 'bridge', hasMulticastSnooping: false }, { name: plan.bridge, isUp: true, mtuBytes })
  const bridge = fabric.getLink(plan.bridge).index
  for (const gateway of plan.gateways) addAddress(fabric, bridge, gateway)
  for (const node of plan.nodes) {
    signal.throwIfAborted()
    const netns = nodePathsOf(paths, node.name)
    await mkdir(netns.dir, { recursive: true, mode: 0o700 })
    await pause.makeNamespace(netns.netns, signal)
    connectNode(fabric, bridge, node, netns.netns)
  }
}

function connectNode(fabric: Netlink, bridge: number, node: NodePlan, netnsPath: string): void {
  using target = openNamespace(netnsPath)
  const nic = { name: node.nic, mac: node.mac, mtuBytes, netnsFd: target.fd }
  fabric.addLink({ kind: 'veth', peer: nic }, { name: node.port, master: bridge, isUp: true, mtuBytes })
  // Addresses of pods are configured by us alone: no router of the segment may add any.
  for (const name of ['all', 'default', node.nic]) {
    writeNamespaceSetting(netnsPath, `net/ipv6/conf/${name}/accept_ra`, '0')
  }
  using inside = openNetlink(netnsPath)
  const { index } = inside.getLink(node.nic)
  inside.changeLink(index, { isUp: true })
  for (const address of node.addresses) addAddress(inside, index, address)
  for (const gateway of node.defaultGateways) {
    inside.addRoute({
      version: gateway.version,
      table: mainTable,
      destination: parseCidr(gateway.version === 4 ? '0.0.0.0/0' : '::/0'),
      nextHops: [{ gateway, linkIndex: index, isOnLink: false, weight: 1 }],
      metric: 0,
      protocol: staticProtocol,
      scope: 0,
      type: 'unicast',
      flags: 0,
    })
  }
}

/** Without duplicate address detection: the plan has no doubles, and a tentative address could not be used for seconds. */
function addAddress(netlink: Netlink, linkIndex: number, address: IpWithPrefix): void {
  netlink.addAddress({ linkIndex, ...address, scope: 0, flags: address.ip.version === 6 ? IFA_F_NODAD : 0 })
}
