import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockOf, parseIp } from '../address/index.ts'
import type { BlockEntry, SpiderIpPool } from '../api/index.ts'
import { type Clock, silentLogger } from '../base/index.ts'
import type { AddAnswer, AddCall } from './add-call.ts'
import { blockSizes, parseBlock } from './blocks/block-codec.ts'
import { MemoryBlockStore } from './blocks/memory-block-store.ts'
import { readPastHolder } from './blocks/read-entry.ts'
import { AddressRefusedError, PoolFullError, QuarantineFullError } from './errors.ts'
import { Ledger } from './ledger.ts'
import { reservedOf } from './pool/offered.ts'

const never = new AbortController().signal
const hourMs = 3_600_000
const noReserved = reservedOf([])
const blockName = blockOf(parseIp('10.6.1.1'), blockSizes).name

function poolOf(ips: string, more: Partial<SpiderIpPool['spec']> = {}): SpiderIpPool {
  return { metadata: { name: 'p' }, spec: { subnet: '10.6.0.0/16', ips: [ips], ...more } }
}
const small = poolOf('10.6.1.1-10.6.1.3')

interface World {
  readonly store: MemoryBlockStore
  readonly clock: Clock & { at: number }
  ledger: Ledger
}
const random = { next: () => 0.5 }

async function open(world: Omit<World, 'ledger'>, term: number): Promise<Ledger> {
  return Ledger.open({ ...world, term, random, logger: silentLogger }, never)
}
async function worldOf(): Promise<World> {
  const clock = {
    at: 1_000_000,
    nowMs: () => ++clock.at,
    monotonicMs: () => ++clock.at,
    sleep: () => Promise.resolve(),
  }
  const made = { store: new MemoryBlockStore(), clock }
  return { ...made, ledger: await open(made, 1) }
}

function callOf(pod: string, pools: readonly SpiderIpPool[], ips?: readonly string[]): AddCall {
  return {
    owner: { kind: 'pod', uid: `uid-${pod}` },
    pod: `default/${pod}`,
    podUid: `uid-${pod}`,
    node: 'node1',
    containerId: `c-${pod}`,
    nic: 'eth0',
    reserved: noReserved,
    plan: (existing) => ({
      drop: [],
      wants: existing.length > 0 ? [] : [{ nic: 'eth0', version: 4, pools, ...(ips && { ips }) }],
    }),
    grant: () => ({ prefixBits: 16 }),
  }
}
const reportOf = (pod: string, mac = '02:00:00:00:00:01') => ({
  sandbox: { containerId: `c-${pod}`, ifName: 'eth0', node: 'node1' },
  pod: `default/${pod}`,
  mac,
})
const only = ({ addresses }: AddAnswer) => {
  const [first] = addresses
  assert(first !== undefined)
  return first
}

void test('quarantine() takes the address from its owner and keeps it from everybody, in one write, for an hour', async () => {
  const { ledger, store, clock } = await worldOf()
  const held = only(await ledger.add(callOf('a', [small]), never))
  const writes = store.calls.patch
  const record = await ledger.quarantine(held, reportOf('a'), never)
  assert.equal(store.calls.patch, writes + 1)
  assert.deepEqual(
    { ...record, since: 0, until: (record?.until ?? 0) - (record?.since ?? 0) },
    { since: 0, until: hourMs, mac: '02:00:00:00:00:01', pod: 'default/a', nic: 'eth0', node: 'node1' },
  )
  const stored = (await store.read(blockName, never))?.spec
  assert.deepEqual(stored?.quarantine, { '10.6.1.1': record })
  assert.deepEqual(stored?.entries, {})
  assert.equal(ledger.poolUsage('p'), 0)
  const given = await Promise.all(['b', 'c'].map((pod) => ledger.add(callOf(pod, [small]), never)))
  assert.deepEqual(given.map((answer) => only(answer).ip).sort(), ['10.6.1.2', '10.6.1.3'])
  await assert.rejects(ledger.add(callOf('d', [small]), never), (error) => {
    assert(error instanceof PoolFullError)
    assert.match(error.message, /p: 2 allocated, 1 quarantined, of 3 that it offers none is free/)
    return true
  })
  await assert.rejects(ledger.add(callOf('d', [small], ['10.6.1.1']), never), (error) => {
    assert(error instanceof AddressRefusedError)
    assert.match(
      error.message,
      /10\.6\.1\.1 is quarantined until .*: MAC 02:00:00:00:00:01 answered for it at .*default\/a/,
    )
    return true
  })
  clock.at += hourMs
  const after = await ledger.add(callOf('d', [small]), never)
  assert.equal(only(after).ip, '10.6.1.1')
  assert.deepEqual(Object.keys((await store.read(blockName, never))?.spec.quarantine ?? {}), [])
})

