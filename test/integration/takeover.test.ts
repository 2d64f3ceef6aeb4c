// 1000 ADDs while the leader is killed, told to end, cut off from the API server, and frozen past its lease: none fails,
// no address is given twice, nothing is left, and whoever wakes late answers nothing.
// mostly waits
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import https from 'node:https'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readAuthorities } from '../../src/agent/index.ts'
import {
  controllerServerName,
  type KubeObject,
  resources,
  type SpiderEndpoint,
  type SpiderIpPool,
} from '../../src/api/index.ts'
import { KubeClient, loadKubeconfig } from '../../src/kube/index.ts'
import {
  type CallResult,
  callPlugin,
  inParallel,
  longestPauseMs,
  type Sandbox,
} from '../support/ipam-burst.ts'
import { journalNames } from '../support/journal-names.ts'
import { recordedAddresses } from './kernel-checker.ts'
import { kubectlPath, type Lab, labUp, waitFor } from './lab-harness.ts'

const nodes = ['node0', 'node1', 'node2', 'node3']
const addCount = 1000
const callsAtOnce = 64
/** The time of an ADD in the plugin: a runtime gives up on it no earlier. */
const addLimitMs = 100_000
/** So many are answered before something happens, and are waited for after it. */
const stepCount = 200
const outageMs = 20_000
/** The lab's runtime gets so long between two bursts, while no pod is there: a node that is silent loses its pods. */
const breathMs = 3000
const never = new AbortController().signal

const pools = `apiVersion: spiderpool.spidernet.io/v2beta1
kind: SpiderIPPool
metadata: {name: take4}
spec: {subnet: 10.6.0.0/16, ips: ["10.6.140.1-10.6.144.100"]}
---
apiVersion: spiderpool.spidernet.io/v2beta1
kind: SpiderIPPool
metadata: {name: take6}
spec: {subnet: "fd00:6::/64", ips: ["fd00:6::1-fd00:6::500"]}
`

let running: Lab | undefined
let client: KubeClient | undefined
const stopped = new Set<number>()

before(async () => {
  running = labUp(nodes, ['--controllers', '2'])
  running.kubectl(['apply', '-f', '-'], pools)
  client = new KubeClient(await loadKubeconfig(running.kubeconfig))
  // The pods of this test are the sandboxes that it makes itself: the lab's own runtime must not.
  stop(pidOf('lab-world'))
})
after(async () => {
  for (const pid of stopped) goOn(pid)
  await client?.close()
  running?.down()
})

function lab(): Lab {
  assert.ok(running !== undefined)
  return running
}

function api(): KubeClient {
  assert.ok(client !== undefined)
  return client
}

function pidOf(name: string): number {
  const pid = lab().pids().get(name)
  assert.ok(pid !== undefined, `no process ${name}`)
  return pid
}

function stop(pid: number): void {
  process.kill(pid, 'SIGSTOP')
  stopped.add(pid)
}

function goOn(pid: number): void {
  process.kill(pid, 'SIGCONT')
  stopped.delete(pid)
}

/** While it is stopped, a controller that ends stays away, as on a machine that is off. */
function supervisorPid(): number {
  const state = readFileSync(join(lab().dir, 'state.json'), 'utf8')
  return (JSON.parse(state) as { readonly supervisor: { readonly pid: number } }).supervisor.pid
}

/** A process that nobody waits for, as its parent is stopped, is a zombie when it has ended. */
async function untilEnded(pid: number): Promise<number> {
  for (;;) {
    try {
      if (/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return performance.now()
    } catch {
      return performance.now()
    }
    await sleep(20)
  }
}

interface Leader {
  readonly name: string
  readonly url: string
  readonly term: number
  /** When it took the lease, by the clock of this machine. */
  readonly sinceMs: number
}

interface LeaseView extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string
    readonly leaseTransitions?: number
    readonly acquireTime?: string
  }
}

async function findLeader(): Promise<Leader | undefined> {
  const ref = { namespace: 'kube-system', name: 'spiderpool-controller-leases' }
  const lease = await api().get<LeaseView>(resources.lease, ref, AbortSignal.timeout(5000))
  const [name = '', url = ''] = lease?.spec?.holderIdentity?.split(' at ') ?? []
  const { leaseTransitions: term = 0, acquireTime = '' } = lease?.spec ?? {}
  return name === '' ? undefined : { name, url, term, sinceMs: Date.parse(acquireTime) }
}

