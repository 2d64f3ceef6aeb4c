// A cluster for scenarios of IPAM, without kernel interfaces: an API server, workload controllers, a controller with its webhooks,
// and an agent for each node behind the real plugin executable. The test is the container runtime.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Agent, machineNamespaces, readAuthorities, startAgent } from '../../src/agent/index.ts'
import {
  type AllocateRequest,
  type AllocateResponse,
  annotationKeys,
  type BlockEntry,
  controllerServerName,
  type KubeObject,
  type Pod,
  type Resource,
  resources,
  type SpiderEndpoint,
  type SpiderIpBlock,
  type SpiderIpPool,
  trustNames,
} from '../../src/api/index.ts'
import { silentLogger, systemClock, systemRandom } from '../../src/base/index.ts'
import { parseControllerOptions, runController } from '../../src/controller/index.ts'
import { type KubeApi, KubeClient, loadKubeconfig } from '../../src/kube/index.ts'
import { ensureAgentPod } from '../../src/lab/node/register-node.ts'
import { PauseRunner } from '../../src/lab/pause.ts'
import { freePorts } from '../../src/lab/ports.ts'
import {
  createBaseObjects,
  createDefaultNetworks,
  createRights,
} from '../../src/lab/supervisor/lab-objects.ts'
import { entriesOf } from '../../src/ledger/index.ts'
import { listMounts, prepareNamespaces, unmount } from '../../src/netlink/index.ts'
import { type AllocatorClient, createAllocatorClient } from '../../src/rpc/index.ts'
import { buildPipe, type PluginOutcome, runPipe } from './agent-kit.ts'
import { accountKubeconfig, installKinds, repeat, tokenOf } from './leader-kit.ts'
import { eventually, WorkloadKit } from './workload-kit.ts'

const root = dirname(dirname(import.meta.dirname))
const system = 'kube-system'
const never = new AbortController().signal

/** An ADD, DEL or CHECK of one NIC of a pod's sandbox. */
export interface Call {
  readonly nic?: string
  /** `POD-1` when absent: sandboxes of a pod have different ones. */
  readonly containerId?: string
  /** Fields of the `ipam` object of the CNI configuration. */
  readonly ipam?: object
  /** Other members of the CNI configuration. */
  readonly config?: object
  readonly cniVersion?: string
  readonly prevResult?: unknown
  /** More of CNI_ARGS, such as `IP=10.6.0.9`. */
  readonly args?: string
}

/** What an ADD was answered, or why it was refused. */
export interface Added {
  readonly exitCode: number
  /** Addresses with prefix length. */
  readonly ips: readonly string[]
  readonly gateways: readonly (string | undefined)[]
  readonly routes: readonly string[]
  /** Message of the CNI error, '' when there was none. */
  readonly msg: string
  readonly details: string
  readonly code: number
  readonly json: PluginOutcome['json']
}

/** One node: the folders of its agent, which is a part of this process, and the agent's way to the controller. */
interface NodeKit {
  readonly dir: string
  readonly allocator: AllocatorClient
  readonly kube: KubeClient
  agent: Agent
}

export class IpamRig implements AsyncDisposable {
  readonly kit: WorkloadKit
  readonly #dir = mkdtempSync(join(tmpdir(), 'spiderpool-ipam-'))
  readonly #nodes = new Map<string, NodeKit>()
  readonly #stop = new AbortController()
  readonly #sandboxes = new Map<string, string>()
  #pause: PauseRunner | undefined
  #url = ''
  #controller: Promise<void> = Promise.resolve()

  private constructor(kit: WorkloadKit) {
    this.kit = kit
  }

  get api(): KubeApi {
    return this.kit.api
  }

  static async start(nodes: readonly string[] = ['node1', 'node2']): Promise<IpamRig> {
    const pipe = buildPipe()
    const rig = new IpamRig(await WorkloadKit.start(nodes))
    try {
      await rig.#start(nodes, pipe)
    } catch (error) {
      await rig[Symbol.asyncDispose]()
      throw error
    }
    return rig
  }

