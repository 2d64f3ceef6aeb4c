import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpiderIpPool } from '../api/index.ts'
import { silentLogger } from '../base/index.ts'
import type { AddCall } from './add-call.ts'
import { MemoryBlockStore } from './blocks/memory-block-store.ts'
import { LedgerDeposedError, PoolFullError } from './errors.ts'
import { Ledger } from './ledger.ts'
import { reservedOf } from './pool/offered.ts'

const never = new AbortController().signal

export function poolOf(name: string, spec: SpiderIpPool['spec']): SpiderIpPool {
  return { metadata: { name }, spec }
}
const p4 = poolOf('p4', {
  subnet: '10.6.0.0/16',
  ips: ['10.6.168.151-10.6.168.153'],
  gateway: '10.6.0.1',
})
const p6 = poolOf('p6', { subnet: 'fd00:6::/64', ips: ['fd00:6::1-fd00:6::ffff'] })
const noReserved = reservedOf([])

let nowMs = 1000
const next = () => ++nowMs
const clock = { nowMs: next, monotonicMs: next, sleep: () => Promise.resolve() }
const random = { next: () => 0.5 }

function open(store: MemoryBlockStore, term = 1): Promise<Ledger> {
  return Ledger.open({ store, term, clock, random, logger: silentLogger }, never)
}

const nicOf = (containerId: string, node = 'node1') => ({ containerId, ifName: 'eth0', node })

/** An ADD of a stateless pod: keeps what it has, else takes one address of each list of pools. */
function callOf(
  pod: string,
  lists: readonly (readonly SpiderIpPool[])[],
  more: Partial<AddCall> = {},
): AddCall {
  const nic = more.nic ?? 'eth0'
  return {
    owner: { kind: 'pod', uid: `uid-${pod}` },
    pod: `default/${pod}`,
    podUid: `uid-${pod}`,
    node: 'node1',
    containerId: `c-${pod}`,
    nic,
    reserved: noReserved,
    plan: (existing) => ({
      drop: [],
      wants: existing.some(({ entry }) => entry.nic === nic)
        ? []
        : lists.map((pools) => ({
            nic,
            version: pools[0]?.spec.subnet.includes(':') === true ? (6 as const) : (4 as const),
            pools,
          })),
    }),
    grant: () => ({ prefixBits: 16 }),
    ...more,
  }
}
const ips = (answer: { addresses: readonly { ip: string }[] }) => answer.addresses.map(({ ip }) => ip)

void test('add() gives the lowest address that was never used, then the longest-resting one', async () => {
  const ledger = await open(new MemoryBlockStore())
  assert.deepEqual(ips(await ledger.add(callOf('a', [[p4]]), never)), ['10.6.168.151'])
  assert.deepEqual(ips(await ledger.add(callOf('b', [[p4]]), never)), ['10.6.168.152'])
  await ledger.free(ledger.ofPod('default/b'), never)
  await ledger.free(ledger.ofPod('default/a'), never)
  assert.deepEqual(ips(await ledger.add(callOf('c', [[p4]]), never)), ['10.6.168.153'])
  const hurried = await ledger.add(callOf('d', [[p4]]), never)
  assert.deepEqual(ips(hurried), ['10.6.168.152'])
  assert.equal(hurried.hurried[0]?.ip, '10.6.168.152')
  assert.deepEqual(ips(await ledger.add(callOf('e', [[p4]]), never)), ['10.6.168.151'])
  assert.equal(ledger.poolUsage('p4'), 3)
})

void test('add() refuses a full pool at once, and takes the next pool of the list', async () => {
  const store = new MemoryBlockStore()
  const ledger = await open(store)
  for (const pod of ['a', 'b', 'c']) await ledger.add(callOf(pod, [[p4]]), never)
  const before = { ...store.calls }
  await assert.rejects(ledger.add(callOf('d', [[p4]]), never), (error) => {
    assert(error instanceof PoolFullError)
    assert.match(error.message, /all IP addresses used out.*p4: 3 allocated/)
    return true
  })
  assert.deepEqual(store.calls, before, 'a refusal costs no call')
  const free = poolOf('p-free', { subnet: '10.7.0.0/16', ips: ['10.7.0.9'] })
  assert.deepEqual(ips(await ledger.add(callOf('d', [[p4, free]]), never)), ['10.7.0.9'])
})

