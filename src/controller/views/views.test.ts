import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ClusterKit } from '../../../test/support/cluster-kit.ts'
import {
  type BlockEntry,
  decodeAllocatedIps,
  type Pod,
  resources,
  type SpiderEndpoint,
  type SpiderIpPool,
  spiderFinalizer,
} from '../../api/index.ts'
import { silentLogger } from '../../base/index.ts'
import type { OwnedAddress } from '../../ledger/index.ts'
import { finalizePool } from '../final-objects.ts'
import { EndpointView } from './endpoint-view.ts'
import { maxListedRecords, planPoolStatus, reconcilePoolStatus, StatusPace } from './pool-status-view.ts'

const never = new AbortController().signal
let kit: ClusterKit
before(async () => {
  kit = await ClusterKit.start()
})
after(() => kit[Symbol.asyncDispose]())

const addressOf = (
  pod: string,
  podUid: string,
  ip: string,
  more: Partial<BlockEntry> = {},
): OwnedAddress => ({
  ip,
  entry: {
    pool: 'p4',
    nic: 'eth0',
    owner: { kind: 'pod', uid: podUid },
    pod: `default/${pod}`,
    podUid,
    node: 'node1',
    since: 1,
    grant: { prefixBits: 16 },
    ...more,
  },
})

/** The view of one leader over what a test says is held; pods and endpoints are at the API server. */
class Leader {
  addresses: readonly OwnedAddress[] = []
  readonly cachedPods = new Map<string, Pod>()
  readonly view = new EndpointView({
    api: kit.api,
    ledger: {
      ofPod: (pod) => this.addresses.filter(({ entry }) => entry.pod === pod),
      all: () => this.addresses,
      isBusy: false,
    },
    logger: silentLogger,
    findPod: ({ name }) => this.cachedPods.get(name),
    findOwner: () => Promise.resolve({ kind: 'Deployment', name: 'web' }),
  })

  async createPod(name: string): Promise<string> {
    const pod = await kit.api.create<Pod>(resources.pod, podOf(name), never)
    this.cachedPods.set(name, pod)
    return pod.metadata.uid ?? ''
  }

  async reconcile(name: string): Promise<number | undefined> {
    return this.view.reconcile(`default/${name}`, never)
  }
}

function podOf(name: string): Pod {
  const spec = { nodeName: 'node1', containers: [{ name: 'pause', image: 'pause' }] }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec } as Pod
}

const endpointOf = (name: string) => kit.get<SpiderEndpoint>(resources.endpoint, name, 'default')

void test('an endpoint shows owner, node and addresses of a pod, and its pod owns it', async () => {
  const leader = new Leader()
  const uid = await leader.createPod('e1')
  leader.addresses = [addressOf('e1', uid, '10.6.0.10')]
  await leader.reconcile('e1')
  const endpoint = await endpointOf('e1')
  assert.deepEqual(endpoint?.metadata.finalizers, [spiderFinalizer])
  assert.equal(endpoint.metadata.ownerReferences?.[0]?.uid, uid)
  assert.equal(endpoint.status.ownerControllerType, 'Deployment')
  assert.equal(endpoint.status.current.ips[0]?.ipv4, '10.6.0.10/16')
})

void test('a pod created again with the same name has its own endpoint, whichever address is older', async () => {
  const leader = new Leader()
  const first = await leader.createPod('e2')
  leader.addresses = [addressOf('e2', first, '10.6.0.10', { since: 50 })]
  await leader.reconcile('e2')
  await kit.api.delete(resources.pod, { namespace: 'default', name: 'e2' }, { gracePeriodSeconds: 0 }, never)
  const second = await leader.createPod('e2')
  assert.notEqual(second, first)
  // Given by a leader whose clock was behind.
  leader.addresses = [...leader.addresses, addressOf('e2', second, '10.6.0.11', { since: 40 })]
  await leader.reconcile('e2')
  const endpoint = await endpointOf('e2')
  assert.equal(endpoint?.status.current.uid, second)
  assert.deepEqual(
    endpoint.metadata.ownerReferences?.map(({ uid }) => uid),
    [second],
  )
})

