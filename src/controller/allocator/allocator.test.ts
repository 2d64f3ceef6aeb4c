import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AllocateRequest, BlockEntry, Workload } from '../../api/index.ts'
import {
  type AllocatorKit,
  allocatorKit,
  failureOf,
  never,
  requestOf,
  type TestWorld,
} from './testing/allocator-kit.ts'

const detach = (containerId: string, ifName = 'eth0') => ({ containerId, ifName, reason: 'detach' as const })

async function kit(): Promise<AllocatorKit> {
  const made = await allocatorKit()
  made.world.addPool('p4', {
    subnet: '10.6.0.0/16',
    ips: ['10.6.168.151-10.6.168.153'],
    gateway: '10.6.0.1',
    default: true,
  })
  return made
}

void test('an ADD is answered with address, gateway and default route of the pool', async () => {
  const { world, allocator } = await kit()
  world.addPod('web-1', 'u1')
  assert.deepEqual(await allocator.allocate('node1', requestOf('web-1', { podUid: 'u1' }), never), {
    ips: [{ version: 4, address: '10.6.168.151/16', gateway: '10.6.0.1', nic: 'eth0', pool: 'p4', vlan: 0 }],
    routes: [{ ifName: 'eth0', dst: '0.0.0.0/0', gw: '10.6.0.1' }],
  })
})

void test('a pod that is not there, is another, is dead or is elsewhere gets no address and code 105', async () => {
  const { world, allocator, store } = await kit()
  world.addPod('other', 'u1')
  world.addPod('dying', 'u2', { deletionTimestamp: '2026-01-01T00:00:00Z' })
  world.addPod('away', 'u3', {}, 'node2')
  const cases: readonly (readonly [AllocateRequest, RegExp])[] = [
    [requestOf('missing'), /does not exist/],
    [requestOf('other', { podUid: 'old' }), /its uid is u1, K8S_POD_UID is old/],
    [requestOf('dying'), /dead Pod "default\/dying", we cannot allocate/],
    [requestOf('away'), /Cannot serve node "node1" for pod "default\/away": it is on node "node2"/],
  ]
  for (const [request, text] of cases) {
    const { code, msg, details } = await failureOf(allocator.allocate('node1', request, never))
    assert.equal(code, 105)
    assert.match(msg, text)
    assert.match(details, /^pod-identity: /)
  }
  assert.equal(store.entries().size, 0)
})

void test('a full pool is code 100, no pool is 101, a bad annotation is 7, and the pod hears why', async () => {
  const { world, allocator } = await kit()
  for (const name of ['a', 'b', 'c']) {
    world.addPod(name, `u-${name}`)
    await allocator.allocate('node1', requestOf(name), never)
  }
  world.addPod('d', 'u-d')
  const full = await failureOf(allocator.allocate('node1', requestOf('d'), never))
  assert.equal(full.code, 100)
  assert.match(full.msg, /all IP addresses used out/)
  world.addPod('e', 'u-e', { annotations: { 'ipam.spidernet.io/ippool': '{"ipv4":["gone"]}' } })
  assert.equal((await failureOf(allocator.allocate('node1', requestOf('e'), never))).code, 101)
  world.addPod('f', 'u-f', { annotations: { 'ipam.spidernet.io/ippool': '{"ipv4":7}' } })
  const wrong = await failureOf(allocator.allocate('node1', requestOf('f'), never))
  assert.equal(wrong.code, 7)
  assert.match(wrong.msg, /wrong input, invalid format of Pod annotation 'ipam.spidernet.io\/ippool'/)
  assert.deepEqual(
    world.events.map((event) => event.split(' ').slice(0, 3).join(' ')),
    ['d Warning FailedAllocateIP', 'e Warning FailedAllocateIP', 'f Warning FailedAllocateIP'],
  )
})