void test('a quarantine outlives its leader, and an address comes back behind those that rest longer', async () => {
  const world = await worldOf()
  const { clock } = world
  const a = only(await world.ledger.add(callOf('a', [small]), never))
  await world.ledger.quarantine(a, reportOf('a'), never)
  for (const term of [2, 3]) {
    const ledger = await open(world, term)
    assert.equal(ledger.quarantineOf(a.ip)?.pod, 'default/a')
    assert.deepEqual(
      ledger.quarantinedBy('node1').map(({ ip }) => ip),
      [a.ip],
    )
  }
  const ledger = await open(world, 4)
  const b = only(await ledger.add(callOf('b', [small]), never))
  const c = only(await ledger.add(callOf('c', [small]), never))
  clock.at += hourMs - 10_000
  await ledger.free([b, c], never)
  clock.at += 20_000
  const order: string[] = []
  for (const pod of ['x', 'y', 'z']) order.push(only(await ledger.add(callOf(pod, [small]), never)).ip)
  assert.deepEqual(order, [b.ip, c.ip, a.ip], 'as if released when its quarantine ended')
})

void test('endQuarantine() gives an address free before its time', async () => {
  const { ledger } = await worldOf()
  const one = poolOf('10.6.1.1')
  const held = only(await ledger.add(callOf('a', [one]), never))
  await ledger.quarantine(held, reportOf('a'), never)
  await assert.rejects(ledger.add(callOf('b', [one]), never), PoolFullError)
  assert.equal(await ledger.endQuarantine('10.6.1.1', never), true)
  assert.equal(await ledger.endQuarantine('10.6.1.1', never), false)
  assert.equal(only(await ledger.add(callOf('b', [one]), never)).ip, '10.6.1.1')
})

void test('only what the sandbox still holds, and alone, is quarantined', async () => {
  const { ledger } = await worldOf()
  const a = only(await ledger.add(callOf('a', [small]), never))
  const other = { ...reportOf('a'), sandbox: { containerId: 'c-a', ifName: 'eth0', node: 'node2' } }
  assert.equal(await ledger.quarantine(a, other, never), undefined, 'another node')
  assert.equal(await ledger.quarantine(a, reportOf('b'), never), undefined, 'another container')
  // Its container was replaced: what was reported is over.
  await ledger.add({ ...callOf('a', [small]), containerId: 'c2' }, never)
  assert.equal(await ledger.quarantine(a, reportOf('a'), never), undefined, 'another sandbox since')
  const b = only(await ledger.add(callOf('b', [small]), never))
  const claimant: BlockEntry = { ...b.entry, owner: { kind: 'pod', uid: 'u9' }, pod: 'x/y', podUid: 'u9' }
  await ledger.takeIn([{ ip: b.ip, holders: [claimant] }], never)
  const contested = ledger.entry(b.ip)
  assert(contested !== undefined)
  const answer = await ledger.quarantine({ ip: b.ip, entry: contested }, reportOf('b'), never)
  assert.equal(answer, undefined, 'the other holder may be who answers')
  assert.equal(ledger.stats().entries, 2)
})

void test('one node quarantines 64 addresses at a time, and not one more', async () => {
  const { ledger, clock } = await worldOf()
  const big = poolOf('10.6.1.0-10.6.1.127')
  const pods = Array.from({ length: 70 }, (_, i) => `p${i}`)
  const held = await Promise.all(
    pods.map(async (pod) => ({ pod, ...only(await ledger.add(callOf(pod, [big]), never)) })),
  )
  const results = await Promise.allSettled(
    held.map(({ pod, ip, entry }) => ledger.quarantine({ ip, entry }, reportOf(pod), never)),
  )
  const refused = results.filter((result) => result.status === 'rejected')
  assert.equal(refused.length, 6)
  for (const { reason } of refused) assert(reason instanceof QuarantineFullError)
  assert.equal(ledger.quarantinedBy('node1').length, 64)
  clock.at += hourMs
  const last = held.find(({ ip }) => ledger.entry(ip) !== undefined)
  assert(last !== undefined)
  assert((await ledger.quarantine(last, reportOf(last.pod), never)) !== undefined, 'when the others are over')
})