void test('a full pool counts what is being written', async () => {
  const ledger = await open(new MemoryBlockStore())
  await ledger.add(callOf('a', [[p4]]), never)
  const others = ['b', 'c'].map((pod) => ledger.add(callOf(pod, [[p4]]), never))
  const words = /p4: 1 allocated, 2 being written, of 3 that it offers none is free/
  await assert.rejects(ledger.add(callOf('d', [[p4]]), never), words)
  await Promise.all(others)
  await assert.rejects(ledger.add(callOf('d', [[p4]]), never), /p4: 3 allocated, of 3 that/)
})

void test('add() waits for an address that is being freed, and fails when that comes to nothing', async () => {
  const ledger = await open(new MemoryBlockStore())
  for (const pod of ['a', 'b', 'c']) await ledger.add(callOf(pod, [[p4]]), never)
  const [b] = ledger.ofPod('default/b')
  assert(b !== undefined)
  const freeing = ledger.free([b], never)
  const [d, e] = await Promise.allSettled(['d', 'e'].map((pod) => ledger.add(callOf(pod, [[p4]]), never)))
  assert.deepEqual(await freeing, [b.ip])
  assert(d?.status === 'fulfilled' && e?.status === 'rejected')
  assert.deepEqual(ips(d.value), [b.ip])
  assert(e.reason instanceof PoolFullError)
  // What was seen has changed: nothing is freed.
  const late = ledger.free([b], never)
  await assert.rejects(ledger.add(callOf('f', [[p4]]), never), PoolFullError)
  assert.deepEqual(await late, [])
})

void test('a changed policy and cool-down of a pool hold from the next ADD on', async () => {
  const ledger = await open(new MemoryBlockStore())
  const withRule = (rule: Partial<SpiderIpPool['spec']>) => [[poolOf('p4', { ...p4.spec, ...rule })]]
  await ledger.add(callOf('a', [[p4]]), never)
  await ledger.free(ledger.ofPod('default/a'), never)
  const b = await ledger.add(callOf('b', withRule({ allocationPolicy: 'lowest', coolDownSeconds: 0 })), never)
  assert.deepEqual(ips(b), ['10.6.168.151'])
  assert.deepEqual(b.hurried, [], 'without a cool-down nothing is early')
  await ledger.free(ledger.ofPod('default/b'), never)
  const c = await ledger.add(callOf('c', withRule({ allocationPolicy: 'lowest' })), never)
  assert.deepEqual(ips(c), ['10.6.168.152'], 'the lowest that has cooled down')
  const d = await ledger.add(callOf('d', [[p4]]), never)
  assert.deepEqual(ips(d), ['10.6.168.153'])
  const named = { plan: () => ({ drop: [], wants: [wantOf('10.6.168.151')] }) }
  const e = await ledger.add(callOf('e', [], named), never)
  assert.deepEqual(
    e.hurried.map(({ ip, isNamed }) => [ip, isNamed]),
    [['10.6.168.151', true]],
  )
})
const wantOf = (ip: string) => ({ nic: 'eth0', version: 4 as const, pools: [p4], ips: [ip] })

void test('add() takes nothing when one family is full', async () => {
  const ledger = await open(new MemoryBlockStore())
  const full6 = poolOf('full6', { subnet: 'fd00:7::/64', ips: [] })
  await assert.rejects(ledger.add(callOf('a', [[p4], [full6]]), never), PoolFullError)
  assert.equal(ledger.stats().entries, 0)
  assert.deepEqual(
    ips(await ledger.add(callOf('b', [[p4]]), never)),
    ['10.6.168.151'],
    'the address was given back',
  )
})

void test('add() of 1000 pods at once costs tens of writes and doubles nothing', async () => {
  const store = new MemoryBlockStore()
  const ledger = await open(store)
  const big = poolOf('big', { subnet: '10.6.0.0/16', ips: ['10.6.1.0-10.6.4.231'] })
  const names = Array.from({ length: 1000 }, (_, index) => `pod-${index}`)
  const answers = await Promise.all(names.map((name) => ledger.add(callOf(name, [[big]]), never)))
  assert.equal(new Set(answers.flatMap(ips)).size, 1000)
  assert(store.calls.create + store.calls.patch <= 30, JSON.stringify(store.calls))
  await assert.rejects(ledger.add(callOf('one-more', [[big]]), never), PoolFullError)
  await ledger.free([...ledger.all()], never)
  assert.equal(store.entries().size, 0)
  assert.equal(ledger.poolUsage('big'), 0)
})

