// A cluster with many allocated addresses, made in minutes: pods, and the blocks that say what they hold. And an agent to ask with.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatIpValue, ipOf, parseIp, toIp4 } from '../../src/address/index.ts'
import { readAuthorities } from '../../src/agent/index.ts'
import { annotationKeys, type KubeObject, resources, trustNames } from '../../src/api/index.ts'
import { jsonLogger } from '../../src/base/index.ts'
import type { KubeApi } from '../../src/kube/index.ts'
import { type AllocatorClient, createAllocatorClient } from '../../src/rpc/index.ts'
import type { Lab } from '../../test/integration/lab-harness.ts'
import { inParallel } from '../../test/support/ipam-burst.ts'
import { HeldBlocks, heldEntry } from './held-blocks.ts'
import { containerIdOf } from './plugin-call.ts'

const never = new AbortController().signal
/** A node that nothing runs on, with a name as long as clouds give them. */
export const farNode = 'worker-17.far.bench.internal'
const systemNamespace = 'kube-system'
const subnet = '10.64.0.0/10'
const gateway = '10.127.255.254'
const perPool = 60_000 // addresses: a pool has at most 65,536
const tokenSeconds = 7200

/** A pod of the far node as Kubernetes keeps it: nobody evicts it, though no kubelet speaks for its node. */
function podOf(name: string, pool: string): KubeObject {
  const spec = {
    nodeName: farNode,
    containers: [{ name: 'pause', image: 'pause' }],
    tolerations: [{ operator: 'Exists' }],
  }
  const annotations = { [annotationKeys.ippool]: JSON.stringify({ ipv4: [pool] }) }
  const labels = { app: 'bench', 'pod-template-hash': '5d4f8c7b9' }
  const metadata = { name, namespace: 'default', annotations, labels }
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec } as KubeObject
}

export async function createPod(api: KubeApi, name: string, pool: string): Promise<string> {
  const { metadata } = await api.create(resources.pod, podOf(name, pool), never)
  return metadata.uid ?? ''
}

/** The node, so many pods of it, blocks that give them the first addresses of 10.64.0.0/10, and the pools of those addresses. */
export async function fill(api: KubeApi, addresses: number): Promise<void> {
  const first = Number(parseIp('10.64.0.0').value)
  const textOf = (index: number): string => formatIpValue(toIp4(first + index))
  const poolOf = (index: number): string => `held-${Math.floor(index / perPool)}`
  await api.create(
    resources.node,
    { apiVersion: 'v1', kind: 'Node', metadata: { name: farNode } } as KubeObject,
    never,
  )
  const blocks = new HeldBlocks()
  const indexes = Array.from({ length: addresses }, (_, index) => index)
  await inParallel(indexes, 64, async (index) => {
    const name = `held-${Math.floor(index / 10)}-5d4f8c7b9-${index.toString(36).padStart(5, '0')}`
    const uid = await createPod(api, name, poolOf(index))
    const pod = { name, uid, node: farNode }
    blocks.hold(ipOf(toIp4(first + index)), heldEntry(pod, poolOf(index), { prefixBits: 10, gateway }))
  })
  await blocks.write(api)
  for (let start = 0; start < addresses; start += perPool) {
    const last = Math.min(start + perPool, addresses) - 1
    await createPool(api, poolOf(start), `${textOf(start)}-${textOf(last)}`)
  }
}

/** A pool of 10.64.0.0/10. */
export async function createPool(api: KubeApi, name: string, ips: string): Promise<void> {
  const pool = {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name },
    spec: { subnet, gateway, ips: [ips] },
  }
  await api.create(resources.ipPool, pool as KubeObject, never)
}

/** What the agent of the far node would ask with: its token is of a pod of that node. */
export async function farAgent(lab: Lab, api: KubeApi): Promise<AllocatorClient> {
  const name = `spiderpool-agent-${farNode}`
  const created = await api.create(
    resources.pod,
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: systemNamespace, name },
      spec: {
        nodeName: farNode,
        hostNetwork: true,
        serviceAccountName: 'spiderpool-agent',
        containers: [{ name: 'a', image: 'a' }],
        tolerations: [{ operator: 'Exists' }],
      },
    } as KubeObject,
    never,
  )
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name, uid: created.metadata.uid }
  const { status } = await api.request<{ readonly status: { readonly token: string } }>(
    'POST',
    `/api/v1/namespaces/${systemNamespace}/serviceaccounts/spiderpool-agent/token`,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [trustNames.audience], boundObjectRef, expirationSeconds: tokenSeconds },
    },
    never,
  )
  const { controllerPorts } = JSON.parse(readFileSync(join(lab.dir, 'state.json'), 'utf8')) as {
    readonly controllerPorts: readonly number[]
  }
  return createAllocatorClient({
    urls: controllerPorts.map((port) => `https://127.0.0.1:${port}`),
    ca: { read: (signal) => readAuthorities(api, systemNamespace, signal) },
    token: () => Promise.resolve(status.token),
    logger: jsonLogger('warn'),
  })
}

/** Asks for an address for a pod of the far node. @returns it */
export async function allocate(
  client: AllocatorClient,
  podName: string,
  podUid: string,
  budgetMs: number,
): Promise<string> {
  const { ips } = await client.allocate(
    {
      containerId: containerIdOf(podUid),
      ifName: 'eth0',
      netns: '/run/netns/bench',
      podNamespace: 'default',
      podName,
      podUid,
      defaultIpv4Pools: [],
      defaultIpv6Pools: [],
      cleanGateway: false,
      budgetMs,
    },
    never,
  )
  const [ip] = ips
  if (ip === undefined || ips.length > 1) throw new Error(`${podName} got ${ips.length} addresses`)
  return ip.address.split('/')[0] ?? ''
}
