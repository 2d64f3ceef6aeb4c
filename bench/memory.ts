// Memory of the controller with many allocated addresses, its start with them, and allocation from a large pool beside a small one.
// Usage: npm run bench:memory [-- --addresses 100000]. Needs root; brings a lab of its own up and down.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { blockOf, formatCidr, formatIpValue, ipOf, parseIp, toIp4 } from '../src/address/index.ts'
import {
  type BlockEntry,
  type KubeObject,
  type Resource,
  resources,
  type SpiderIpBlock,
} from '../src/api/index.ts'
import { jsonLogger } from '../src/base/index.ts'
import { KubeClient, loadKubeconfig } from '../src/kube/index.ts'
import { type AllocatorClient, createAllocatorClient } from '../src/rpc/index.ts'
import { type Lab, labUp, waitFor } from '../test/integration/lab-harness.ts'
import { inParallel } from '../test/support/ipam-burst.ts'
import { median } from './support/measure.ts'

const { values } = parseArgs({ options: { addresses: { type: 'string', default: '100000' } } })
const addresses = Number(values.addresses)
const node = 'far'
const perPool = 60_000
const smallPool = 250
const samples = 200
const never = new AbortController().signal

function memoryOf(pid: number): { readonly rssMb: number; readonly peakMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const megabytes = (key: string) =>
    Math.round(Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1]) / 1024)
  return { rssMb: megabytes('VmRSS'), peakMb: megabytes('VmHWM') }
}

function pod(name: string): KubeObject {
  const spec = { nodeName: node, containers: [{ name: 'pause', image: 'pause' }] }
  const annotations = {
    'ipam.spidernet.io/ippool': JSON.stringify({ ipv4: [name.startsWith('s') ? 'small' : 'large'] }),
  }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', annotations },
    spec,
  } as KubeObject
}

function entry(name: string, uid: string, pool: string): BlockEntry {
  return {
    pool,
    nic: 'eth0',
    owner: { kind: 'pod', uid },
    pod: `default/${name}`,
    podUid: uid,
    node,
    attachments: [{ containerId: uid.replaceAll('-', '').padEnd(64, '0'), node, active: true }],
    since: 1,
    grant: { prefixBits: 10 },
  } as BlockEntry
}

/** Pods, and blocks that say they hold the first addresses of 10.64.0.0/10. */
async function fill(api: KubeClient): Promise<void> {
  const first = parseIp('10.64.0.0')
  const blocks = new Map<string, { cidr: string; entries: Record<string, BlockEntry> }>()
  const names = Array.from({ length: addresses }, (_, index) => index)
  await inParallel(names, 64, async (index) => {
    const name = `held-${index}`
    const { metadata } = await api.create(resources.pod, pod(name), never)
    const ip = ipOf(toIp4(Number(first.value) + index))
    const { name: block, cidr } = blockOf(ip, { v4: 25, v6: 121 })
    const known = blocks.get(block) ?? { cidr: formatCidr(cidr), entries: {} }
    known.entries[formatIpValue(ip.value)] = entry(
      name,
      metadata.uid ?? '',
      `held-${Math.floor(index / perPool)}`,
    )
    blocks.set(block, known)
  })
  await inParallel([...blocks], 16, async ([name, { cidr, entries }]) => {
    const block: SpiderIpBlock = {
      apiVersion: 'spiderpool.spidernet.io/v2beta1',
      kind: 'SpiderIPBlock',
      metadata: { name },
      spec: { cidr, term: 1, entries },
    }
    await api.create(resources.ipBlock, block, never)
  })
}

function pool(name: string, subnet: string, ips: string): KubeObject {
  const object = { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind: 'SpiderIPPool', metadata: { name } }
  return { ...object, spec: { subnet, ips: [ips] } } as KubeObject
}

async function createAll(api: KubeClient, resource: Resource, objects: readonly KubeObject[]): Promise<void> {
  for (const object of objects) await api.create(resource, object, never)
}

async function agentClient(lab: Lab, api: KubeClient, url: string): Promise<AllocatorClient> {
  const agent = { namespace: 'kube-system', name: `spiderpool-agent-${node}` }
  const created = await api.create(
    resources.pod,
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: agent,
      spec: {
        nodeName: node,
        hostNetwork: true,
        serviceAccountName: 'spiderpool-agent',
        containers: [{ name: 'a', image: 'a' }],
      },
    } as KubeObject,
    never,
  )
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: agent.name, uid: created.metadata.uid }
  const { status } = await api.request<{ status: { token: string } }>(
    'POST',
    '/api/v1/namespaces/kube-system/serviceaccounts/spiderpool-agent/token',
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { boundObjectRef, expirationSeconds: 3600 },
    },
    never,
  )
  const ca = { pem: readFileSync(join(lab.dir, 'pki', 'ca.crt'), 'utf8') }
  return createAllocatorClient({
    urls: [url],
    ca,
    token: () => Promise.resolve(status.token),
    logger: jsonLogger('warn'),
  })
}

