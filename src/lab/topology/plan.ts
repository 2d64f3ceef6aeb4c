import {
  formatIp,
  type IpWithPrefix,
  ipOf,
  offsetIpValue,
  parseIp,
  parseIpWithPrefix,
} from '../../address/index.ts'
import { InvalidInputError } from '../../base/index.ts'

/** What the kernel is to hold: one switch in a namespace of its own, and a namespace with one NIC for each node. */
export interface TopologyPlan {
  readonly bridge: string
  /** Addresses of the switch, which routes between them: the gateway of each underlay network. */
  readonly gateways: readonly IpWithPrefix[]
  readonly nodes: readonly NodePlan[]
}

export interface NodePlan {
  readonly name: string
  readonly nic: string
  readonly mac: string
  /** Name of the other end, on the switch. */
  readonly port: string
  readonly addresses: readonly IpWithPrefix[]
  /** One default gateway a family. */
  readonly defaultGateways: readonly IpWithPrefix['ip'][]
}

/** The one L2 segment carries the networks of the affinity document, and an IPv6 twin of each. */
const gateways = [
  '10.6.0.1/16',
  '172.18.41.1/24',
  '10.7.0.1/16',
  'fd00:6::1/64',
  'fd00:1241::1/64',
  'fd00:7::1/64',
]
const nodeGateways = ['10.6.0.1', 'fd00:6::1']
const firstNodeAddresses = ['10.6.0.11/16', 'fd00:6::11/64']
const maxNodes = 200 // 10.6.0.11 to 10.6.0.210
const namePattern = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/

/**
 * Lays out the lab's network.
 * @throws {InvalidInputError} for a bad or doubled node name, no node, or more than 200
 */
export function planTopology(nodeNames: readonly string[]): TopologyPlan {
  checkNodeNames(nodeNames)
  return {
    bridge: 'br0',
    gateways: gateways.map((text) => parseIpWithPrefix(text)),
    nodes: nodeNames.map((name, index) => {
      const addresses = firstNodeAddresses.map((text) => offsetAddress(text, index))
      return {
        name,
        nic: 'ens192',
        mac: `02:00:0a:06:00:${(index + 11).toString(16).padStart(2, '0')}`,
        port: `port${index}`,
        addresses,
        defaultGateways: nodeGateways.map((text) => parseIp(text)),
      }
    }),
  }
}

function checkNodeNames(names: readonly string[]): void {
  const field = 'nodes'
  const hint = 'write names such as master,node1,node2: lower-case letters, digits and dashes, at most 32'
  if (names.length === 0) throw new InvalidInputError(field, '', 'names no node', hint)
  if (names.length > maxNodes) {
    throw new InvalidInputError(field, names.length, 'is too many nodes', `name at most ${maxNodes}`)
  }
  for (const name of names) {
    if (!namePattern.test(name)) throw new InvalidInputError(field, name, 'is not a node name', hint)
  }
  const doubled = names.find((name, index) => names.indexOf(name) !== index)
  if (doubled !== undefined)
    throw new InvalidInputError(field, doubled, 'is named twice', 'name each node once')
}

function offsetAddress(text: string, count: number): IpWithPrefix {
  const { ip, prefixBits } = parseIpWithPrefix(text)
  return { ip: ipOf(offsetIpValue(ip.value, count)), prefixBits }
}

/** The addresses of a node as its Node object shows them. */
export function nodeAddressTexts(node: NodePlan): readonly string[] {
  return node.addresses.map(({ ip }) => formatIp(ip))
}