  async #start(nodes: readonly string[], pipe: string): Promise<void> {
    await prepareNamespaces()
    this.#pause = new PauseRunner(join(root, 'build/native/lab-pause'))
    await installKinds(this.api)
    await createBaseObjects(this.api, [], system, never)
    await createRights(this.api, system, never)
    await this.#startController()
    await repeat(() => createDefaultNetworks(this.api, never))
    for (const node of nodes) this.#nodes.set(node, await this.#startNode(node, pipe))
  }

  async #startController(): Promise<void> {
    const [port = 0] = await freePorts(1)
    this.#url = `https://127.0.0.1:${port}`
    const kubeconfig = await accountKubeconfig(this.kit.server, this.api, 'controller')
    const args = ['--kubeconfig', kubeconfig, '--listen', `127.0.0.1:${port}`, '--lease-seconds', '60']
    const more = ['--cluster-network', `${system}/macvlan-ens192`, '--namespace', system]
    const options = parseControllerOptions([...args, ...more], {}, 'rig')
    this.#controller = runController(options, silentLogger, this.#stop.signal)
    this.#controller.catch(() => undefined)
    await eventually('the webhooks are asked', async () => {
      // No schema can hold this rule, and the kind is the last of the configurations.
      const spec = { customCNI: '{' }
      const probe = this.create(resources.multusConfig, 'probe', { spec })
      return probe.then(
        () => this.remove(resources.multusConfig, 'probe').then(() => undefined),
        (error: unknown) => (String(error).includes('is not JSON') ? true : undefined),
      )
    })
  }

  async #startNode(name: string, pipe: string): Promise<NodeKit> {
    const dir = join(this.#dir, name)
    const at = (file: string) => join(dir, file)
    mkdirSync(at('bin'), { recursive: true })
    await this.#pause?.makeNamespace(at('host.netns'), never)
    const pod = await ensureAgentPod(this.api, { name, addresses: [], systemNamespace: system }, never)
    const kubeconfig = await accountKubeconfig(this.kit.server, this.api, 'agent', pod)
    const token = await tokenOf(this.api, 'agent', { bound: pod, audience: trustNames.audience })
    const kube = new KubeClient(await loadKubeconfig(kubeconfig), { logger: silentLogger })
    const allocator = createAllocatorClient({
      urls: [this.#url],
      ca: { read: (signal) => readAuthorities(kube, system, signal) },
      servername: controllerServerName(system),
      token: () => Promise.resolve(token),
      logger: silentLogger,
    })
    const node = { dir, kube, allocator }
    return { ...node, agent: await this.#startAgent(name, node, pipe) }
  }

  #startAgent(node: string, { dir, kube, allocator }: Omit<NodeKit, 'agent'>, pipe: string): Promise<Agent> {
    const at = (file: string) => join(dir, file)
    const options = {
      node,
      socketPath: at('agent.sock'),
      spoolDir: at('spool'),
      journalDir: at('journal'),
      cniBinDir: at('bin'),
      cniConfDir: at('net.d'),
      cacheDir: at('cache'),
      hostNetns: at('host.netns'),
      sysfs: at('sys'),
      pluginSource: pipe,
      pluginPath: [],
      defaults: { clusterNetwork: `${system}/macvlan-ens192`, namespace: system },
    }
    return startAgent(options, {
      allocator,
      kube,
      namespaces: machineNamespaces(at('host.netns')),
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      env: { PATH: process.env['PATH'] ?? '' },
    })
  }

  /** Makes an object of a kind; `more` is all of it but its name. */
  create(resource: Resource, name: string, more: object, namespace = 'default'): Promise<KubeObject> {
    const { metadata = {}, ...rest } = more as { readonly metadata?: object }
    const place = resource.namespaced ? { namespace } : {}
    return this.kit.create(resource, { metadata: { name, ...place, ...metadata }, ...rest })
  }

  async remove(resource: Resource, name: string, namespace = 'default'): Promise<void> {
    await this.api.delete(resource, refOf(resource, name, namespace), {}, never)
  }

  /** Makes a namespace that takes pods. */
  async namespace(name: string, annotations: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.create(resources.namespace, name, { metadata: { annotations } })
    const account = { namespace: name, name: 'default' }
    await eventually(`namespace ${name} takes pods`, () =>
      this.api.get(resources.serviceAccount, account, never),
    )
  }

  /** Makes a pool, and waits until the leader knows it: it knows when it has written the counts. */
  async pool(name: string, spec: SpiderIpPool['spec']): Promise<void> {
    await this.create(resources.ipPool, name, { spec })
    await this.poolHolds(name, ({ status }) => status?.totalIPCount !== undefined)
  }

  /** Waits until the pool is as wanted. */
  poolHolds(name: string, holds: (pool: SpiderIpPool) => boolean): Promise<SpiderIpPool> {
    return eventually(`pool ${name} is as wanted`, async () => {
      const pool = await this.api.get<SpiderIpPool>(resources.ipPool, { name }, never)
      return pool !== undefined && holds(pool) ? pool : undefined
    })
  }

  /** The node's network namespace, and the folder that its agent takes for sysfs. */
  machine(node: string): { readonly netns: string; readonly sysfs: string } {
    const dir = join(this.#dir, node)
    return { netns: join(dir, 'host.netns'), sysfs: join(dir, 'sys') }
  }

  async countIs(name: string, count: number): Promise<void> {
    await this.poolHolds(name, ({ status }) => (status?.allocatedIPCount ?? 0) === count)
  }

  /** Makes a pod on a node, as a scheduler would have bound it. */
  pod(name: string, more: PodMore = {}): Promise<Pod> {
    const { node = 'node1', ippool, annotations = {}, labels = {}, namespace = 'default', owner } = more
    const choice = ippool === undefined ? {} : { [annotationKeys.ippool]: JSON.stringify(ippool) }
    const metadata = {
      labels,
      annotations: { ...choice, ...annotations },
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    }
    const spec = { nodeName: node, containers: [{ name: 'c', image: 'pause' }], ...more.spec }
    return this.create(resources.pod, name, { metadata, spec }, namespace)
  }

  /** CNI ADD of the pod's NIC, through the plugin of the pod's node. */
  async add(pod: Pod, call: Call = {}): Promise<Added> {
    const { exitCode, json } = await this.call('ADD', pod, call)
    const { ips = [], routes = [], msg = '', details = '', code = 0 } = json as AddJson
    return {
      exitCode,
      ips: ips.map(({ address }) => address),
      gateways: ips.map(({ gateway }) => gateway),
      routes: routes.map(({ dst, gw }) => `${dst} ${gw ?? '-'}`),
      ...{ msg, details, code, json },
    }
  }

  async del(pod: Pod, call: Call = {}): Promise<void> {
    const { exitCode, stdout } = await this.call('DEL', pod, call)
    if (exitCode !== 0) throw new Error(`DEL of ${pod.metadata.name}: ${stdout}`)
    this.loseSandbox(pod, call.containerId)
  }

  /** Exit code of CHECK with the result of an ADD. */
  async check(pod: Pod, { json }: Added, call: Call = {}): Promise<number> {
    return (await this.call('CHECK', pod, { ...call, prevResult: json })).exitCode
  }

  async call(command: 'ADD' | 'DEL' | 'CHECK', pod: Pod, call: Call): Promise<PluginOutcome> {
    const { nic = 'eth0', ipam = {}, cniVersion = '1.0.0', prevResult } = call
    const { name, namespace = '', uid = '' } = pod.metadata
    const containerId = call.containerId ?? `${name}-1`
    const { dir } = this.#nodeOf(pod)
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: await this.#netnsOf(dir, containerId),
      CNI_IFNAME: nic,
      CNI_PATH: join(dir, 'bin'),
      CNI_ARGS: [
        `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_UID=${uid}`,
        ...(call.args === undefined ? [] : [call.args]),
      ].join(';'),
      SPIDERPOOL_AGENT_SOCKET: join(dir, 'agent.sock'),
      SPIDERPOOL_SPOOL_DIR: join(dir, 'spool'),
    }
    const network = {
      cniVersion,
      name: 'net-a',
      type: 'macvlan',
      ...call.config,
      ipam: { type: 'spiderpool', ...ipam },
    }
    const config = { ...network, ...(prevResult === undefined ? {} : { prevResult }) }
    return runPipe(join(dir, 'bin/spiderpool'), env, JSON.stringify(config))
  }

  /** What the pod's agent would ask the controller itself: for what no plugin says yet. */
  allocate(pod: Pod, more: Partial<AllocateRequest> = {}): Promise<AllocateResponse> {
    const { name: podName, namespace: podNamespace = '', uid: podUid = '' } = pod.metadata
    const request: AllocateRequest = {
      containerId: `${podName}-1`,
      ifName: 'eth0',
      netns: `/run/netns/${podName}`,
      ...{ podNamespace, podName, podUid },
      defaultIpv4Pools: [],
      defaultIpv6Pools: [],
      cleanGateway: false,
      budgetMs: 20_000,
      ...more,
    }
    return this.#nodeOf(pod).allocator.allocate(request, AbortSignal.timeout(30_000))
  }

  /** The namespace of a sandbox goes without a DEL, as when its node was started anew. */
  loseSandbox(pod: Pod, containerId = `${pod.metadata.name}-1`): void {
    const path = this.#sandboxes.get(containerId)
    if (path === undefined) return
    unmount(path)
    rmSync(path, { force: true })
    this.#sandboxes.delete(containerId)
  }

  /** Deletes the pod as a kubelet does that has no patience: the object is gone afterwards. */
  async removePod(pod: Pod): Promise<void> {
    const { name, namespace = '', uid } = pod.metadata
    await this.remove(resources.pod, name, namespace)
    await eventually(`pod ${name} is gone`, async () => {
      const found = await this.api.get<Pod>(resources.pod, { namespace, name }, never)
      return found?.metadata.uid === uid ? undefined : true
    })
  }

  /** The end of a pod: deleted, and its sandbox removed. */
  async end(pod: Pod, call: Call = {}): Promise<void> {
    await this.removePod(pod)
    await this.del(pod, call)
  }

  endpoint(name: string, namespace = 'default'): Promise<SpiderEndpoint | undefined> {
    return this.api.get<SpiderEndpoint>(resources.endpoint, { namespace, name }, never)
  }

  /** Waits for an endpoint that is as wanted. */
  endpointHolds(name: string, holds: (endpoint: SpiderEndpoint) => boolean): Promise<SpiderEndpoint> {
    return eventually(`endpoint ${name} is as wanted`, async () => {
      const found = await this.endpoint(name)
      return found !== undefined && holds(found) ? found : undefined
    })
  }

  /** Who has which address, from the blocks: `address` to `pod nic`. */
  async owners(pool: string): Promise<ReadonlyMap<string, string>> {
    const entries = await this.#entries(pool)
    return new Map(entries.map(([ip, { pod, nic }]) => [ip, `${pod} ${nic}`]))
  }

  /** Uids of the pods that have addresses of the pool, in the order of the addresses. */
  async uids(pool: string): Promise<readonly string[]> {
    return (await this.#entries(pool)).map(([, { podUid }]) => podUid)
  }

  async #entries(pool: string): Promise<readonly (readonly [string, BlockEntry])[]> {
    const { items } = await this.api.listAll<SpiderIpBlock>(resources.ipBlock, {}, never)
    const entries = items.flatMap((block) => Object.entries(entriesOf(block)))
    return entries.filter(([, one]) => one.pool === pool).sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Reasons and messages of the Events about an object. */
  async events(name: string): Promise<readonly string[]> {
    const { items } = await this.api.listAll<EventLike>(resources.event, {}, never)
    return items
      .filter(({ involvedObject }) => involvedObject?.name === name)
      .map(({ reason, message }) => `${reason}: ${message}`)
  }

  /** Waits for an Event about an object. */
  eventOf(name: string, words: RegExp): Promise<string> {
    return eventually(`${name} has an Event ${words}`, async () =>
      (await this.events(name)).find((text) => words.test(text)),
    )
  }

  #nodeOf(pod: Pod): NodeKit {
    const found = this.#nodes.get(pod.spec?.nodeName ?? '')
    if (found === undefined) throw new Error(`pod ${pod.metadata.name} is on no node of the rig`)
    return found
  }

  async #netnsOf(dir: string, containerId: string): Promise<string> {
    const path = this.#sandboxes.get(containerId) ?? join(dir, `${containerId}.netns`)
    if (!this.#sandboxes.has(containerId)) {
      await this.#pause?.makeNamespace(path, never)
      this.#sandboxes.set(containerId, path)
    }
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { agent, allocator, kube } of this.#nodes.values()) {
      await agent.close()
      allocator.close()
      await kube.close()
    }
    this.#stop.abort()
    await this.#controller.catch(() => undefined)
    await this.kit[Symbol.asyncDispose]()
    for (const path of listMounts(this.#dir)) unmount(path)
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

export interface PodMore {
  readonly node?: string
  /** Value of annotation ippool. */
  readonly ippool?: object
  readonly annotations?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly namespace?: string
  readonly owner?: NonNullable<KubeObject['metadata']['ownerReferences']>[number]
  readonly spec?: object
}

interface AddJson {
  readonly ips?: readonly { readonly address: string; readonly gateway?: string }[]
  readonly routes?: readonly { readonly dst: string; readonly gw?: string }[]
  readonly code?: number
  readonly msg?: string
  readonly details?: string
}

interface EventLike extends KubeObject {
  readonly involvedObject?: { readonly name?: string }
  readonly reason?: string
  readonly message?: string
}

const refOf = ({ namespaced }: Resource, name: string, namespace: string) =>
  namespaced ? { name, namespace } : { name }
