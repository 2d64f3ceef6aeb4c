// Who may ask the controller for what, while strangers do their worst, certificates rotate, and real agents go on attaching pods.
// mostly waits
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AllocateRequest, controllerServerName, type Pod, resources } from '../../src/api/index.ts'
import { silentLogger } from '../../src/base/index.ts'
import { createAllocatorClient } from '../../src/rpc/index.ts'
import { ConnectionFlood, slowLoris } from '../support/attackers.ts'
import { TrustKit } from '../support/trust-kit.ts'
import { recordedAddresses } from './kernel-checker.ts'
import { kubectlPath, type Lab, labUp, waitFor } from './lab-harness.ts'

// Several serving certificates and one authority end while the tests run.
const lifetimes = '--ca-seconds=90 --cert-seconds=30 --ca-overlap-seconds=3'
const rotationBudgetMs = 150_000
const stranger = '127.0.0.2'
const slowStranger = '127.0.0.3'
const never = new AbortController().signal

const pod = (name: string, node: string) => `---
apiVersion: v1
kind: Pod
metadata:
  name: ${name}
  annotations: {ipam.spidernet.io/ippool: '{"ipv4":["trust"]}'}
spec: {nodeName: ${node}, terminationGracePeriodSeconds: 1, containers: [{name: pause, image: pause}]}
`
const manifests = `apiVersion: v1
kind: ServiceAccount
metadata: {name: somebody, namespace: default}
---
apiVersion: spiderpool.spidernet.io/v2beta1
kind: SpiderIPPool
metadata: {name: trust}
spec: {subnet: 10.6.0.0/16, ips: ["10.6.130.1-10.6.130.60"]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: trust}
spec:
  replicas: 0
  selector: {matchLabels: {app: trust}}
  template:
    metadata:
      labels: {app: trust}
      annotations: {ipam.spidernet.io/ippool: '{"ipv4":["trust"]}'}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: pause, image: pause}]}
${pod('mine', 'node0')}${pod('theirs', 'node1')}`

interface Sandbox {
  readonly ip: string
  readonly containerId: string
  readonly uid: string
}

let lab: Lab | undefined
let kit: TrustKit
let stream: SteadyStream
let ours: string
const sandboxes = new Map<string, Sandbox>()

before(async () => {
  const flags = `--controller-flags=--metrics-listen=127.0.0.1:0 ${lifetimes}`
  lab = labUp(['node0', 'node1'], ['--controllers', '2', flags])
  kit = await TrustKit.open(lab)
  lab.kubectl(['apply', '-f', '-'], manifests)
  for (const name of ['mine', 'theirs']) sandboxes.set(name, await sandboxOf(name))
  ours = await kit.token({ pod: 'spiderpool-agent-node0' })
  stream = new SteadyStream()
})
after(async () => {
  await stream?.stop()
  await kit?.api.close()
  lab?.down()
})

async function sandboxOf(name: string): Promise<Sandbox> {
  return waitFor(`pod ${name} runs`, 60_000, async () => {
    const found = await kit.api.get<Pod>(resources.pod, { namespace: 'default', name }, never)
    const ip = found?.status?.podIP
    if (found?.status?.phase !== 'Running' || ip === undefined) return undefined
    const { items } = await kit.api.listAll(resources.ipBlock, {}, never)
    const containerId = /"containerId":"([^"]+)"/.exec(entryText(items, ip))?.[1] ?? ''
    return { ip, containerId, uid: found.metadata.uid ?? '' }
  })
}

function entryText(blocks: readonly unknown[], ip: string): string {
  const entries = blocks.map((block) => (block as { spec: { entries?: object } }).spec.entries ?? {})
  return entries.map((all) => (all as Record<string, string>)[ip]).find(Boolean) ?? ''
}

function sandbox(name: string): Sandbox {
  const found = sandboxes.get(name)
  assert.ok(found !== undefined && found.containerId !== '')
  return found
}

const allocation = (podName: string): AllocateRequest => ({
  containerId: sandbox(podName).containerId,
  ifName: 'eth0',
  netns: '/var/run/netns/x',
  podNamespace: 'default',
  podName,
  podUid: sandbox(podName).uid,
  defaultIpv4Pools: [],
  defaultIpv6Pools: [],
  cleanGateway: false,
  budgetMs: 30_000,
})
const allocate = (podName: string, token?: string, from?: string) =>
  kit.post('/v1/allocate', JSON.stringify(allocation(podName)), {
    ...(token === undefined ? {} : { token }),
    ...(from === undefined ? {} : { from }),
  })

/**
 * Calls of an agent and of the API server that must all succeed, whatever else happens: an agent that knows the authorities of a
 * moment ago, one that is new, a look at each replica with what is published, and a write that only the webhook refuses.
 */