async function someLeader(): Promise<Leader> {
  return waitFor('somebody leads', 60_000, findLeader)
}

async function otherLeader(than: Leader): Promise<Leader> {
  return waitFor(`another than ${than.name} leads`, 60_000, async () => {
    const now = await findLeader()
    return now?.name === than.name ? undefined : now
  })
}

/** Pods as the scheduler leaves them, and a sandbox for each. */
async function makePods(tag: string): Promise<readonly Sandbox[]> {
  const sandboxes = Array.from({ length: addCount }, (_, index) => ({
    pod: `${tag}-${index}`,
    node: nodes[index % nodes.length] ?? '',
    containerId: `${tag}c${index}`,
  }))
  const annotations = { 'ipam.spidernet.io/ippool': '{"ipv4":["take4"],"ipv6":["take6"]}' }
  await inParallel(sandboxes, 16, ({ pod: name, node: nodeName }) => {
    const metadata = { name, namespace: 'default', annotations, labels: { burst: tag } }
    const spec = { nodeName, terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image: 'pause' }] }
    return api().create(resources.pod, { apiVersion: 'v1', kind: 'Pod', metadata, spec } as KubeObject, never)
  })
  return sandboxes
}

const nodeDir = (node: string) => join(lab().dir, 'nodes', node)
const netnsFor = ({ node }: Sandbox) => join(nodeDir(nodes.find((other) => other !== node) ?? ''), 'netns')

/** A burst of ADDs under way. */
class Burst {
  readonly done: Promise<readonly CallResult[]>
  readonly answered: CallResult[] = []

  constructor(sandboxes: readonly Sandbox[]) {
    this.done = inParallel(sandboxes, callsAtOnce, async (sandbox) => {
      const result = await callPlugin(lab().dir, 'ADD', sandbox, netnsFor(sandbox))
      if (result.exitCode === 0) this.answered.push(result)
      return result
    })
  }

  /** Until so many more are answered than now. */
  async further(count: number): Promise<void> {
    const wanted = Math.min(addCount, this.answered.length + count)
    let isOver = false
    void this.done.finally(() => {
      isOver = true
    })
    while (this.answered.length < wanted && !isOver) await sleep(10)
  }
}

async function endpoints(): Promise<readonly SpiderEndpoint[]> {
  const { items } = await api().listAll<SpiderEndpoint>(resources.endpoint, {}, AbortSignal.timeout(10_000))
  return items
}

const bare = (cidr: string | undefined) => cidr?.split('/')[0] ?? ''

/** No ADD failed, and answers, ledger and endpoints say the same, each address once. */
async function assertAllServed(results: readonly CallResult[], t: TestContext, what: string): Promise<void> {
  const failed = results.filter(({ exitCode }) => exitCode !== 0)
  assert.deepEqual(
    failed.map(({ pod, output }) => `${pod}: ${output}`),
    [],
    'no ADD fails',
  )
  const slowest = Math.max(...results.map(({ tookMs }) => tookMs))
  const pause = longestPauseMs(results.map(({ endedMs }) => endedMs))
  const inAll = Math.max(...results.map(({ endedMs }) => endedMs)) - startOf(results)
  const seconds = [pause, slowest, inAll].map((ms) => (ms / 1000).toFixed(1))
  t.diagnostic(`${what}: longest pause ${seconds[0]} s, slowest ADD ${seconds[1]} s, all in ${seconds[2]} s`)
  assert.ok(slowest < addLimitMs)
  const answers = new Map(results.map(({ pod, ips }) => [`default/${pod}`, [...ips].sort()]))
  assert.equal(answers.size, addCount)
  assert.equal(new Set([...answers.values()].flat()).size, 2 * addCount, 'two families each, none doubled')
  const recorded = Map.groupBy(recordedAddresses(kubectlPath, lab().kubeconfig), ({ pod }) => pod)
  const inLedger = new Map(
    [...recorded].map(([pod, list]) => [pod, list.map(({ address }) => address).sort()]),
  )
  assert.deepEqual(sorted(inLedger), sorted(answers), 'the ledger has what was answered')
  await waitFor('endpoints show what was answered', 60_000, async () => {
    const shown = (await endpoints()).map(({ metadata, status }) => {
      const ips = status.current.ips.flatMap(({ ipv4, ipv6 }) => [bare(ipv4), bare(ipv6)])
      return [`default/${metadata.name}`, ips.filter((ip) => ip !== '').sort()] as const
    })
    assert.deepEqual(sorted(new Map(shown)), sorted(answers))
    return true
  })
}

