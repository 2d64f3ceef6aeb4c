import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockOwner, KubeObject, Node, Pod, Resource, SpiderIpPool } from '../../api/index.ts'
import { type Clock, silentLogger } from '../../base/index.ts'
import type { KubeApi, ListOptions } from '../../kube/index.ts'
import { Ledger, MemoryBlockStore, reservedOf } from '../../ledger/index.ts'
import { NodeReports } from './node-reports.ts'
import { Reclaimer } from './reclaimer.ts'

const never = new AbortController().signal
const pool: SpiderIpPool = {
  metadata: { name: 'p4' },
  spec: { subnet: '10.6.0.0/16', ips: ['10.6.0.10-10.6.0.250'] },
}
const sticky = (uid: string): BlockOwner => ({
  kind: 'sticky',
  group: 'apps',
  ownerKind: 'StatefulSet',
  name: 'web',
  uid,
  replica: '0',
})

/** A cluster in memory: what the API server says and what the caches show are set apart. */
class World {
  readonly pods = new Map<string, Pod>()
  readonly cachedPods = new Map<string, Pod>()
  readonly nodes = new Map<string, Node>()
  readonly cachedNodes = new Map<string, Node>()
  readonly reads: string[] = []
  readonly reports: NodeReports
  isReplicaValid = false
  nowMs = 1_000
  /** What the wall clock says beside the monotonic one. */
  wallAheadMs = 0
  readonly ledger: Ledger
  readonly reclaimer: Reclaimer
  readonly #answered = new Map<string, number>()

  private constructor(ledger: Ledger) {
    this.ledger = ledger
    const api: Pick<KubeApi, 'get' | 'list'> = {
      get: <T extends KubeObject>(
        { kind }: Resource,
        { namespace, name }: { namespace?: string; name: string },
      ) => {
        const key = namespace === undefined ? name : `${namespace}/${name}`
        this.reads.push(`${kind} ${key}`)
        return Promise.resolve(this.pods.get(key) as T | undefined)
      },
      list: <T extends KubeObject>({ kind }: Resource, { fieldSelector = '' }: ListOptions) => {
        const name = fieldSelector.replace('metadata.name=', '')
        this.reads.push(`${kind} ${name}`)
        const found = this.nodes.get(name)
        return Promise.resolve({ items: (found === undefined ? [] : [found]) as T[], resourceVersion: '1' })
      },
    }
    const clock: Clock = {
      nowMs: () => this.nowMs + this.wallAheadMs,
      monotonicMs: () => this.nowMs,
      sleep: () => Promise.resolve(),
    }
    this.reports = new NodeReports(clock)
    this.reclaimer = new Reclaimer({
      api: api as KubeApi, // it makes no other call
      ledger,
      reports: this.reports,
      clock,
      logger: silentLogger,
      findPod: ({ namespace, name }) => this.cachedPods.get(`${namespace}/${name}`),
      findNode: (name) => this.cachedNodes.get(name),
      isReplicaValid: () => Promise.resolve(this.isReplicaValid),
    })
    for (const name of ['node1', 'node2']) this.setNode({ metadata: { name } })
  }

  static async open(): Promise<World> {
    const clock: Clock = { nowMs: () => 1, monotonicMs: () => 1, sleep: () => Promise.resolve() }
    const parts = { clock, random: { next: () => 0.5 } }
    const store = new MemoryBlockStore()
    return new World(await Ledger.open({ store, term: 1, ...parts, logger: silentLogger }, never))
  }

  setPod(name: string, uid: string, more: Partial<Pod> = {}): void {
    const pod: Pod = { ...more, metadata: { name, namespace: 'ns', uid, ...more.metadata } }
    this.pods.set(`ns/${name}`, pod)
    this.cachedPods.set(`ns/${name}`, pod)
  }

  removePod(name: string): void {
    this.pods.delete(`ns/${name}`)
    this.cachedPods.delete(`ns/${name}`)
  }

  setNode(node: Node): void {
    this.nodes.set(node.metadata.name, node)
    this.cachedNodes.set(node.metadata.name, node)
  }

  removeNode(name: string): void {
    this.nodes.delete(name)
    this.cachedNodes.delete(name)
  }

  /** Gives the pod's sandbox an address. */
  async add(
    name: string,
    uid: string,
    containerId: string,
    more: { node?: string; owner?: BlockOwner } = {},
  ) {
    const { node = 'node1', owner = { kind: 'pod', uid } } = more
    const answer = await this.ledger.add(
      {
        owner,
        pod: `ns/${name}`,
        podUid: uid,
        node,
        containerId,
        nic: 'eth0',
        reserved: reservedOf([]),
        plan: (held) => ({
          drop: [],
          wants: held.length > 0 ? [] : [{ nic: 'eth0', version: 4, pools: [pool] }],
        }),
        grant: () => ({ prefixBits: 16 }),
      },
      never,
    )
    return answer.addresses[0]?.ip ?? ''
  }