void test('DEL of a living pod keeps the address for its next sandbox', async () => {
  const { world, allocator, ledger } = await kit()
  world.addPod('web', 'u1')
  const first = await allocator.allocate('node1', requestOf('web'), never)
  await allocator.release('node1', detach('c-web'), never)
  assert.equal(ledger.poolUsage('p4'), 1)
  const again = await allocator.allocate('node1', requestOf('web', { containerId: 'c2' }), never)
  assert.deepEqual(again, first)
  await allocator.release('node1', detach('c-web'), never) // late
  assert.equal(ledger.ofContainer('c2', 'eth0').length, 1)
})

void test('DEL of a pod that ends frees at once; a late DEL of an earlier pod of that name frees its own', async () => {
  const { world, allocator, ledger } = await kit()
  world.addPod('job', 'u1')
  await allocator.allocate('node1', requestOf('job', { containerId: 'c1' }), never)
  world.addPod('job', 'u2')
  await allocator.allocate('node1', requestOf('job', { containerId: 'c2' }), never)
  assert.equal(ledger.poolUsage('p4'), 2)
  await allocator.release('node1', detach('c1'), never)
  assert.deepEqual(
    ledger.ofPool('p4').map(({ entry }) => entry.podUid),
    ['u2'],
  )
  world.addPod('job', 'u2', { deletionTimestamp: '2026-01-01T00:00:00Z' })
  await allocator.release('node1', detach('c2'), never)
  assert.equal(ledger.poolUsage('p4'), 0)
  await allocator.release('node1', detach('c2'), never)
})

void test('DEL from another node is refused', async () => {
  const { world, allocator } = await kit()
  world.addPod('web', 'u1')
  await allocator.allocate('node1', requestOf('web'), never)
  assert.equal((await failureOf(allocator.release('node2', detach('c-web'), never))).code, 105)
})

const ownedBy = (uid: string) => ({
  ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid, controller: true }],
})
const setOf = (uid: string, replicas: number): Workload => ({
  metadata: { name: 'db', uid },
  spec: { replicas },
})

void test('a StatefulSet replica gets its address back on another node, and nobody else gets it meanwhile', async () => {
  const { world, allocator, ledger } = await kit()
  world.workloads.set('default/db', setOf('s', 2))
  world.addPod('db-0', 'u1', ownedBy('s'))
  const first = await allocator.allocate('node1', requestOf('db-0', { containerId: 'c1' }), never)
  world.remove('db-0')
  await allocator.release('node1', detach('c1'), never)
  world.addPod('other', 'x')
  const other = await allocator.allocate('node1', requestOf('other'), never)
  assert.notEqual(other.ips[0]?.address, first.ips[0]?.address)
  world.addPod('db-0', 'u2', ownedBy('s'), 'node2')
  assert.deepEqual(await allocator.allocate('node2', requestOf('db-0', { containerId: 'c2' }), never), first)
  const [entry] = ledger.ofContainer('c2', 'eth0')
  assert.equal(entry?.entry.podUid, 'u2')
  assert.equal(entry?.entry.node, 'node2')
})

for (const [what, change] of [
  ['is scaled away', (world: TestWorld) => world.workloads.set('default/db', setOf('s', 0))],
  ['is deleted', (world: TestWorld) => world.workloads.delete('default/db')],
  ['is created anew', (world: TestWorld) => world.workloads.set('default/db', setOf('s2', 2))],
] as const) {
  void test(`a replica whose StatefulSet ${what} loses its address with its pod`, async () => {
    const { world, allocator, ledger } = await kit()
    world.workloads.set('default/db', setOf('s', 2))
    world.addPod('db-0', 'u1', ownedBy('s'))
    await allocator.allocate('node1', requestOf('db-0'), never)
    change(world)
    world.remove('db-0')
    await allocator.release('node1', detach('c-db-0'), never)
    assert.equal(ledger.poolUsage('p4'), 0)
  })
}