/** Median milliseconds of an ADD from each pool, taken in turn so that noise meets both. */
async function compare(api: KubeClient, client: AllocatorClient): Promise<Record<'small' | 'large', number>> {
  const times = { small: [] as number[], large: [] as number[] }
  for (let index = 0; index < samples; index++) {
    for (const name of ['small', 'large'] as const) {
      const podName = `${name[0]}-${index}`
      const { metadata } = await api.create(resources.pod, pod(podName), never)
      const startedMs = performance.now()
      const { ips } = await client.allocate(
        {
          containerId: `bench${name}${index}`,
          ifName: 'eth0',
          netns: '/run/netns/bench',
          podNamespace: 'default',
          podName,
          podUid: metadata.uid ?? '',
          defaultIpv4Pools: [],
          defaultIpv6Pools: [],
          cleanGateway: false,
          budgetMs: 30_000,
        },
        never,
      )
      times[name].push(performance.now() - startedMs)
      assert.equal(ips.length, 1)
    }
  }
  return { small: median(times.small), large: median(times.large) }
}

const lab = labUp(['node0'])
const api = new KubeClient(await loadKubeconfig(lab.kubeconfig))
try {
  const idleAgent = memoryOf(lab.pids().get('agent-node0') ?? 0)
  const idleController = memoryOf(lab.pids().get('controller') ?? 0)
  await createAll(api, resources.node, [{ apiVersion: 'v1', kind: 'Node', metadata: { name: node } }])
  await fill(api)
  const subnet = '10.64.0.0/10'
  await createAll(api, resources.ipPool, [
    pool('held-0', subnet, '10.64.0.0-10.64.234.95'),
    pool('held-1', subnet, '10.64.234.96-10.65.134.159'),
    pool(
      'large',
      subnet,
      `10.80.0.1-${formatIpValue(toIp4(Number(parseIp('10.80.0.1').value) + perPool - 1))}`,
    ),
    pool(
      'small',
      subnet,
      `10.81.0.1-${formatIpValue(toIp4(Number(parseIp('10.81.0.1').value) + smallPool - 1))}`,
    ),
  ])

  const before = lab.pids().get('controller') ?? 0
  const killedMs = performance.now()
  process.kill(before, 'SIGKILL')
  const controllerUrl = `https://127.0.0.1:${(JSON.parse(readFileSync(join(lab.dir, 'state.json'), 'utf8')) as { controllerPorts: number[] }).controllerPorts[0]}`
  const client = await agentClient(lab, api, controllerUrl)
  const readySeconds = await waitFor('a new controller answers', 120_000, async () => {
    const pid = lab.pids().get('controller')
    if (pid === undefined || pid === before) return undefined
    await client.check({ containerId: 'none', ifName: 'eth0', ips: [] }, AbortSignal.timeout(5_000))
    return (performance.now() - killedMs) / 1_000
  })
  const medians = await compare(api, client)
  await waitFor('endpoints are written', 600_000, async () => {
    const path = '/apis/spiderpool.spidernet.io/v2beta1/spiderendpoints?limit=1'
    const { metadata } = await api.request<{ metadata: { remainingItemCount?: number } }>(
      'GET',
      path,
      undefined,
      never,
    )
    return (metadata.remainingItemCount ?? 0) + 1 >= addresses ? true : undefined
  })
  const controller = memoryOf(lab.pids().get('controller') ?? 0)
  client.close()
  const result = {
    addresses,
    controllerIdleMb: idleController.rssMb,
    controllerMb: controller.rssMb,
    controllerPeakMb: controller.peakMb,
    agentIdleMb: idleAgent.rssMb,
    restartSeconds: Number(readySeconds.toFixed(2)),
    smallPoolMedianMs: Number(medians.small.toFixed(2)),
    largePoolMedianMs: Number(medians.large.toFixed(2)),
    ratioLargeToSmall: Number((medians.large / medians.small).toFixed(3)),
  }
  for (const [key, value] of Object.entries(result)) process.stdout.write(`${key.padEnd(20)} ${value}\n`)
  process.stdout.write(`${JSON.stringify(result)}\n`)
} finally {
  await api.close()
  lab.down()
}
