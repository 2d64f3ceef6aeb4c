// Pods that ask for addresses and MAC addresses, at the allocator: who gets them, who is refused and why.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AllocateResponse, Pod } from '../../api/index.ts'
import { type AllocatorKit, allocatorKit, failureOf, never, requestOf } from './testing/allocator-kit.ts'

const ips = (...list: readonly string[]) => ({ 'ipam.spidernet.io/ips': JSON.stringify(list) })
const mac = (text: string) => ({ 'ipam.spidernet.io/mac': text })
const given = ({ ips: list }: AllocateResponse) => list.map(({ address }) => address.split('/')[0])
const one = '02:00:00:00:00:01'

async function kit(): Promise<AllocatorKit> {
  const made = await allocatorKit()
  made.world.addPool('p4', {
    subnet: '10.6.0.0/16',
    ips: ['10.6.168.151-10.6.168.153', '10.6.0.1'],
    excludeIPs: ['10.6.168.153'],
    gateway: '10.6.0.1',
    default: true,
  })
  return made
}

void test('a pod gets the address and the MAC address that it asks for, shown as static; others are as before', async () => {
  const { world, allocator, ledger } = await kit()
  world.addPod('web-1', 'u1', { annotations: { ...ips('10.6.168.152/16'), ...mac(one) } })
  world.addPod('web-2', 'u2')
  const answer = await allocator.allocate('node1', requestOf('web-1'), never)
  assert.deepEqual([given(answer), answer.ips[0]?.mac], [['10.6.168.152'], one])
  assert.deepEqual(ledger.entry('10.6.168.152')?.grant.isStatic, true)
  assert.deepEqual(
    await allocator.allocate('node1', requestOf('web-1', { containerId: 'c2' }), never),
    answer,
  )
  assert.deepEqual(given(await allocator.allocate('node1', requestOf('web-2'), never)), ['10.6.168.151'])
  assert.equal(ledger.entry('10.6.168.151')?.grant.isStatic, undefined)
})

void test('of two pods that ask for one address at once exactly one gets it, and the other is told who', async () => {
  const { world, allocator, ledger } = await kit()
  for (const name of ['web-1', 'web-2']) {
    world.addPod(name, `u-${name}`, { annotations: ips('10.6.168.152') })
  }
  const both = await Promise.allSettled(
    ['web-1', 'web-2'].map((name) => allocator.allocate('node1', requestOf(name), never)),
  )
  const winner = both.findIndex(({ status }) => status === 'fulfilled')
  assert.equal(both.filter(({ status }) => status === 'fulfilled').length, 1)
  const loser = winner === 0 ? 'web-2' : 'web-1'
  const failure = await failureOf(allocator.allocate('node1', requestOf(loser), never))
  assert.equal(failure.code, 102)
  assert.match(failure.msg, new RegExp(`10\\.6\\.168\\.152 is held by pod default/web-${winner + 1}`))
  assert.match(world.events.at(-1) ?? '', new RegExp(`${loser} Warning FailedAllocateIP .*held by pod`))
  assert.equal(ledger.stats().entries, 1)
})

void test('what is excluded, reserved, a gateway, outside, or of another prefix length is refused, and nothing is taken', async () => {
  const { world, allocator, ledger } = await kit()
  world.reserved = [{ metadata: { name: 'r' }, spec: { ips: ['10.6.168.151'] } }]
  world.addPool('other', { subnet: '10.7.0.0/16', ips: ['10.7.0.9'] })
  for (const [text, code, words] of [
    ['10.6.168.153', 102, /excluded by IPPool p4/],
    ['10.6.168.151', 102, /reserved/],
    ['10.6.0.1', 102, /gateway of IPPool p4/],
    ['10.7.0.9', 102, /none of the eligible IPPools \[p4\]/],
    ['192.0.2.1', 102, /none of the eligible IPPools/],
    ['10.6.168.152/24', 7, /another prefix length.*16/],
    ['fd00::9', 101, /no IPv6 IPPool is selected for eth0/],
    ['x', 7, /ipam\.spidernet\.io\/ips/],
  ] as const) {
    world.addPod('web-1', 'u1', { annotations: ips(text) })
    const failure = await failureOf(allocator.allocate('node1', requestOf('web-1'), never))
    assert.equal(failure.code, code, failure.msg)
    assert.match(failure.msg, words)
    assert.match(world.events.at(-1) ?? '', /FailedAllocateIP/)
  }
  assert.equal(ledger.stats().entries, 0)
})

