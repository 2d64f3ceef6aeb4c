import { startLoop } from '../../../src/agent/background-loop.ts'
import type { Allocator, Namespaces } from '../../../src/agent/index.ts'
import { IpamPlugin } from '../../../src/agent/ipam/ipam-plugin.ts'
import { NodeReporter } from '../../../src/agent/ipam/node-reporter.ts'
import { Journal } from '../../../src/agent/journal/journal.ts'
import { type Pod, resources } from '../../../src/api/index.ts'
import { StepTimes, silentLogger } from '../../../src/base/index.ts'
import { type CniRequest, parseRequest } from '../../../src/cni/index.ts'
import type { Scheduler } from '../scheduler.ts'
import type { KubeLink } from './kube-link.ts'
import type { NodeDisk } from './memory-folder.ts'

const network = 'underlay'
const reportEveryMs = 10_000
const releasesEveryMs = 5_000
const sweepEveryMs = 60_000
const never = new AbortController().signal

/** One CNI call of one NIC of a sandbox. */
export interface PluginCall {
  readonly command: 'ADD' | 'DEL' | 'CHECK'
  readonly containerId: string
  readonly ifName: string
  readonly netns: string
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string }
  /** For CHECK: plain addresses. */
  readonly ips?: readonly string[]
}

/** What one node's agents have in common: they come and go, it stays. */
export interface NodeParts {
  readonly node: string
  readonly disk: NodeDisk
  /** DELs that the pipe kept while no agent answered. */
  readonly spool: PluginCall[]
  readonly namespaces: Namespaces
}

/** One process of the agent: the real IPAM plugin over its journal, with the loops that the real agent runs. */
export class AgentProcess {
  readonly actor: string
  isCrashed = false
  isServing = false
  readonly #parts: NodeParts
  readonly #allocator: Allocator
  readonly #kube: KubeLink
  readonly #scheduler: Scheduler
  #ipam: IpamPlugin | undefined
  /** Calls that hang when the process dies. */
  readonly #open = new Set<() => void>()

  constructor(
    actor: string,
    parts: NodeParts,
    ports: { readonly allocator: Allocator; readonly kube: KubeLink; readonly scheduler: Scheduler },
  ) {
    this.actor = actor
    this.#parts = parts
    this.#allocator = ports.allocator
    this.#kube = ports.kube
    this.#scheduler = ports.scheduler
    this.#scheduler.at(actor, () => void this.#start())
  }

  async #start(): Promise<void> {
    const { disk, spool, namespaces, node } = this.#parts
    const clock = this.#scheduler.timedClockOf(this.actor)
    const journal = await Journal.open(disk.folderOf(this.actor), silentLogger)
    const ports = { allocator: this.#allocator, journal, namespaces, clock, logger: silentLogger }
    const podsOfNode = async (signal: AbortSignal): Promise<ReadonlySet<string>> => {
      const query = { fieldSelector: `spec.nodeName=${node}` }
      const { items } = await this.#kube.listAll<Pod>(resources.pod, query, signal)
      return new Set(items.map(({ metadata }) => metadata.uid ?? ''))
    }
    const reporter = new NodeReporter(ports)
    const masterAddresses = () => Promise.resolve({ addresses: [] })
    let reporting: ReturnType<typeof startLoop> | undefined
    const poolWasFull = () => {
      if (reporter.isDue()) reporting?.wake()
    }
    const ipam = new IpamPlugin({ ...ports, podsOfNode, masterAddresses, poolWasFull })
    const replay = async (): Promise<void> => {
      for (const call of [...spool]) {
        await ipam.del(requestOf(call) as never, never)
        spool.splice(spool.indexOf(call), 1)
      }
    }
    await replay()
    const loop = (name: string, everyMs: number, work: (signal: AbortSignal) => Promise<'done' | 'more'>) =>
      startLoop({ name, everyMs, clock, random: this.#scheduler.random, logger: silentLogger }, work)
    reporting = loop('node-report', reportEveryMs, (signal) => reporter.report(signal))
    loop('releases', releasesEveryMs, async (signal) =>
      (await ipam.retryReleases(signal)) > 0 ? 'more' : 'done',
    )
    loop('spool', reportEveryMs, async () => {
      await replay()
      return 'done'
    })
    loop('sweep', sweepEveryMs, async (signal) => {
      await ipam.sweep(signal)
      return 'done'
    })
    this.#ipam = ipam
    this.isServing = true
  }

  /** Runs one call; rejects also when the process dies under it. @returns addresses with prefix length, of an ADD */
  call(call: PluginCall, signal: AbortSignal): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      const hangUp = () => reject(new Error('the connection to the agent broke'))
      this.#open.add(hangUp)
      void this.#run(call, signal)
        .then(resolve, reject)
        .finally(() => this.#open.delete(hangUp))
    })
  }

  async #run(call: PluginCall, signal: AbortSignal): Promise<readonly string[]> {
    const ipam = this.#ipam
    if (ipam === undefined) throw new Error('no agent answers')
    const request = requestOf(call)
    if (request.command === 'ADD') {
      const result = (await ipam.add(request, new StepTimes(), signal)) as {
        ips: readonly { address: string }[]
      }
      return result.ips.map(({ address }) => address.split('/')[0] ?? '')
    }
    if (request.command === 'DEL') await ipam.del(request, never)
    if (request.command === 'CHECK') await ipam.check(request, signal)
    return []
  }

  /** CNI GC with all that lives on the node. */
  async gc(valid: readonly { containerId: string; ifName: string }[]): Promise<void> {
    const attachments = valid.map(({ containerId, ifName }) => ({ containerID: containerId, ifname: ifName }))
    const config = {
      ...configOf('1.1.0'),
      'cni.dev/valid-attachments': attachments,
      'cni.dev/attachments': attachments,
    }
    const env = { CNI_COMMAND: 'GC', CNI_PATH: '/opt/cni/bin' }
    const request = parseRequest(env, Buffer.from(JSON.stringify(config)))
    if (request.command === 'GC') await this.#ipam?.gc(request, never)
  }

  crash(): void {
    this.isCrashed = true
    this.isServing = false
    this.#scheduler.crash(this.actor)
    this.#parts.disk.agentCrashed()
    for (const hangUp of this.#open) hangUp()
    this.#open.clear()
  }
}

const configOf = (cniVersion: string) => ({ cniVersion, name: network, ipam: { type: 'spiderpool' } })

function requestOf({ command, containerId, ifName, netns, pod, ips = [] }: PluginCall): CniRequest {
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_IFNAME: ifName,
    CNI_NETNS: netns,
    CNI_PATH: '/opt/cni/bin',
    CNI_ARGS: `K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_UID=${pod.uid}`,
  }
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: ifName }],
    ips: ips.map((ip) => ({ address: `${ip}/${ip.includes(':') ? 64 : 16}`, interface: 0 })),
  }
  const config = command === 'CHECK' ? { ...configOf('1.0.0'), prevResult } : configOf('1.0.0')
  return parseRequest(env, Buffer.from(JSON.stringify(config)))
}
