import { type Logger, OperationError } from '../../base/index.ts'
import {
  createRunner,
  findDefaultNetworkList,
  type NetworkList,
  parseNetworkList,
  type Runner,
} from '../../cni/index.ts'
import type { NodePaths } from '../lab-paths.ts'
import type { SandboxRecord } from './sandbox-store.ts'

/** No network is configured on the node yet: the agent has not come up. */
class NetworkNotReadyError extends OperationError {
  override readonly code = 'LAB_NETWORK_NOT_READY'
  override readonly retry = 'later'
  constructor(confDir: string) {
    super(
      `Cannot set up the network of a pod: no network configuration in ${confDir}`,
      'The agent of the node writes it when it comes up: see its log',
    )
  }
}

/** Gives sandboxes of one node their network, and takes it back, as a container runtime does with CNI. */
export interface SandboxNetwork {
  /** The network list that a sandbox gets now. @throws {NetworkNotReadyError} when the node has none */
  readList(): Promise<NetworkList>
  /** @returns the addresses of the default network, the pod's own first */
  add(record: SandboxRecord, list: NetworkList, signal: AbortSignal): Promise<readonly string[]>
  /** Succeeds also when there is nothing. `netns` is '' when the namespace is gone. */
  remove(record: SandboxRecord, netns: string, signal: AbortSignal): Promise<void>
  /** Tells the plugins which sandboxes there are: what belongs to others is removed. */
  collect(valid: readonly SandboxRecord[], signal: AbortSignal): Promise<void>
}

const podIfName = 'eth0'
const inheritedVariables = ['PATH', 'LANG', 'TZ'] as const

export function createSandboxNetwork(
  paths: NodePaths,
  pluginDirs: readonly string[],
  logger: Logger,
): SandboxNetwork {
  const inherited = inheritedVariables.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const runner = createRunner({
    binDirs: [paths.cniBinDir, ...pluginDirs],
    cacheDir: paths.cniCacheDir,
    netnsPath: paths.netns,
    env: {
      ...Object.fromEntries(inherited),
      SPIDERPOOL_AGENT_SOCKET: paths.socket,
      SPIDERPOOL_SPOOL_DIR: paths.spoolDir,
    },
    logger,
  })
  return networkOf(runner, paths)
}

function networkOf(runner: Runner, paths: NodePaths): SandboxNetwork {
  const readList = async (): Promise<NetworkList> => {
    const list = await findDefaultNetworkList(paths.cniConfDir)
    if (list === undefined) throw new NetworkNotReadyError(paths.cniConfDir)
    return list
  }
  return {
    readList,
    add: async (record, list, signal) => {
      const result = await runner.add(list, { ...attachmentOf(record), netns: record.netnsPath }, signal)
      return podIps(result.ips?.map(({ address }) => address) ?? [])
    },
    remove: async (record, netns, signal) => {
      const text = record.networkList
      const list =
        text === undefined ? await readList() : parseNetworkList(text, 'network list of the sandbox')
      await runner.del(list, { ...attachmentOf(record), netns }, signal)
    },
    collect: async (valid, signal) => {
      const ids = valid.map(({ containerId }) => ({ containerId, ifName: podIfName }))
      await runner.gc(await readList(), ids, signal)
    },
  }
}

function attachmentOf(record: SandboxRecord): {
  readonly containerId: string
  readonly ifName: string
  readonly args: readonly (readonly [string, string])[]
} {
  return {
    containerId: record.containerId,
    ifName: podIfName,
    args: [
      ['IgnoreUnknown', '1'],
      ['K8S_POD_NAMESPACE', record.namespace],
      ['K8S_POD_NAME', record.name],
      ['K8S_POD_INFRA_CONTAINER_ID', record.containerId],
      ['K8S_POD_UID', record.podUid],
    ],
  }
}

/** A pod shows one address of each family (`status.podIPs`): the first of the result. */
export function podIps(cidrs: readonly string[]): readonly string[] {
  const ips = cidrs.map((cidr) => cidr.split('/')[0] ?? '')
  const first4 = ips.find((ip) => ip !== '' && !ip.includes(':'))
  const first6 = ips.find((ip) => ip.includes(':'))
  return [first4, first6].filter((ip) => ip !== undefined)
}