void test('an address is asked for by the network selection and by CNI_ARGS, too', async () => {
  const { world, allocator } = await kit()
  world.requests = { eth0: { ips: ['10.6.168.152'], mac: one } }
  const selected = { 'v1.multus-cni.io/default-network': 'a' }
  world.addPod('web-1', 'u1', { annotations: selected })
  const answer = await allocator.allocate('node1', requestOf('web-1', { ips: ['10.6.168.152/16'] }), never)
  assert.deepEqual([given(answer), answer.ips[0]?.mac], [['10.6.168.152'], one])
  world.requests = {}
  world.addPod('web-2', 'u2')
  assert.deepEqual(
    given(await allocator.allocate('node1', requestOf('web-2', { ips: ['10.6.168.151'] }), never)),
    ['10.6.168.151'],
  )
  world.addPod('web-3', 'u3', { annotations: ips('10.6.168.152') })
  const failure = await failureOf(
    allocator.allocate('node1', requestOf('web-3', { ips: ['10.6.168.151'] }), never),
  )
  assert.deepEqual([failure.code, /CNI_ARGS, beside annotation/.test(failure.msg)], [7, true])
})

void test('the other family comes from selection; with one family refused nothing of the other is taken', async () => {
  const { world, allocator, ledger } = await kit()
  world.addPool('p6', { subnet: 'fd00:6::/64', ips: ['fd00:6::1-fd00:6::9'], default: true })
  world.addPod('web-1', 'u1', { annotations: ips('fd00:6::7') })
  assert.deepEqual(given(await allocator.allocate('node1', requestOf('web-1'), never)), [
    '10.6.168.151',
    'fd00:6::7',
  ])
  world.addPod('web-2', 'u2', { annotations: ips('10.6.168.152', 'fd00:6::7') })
  assert.equal((await failureOf(allocator.allocate('node1', requestOf('web-2'), never))).code, 102)
  assert.equal(ledger.entry('10.6.168.152'), undefined)
})

void test('the replicas of a workload take the first free address of their list, and no other when all are held', async () => {
  const { world, allocator } = await kit()
  const annotations = ips('10.6.168.152', '10.6.168.151')
  const got: unknown[] = []
  for (const name of ['web-a', 'web-b']) {
    world.addPod(name, `u-${name}`, { annotations })
    got.push(...given(await allocator.allocate('node1', requestOf(name), never)))
  }
  assert.deepEqual(got, ['10.6.168.152', '10.6.168.151'])
  world.addPod('web-c', 'u-web-c', { annotations })
  const failure = await failureOf(allocator.allocate('node1', requestOf('web-c'), never))
  assert.match(failure.msg, /152 is held by pod default\/web-a.*151 is held by pod default\/web-b/)
})

void test('a pod of which the sandbox restarts gets what it asks for now; a repeat of one ADD gets what it had', async () => {
  const { world, allocator, ledger } = await kit()
  world.addPod('web-1', 'u1')
  await allocator.allocate('node1', requestOf('web-1'), never)
  world.addPod('web-1', 'u1', { annotations: ips('10.6.168.152') })
  assert.deepEqual(given(await allocator.allocate('node1', requestOf('web-1'), never)), ['10.6.168.151'])
  const later = requestOf('web-1', { containerId: 'c2' })
  assert.deepEqual(given(await allocator.allocate('node1', later, never)), ['10.6.168.152'])
  assert.equal(ledger.entry('10.6.168.151'), undefined)
})

function replica(
  world: AllocatorKit['world'],
  ordinal: number,
  uid: string,
  annotations: Record<string, string>,
): Pod {
  const controller = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'sts', controller: true }
  return world.addPod(`db-${ordinal}`, uid, { annotations, ownerReferences: [controller] })
}

void test('a replica of a StatefulSet gets the address at its ordinal, keeps it, and gets another when it asks anew', async () => {
  const { world, allocator, ledger } = await kit()
  world.workloads.set('default/db', {
    metadata: { name: 'db', namespace: 'default', uid: 'sts' },
    spec: { replicas: 3, ordinals: { start: 4 } },
  })
  const list = ips('10.6.168.151', '10.6.168.152')
  replica(world, 5, 'a', list)
  assert.deepEqual(given(await allocator.allocate('node1', requestOf('db-5'), never)), ['10.6.168.152'])
  replica(world, 6, 'b', list)
  const failure = await failureOf(allocator.allocate('node1', requestOf('db-6'), never))
  assert.deepEqual([failure.code, /none for the replica at position 2/.test(failure.msg)], [7, true])
  replica(world, 5, 'c', { ...list, ...mac(one) })
  const restarted = await allocator.allocate('node1', requestOf('db-5', { containerId: 'c2' }), never)
  assert.deepEqual([given(restarted), restarted.ips[0]?.mac], [['10.6.168.152'], one])
  replica(world, 5, 'd', ips('10.6.168.151'))
  const anew = await allocator.allocate('node1', requestOf('db-5', { containerId: 'c3' }), never)
  assert.deepEqual(given(anew), ['10.6.168.151'])
  assert.equal(ledger.entry('10.6.168.152'), undefined)
})