void test('a replica whose pool is no longer selected gets another address, and the old one is freed', async () => {
  const { world, allocator, ledger } = await kit()
  world.workloads.set('default/db', setOf('s', 2))
  world.addPool('q4', { subnet: '10.7.0.0/16', ips: ['10.7.0.9'] })
  world.addPod('db-0', 'u1', ownedBy('s'))
  await allocator.allocate('node1', requestOf('db-0', { containerId: 'c1' }), never)
  const annotations = { 'ipam.spidernet.io/ippool': '{"ipv4":["q4"]}' }
  world.addPod('db-0', 'u2', { ...ownedBy('s'), annotations })
  const moved = await allocator.allocate('node1', requestOf('db-0', { containerId: 'c2' }), never)
  assert.equal(moved.ips[0]?.address, '10.7.0.9/16')
  assert.equal(ledger.poolUsage('p4'), 0)
  assert.equal(ledger.poolUsage('q4'), 1)
})

void test('a disabled pool keeps its replicas and takes no new ones', async () => {
  const { world, allocator } = await kit()
  world.workloads.set('default/db', setOf('s', 2))
  world.addPod('db-0', 'u1', ownedBy('s'))
  const first = await allocator.allocate('node1', requestOf('db-0', { containerId: 'c1' }), never)
  const pool = world.poolMap.get('p4')
  assert(pool !== undefined)
  world.addPool('p4', { ...pool.spec, disable: true })
  world.addPod('db-0', 'u2', ownedBy('s'))
  assert.deepEqual(await allocator.allocate('node1', requestOf('db-0', { containerId: 'c2' }), never), first)
  world.addPod('db-1', 'u3', ownedBy('s'))
  const refused = await failureOf(allocator.allocate('node1', requestOf('db-1'), never))
  assert.equal(refused.code, 101)
  assert.match(refused.msg, /disabled IPPool/)
})

void test('a pod that claims the StatefulSet of another namespace gets an address of its own', async () => {
  const { world, allocator, ledger } = await kit()
  world.workloads.set('default/db', setOf('s', 1))
  world.addPod('db-0', 'u1', ownedBy('s'))
  const victim = await allocator.allocate('node1', requestOf('db-0', { containerId: 'c1' }), never)
  for (const name of ['x', 'db']) {
    const [reference] = ownedBy('s').ownerReferences
    assert(reference !== undefined)
    world.pods.set(`tenant/${name}-0`, {
      metadata: {
        name: `${name}-0`,
        namespace: 'tenant',
        uid: `u-${name}`,
        ownerReferences: [{ ...reference, name }],
      },
      spec: { nodeName: 'node2' },
      status: { phase: 'Pending' },
    })
    const request = requestOf(`${name}-0`, { podNamespace: 'tenant' })
    const forged = await allocator.allocate('node2', request, never)
    assert.notEqual(forged.ips[0]?.address, victim.ips[0]?.address)
    const [own] = ledger.ofPod(`tenant/${name}-0`)
    assert.deepEqual(own?.entry.owner, { kind: 'pod', uid: `u-${name}` })
  }
  allocator.check('node1', { containerId: 'c1', ifName: 'eth0', ips: ['10.6.168.151'] })
  assert.equal(ledger.entry('10.6.168.151')?.pod, 'default/db-0')
})

void test('the first ADD takes the addresses of all named NICs, and the ADDs of the others find them', async () => {
  const { world, allocator, ledger, store } = await kit()
  world.nics = ['eth0', 'net1']
  world.addPool('v200', { subnet: '10.8.0.0/16', ips: ['10.8.0.5-10.8.0.6'], gateway: '10.8.0.1' })
  const annotations = {
    'ipam.spidernet.io/ippools':
      '[{"interface":"eth0","ipv4":["p4"]},{"interface":"net1","ipv4":["v200"],"cleangateway":true}]',
    'ipam.spidernet.io/routes':
      '[{"dst":"10.9.0.0/16","gw":"10.8.0.9"},{"dst":"10.10.0.0/16","gw":"172.16.0.1"}]',
  }
  world.addPod('two', 'u1', { annotations })
  await allocator.allocate('node1', requestOf('two', { containerId: 'c' }), never)
  assert.equal(store.entries().size, 2)
  const net1 = await allocator.allocate(
    'node1',
    requestOf('two', { containerId: 'c', ifName: 'net1' }),
    never,
  )
  assert.deepEqual(
    net1.ips.map(({ address }) => address),
    ['10.8.0.5/16'],
  )
  assert.deepEqual(net1.routes, [{ ifName: 'net1', dst: '10.9.0.0/16', gw: '10.8.0.9' }])
  assert.equal(store.entries().size, 2)
  world.remove('two')
  await allocator.release('node1', detach('c', 'net1'), never)
  assert.equal(ledger.poolUsage('p4'), 1, 'eth0 still has its sandbox')
  await allocator.release('node1', detach('c'), never)
  assert.equal(store.entries().size, 0)
})

