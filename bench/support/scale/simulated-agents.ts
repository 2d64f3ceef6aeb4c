// Agents without a node: each has the token of its own pod and its own TLS connections to the controller, as a real one.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KubeObject, type Pod, resources, trustNames } from '../../../src/api/index.ts'
import type { KubeApi } from '../../../src/kube/index.ts'
import { agentServiceAccount } from '../../../src/lab/node/register-node.ts'
import { systemNamespace } from '../../../src/lab/supervisor/program.ts'
import type { AllocatorClient } from '../../../src/rpc/index.ts'
import { inParallel } from '../../../test/support/ipam-burst.ts'
import { tokenOf } from '../../../test/support/leader-kit.ts'
import { containerIdOf } from '../plugin-call.ts'
import type { Answers } from './answers.ts'
import type { BenchCluster } from './cluster.ts'

const never = new AbortController().signal
const setUpAtOnce = 32
/** As long as a real agent waits between two reports of its sandboxes. */
const reportEveryMs = 7_000
const usualBudgetMs = 60_000

/** A pod that an ADD is for. */
export interface BenchPod {
  readonly name: string
  readonly uid: string
  readonly node: string
}

interface SimulatedAgent {
  readonly node: string
  readonly client: AllocatorClient
  /** Sandboxes that it says are alive. */
  readonly alive: { readonly containerId: string; readonly ifName: string }[]
}

/** Creates a pod on a node that asks for addresses of some pools. */
export async function createPod(
  api: KubeApi,
  pod: Pick<BenchPod, 'name' | 'node'>,
  pools: { readonly ipv4?: readonly string[]; readonly ipv6?: readonly string[] },
): Promise<BenchPod> {
  const annotations = { 'ipam.spidernet.io/ippool': JSON.stringify(pools) }
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod.name, namespace: 'default', annotations },
    spec: { nodeName: pod.node, containers: [{ name: 'pause', image: 'pause' }] },
  }
  const { metadata } = await api.create(resources.pod, object as KubeObject, never)
  return { ...pod, uid: metadata.uid ?? '' }
}

/** Makes a Node and the pod of its agent. @returns the agent's pod */
export async function createAgentPod(api: KubeApi, node: string): Promise<Pod> {
  await api.create(resources.node, { apiVersion: 'v1', kind: 'Node', metadata: { name: node } }, never)
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `spiderpool-agent-${node}`, namespace: systemNamespace },
    spec: {
      nodeName: node,
      hostNetwork: true,
      serviceAccountName: agentServiceAccount,
      containers: [{ name: 'agent', image: 'agent' }],
    },
  }
  return api.create<Pod>(resources.pod, object as Pod, never)
}

export class SimulatedAgents implements AsyncDisposable {
  readonly #agents: readonly SimulatedAgent[]
  readonly #stop = new AbortController()
  #reporting: readonly Promise<void>[] = []

  private constructor(agents: readonly SimulatedAgent[]) {
    this.#agents = agents
  }

  /** Makes nodes `node-0`, ... with an agent each. */
  static async start(cluster: BenchCluster, count: number): Promise<SimulatedAgents> {
    const { api } = cluster
    const names = Array.from({ length: count }, (_, index) => `node-${index}`)
    const agents = await inParallel(names, setUpAtOnce, async (node) => {
      const bound = await createAgentPod(api, node)
      const token = await tokenOf(api, 'agent', { bound, audience: trustNames.audience })
      return { node, client: cluster.client(token), alive: [] }
    })
    return new SimulatedAgents(agents)
  }

  /** Name of the node that serves a pod when only the first `count` agents have pods. */
  nodeFor(index: number, count: number): string {
    return `node-${index % count}`
  }

  /** Opens the connections of the first agents, and has the controller know their tokens, as agents do that worked a moment ago. */
  async warm(count: number): Promise<void> {
    await inParallel(this.#agents.slice(0, count), setUpAtOnce, ({ client }) =>
      client.check({ containerId: 'none', ifName: 'eth0', ips: [] }, never),
    )
  }

  /** The first agents report their sandboxes from now on, spread over time as those of real nodes are. */
  startReports(count: number): void {
    const signal = this.#stop.signal
    this.#reporting = this.#agents.slice(0, count).map(async (agent, index) => {
      await sleep((reportEveryMs * index) / count, undefined, { signal }).catch(() => undefined)
      let answeredMs = 0
      while (!signal.aborted) {
        const takenAtMs = Date.now()
        const report = { takenAtMs, answeredMs, alive: [...agent.alive] }
        await agent.client.nodeReport(report, signal).then(
          () => {
            answeredMs = takenAtMs
          },
          () => undefined, // as a real agent does: it reports again
        )
        await sleep(reportEveryMs, undefined, { signal }).catch(() => undefined)
      }
    })
  }

  /** ADD of a pod's first NIC; may be repeated. @returns milliseconds until it was answered */
  async add(pod: BenchPod, answers: Answers, budgetMs: number = usualBudgetMs): Promise<number> {
    const agent = this.#agents[Number(pod.node.slice('node-'.length))]
    assert.ok(agent !== undefined, `no agent on ${pod.node}`)
    const containerId = containerIdOf(pod.uid)
    if (agent.alive.at(-1)?.containerId !== containerId) agent.alive.push({ containerId, ifName: 'eth0' })
    const startedMs = performance.now()
    const { ips } = await agent.client.allocate(
      {
        ...{ containerId, ifName: 'eth0', netns: '/run/netns/bench' },
        ...{ podNamespace: 'default', podName: pod.name, podUid: pod.uid },
        ...{ defaultIpv4Pools: [], defaultIpv6Pools: [], cleanGateway: false, budgetMs },
      },
      never,
    )
    const tookMs = performance.now() - startedMs
    answers.note(
      pod,
      ips.map(({ address }) => address.split('/')[0] ?? ''),
    )
    return tookMs
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#reporting)
    for (const { client } of this.#agents) client.close()
  }
}