void test('add() repeated gives the same addresses after a fresh read of the blocks', async () => {
  const store = new MemoryBlockStore()
  const ledger = await open(store)
  const call = callOf('a', [[p4], [p6]])
  const first = await ledger.add(call, never)
  await ledger.add(call, never) // settles the intent of the two families by a write
  const readsBefore = store.calls.read
  const again = await ledger.add(call, never)
  assert.deepEqual(ips(again), ips(first))
  assert.deepEqual(ips(again), ['10.6.168.151', 'fd00:6::1'])
  assert.equal(store.calls.read, readsBefore + 2)
  assert.deepEqual(again.created, [])
})

void test('add() by a new sandbox replaces the attachment by a write', async () => {
  const store = new MemoryBlockStore()
  const ledger = await open(store)
  await ledger.add(callOf('a', [[p4]]), never)
  await ledger.detach(nicOf('c-a'), never)
  assert.equal(store.entries().get('10.6.168.151')?.attachments, undefined)
  const again = await ledger.add(callOf('a', [[p4]], { containerId: 'c-2' }), never)
  assert.deepEqual(ips(again), ['10.6.168.151'])
  assert.deepEqual(store.entries().get('10.6.168.151')?.attachments, [
    { containerId: 'c-2', node: 'node1', active: true },
  ])
  await ledger.detach(nicOf('c-a'), never) // late DEL of the first sandbox
  assert.equal(ledger.ofContainer('c-2', 'eth0').length, 1)
})

void test('free() frees nothing that was attached again since it was seen', async () => {
  const ledger = await open(new MemoryBlockStore())
  await ledger.add(callOf('a', [[p4]]), never)
  await ledger.detach(nicOf('c-a'), never)
  const seen = ledger.ofPod('default/a')
  await ledger.add(callOf('a', [[p4]], { containerId: 'c-2' }), never)
  assert.deepEqual(await ledger.free(seen, never), [])
  assert.equal(ledger.poolUsage('p4'), 1)
})

void test('free() frees nothing that a container of the same id on another node uses since it was seen', async () => {
  const ledger = await open(new MemoryBlockStore())
  await ledger.add(callOf('a', [[p4]]), never)
  const seen = ledger.ofPod('default/a')
  await ledger.add(callOf('a', [[p4]], { node: 'node2' }), never)
  assert.deepEqual(await ledger.free(seen, never), [])
  assert.equal(ledger.poolUsage('p4'), 1)
})

void test('undo() frees what the attempt took, and only detaches what was there before', async () => {
  const ledger = await open(new MemoryBlockStore())
  await ledger.add(callOf('a', [[p4], [p6]]), never)
  assert.deepEqual(await ledger.undo(nicOf('c-other'), never), [])
  assert.equal((await ledger.undo(nicOf('c-a'), never)).length, 2)
  await ledger.add(callOf('a', [[p4]]), never)
  await ledger.add(callOf('a', [[p4]], { containerId: 'c-2' }), never)
  assert.deepEqual(await ledger.undo(nicOf('c-2'), never), [])
  const [left] = ledger.ofPod('default/a')
  assert.equal(left?.entry.attachments, undefined)
})

void test('a late undo of an earlier sandbox frees nothing that a later one was answered with, or counts on', async () => {
  const ledger = await open(new MemoryBlockStore())
  // One intent for two NICs; the first sandbox fails, and its undo comes when the second has its first NIC.
  const plan: AddCall['plan'] = (existing) => ({
    drop: [],
    wants:
      existing.length > 0
        ? []
        : [
            { nic: 'eth0', version: 4, pools: [p4] },
            { nic: 'net1', version: 6, pools: [p6] },
          ],
  })
  await ledger.add(callOf('a', [], { plan, containerId: 'c-1' }), never)
  await ledger.add(callOf('a', [], { plan, containerId: 'c-2' }), never)
  assert.deepEqual(await ledger.undo(nicOf('c-1'), never), [])
  await ledger.detach(nicOf('c-2'), never)
  assert.deepEqual(await ledger.undo(nicOf('c-1'), never), [], 'also when nothing uses it')
  assert.equal(ledger.ofPod('default/a').length, 2)
})