  /** The node's next report, each answered before the next is begun. */
  report(node: string, ...alive: readonly string[]): void {
    this.nowMs += 10
    const answeredMs = this.#answered.get(node) ?? 0
    const list = alive.map((containerId) => ({ containerId, ifName: 'eth0' }))
    this.reports.add(node, { takenAtMs: this.nowMs, answeredMs, alive: list })
    this.#answered.set(node, this.nowMs)
  }

  look(name: string): Promise<number | undefined> {
    this.nowMs += 1
    return this.reclaimer.reconcile(`ns/${name}`, never)
  }

  get held(): readonly string[] {
    return [...this.ledger.all()].map(({ ip }) => ip).sort()
  }
}

void test('the address of a pod that is gone is freed once its node has looked after that', async () => {
  const world = await World.open()
  await world.add('a', 'U1', 'c1')
  assert.equal(await world.look('a'), 5_000)
  world.report('node1')
  assert.equal(await world.look('a'), 5_000, 'that report may have been under way')
  world.report('node1')
  assert.equal(await world.look('a'), undefined)
  assert.deepEqual(world.held, [])
})

void test('a node is asked to report again while a dead pod waits for what it says, and no longer', async () => {
  const world = await World.open()
  await world.add('a', 'U1', 'c1')
  assert.deepEqual(world.reclaimer.awaitedOf('node1'), [])
  await world.look('a')
  assert.deepEqual(world.reclaimer.awaitedOf('node1'), ['ns/a'])
  assert.deepEqual(world.reclaimer.awaitedOf('node2'), [])
  world.report('node1', 'c1')
  await world.look('a')
  assert.deepEqual(world.reclaimer.awaitedOf('node1'), [], 'its sandbox runs: the node need not hurry')
  world.report('node1')
  await world.look('a')
  assert.deepEqual(world.held, [])
  assert.deepEqual(world.reclaimer.awaitedOf('node1'), [])
})

void test('the address of a living pod stays, whatever a cache that is behind and an empty report say', async () => {
  const world = await World.open()
  const ip = await world.add('a', 'U1', 'c1')
  world.setPod('a', 'U1')
  world.cachedPods.clear()
  assert.deepEqual([...world.reclaimer.nominees()], ['ns/a'])
  await world.look('a')
  world.report('node1')
  world.report('node1')
  assert.equal(await world.look('a'), undefined)
  assert.deepEqual(world.held, [ip])
})

void test('a terminating pod keeps its address while its sandbox runs', async () => {
  const world = await World.open()
  const ip = await world.add('a', 'U1', 'c1')
  world.setPod('a', 'U1', { metadata: { name: 'a', namespace: 'ns', uid: 'U1', deletionTimestamp: 'now' } })
  await world.look('a')
  world.report('node1', 'c1')
  world.report('node1', 'c1')
  assert.equal(await world.look('a'), 5_000)
  assert.deepEqual(world.held, [ip])
})

void test('the evidence against a dead pod convicts no namesake that came later', async () => {
  const world = await World.open()
  // U1 waits for node1, which is silent; its namesake U2 runs on node2 and has just been deleted.
  await world.add('a', 'U1', 'c1')
  await world.look('a')
  world.report('node2')
  world.report('node2')
  world.setPod('a', 'U2')
  const second = await world.add('a', 'U2', 'c2', { node: 'node2' })
  assert.equal(await world.look('a'), 5_000)
  world.removePod('a')
  assert.equal(await world.look('a'), 5_000)
  assert.ok(world.held.includes(second), 'node2 has not been heard since c2 was there')
  world.report('node2')
  world.report('node2')
  await world.look('a')
  assert.ok(!world.held.includes(second))
})

void test('a sandbox made anew for the same pod needs evidence of its own', async () => {
  const world = await World.open()
  const ip = await world.add('a', 'U1', 'c1')
  await world.look('a')
  world.report('node1')
  await world.add('a', 'U1', 'c2')
  world.report('node1')
  assert.equal(await world.look('a'), 5_000)
  assert.deepEqual(world.held, [ip])
})

void test('an address that went to a sandbox while the verdict was made is not freed', async () => {
  const world = await World.open()
  const ip = await world.add('a', 'U1', 'c1')
  await world.look('a')
  world.report('node1')
  world.report('node1')
  const reading = world.look('a')
  await world.add('a', 'U1', 'c2')
  await reading
  assert.deepEqual(world.held, [ip])
})