void test('an address of two families that is quarantined leaves the other one complete', async () => {
  const world = await worldOf()
  const v6: SpiderIpPool = {
    metadata: { name: 'q' },
    spec: { subnet: 'fd00::/64', ips: ['fd00::1-fd00::9'] },
  }
  const both: AddCall = {
    ...callOf('a', [small]),
    plan: (existing) => ({
      drop: [],
      wants:
        existing.length > 0
          ? []
          : [
              { nic: 'eth0', version: 4, pools: [small] },
              { nic: 'eth0', version: 6, pools: [v6] },
            ],
    }),
  }
  const { addresses } = await world.ledger.add(both, never)
  const [first] = addresses
  assert(first !== undefined)
  assert((await world.ledger.quarantine(first, reportOf('a'), never)) !== undefined)
  const ledger = await open(world, 2)
  assert.deepEqual(
    [...ledger.all()].map(({ ip }) => ip),
    ['fd00::1'],
    'the next leader does not take it for half an intent',
  )
})

void test('an address that was found in use by a pod is recorded for it in spite of a quarantine', async () => {
  const { ledger } = await worldOf()
  const a = only(await ledger.add(callOf('a', [small]), never))
  await ledger.quarantine(a, reportOf('a'), never)
  const adopted: BlockEntry = {
    ...a.entry,
    pod: 'x/y',
    podUid: 'u',
    owner: { kind: 'pod', uid: 'u' },
    adopted: 'record',
  }
  await ledger.takeIn([{ ip: a.ip, holders: [adopted] }], never)
  assert.equal(ledger.entry(a.ip)?.pod, 'x/y')
})

void test('a freed address leaves a record of its holder: 3 for each address, 64 for each block', async () => {
  const { ledger, store, clock } = await worldOf()
  const big = poolOf('10.6.1.0-10.6.1.99', { allocationPolicy: 'lowest', coolDownSeconds: 0 })
  for (let round = 0; round < 5; round++) {
    const held = only(await ledger.add(callOf(`a${round}`, [big]), never))
    clock.at = 2_000_000 + round * 1000
    await ledger.free([held], never)
  }
  const history = async () => {
    const stored = (await store.read(blockName, never))?.spec.history ?? []
    return stored.map(readPastHolder).filter((one) => one !== undefined)
  }
  assert.deepEqual(
    (await history()).map(({ ip, pod, until }) => [ip, pod, Math.floor(until / 1000)]),
    [2, 3, 4].map((round) => ['10.6.1.0', `default/a${round}`, 2000 + round]),
  )
  for (let round = 0; round < 2; round++) {
    const pods = Array.from({ length: 50 }, (_, i) => `b${round}-${i}`)
    const held = await Promise.all(pods.map((pod) => ledger.add(callOf(pod, [big]), never)))
    await ledger.free(held.map(only), never)
  }
  const full = await history()
  assert.equal(full.length, 64)
  assert.equal(full.filter(({ pod }) => pod.startsWith('default/b1-')).length, 50, 'the newest stay')
  assert.deepEqual(
    full.map(({ until }) => until),
    full.map(({ until }) => until).sort((x, y) => x - y),
  )
})

void test('what cannot be read of quarantine and history is told of, and harms nothing', async () => {
  const { ledger, store } = await worldOf()
  await ledger.add(callOf('a', [small]), never)
  const object = await store.read(blockName, never)
  assert(object !== undefined)
  const past = { ip: '10.6.1.3', pod: 'x/y', podUid: 'u', nic: 'eth0', node: 'n', since: 1, until: 2 }
  const damaged = {
    ...object,
    spec: {
      ...object.spec,
      quarantine: { '10.6.1.2': { since: 'x' }, '10.9.0.1': {}, '10.6.1.1': 7 },
      history: [{ ...past, zone: 'z' }, 'x', { ip: 3 }],
    },
  }
  const read = parseBlock(damaged as never)
  assert.deepEqual([...read.unreadable].sort(), ['10.6.1.1', '10.6.1.2'])
  assert.equal(read.entries.size, 1)
  assert.equal(read.quarantine.size, 0)
  assert.deepEqual(read.history, [{ ...past, zone: 'z' }], 'with what a newer controller says')
  assert.equal(read.problems.length, 4)
})