class SteadyStream {
  readonly failures: string[] = []
  readonly serving = new Set<string>()
  readonly bundles = new Set<string>()
  rounds = 0
  #isOver = false
  readonly #running = Promise.all([this.#agent(), this.#replicas(), this.#webhook()])

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  async #repeat(what: string, work: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      try {
        await work()
      } catch (error) {
        this.failures.push(`${new Date().toISOString()} ${what}: ${String(error)}`)
      }
      await sleep(300)
    }
  }

  #agent(): Promise<void> {
    let known = ''
    return this.#repeat('allocate', async () => {
      const answers = [known, '']
      const read = async () => answers.shift() || (await kit.bundle())
      const client = createAllocatorClient({
        urls: kit.ports.map((port) => `https://127.0.0.1:${port}`),
        ca: { read },
        servername: controllerServerName('kube-system'),
        token: () => Promise.resolve(ours),
        logger: silentLogger,
      })
      try {
        const { ips } = await client.allocate(allocation('mine'), AbortSignal.timeout(30_000))
        assert.deepEqual(
          ips.map(({ address }) => address),
          [`${sandbox('mine').ip}/16`],
        )
      } finally {
        client.close()
      }
      known = await kit.bundle()
      this.rounds += 1
    })
  }

  #replicas(): Promise<void> {
    return this.#repeat('look at a replica', async () => {
      const bundle = await kit.bundle()
      this.bundles.add(bundle)
      for (const port of kit.ports) this.serving.add((await kit.served(port, bundle)).fingerprint256)
    })
  }

  #webhook(): Promise<void> {
    const overlapping = {
      apiVersion: 'spiderpool.spidernet.io/v2beta1',
      kind: 'SpiderIPPool',
      metadata: { name: 'overlapping' },
      spec: { subnet: '10.6.128.0/17', ips: ['10.6.130.1'] },
    }
    return this.#repeat('webhook', async () => {
      await assert.rejects(kit.api.create(resources.ipPool, overlapping, never), /overlaps the network/)
    })
  }
}

/** Real agents attach ten pods and detach them again. */
async function podsComeAndGo(): Promise<void> {
  const scale = (replicas: number) =>
    kit.api.patch(
      { group: 'apps', version: 'v1', plural: 'deployments', kind: 'Deployment', namespaced: true },
      { namespace: 'default', name: 'trust' },
      { type: 'merge', body: { spec: { replicas } } },
      never,
    )
  const pods = async () =>
    (await kit.api.listAll<Pod>(resources.pod, { namespace: 'default', labelSelector: 'app=trust' }, never))
      .items
  await scale(10)
  await waitFor('ten pods run', 60_000, async () => {
    const running = (await pods()).filter(({ status }) => status?.phase === 'Running')
    return running.length === 10 ? true : undefined
  })
  await scale(0)
  await waitFor('they are gone', 60_000, async () => ((await pods()).length === 0 ? true : undefined))
}

async function counted(reason: string, atLeast: number, work: () => Promise<void>): Promise<void> {
  const before = (await kit.refusals()).get(reason)
  assert.ok(before !== undefined, `${reason} is not counted`)
  await work()
  const now = (await kit.refusals()).get(reason) ?? 0
  assert.ok(now >= before + atLeast, `${reason}: ${before}, then ${now}`)
}

void test('an agent is served for pods of its own node, and for no other', async () => {
  assert.equal((await allocate('mine', ours)).status, 200)
  const theirs = sandbox('theirs')
  const call = { containerId: theirs.containerId, ifName: 'eth0' }
  await counted('other-node', 4, async () => {
    const answers = [
      await allocate('theirs', ours),
      await kit.post('/v1/check', JSON.stringify({ ...call, ips: [theirs.ip] }), { token: ours }),
      await kit.post('/v1/release', JSON.stringify({ ...call, reason: 'detach' }), { token: ours }),
      await kit.post('/v1/release', JSON.stringify({ ...call, reason: 'undo' }), { token: ours }),
    ]
    for (const { status, failure } of answers) {
      assert.equal(status, 403, JSON.stringify(failure))
      assert.equal(failure.code, 105)
      assert.match(failure.msg ?? '', /Cannot serve node "node0" .*it is on node "node1"/)
      assert.match(failure.details ?? '', /bound to the agent pod of its own node/)
    }
  })
  const recorded = recordedAddresses(kubectlPath, lab?.kubeconfig ?? '')
  assert.ok(recorded.some(({ address }) => address === theirs.ip))
  const own = await kit.token({ pod: 'spiderpool-agent-node1' })
  assert.equal(
    (await kit.post('/v1/check', JSON.stringify({ ...call, ips: [theirs.ip] }), { token: own })).status,
    200,
  )
})

