// A cluster with a leader that works, as an operator finds it: namespace team, nodes node1 and node2, and some pools.
import { type KubeObject, resources, type SpiderIpPool } from '../../src/api/index.ts'
import type { KubeClient } from '../../src/kube/index.ts'
import { type BareServer, startBareServer } from './bare-server.ts'
import { named } from './cli-kit.ts'
import { adminClient, controllerKubeconfig, installKinds, LeaderKit, repeat } from './leader-kit.ts'

const never = new AbortController().signal

/** What it is made of. Closing it ends all of it. */
export class OperatorKit implements AsyncDisposable {
  readonly server: BareServer
  readonly api: KubeClient
  readonly leader: LeaderKit

  private constructor(server: BareServer, api: KubeClient, leader: LeaderKit) {
    this.server = server
    this.api = api
    this.leader = leader
  }

  static async start(pools: readonly KubeObject[]): Promise<OperatorKit> {
    const server = await startBareServer()
    const api = await adminClient(server.kubeconfig)
    await repeat(() => api.list(resources.namespace, {}, never))
    await installKinds(api)
    await api.create(resources.namespace, named('v1', 'Namespace', 'team'), never)
    const body = { status: { conditions: [{ type: 'Ready', status: 'True' }] } }
    for (const name of ['node1', 'node2']) {
      await api.create(resources.node, named('v1', 'Node', name), never)
      await api.patch(resources.node, { name }, { type: 'merge', body, subresource: 'status' }, never)
    }
    await createPools(api, pools)
    return new OperatorKit(
      server,
      api,
      await LeaderKit.start(await controllerKubeconfig(server, api), { term: 7 }),
    )
  }

  /** A pod of namespace team. */
  async createPod(
    name: string,
    annotations: Readonly<Record<string, string>> = {},
    nodeName = 'node1',
  ): Promise<void> {
    const spec = { nodeName, containers: [{ name: 'main', image: 'none' }] }
    const metadata = { name, namespace: 'team', annotations }
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec }
    await this.api.create(resources.pod, pod as KubeObject, never)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leader[Symbol.asyncDispose]()
    await this.api.close()
    await this.server.close()
  }
}

export async function createPools(api: KubeClient, pools: readonly KubeObject[]): Promise<void> {
  for (const one of pools) await api.create(resources.ipPool, one as SpiderIpPool, never)
}

/** The annotation by which a pod names its pools. */
export const from = (...pools: readonly string[]): Readonly<Record<string, string>> => ({
  'ipam.spidernet.io/ippool': JSON.stringify({ ipv4: pools }),
})