void test('an ADD that is undone leaves nothing, also of NICs that were not added yet', async () => {
  const { world, allocator, store } = await kit()
  world.nics = ['eth0', 'net1']
  world.addPool('v200', { subnet: '10.8.0.0/16', ips: ['10.8.0.5'] })
  const text = '[{"interface":"eth0","ipv4":["p4"]},{"interface":"net1","ipv4":["v200"]}]'
  world.addPod('two', 'u1', { annotations: { 'ipam.spidernet.io/ippools': text } })
  await allocator.allocate('node1', requestOf('two', { containerId: 'c' }), never)
  await allocator.release('node1', { containerId: 'c', ifName: 'eth0', reason: 'undo' }, never)
  assert.equal(store.entries().size, 0)
})

void test('CHECK confirms what is recorded for the sandbox, and nothing else', async () => {
  const { world, allocator } = await kit()
  world.addPod('web', 'u1')
  await allocator.allocate('node1', requestOf('web'), never)
  const ask = (ips: readonly string[]) =>
    allocator.check('node1', { containerId: 'c-web', ifName: 'eth0', ips })
  ask(['10.6.168.151'])
  assert.throws(() => ask(['10.6.168.152']), /Cannot confirm address 10.6.168.152 of eth0/)
  assert.throws(() => ask(['nonsense']), /Cannot confirm address nonsense/)
})

const adoptedEntry = (uid: string, more: Partial<BlockEntry> = {}): BlockEntry => ({
  pool: 'p4',
  nic: '',
  owner: { kind: 'pod', uid },
  pod: 'default/web-1',
  podUid: uid,
  node: 'node1',
  since: 1,
  grant: { prefixBits: 16 },
  adopted: 'record',
  ...more,
})

void test('the first DEL of the pod’s uid matches what was adopted; of another uid, node or NIC it does not', async () => {
  const { world, ledger, allocator } = await kit()
  world.addPod('web-1', 'u1', { deletionTimestamp: '2026-01-01T00:00:00Z' })
  const ip = '10.6.168.151'
  await ledger.takeIn([{ ip, holders: [adoptedEntry('u1', { nic: 'eth0' })] }], never)
  const pod = { namespace: 'default', name: 'web-1', uid: 'u1' }
  await allocator.release('node1', { ...detach('old'), pod: { ...pod, uid: 'u0' } }, never)
  await allocator.release('node1', { ...detach('old', 'net1'), pod }, never)
  await allocator.release('node1', detach('old'), never)
  assert.equal(ledger.entry(ip)?.adopted, 'record')
  assert.equal((await failureOf(allocator.release('node2', { ...detach('old'), pod }, never))).code, 105)
  await allocator.release('node1', { ...detach('old'), pod }, never)
  assert.equal(ledger.entry(ip), undefined, 'the pod is terminating: freed at once')
})

for (const [what, more, reason] of [
  ['lives elsewhere', {}, /on node "node1"/],
  ['ends elsewhere', { deletionTimestamp: '2026-01-01T00:00:00Z' }, /on node "node1"/],
] as const) {
  void test(`a DEL for an adopted address without a node is refused when its pod ${what}`, async () => {
    const { world, ledger, allocator } = await kit()
    world.addPod('web-1', 'u1', more)
    const ip = '10.6.168.151'
    await ledger.takeIn([{ ip, holders: [adoptedEntry('u1', { node: '' })] }], never)
    const pod = { namespace: 'default', name: 'web-1', uid: 'u1' }
    const refused = await failureOf(allocator.release('node2', { ...detach('zzz'), pod }, never))
    assert.equal(refused.code, 105)
    assert.match(refused.msg, reason)
    assert.equal(ledger.entry(ip)?.adopted, 'record')
    world.remove('web-1')
    await allocator.release('node2', { ...detach('zzz'), pod }, never)
    assert.equal(ledger.entry(ip)?.adopted, 'record', 'nobody knows its node: left to the reclaimer')
  })
}