void test('a call without a good token is refused with the reason and the remedy, and counted', async () => {
  lab?.kubectl(['apply', '-f', '-'], agentPod)
  const ofPod = await kit.token({ pod: 'agent-gone' })
  lab?.kubectl(['delete', 'pod', '-n', 'kube-system', 'agent-gone', '--force', '--grace-period=0'])
  const hourAgo = Math.floor(Date.now() / 1000) - 3600
  const past = { iat: hourAgo - 600, nbf: hourAgo - 600, exp: hourAgo }
  const [head = '', body = ''] = ours.split('.')
  const cases: readonly (readonly [string, number, string | undefined])[] = [
    ['no-token', 401, undefined],
    ['unknown-token', 401, 'nonsense'],
    ['unknown-token', 401, `${head}.${body}.${Buffer.alloc(64, 7).toString('base64url')}`],
    ['unknown-token', 401, ofPod],
    ['expired-token', 401, kit.resign(ours, past)],
    ['wrong-audience', 401, await kit.token({ pod: 'spiderpool-agent-node0', audience: 'default' })],
    ['wrong-audience', 401, await kit.token({ pod: 'spiderpool-agent-node0', audience: 'somebody' })],
    ['wrong-account', 403, await kit.token({ namespace: 'default', account: 'somebody' })],
    ['no-node', 403, await kit.token({})],
  ]
  assert.equal((await allocate('mine', kit.resign(ours, {}))).status, 200, 'the key is the right one')
  for (const [reason, status, token] of cases) {
    await counted(reason, 1, async () => {
      const answer = await allocate('mine', token)
      assert.equal(answer.status, status, `${reason}: ${JSON.stringify(answer)}`)
      assert.match(answer.failure.msg ?? '', /^Cannot accept the caller: /)
      assert.match(answer.failure.details ?? '', /^unauthenticated: .{10}/)
    })
  }
})

const agentPod = `apiVersion: v1
kind: Pod
metadata: {name: agent-gone, namespace: kube-system}
spec:
  nodeName: node0
  hostNetwork: true
  serviceAccountName: spiderpool-agent
  containers: [{name: pause, image: pause}]
`

void test('bodies of 10 MB are refused, of strangers before they are read', async () => {
  const big = Buffer.alloc(10 * 1024 * 1024, 'x')
  const isRefused = (answer: { status: number }, status: number) =>
    assert.ok([status, 0].includes(answer.status), String(answer.status))
  isRefused(await kit.post('/v1/allocate', big, { from: stranger }), 401)
  await counted('too-large', 3, async () => {
    isRefused(await kit.post('/v1/allocate', big, { token: ours }), 413)
    isRefused(await kit.post('/v1/allocate', big, { token: ours, isChunked: true }), 413)
    isRefused(
      await kit.post('/validate-spiderpool-spidernet-io-v2beta1-spiderippool', big, {
        from: stranger,
        isChunked: true,
      }),
      413,
    )
  })
  await podsComeAndGo()
})

void test('strangers with 5,000 connections, slow requests and false tokens hold up no agent', async (t) => {
  const port = await kit.leaderPort()
  const slowHeads = Array.from({ length: 50 }, () => 'POST /v1/allocate HTTP/1.1\r\nHost: x\r\nX-Slow: ')
  const auth = `Authorization: Bearer ${ours}\r\nContent-Length: 1000000\r\n`
  const slowBodies = Array.from({ length: 10 }, () => `POST /v1/allocate HTTP/1.1\r\nHost: x\r\n${auth}\r\n{`)
  await counted('too-slow', 60, async () => {
    const slow = Promise.all(
      [...slowHeads, ...slowBodies].map((head) => slowLoris({ port, from: slowStranger }, head)),
    )
    const flood = new ConnectionFlood({ port, from: stranger }, 5_000)
    try {
      await podsComeAndGo()
      await madeUpTokens()
      const seconds = await slow
      t.diagnostic(`slow clients were cut off after ${Math.max(...seconds).toFixed(1)} s at most`)
      assert.ok(Math.max(...seconds) < 60)
    } finally {
      flood.stop()
    }
    t.diagnostic(`${flood.opened} connections opened, ${flood.dropped} dropped`)
    assert.ok(flood.opened >= 5_000 && flood.dropped >= 5_000 - 256, `${flood.opened}, ${flood.dropped}`)
  })
  assert.ok(((await kit.refusals()).get('too-many-connections') ?? 0) >= 5_000 - 256)
})

async function madeUpTokens(): Promise<void> {
  const [head = '', body = ''] = ours.split('.')
  const statuses = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      allocate('mine', `${head}.${body}.${Buffer.alloc(64, index).toString('base64url')}`, slowStranger),
    ),
  )
  assert.ok(statuses.every(({ status }) => [0, 401, 503].includes(status)))
}

void test('certificates and their authority were renewed meanwhile, and not one call failed', async (t) => {
  const first = [...stream.bundles][0] ?? ''
  const count = (bundle: string) => bundle.match(/BEGIN CERTIFICATE/g)?.length ?? 0
  await waitFor('the first authority is gone', rotationBudgetMs, () => {
    const last = [...stream.bundles].at(-1) ?? ''
    return stream.serving.size >= 4 && count(last) === 1 && !first.includes(last) ? true : undefined
  })
  await stream.stop()
  t.diagnostic(
    `${stream.rounds} rounds, ${stream.serving.size} serving certificates, ${stream.bundles.size} bundles`,
  )
  assert.deepEqual(stream.failures, [])
  assert.ok([...stream.bundles].some((bundle) => count(bundle) === 2))
})