void test('an endpoint that is being deleted under a held address is made again', async () => {
  const leader = new Leader()
  const uid = await leader.createPod('e3')
  leader.addresses = [addressOf('e3', uid, '10.6.0.10')]
  await leader.reconcile('e3')
  await kit.api.delete(resources.endpoint, { namespace: 'default', name: 'e3' }, {}, never)
  assert((await leader.view.sweep(never)).includes('default/e3'))
  await leader.reconcile('e3')
  const endpoint = await endpointOf('e3')
  assert.equal(endpoint?.metadata.deletionTimestamp, undefined)
  assert.equal(endpoint?.status.current.ips[0]?.ipv4, '10.6.0.10/16')
  leader.addresses = []
  await leader.view.sweep(never)
})

void test("an endpoint that others' finalizers keep from going is waited for, without an error", async () => {
  const leader = new Leader()
  const uid = await leader.createPod('e4')
  leader.addresses = [addressOf('e4', uid, '10.6.0.10')]
  await leader.reconcile('e4')
  const ref = { namespace: 'default', name: 'e4' }
  const finalizers = [spiderFinalizer, 'example.com/mine']
  const patch = (body: object) => kit.api.patch(resources.endpoint, ref, { type: 'merge', body }, never)
  await patch({ metadata: { finalizers } })
  await kit.api.delete(resources.endpoint, ref, {}, never)
  await leader.view.sweep(never)
  assert.equal(await leader.reconcile('e4'), 30_000)
  assert.deepEqual((await endpointOf('e4'))?.metadata.finalizers, ['example.com/mine'])
  assert.equal(await leader.reconcile('e4'), 30_000)
  await patch({ metadata: { finalizers: null } })
  assert.equal(await leader.reconcile('e4'), undefined)
  assert.equal((await endpointOf('e4'))?.status.current.ips[0]?.ipv4, '10.6.0.10/16')
})

void test("the endpoint of a replica has no owner, follows its pods, and keeps others' finalizers at its end", async () => {
  const leader = new Leader()
  const owner = {
    kind: 'sticky' as const,
    group: 'apps',
    ownerKind: 'StatefulSet',
    name: 'db',
    uid: 'S',
    replica: '0',
  }
  const first = await leader.createPod('db-0')
  leader.addresses = [addressOf('db-0', first, '10.6.0.10', { owner })]
  await leader.reconcile('db-0')
  assert.equal((await endpointOf('db-0'))?.metadata.ownerReferences, undefined)
  leader.cachedPods.clear()
  leader.addresses = [addressOf('db-0', 'U2', '10.6.0.10', { owner, node: 'node2' })]
  await leader.reconcile('db-0')
  const moved = await endpointOf('db-0')
  assert.deepEqual([moved?.status.current.uid, moved?.status.current.node], ['U2', 'node2'])
  assert.equal(moved?.status.ownerControllerType, 'StatefulSet')
  const ref = { namespace: 'default', name: 'db-0' }
  const body = { metadata: { finalizers: [spiderFinalizer, 'example.com/mine'] } }
  await kit.api.patch(resources.endpoint, ref, { type: 'merge', body }, never)
  leader.addresses = []
  await leader.reconcile('db-0')
  const left = await endpointOf('db-0')
  assert.deepEqual(left?.metadata.finalizers, ['example.com/mine'])
  assert.notEqual(left?.metadata.deletionTimestamp, undefined)
  assert.deepEqual(left?.status.current.ips, [])
})

void test('an endpoint without a holder is cleared at once, and removed with its pod', async () => {
  const leader = new Leader()
  const uid = await leader.createPod('e5')
  leader.addresses = [addressOf('e5', uid, '10.6.0.10')]
  await leader.reconcile('e5')
  leader.addresses = []
  await leader.reconcile('e5')
  const cleared = await endpointOf('e5')
  assert.equal(cleared?.metadata.finalizers, undefined)
  assert.deepEqual(cleared?.status.current.ips, [])
  const version = cleared?.metadata.resourceVersion
  await leader.reconcile('e5')
  assert.equal((await endpointOf('e5'))?.metadata.resourceVersion, version, 'nothing is written twice')
  leader.cachedPods.clear()
  await leader.reconcile('e5')
  assert.equal(await endpointOf('e5'), undefined)
})

