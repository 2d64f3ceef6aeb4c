// Nodes of a test: a network namespace each, on one bridge of this machine, and what kube-proxy does for one Service.
import { execFileSync } from 'node:child_process'

const subnet = '10.213.77'
const bridge = 'sp-helm0'

/** Address of this machine on the bridge: the API server listens there. */
export const machineIp = `${subnet}.1`

/** A node's network. */
export interface NodeNetwork {
  readonly name: string
  readonly ip: string
  /** Path of the namespace. */
  readonly netns: string
}

function run(command: string): void {
  const [program = '', ...args] = command.split(' ')
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Makes the bridge and the nodes; what an earlier run left goes first. */
export function networkUp(nodes: readonly string[]): readonly NodeNetwork[] {
  networkDown(nodes)
  run(`ip link add ${bridge} type bridge`)
  run(`ip addr add ${machineIp}/24 dev ${bridge}`)
  run(`ip link set ${bridge} up`)
  return nodes.map((node, index) => {
    const name = `sp-helm-${node}`
    const ip = `${subnet}.${11 + index}`
    run(`ip netns add ${name}`)
    run(`ip link add ${veth(node)} type veth peer name eth0 netns ${name}`)
    run(`ip link set ${veth(node)} master ${bridge} up`)
    run(`ip -n ${name} link set lo up`)
    run(`ip -n ${name} addr add ${ip}/24 dev eth0`)
    run(`ip -n ${name} link set eth0 up`)
    run(`ip -n ${name} route add default via ${machineIp}`)
    return { name: node, ip, netns: `/var/run/netns/${name}` }
  })
}

export function networkDown(nodes: readonly string[]): void {
  for (const command of [...nodes.map((node) => `ip netns del sp-helm-${node}`), `ip link del ${bridge}`]) {
    try {
      run(command)
    } catch {
      // not there
    }
  }
}

/** Sends what a node sends to the Service to one of its endpoints. */
export function balance(
  { netns }: NodeNetwork,
  service: { readonly ip: string; readonly port: number },
  endpoints: readonly string[],
): void {
  const map = endpoints.map((ip, index) => `${index} : ${ip}`).join(', ')
  const target = `numgen random mod ${endpoints.length} map { ${map} }`
  const rules = `
table ip spiderpool-test {}
delete table ip spiderpool-test
table ip spiderpool-test {
  chain output {
    type nat hook output priority -100;
    ip daddr ${service.ip} tcp dport ${service.port} dnat to ${target}
  }
}
`
  execFileSync('nsenter', [`--net=${netns}`, 'nft', '-f', '-'], {
    input: rules,
    stdio: ['pipe', 'ignore', 'pipe'],
  })
}

const veth = (node: string): string => `sp-helm-${node}`.slice(0, 15)