void test('a wall clock that is set back makes no report look newer than the nomination', async () => {
  const world = await World.open()
  // Two reports of a node that has no pod yet; then the leader's clock is set, and a pod comes and is deleted.
  world.report('node1')
  world.report('node1')
  world.wallAheadMs = -60_000
  const ip = await world.add('a', 'U1', 'c1')
  world.setPod('a', 'U1', { metadata: { name: 'a', namespace: 'ns', uid: 'U1', deletionTimestamp: 'now' } })
  assert.equal(
    await world.look('a'),
    5_000,
    'its containers run for the time of grace, and no report says so yet',
  )
  assert.deepEqual(world.held, [ip])
  world.removePod('a')
  world.report('node1')
  assert.equal(await world.look('a'), 5_000)
  world.report('node1')
  assert.equal(await world.look('a'), undefined)
  assert.deepEqual(world.held, [])
})

void test('nothing is read from the API server as long as a node is silent', async () => {
  const world = await World.open()
  await world.add('a', 'U1', 'c1')
  for (let i = 0; i < 10; i++) assert.equal(await world.look('a'), 5_000)
  assert.deepEqual(world.reads, [])
})

void test('addresses on a node that was removed are freed, also when its last report listed the sandbox', async () => {
  const world = await World.open()
  await world.add('a', 'U1', 'c1')
  world.report('node1', 'c1')
  world.removeNode('node1')
  assert.equal(await world.look('a'), 5_000, 'its agent reported a moment ago: it still runs')
  world.nowMs += 60_000
  assert.equal(await world.look('a'), undefined)
  assert.deepEqual(world.held, [])
})

void test('a node that is missing in the cache alone is no fence', async () => {
  const world = await World.open()
  const ip = await world.add('a', 'U1', 'c1')
  world.cachedNodes.clear()
  assert.equal(await world.look('a'), 5_000)
  assert.deepEqual(world.held, [ip])
  assert.deepEqual(world.reads, ['Node node1'])
})

void test('a node that is marked out of service is a fence, any other taint is none', async () => {
  const world = await World.open()
  const ip = await world.add('a', 'U1', 'c1')
  const tainted = (key: string): Node => ({
    metadata: { name: 'node1' },
    spec: { taints: [{ key, effect: 'NoExecute' }] },
  })
  world.setNode(tainted('node.kubernetes.io/unreachable'))
  assert.equal(await world.look('a'), 5_000)
  assert.deepEqual(world.held, [ip])
  world.setNode(tainted('node.kubernetes.io/out-of-service'))
  assert.equal(await world.look('a'), undefined)
  assert.deepEqual(world.held, [])
})

void test('the replica of a StatefulSet keeps its address without a pod, until it is scaled away', async () => {
  const world = await World.open()
  const ip = await world.add('web-0', 'U1', 'c1', { owner: sticky('S1') })
  world.isReplicaValid = true
  await world.look('web-0')
  world.report('node1')
  world.report('node1')
  assert.equal(await world.look('web-0'), undefined)
  assert.deepEqual(world.held, [ip])
  world.isReplicaValid = false
  await world.look('web-0')
  world.report('node1')
  world.report('node1')
  await world.look('web-0')
  assert.deepEqual(world.held, [])
})

void test('an address without a sandbox needs no evidence', async () => {
  const world = await World.open()
  await world.add('a', 'U1', 'c1')
  await world.ledger.detach({ containerId: 'c1', ifName: 'eth0', node: 'node1' }, never)
  assert.equal(await world.look('a'), undefined)
  assert.deepEqual(world.held, [])
})

void test('a pod whose addresses are all right is not looked at', async () => {
  const world = await World.open()
  world.setPod('a', 'U1')
  await world.add('a', 'U1', 'c1')
  assert.equal(await world.look('a'), undefined)
  assert.deepEqual([...world.reclaimer.nominees()], [])
  assert.deepEqual(world.reads, [])
})

void test('a scan asks the cache once for each address, and names each pod once', async () => {
  const world = await World.open()
  for (let i = 0; i < 50; i++) await world.add(`p${i}`, `U${i}`, `c${i}`)
  for (let i = 0; i < 40; i++) world.setPod(`p${i}`, `U${i}`)
  let asked = 0
  const found = world.cachedPods.get.bind(world.cachedPods)
  world.cachedPods.get = (key) => {
    asked += 1
    return found(key)
  }
  assert.equal([...world.reclaimer.nominees()].length, 10)
  assert.equal(asked, 50)
})
