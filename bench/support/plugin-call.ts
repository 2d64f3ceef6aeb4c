// How a container runtime starts a plugin of a lab's node, and what its answer says.
import { join } from 'node:path'
import type { Turn } from './launch.ts'

/** As containers of a pod are called here: a runtime's id has 64 characters. */
export function containerIdOf(podUid: string): string {
  return podUid.replaceAll('-', '').padEnd(64, '0')
}

/** `CNI_ARGS` as containerd and CRI-O say it; the uid only where it is given. */
export function podArgs(namespace: string, name: string, uid?: string): string {
  const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name}`
  return uid === undefined ? args : `${args};K8S_POD_UID=${uid}`
}

/** The environment of one call for eth0 on a node. @param path where a chain finds its plugins */
export function cniEnvironment(
  nodeDir: string,
  call: {
    readonly command: string
    readonly containerId: string
    readonly netns: string
    readonly args: string
  },
  path = '/usr/lib/cni',
): Readonly<Record<string, string>> {
  return {
    CNI_COMMAND: call.command,
    CNI_CONTAINERID: call.containerId,
    CNI_NETNS: call.netns,
    CNI_IFNAME: 'eth0',
    CNI_PATH: path,
    CNI_ARGS: call.args,
    SPIDERPOOL_AGENT_SOCKET: join(nodeDir, 'agent.sock'),
    SPIDERPOOL_SPOOL_DIR: join(nodeDir, 'agent/spool'),
  }
}

/** The configuration that the IPAM plugin gets. */
export function ipamConfig(command: string, ipam: object = { type: 'spiderpool' }): string {
  const cniVersion = command === 'STATUS' ? '1.1.0' : '1.0.0'
  return JSON.stringify({ cniVersion, name: 'bench', type: 'macvlan', ipam })
}

/** What an ADD gave, without prefix lengths; nothing of one that failed, and of a DEL. */
export function addressesOf({ exitCode, stdout }: Turn): readonly string[] {
  if (exitCode !== 0 || stdout === '') return []
  const { ips } = JSON.parse(stdout) as { readonly ips: readonly { readonly address: string }[] }
  return ips.map(({ address }) => address.split('/')[0] ?? '')
}