void test('a MAC address that another NIC has is refused by its holder, also when both ask at once, and nothing is taken', async () => {
  const { world, allocator, ledger } = await kit()
  world.nics = ['eth0', 'net1']
  for (const name of ['web-1', 'web-2']) world.addPod(name, `u-${name}`, { annotations: mac(one) })
  const both = await Promise.allSettled(
    ['web-1', 'web-2'].map((name) => allocator.allocate('node1', requestOf(name), never)),
  )
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  const loser = both[0]?.status === 'fulfilled' ? 'web-2' : 'web-1'
  const failure = await failureOf(allocator.allocate('node1', requestOf(loser), never))
  assert.equal(failure.code, 102)
  assert.match(failure.msg, /02:00:00:00:00:01 to NIC eth0: it is held by NIC eth0 of pod default\/web-/)
  world.requests = { net1: { mac: one } }
  const winner = loser === 'web-1' ? 'web-2' : 'web-1'
  const twice = await failureOf(allocator.allocate('node1', requestOf(winner, { ifName: 'net1' }), never))
  assert.match(twice.msg, /to NIC net1: it is held by NIC eth0/)
  assert.equal(ledger.stats().entries, 1)
  world.remove(winner)
  await allocator.release('node1', { containerId: `c-${winner}`, ifName: 'eth0', reason: 'detach' }, never)
  world.requests = {}
  assert.equal((await allocator.allocate('node1', requestOf(loser), never)).ips[0]?.mac, one)
})

void test('both families of a NIC have its one MAC address', async () => {
  const { world, allocator } = await kit()
  world.addPool('p6', { subnet: 'fd00:6::/64', ips: ['fd00:6::1-fd00:6::9'], default: true })
  world.addPod('web-1', 'u1', { annotations: mac(one) })
  const { ips: both } = await allocator.allocate('node1', requestOf('web-1'), never)
  assert.deepEqual(
    both.map((ip) => ip.mac),
    [one, one],
  )
})

void test('the new pod of a replica keeps gateway, routes and attributes, unless it asks for them as they are now', async () => {
  const { world, allocator, ledger } = await kit()
  world.workloads.set('default/db', {
    metadata: { name: 'db', namespace: 'default', uid: 'sts' },
    spec: { replicas: 1 },
  })
  const spec = { subnet: '10.6.0.0/16', ips: ['10.6.168.151'], default: true }
  world.addPool('p4', { ...spec, gateway: '10.6.0.1', metadata: { rack: 'r7' } })
  replica(world, 0, 'a', {})
  const first = await allocator.allocate('node1', requestOf('db-0'), never)
  world.addPool('p4', {
    ...spec,
    gateway: '10.6.0.2',
    routes: [{ dst: '10.9.0.0/16', gw: '10.6.0.3' }],
    vlanID: 9,
    metadata: { rack: 'r8' },
  })
  replica(world, 0, 'b', {})
  assert.deepEqual(await allocator.allocate('node1', requestOf('db-0', { containerId: 'c2' }), never), first)
  replica(world, 0, 'c', {
    'ipam.spidernet.io/refresh-attributes': 'true',
    'ipam.spidernet.io/metadata': '{"a":"b"}',
  })
  const third = requestOf('db-0', { containerId: 'c3' })
  const refreshed = await allocator.allocate('node1', third, never)
  const [ip] = refreshed.ips
  assert.deepEqual(
    [ip?.address, ip?.gateway, ip?.vlan, ip?.metadata],
    ['10.6.168.151/16', '10.6.0.2', 9, { rack: 'r8', a: 'b' }],
  )
  assert.deepEqual(
    refreshed.routes.map(({ dst, gw }) => `${dst} ${gw}`),
    ['0.0.0.0/0 10.6.0.2', '10.9.0.0/16 10.6.0.3'],
  )
  world.addPool('p4', { ...spec, gateway: '10.6.0.4' })
  assert.deepEqual(await allocator.allocate('node1', third, never), refreshed)
  assert.deepEqual(ledger.entry('10.6.168.151')?.grant.gateway, '10.6.0.2')
})

void test('an annotation about new attributes that is neither true nor false is refused with the first pod, and with the next', async () => {
  const { world, allocator, ledger } = await kit()
  world.workloads.set('default/db', {
    metadata: { name: 'db', namespace: 'default', uid: 'sts' },
    spec: { replicas: 1 },
  })
  const yes = { 'ipam.spidernet.io/refresh-attributes': 'yes' }
  replica(world, 0, 'a', yes)
  const failure = await failureOf(allocator.allocate('node1', requestOf('db-0'), never))
  assert.equal(failure.code, 7)
  assert.match(failure.msg, /refresh-attributes "yes": it is neither true nor false/)
  assert.equal(ledger.stats().entries, 0)
  replica(world, 0, 'a', {})
  const first = await allocator.allocate('node1', requestOf('db-0'), never)
  replica(world, 0, 'b', yes)
  const next = requestOf('db-0', { containerId: 'c2' })
  assert.equal((await failureOf(allocator.allocate('node1', next, never))).code, 7)
  replica(world, 0, 'b', { 'ipam.spidernet.io/refresh-attributes': 'false' })
  assert.deepEqual(await allocator.allocate('node1', next, never), first)
})