void test('a sweep survives endpoints without a status, and finds those that a crash left without finalizer and owner', async () => {
  const leader = new Leader()
  const endpoint = { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind: 'SpiderEndpoint' }
  await leader.createPod('bare')
  const finalizers = [spiderFinalizer]
  await kit.api.create(
    resources.endpoint,
    { ...endpoint, metadata: { name: 'bare', namespace: 'default', finalizers } },
    never,
  )
  await kit.api.create(
    resources.endpoint,
    { ...endpoint, metadata: { name: 'left', namespace: 'default' } },
    never,
  )
  const keys = await leader.view.sweep(never)
  assert.ok(keys.includes('default/bare') && keys.includes('default/left'))
  for (const key of keys) await leader.view.reconcile(key, never)
  assert.equal(await endpointOf('left'), undefined)
})

async function createPool(name: string, metadata: object = {}): Promise<SpiderIpPool> {
  const pool = {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name, finalizers: [spiderFinalizer], ...metadata },
    spec: { ipVersion: 4 as const, subnet: '10.6.0.0/16', ips: ['10.6.0.10-10.6.0.19'] },
  }
  return kit.api.create<SpiderIpPool>(resources.ipPool, pool, never)
}

/** Nobody else writes. */
const takeIn = () => Promise.resolve({ kind: 'view' } as const)
const poolOf = (name: string) => kit.get<SpiderIpPool>(resources.ipPool, name)

void test('the status of a pool is that of the ledger, also with a cache that is behind', async () => {
  const stale = await createPool('s1')
  let held = [addressOf('a', 'U1', '10.6.0.10')]
  const ports = {
    api: kit.api,
    term: 1,
    takeIn,
    conflictOf: () => undefined,
    ledger: { ofPool: () => held },
    findPool: () => stale,
  }
  await reconcilePoolStatus('s1', ports, never)
  held = [...held, addressOf('b', 'U2', '10.6.0.9')]
  await reconcilePoolStatus('s1', ports, never)
  const { status } = (await poolOf('s1')) ?? {}
  assert.equal(status?.totalIPCount, 10)
  assert.equal(status?.allocatedIPCount, 2)
  assert.deepEqual([...decodeAllocatedIps(status?.allocatedIPs).keys()].sort(), ['10.6.0.10', '10.6.0.9'])
})

void test('the status of a pool that is gone is nobody’s concern', async () => {
  const stale = await createPool('s2', { finalizers: [] })
  await kit.api.delete(resources.ipPool, { name: 's2' }, {}, never)
  await reconcilePoolStatus(
    's2',
    {
      api: kit.api,
      term: 1,
      takeIn,
      conflictOf: () => undefined,
      ledger: { ofPool: () => [] },
      findPool: () => stale,
    },
    never,
  )
  assert.equal(await poolOf('s2'), undefined)
})

void test('a pool deleted and created again gets the status of its own', async () => {
  const stale = await createPool('s3', { finalizers: [] })
  await kit.api.delete(resources.ipPool, { name: 's3' }, {}, never)
  await createPool('s3')
  await reconcilePoolStatus(
    's3',
    {
      api: kit.api,
      term: 1,
      takeIn,
      conflictOf: () => undefined,
      ledger: { ofPool: () => [] },
      findPool: () => stale,
    },
    never,
  )
  assert.equal((await poolOf('s3'))?.status?.allocatedIPCount, 0)
})

void test('a status that is right is not written, whatever the order of its members', async () => {
  const pool = await createPool('s4')
  const many = Array.from({ length: maxListedRecords + 1 }, (_, i) =>
    addressOf('a', 'U1', `10.7.${i >> 8}.${i & 255}`),
  )
  const { conditions, ...counts } = planPoolStatus(pool, { held: many, term: 1 })
  const sorted = conditions?.map((one) => Object.fromEntries(Object.entries(one).sort()))
  const right = { ...pool, status: { ...counts, conditions: sorted } } as unknown as SpiderIpPool
  const ledger = { ofPool: () => many }
  await reconcilePoolStatus(
    's4',
    { api: kit.api, term: 2, takeIn, conflictOf: () => undefined, ledger, findPool: () => right },
    never,
  )
  assert.equal((await poolOf('s4'))?.metadata.resourceVersion, pool.metadata.resourceVersion)
})