void test('a DEL of a living pod leaves what was adopted as it is: it may be of an older sandbox', async () => {
  const { world, ledger, allocator } = await kit()
  world.addPod('web-1', 'u1')
  const ip = '10.6.168.151'
  await ledger.takeIn([{ ip, holders: [adoptedEntry('u1')] }], never)
  const pod = { namespace: 'default', name: 'web-1', uid: 'u1' }
  await allocator.release('node1', { ...detach('old'), pod }, never)
  assert.equal(ledger.entry(ip)?.adopted, 'record')
  world.addPod('web-1', 'u1', { deletionTimestamp: '2026-01-01T00:00:00Z' })
  await allocator.release('node1', { ...detach('last'), pod }, never)
  assert.equal(ledger.entry(ip), undefined)
})

void test('an undo by another node frees nothing, also of a replica without a pod', async () => {
  const { world, allocator, ledger } = await kit()
  world.workloads.set('default/db', setOf('s', 1))
  world.addPod('db-0', 'u1', ownedBy('s'))
  await allocator.allocate('node1', requestOf('db-0', { containerId: 'c1' }), never)
  world.remove('db-0')
  await allocator.release('node1', detach('c1'), never)
  await allocator.release('node2', { containerId: 'c1', ifName: 'eth0', reason: 'undo' }, never)
  assert.equal(ledger.poolUsage('p4'), 1)
})

void test('an ADD of an earlier sandbox that comes late does not take the address from the later one', async () => {
  const { world, allocator, store } = await kit()
  world.addPod('web-1', 'u1')
  const add = (containerId: string, startedMs?: number) =>
    allocator.allocate(
      'node1',
      requestOf('web-1', { containerId, ...(startedMs !== undefined && { startedMs }) }),
      never,
    )
  const given = await add('c2', 50_000)
  const { code, msg, details } = await failureOf(add('c1', 40_500))
  assert.equal(code, 11)
  assert.match(msg, /for sandbox c1 of pod "web-1": sandbox c2 was begun 10 s after it/)
  assert.match(details, /^later-sandbox: .* clock of the node was set back.* from 10 s after/)
  // With a clock that was set back all new sandboxes are refused for a while: the pod hears why.
  assert.match(world.events.at(-1) ?? '', /^web-1 Warning FailedAllocateIP .* clock of the node was set back/)
  assert.deepEqual(
    [...store.entries().values()].map(({ attachments }) => attachments?.map((one) => one.containerId)),
    [['c2']],
  )
  // Repeats of the later one, a third one, one of a clock that was set back and one that says no time are served.
  assert.deepEqual(await add('c2', 50_500), given)
  assert.deepEqual(await add('c3', 51_000), given)
  assert.deepEqual(await add('c4', 51_000 - 110_000), given)
  assert.deepEqual(await add('c5'), given)
})

void test('a container id that another node uses too is in nobody’s way', async () => {
  const { world, allocator, ledger } = await kit()
  world.addPod('first', 'u1')
  world.addPod('second', 'u2', {}, 'node2')
  await allocator.allocate('node1', requestOf('first', { containerId: 'c' }), never)
  await allocator.allocate('node2', requestOf('second', { containerId: 'c' }), never)
  allocator.check('node1', { containerId: 'c', ifName: 'eth0', ips: ['10.6.168.151'] })
  assert.throws(() => allocator.check('node1', { containerId: 'c', ifName: 'eth0', ips: ['10.6.168.152'] }))
  world.remove('first')
  await allocator.release('node1', detach('c'), never)
  assert.deepEqual(
    ledger.ofPool('p4').map(({ entry }) => entry.pod),
    ['default/second'],
  )
  allocator.check('node2', { containerId: 'c', ifName: 'eth0', ips: ['10.6.168.152'] })
  assert.equal((await failureOf(allocator.release('node1', detach('c'), never))).code, 105)
})