function startOf(results: readonly CallResult[]): number {
  return Math.min(...results.map(({ endedMs, tookMs }) => endedMs - tookMs))
}

function sorted(map: ReadonlyMap<string, readonly string[]>) {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Takes everything down again: then neither ledger, endpoints, pools nor agents hold anything. */
async function giveBack(sandboxes: readonly Sandbox[], tag: string): Promise<void> {
  const path = `/api/v1/namespaces/default/pods?labelSelector=${encodeURIComponent(`burst=${tag}`)}`
  const options = { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 }
  await api().request('DELETE', path, options, never)
  const results = await inParallel(sandboxes, callsAtOnce, (sandbox) =>
    callPlugin(lab().dir, 'DEL', sandbox, netnsFor(sandbox)),
  )
  assert.deepEqual(
    results.filter(({ exitCode }) => exitCode !== 0).map(({ output }) => output),
    [],
    'no DEL fails',
  )
  await waitFor('nothing is left', 120_000, async () => {
    assert.deepEqual(recordedAddresses(kubectlPath, lab().kubeconfig), [])
    assert.equal((await endpoints()).length, 0)
    for (const node of nodes) {
      const spool = readdirSync(join(nodeDir(node), 'agent/spool'), { recursive: true, withFileTypes: true })
      const files = spool.filter((entry) => entry.isFile()).map(({ name }) => name)
      assert.deepEqual(files, [], `spool of ${node}`)
      assert.deepEqual(journalNames(join(nodeDir(node), 'agent/journal')), [], `journal of ${node}`)
    }
    const { items } = await api().list<SpiderIpPool>(resources.ipPool, {}, AbortSignal.timeout(5000))
    assert.ok(items.every(({ status }) => status?.allocatedIPCount === 0))
    return true
  })
}

/** Both replicas are back, one of them leads, and nodes show that they live. */
async function settle(): Promise<Leader> {
  const world = pidOf('lab-world')
  goOn(world)
  await sleep(breathMs)
  stop(world)
  await waitFor('both controllers run', 60_000, () => {
    const pids = lab().pids()
    return pids.has('controller') && pids.has('controller-2') ? true : undefined
  })
  return someLeader()
}

for (const [signal, what] of [
  ['SIGKILL', 'leader killed'],
  ['SIGTERM', 'leader told to end'],
] as const) {
  void test(`1000 ADDs with the ${what}`, async (t) => {
    const tag = signal.toLowerCase()
    const leader = await settle()
    const sandboxes = await makePods(tag)
    const burst = new Burst(sandboxes)
    await burst.further(stepCount)
    const pid = pidOf(leader.name)
    stop(supervisorPid())
    const atMs = performance.now()
    const atTime = Date.now()
    process.kill(pid, signal)
    const endedMs = untilEnded(pid)
    const next = await otherLeader(leader)
    assert.equal(next.term, leader.term + 1, 'one change of leaders, no more')
    const results = await burst.done
    goOn(supervisorPid())
    t.diagnostic(`${what}: its process ended ${(((await endedMs) - atMs) / 1000).toFixed(1)} s after it`)
    const later = results.filter(({ endedMs, tookMs }) => endedMs - tookMs > atMs)
    const firstAfter = Math.min(...later.map(({ endedMs }) => endedMs))
    t.diagnostic(`${what}: the lease was taken ${((next.sinceMs - atTime) / 1000).toFixed(1)} s after it`)
    t.diagnostic(`${what}: first answer to a later ADD ${((firstAfter - atMs) / 1000).toFixed(1)} s after it`)
    await assertAllServed(results, t, what)
    await giveBack(sandboxes, tag)
  })
}

void test('1000 ADDs with the API server stopped for 20 s, and then killed', async (t) => {
  const leader = await settle()
  const sandboxes = await makePods('outage')
  const burst = new Burst(sandboxes)
  await burst.further(stepCount)
  const pid = pidOf('apiserver')
  stop(pid)
  await sleep(outageMs)
  goOn(pid)
  await burst.further(stepCount)
  const then = await someLeader()
  t.diagnostic(`the outage cost ${then.term - leader.term} change of leaders`)
  assert.ok(then.term - leader.term <= 2, 'leaders do not flap')
  process.kill(pidOf('apiserver'), 'SIGKILL')
  await assertAllServed(await burst.done, t, 'API server stopped for 20 s, then killed')
  await giveBack(sandboxes, 'outage')
})

interface Reply {
  readonly status: number
  readonly body: string
}

/** A connection to one replica that is opened now and used later. */
class DirectConnection {
  readonly #agent: https.Agent
  readonly #url: string

  constructor(url: string, ca: string) {
    this.#url = url
    const servername = controllerServerName('kube-system')
    this.#agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca, servername })
  }

  /** What is sent to a frozen process lies in its socket until it wakes: it is the first that it reads. */
  send(method: string, path: string, body?: unknown): Promise<Reply> {
    const token = readFileSync(join(nodeDir('node0'), 'token'), 'utf8').trim()
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const request = https.request(new URL(path, this.#url), { method, headers, agent: this.#agent })
    request.once('error', reject)
    request.once('response', (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
    })
    request.end(body === undefined ? undefined : JSON.stringify(body))
    return promise
  }

  close(): void {
    this.#agent.destroy()
  }
}

function allocateRequest({ pod, containerId, node }: Sandbox) {
  return {
    ...{ containerId, ifName: 'eth0', netns: join(nodeDir(node), 'netns') },
    ...{ podNamespace: 'default', podName: pod, podUid: '' },
    ...{ defaultIpv4Pools: [], defaultIpv6Pools: [], cleanGateway: false, budgetMs: 20_000 },
  }
}

void test('1000 ADDs with the leader frozen past its lease, which wakes beside the next one', async (t) => {
  const leader = await settle()
  const sandboxes = await makePods('frozen')
  const burst = new Burst(sandboxes)
  await burst.further(stepCount)
  const remembered = burst.answered.filter(({ node }) => node === 'node0').slice(0, 3)
  const gone = remembered[2]
  assert.ok(gone !== undefined)
  const ca = await readAuthorities(api(), 'kube-system', never)
  const connections = Array.from({ length: 6 }, () => new DirectConnection(leader.url, ca))
  const opened = await Promise.all(connections.map((connection) => connection.send('GET', '/leading')))
  assert.deepEqual(
    opened.map(({ status }) => status),
    Array(6).fill(200),
  )
  const pid = pidOf(leader.name)
  stop(pid)
  const next = await otherLeader(leader)
  await burst.further(stepCount)
  // Something that the frozen one does not know: an address that it remembers is given back meanwhile.
  await callPlugin(lab().dir, 'DEL', gone, netnsFor(gone))
  const [first, second] = remembered
  const fresh = sandboxes.findLast(({ node }) => node === 'node0')
  assert.ok(first !== undefined && second !== undefined && fresh !== undefined)
  const [again, another, stale, checked, released, reported] = connections
  const alive = remembered.map(({ containerId }) => ({ containerId, ifName: 'eth0' }))
  const attachment = { containerId: gone.containerId, ifName: 'eth0' }
  const asked = [
    again?.send('POST', '/v1/allocate', allocateRequest(first)),
    another?.send('POST', '/v1/allocate', allocateRequest({ ...fresh, containerId: 'frozen-direct' })),
    stale?.send('POST', '/v1/allocate', allocateRequest(gone)),
    checked?.send('POST', '/v1/check', { ...attachment, ips: gone.ips }),
    released?.send('POST', '/v1/release', {
      ...{ containerId: second.containerId, ifName: 'eth0', reason: 'detach' },
    }),
    reported?.send('POST', '/v1/node-report', { takenAtMs: 1, answeredMs: 0, alive }),
  ]
  await sleep(300)
  goOn(pid)
  const replies = await Promise.all(asked)
  for (const reply of replies) {
    assert.equal(reply?.status, 503, reply?.body)
    assert.match(reply?.body ?? '', /not-leader/)
  }
  for (const connection of connections) connection.close()
  const results = await burst.done
  const readded = await callPlugin(lab().dir, 'ADD', gone, netnsFor(gone))
  assert.equal(readded.exitCode, 0, readded.output)
  const lasting = results.map((result) =>
    result.pod === gone.pod ? { ...readded, endedMs: result.endedMs } : result,
  )
  await assertAllServed(lasting, t, 'leader frozen past its lease')
  const last = await findLeader()
  assert.deepEqual(last, next, 'the woken one leaves the lease alone')
  await giveBack(sandboxes, 'frozen')
})