void test('the list of a pool is complete or absent with a condition, never partial', () => {
  const pool = { metadata: { name: 'p4' }, spec: { subnet: '10.0.0.0/8', ips: ['10.0.0.0-10.255.255.255'] } }
  const addresses = (count: number) =>
    Array.from({ length: count }, (_, i) => addressOf('a', 'U1', `10.7.${i >> 8}.${i & 255}`))
  const full = planPoolStatus(pool, { held: addresses(maxListedRecords), term: 1 })
  assert.equal(decodeAllocatedIps(full.allocatedIPs).size, maxListedRecords)
  assert.equal(full.conditions, null)
  assert.ok(Buffer.byteLength(full.allocatedIPs ?? '') < 1_000_000)
  const over = planPoolStatus(pool, { held: addresses(maxListedRecords + 1), term: 1 })
  assert.equal(over.allocatedIPs, null)
  assert.equal(over.allocatedIPCount, maxListedRecords + 1)
  assert.equal(over.conditions?.[0]?.status, 'False')
  assert.equal(over.totalIPCount, 2 ** 24)
})

void test('a deleted pool stays until the ledger holds nothing of it', async () => {
  await createPool('f1', { finalizers: [spiderFinalizer, 'example.com/mine'] })
  await kit.api.delete(resources.ipPool, { name: 'f1' }, {}, never)
  const pool = await poolOf('f1')
  assert.ok(pool?.metadata.deletionTimestamp !== undefined)
  assert.equal(await finalizePool(pool, { poolUsage: () => 1 }, kit.api, never), false)
  assert.deepEqual((await poolOf('f1'))?.metadata.finalizers, [spiderFinalizer, 'example.com/mine'])
  assert.equal(await finalizePool(pool, { poolUsage: () => 0 }, kit.api, never), true)
  assert.deepEqual((await poolOf('f1'))?.metadata.finalizers, ['example.com/mine'])
})

void test('a pool that is gone or alive is not finalized', async () => {
  const alive = await createPool('f2')
  assert.equal(await finalizePool(alive, { poolUsage: () => 0 }, kit.api, never), false)
  await kit.api.delete(resources.ipPool, { name: 'f2' }, {}, never)
  const pool = await poolOf('f2')
  assert.ok(pool !== undefined)
  assert.equal(await finalizePool(pool, { poolUsage: () => 0 }, kit.api, never), true)
  assert.equal(await poolOf('f2'), undefined)
  assert.equal(await finalizePool(pool, { poolUsage: () => 0 }, kit.api, never), true, 'the cache is behind')
})

void test('a pool created again while the cache shows the deleted one keeps its finalizer', async () => {
  await createPool('f3')
  await kit.api.delete(resources.ipPool, { name: 'f3' }, {}, never)
  const old = await poolOf('f3')
  assert.ok(old !== undefined)
  await finalizePool(old, { poolUsage: () => 0 }, kit.api, never)
  await createPool('f3')
  await assert.rejects(finalizePool(old, { poolUsage: () => 0 }, kit.api, never), /409/)
  assert.deepEqual((await poolOf('f3'))?.metadata.finalizers, [spiderFinalizer])
})

void test('StatusPace writes at once, and while ADDs wait every 2 s', () => {
  const pace = new StatusPace()
  assert.equal(pace.waitMs('a', true, 0), undefined)
  assert.ok((pace.waitMs('a', true, 1_999) ?? 0) > 0)
  assert.equal(pace.waitMs('b', true, 1_999), undefined, 'another pool')
  assert.equal(pace.waitMs('a', true, 2_000), undefined)
  assert.equal(pace.waitMs('a', false, 2_001), undefined, 'nobody waits')
})