void test('a pod that gets a new sandbox gives up its claim on the address of another', async () => {
  const { world, ledger, allocator } = await kit()
  world.addPod('web-1', 'u1')
  const ip = '10.6.168.151'
  const other = adoptedEntry('u2', { pod: 'default/web-2' })
  await ledger.takeIn([{ ip, holders: [other, adoptedEntry('u1')] }], never)
  const { ips } = await allocator.allocate('node1', requestOf('web-1'), never)
  assert.equal(ips[0]?.address, '10.6.168.152/16')
  assert.equal(ledger.entry(ip)?.claims, undefined)
})

void test('a pool whose records cannot be read gives nothing new, and says why', async () => {
  const { world, allocator } = await kit()
  world.addPod('web-1', 'u1')
  world.addPod('web-2', 'u2')
  await allocator.allocate('node1', requestOf('web-1'), never)
  world.blockedPools.set('p4', 'status.allocatedIPs is not JSON')
  const { code, msg } = await failureOf(allocator.allocate('node1', requestOf('web-2'), never))
  assert.equal(code, 101)
  assert.match(msg, /p4: unreadable records: status\.allocatedIPs is not JSON/)
  const again = await allocator.allocate('node1', requestOf('web-1'), never)
  assert.equal(again.ips[0]?.address, '10.6.168.151/16', 'who has an address keeps it')
})

void test('VLAN, DNS settings and metadata of pool and pod travel with the address, and a repeat answers the same', async () => {
  const { world, allocator, ledger } = await kit()
  const given = { vlanID: 7, dns: { nameservers: ['10.6.0.53'] }, metadata: { rack: 'r7', room: 'b' } }
  world.addPool('p4', { subnet: '10.6.0.0/16', ips: ['10.6.168.151'], default: true, ...given })
  const annotations = {
    'ipam.spidernet.io/dns': '{"search":["shop.example"]}',
    'ipam.spidernet.io/metadata': '{"rack":"r9"}',
  }
  world.addPod('web-1', 'u1', { annotations })
  const first = await allocator.allocate('node1', requestOf('web-1'), never)
  assert.deepEqual(first.dns, { nameservers: ['10.6.0.53'], search: ['shop.example'] })
  assert.deepEqual(first.ips[0]?.metadata, { rack: 'r9', room: 'b' })
  assert.equal(first.ips[0]?.vlan, 7)
  const { dns, metadata, vlan } = ledger.entry('10.6.168.151')?.grant ?? {}
  assert.deepEqual([dns, metadata, vlan], [first.dns, { rack: 'r9', room: 'b' }, 7])
  world.addPool('p4', { subnet: '10.6.0.0/16', ips: ['10.6.168.151'], default: true })
  world.addPod('web-1', 'u1', { annotations: { 'ipam.spidernet.io/dns': 'spoilt' } })
  assert.deepEqual(await allocator.allocate('node1', requestOf('web-1', { containerId: 'c2' }), never), first)
})

void test('attributes that cannot be used refuse the pod by the annotation, and take nothing', async () => {
  const { world, allocator, ledger } = await kit()
  const facts = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`k${i}`, 'x'.repeat(100)]))
  for (const [key, text] of [
    ['dns', '{"nameservers":["ns.example"]}'],
    ['metadata', '{"a":1}'],
    ['metadata', JSON.stringify(facts)],
  ] as const) {
    world.addPod('web-1', 'u1', { annotations: { [`ipam.spidernet.io/${key}`]: text } })
    const failure = await failureOf(allocator.allocate('node1', requestOf('web-1'), never))
    assert.equal(failure.code, 7)
    assert.ok(failure.msg.includes(`ipam.spidernet.io/${key}`) || failure.details.includes(key), failure.msg)
    assert.match(world.events.at(-1) ?? '', /web-1 Warning FailedAllocateIP/)
  }
  assert.equal(ledger.stats().entries, 0)
})