void test('a leader that meets a higher term stops for good', async () => {
  const store = new MemoryBlockStore()
  const old = await open(store, 1)
  await old.add(callOf('a', [[p4]]), never)
  const next = await open(store, 2)
  await next.add(callOf('b', [[p4]]), never)
  await assert.rejects(old.add(callOf('c', [[p4]]), never), LedgerDeposedError)
  await assert.rejects(old.add(callOf('a', [[p4]]), never), LedgerDeposedError)
  assert(old.ended.aborted)
  await assert.rejects(open(store, 1), LedgerDeposedError)
  assert.equal(store.entries().size, 2)
})

void test('a new leader knows all that the old one acknowledged', async () => {
  const store = new MemoryBlockStore()
  const old = await open(store, 1)
  await old.add(callOf('a', [[p4], [p6]]), never)
  await old.add(callOf('b', [[p4]]), never)
  await old.free(old.ofPod('default/b'), never)
  const next = await open(store, 2)
  assert.equal(next.stats().entries, 2)
  assert.deepEqual(ips(await next.add(callOf('a', [[p4]]), never)), ['10.6.168.151', 'fd00:6::1'])
  assert.deepEqual(ips(await next.add(callOf('c', [[p4]]), never)), ['10.6.168.153'], '.152 rests')
})

void test('a /8 and an IPv6 /64 cost no more than what is allocated in them', async () => {
  const ledger = await open(new MemoryBlockStore())
  const eight = poolOf('eight', { subnet: '11.0.0.0/8', ips: ['11.0.0.1-11.255.255.254'] })
  const wide = poolOf('wide', { subnet: 'fd00:2::/64', ips: ['fd00:2::1-fd00:2::ffff:ffff:ffff:ffff'] })
  const answer = await ledger.add(callOf('a', [[eight], [wide]]), never)
  assert.deepEqual(ips(answer), ['11.0.0.1', 'fd00:2::1'])
  assert.equal(ledger.stats().blocks, 2)
})

void test('excluded, reserved and gateway addresses are never given', async () => {
  const ledger = await open(new MemoryBlockStore())
  const pool = poolOf('p', {
    subnet: '10.6.0.0/16',
    ips: ['10.6.1.9-10.6.1.14'],
    excludeIPs: ['10.6.1.11-10.6.1.12'],
    gateway: '10.6.1.9',
  })
  const list = [{ metadata: { name: 'r' }, spec: { ips: ['10.6.1.12-10.6.1.13'] } }]
  const reserved = reservedOf(list)
  assert.equal(reservedOf(list), reserved)
  const given: string[] = []
  for (const pod of ['a', 'b'])
    given.push(...ips(await ledger.add(callOf(pod, [[pool]], { reserved }), never)))
  assert.deepEqual(given, ['10.6.1.10', '10.6.1.14'])
  await assert.rejects(ledger.add(callOf('c', [[pool]], { reserved }), never), PoolFullError)
  assert.deepEqual(
    ips(await ledger.add(callOf('c', [[pool]]), never)),
    ['10.6.1.13'],
    'the reservation is gone',
  )
})

void test('add() never moves an address to a pod of another name, whatever owner both claim', async () => {
  const ledger = await open(new MemoryBlockStore())
  const owner = {
    kind: 'sticky',
    group: 'apps',
    ownerKind: 'StatefulSet',
    name: 'a',
    uid: 's',
    replica: '0',
  } as const
  const first = await ledger.add(callOf('a-0', [[p4]], { owner }), never)
  const other = await ledger.add(callOf('b-0', [[p4]], { owner, pod: 'tenant/b-0' }), never)
  assert.notDeepEqual(ips(other), ips(first))
  assert.equal(ledger.ofContainer('c-a-0', 'eth0').length, 1)
  const again = await ledger.add(
    callOf('a-0', [[p4]], { owner, podUid: 'uid-2', containerId: 'c-2', node: 'node2' }),
    never,
  )
  assert.deepEqual(ips(again), ips(first))
})

void test('undo() and detach() of a container of another node with the same id change nothing', async () => {
  const ledger = await open(new MemoryBlockStore())
  await ledger.add(callOf('a', [[p4]]), never)
  await ledger.detach(nicOf('c-a', 'node2'), never)
  assert.deepEqual(await ledger.undo(nicOf('c-a', 'node2'), never), [])
  assert.equal(ledger.ofContainer('c-a', 'eth0').length, 1)
  await ledger.detach(nicOf('c-a'), never)
  assert.deepEqual(await ledger.undo(nicOf('c-a', 'node2'), never), [], 'also when nothing uses it')
  assert.equal(ledger.poolUsage('p4'), 1)
})
