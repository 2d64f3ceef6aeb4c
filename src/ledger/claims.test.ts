import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockEntry, SpiderIpBlock, SpiderIpPool } from '../api/index.ts'
import { silentLogger } from '../base/index.ts'
import type { AddCall } from './add-call.ts'
import { parseBlock } from './blocks/block-codec.ts'
import { MemoryBlockStore } from './blocks/memory-block-store.ts'
import { claimsOf, isContested } from './claims.ts'
import { PoolFullError } from './errors.ts'
import { Ledger } from './ledger.ts'
import { reservedOf } from './pool/offered.ts'

const never = new AbortController().signal
const pool: SpiderIpPool = {
  metadata: { name: 'p4' },
  spec: { subnet: '10.7.0.0/16', ips: ['10.7.1.1-10.7.1.2'] },
}
const clock = { nowMs: () => 1000, monotonicMs: () => 1000, sleep: () => Promise.resolve() }
const random = { next: () => 0.5 }
const open = (store: MemoryBlockStore, term = 1): Promise<Ledger> =>
  Ledger.open({ store, term, clock, random, logger: silentLogger }, never)

function holder(name: string, more: Partial<BlockEntry> = {}): BlockEntry {
  const podUid = `uid-${name}`
  const pod = `race/${name}`
  const owner = { kind: 'pod', uid: podUid } as const
  const grant = { prefixBits: 16 }
  return { pool: 'p4', nic: '', owner, pod, podUid, node: 'n1', since: 1, grant, adopted: 'record', ...more }
}

function addOf(name: string, named: readonly string[] = [], drop: readonly string[] = []): AddCall {
  return {
    owner: { kind: 'pod', uid: `uid-${name}` },
    pod: `race/${name}`,
    podUid: `uid-${name}`,
    node: 'n1',
    containerId: `c-${name}`,
    nic: 'eth0',
    reserved: reservedOf([]),
    plan: (existing) => {
      const isKept = existing.some(({ ip }) => !drop.includes(ip))
      return { drop, named, wants: isKept ? [] : [{ nic: 'eth0', version: 4, pools: [pool] }] }
    },
    grant: () => ({ prefixBits: 16 }),
  }
}

void test('takeIn() makes entries of what others gave, one write for each block, and none when repeated', async () => {
  const store = new MemoryBlockStore()
  const ledger = await open(store)
  const found = Array.from({ length: 250 }, (_, at) => ({
    ip: `10.7.${Math.floor(at / 50)}.${(at % 50) + 1}`,
    holders: [holder(`pod-${at}`)],
  }))
  await ledger.takeIn(found, never)
  assert.equal(store.entries().size, 250)
  assert.equal(ledger.stats().writes, 5)
  await ledger.takeIn(found, never)
  assert.equal(ledger.stats().writes, 5)
  await assert.rejects(ledger.add(addOf('new'), never), PoolFullError)
})

void test('an ADD of the pod attaches what was adopted, and names its NIC', async () => {
  const store = new MemoryBlockStore()
  const ledger = await open(store)
  await ledger.takeIn([{ ip: '10.7.1.2', holders: [holder('a')] }], never)
  const { addresses, created } = await ledger.add(addOf('a', ['10.7.1.2']), never)
  assert.deepEqual(created, [])
  assert.equal(addresses[0]?.ip, '10.7.1.2')
  const entry = store.entries().get('10.7.1.2')
  assert.equal(entry?.nic, 'eth0')
  assert.equal(entry.adopted, undefined)
  assert.equal(entry.attachments?.[0]?.containerId, 'c-a')
})

void test('a contested address goes to the next holder, and to nobody new until none is left', async () => {
  const store = new MemoryBlockStore()
  const ledger = await open(store)
  const both = [holder('a'), holder('b')]
  await ledger.takeIn([{ ip: '10.7.1.1', holders: both }], never)
  await ledger.takeIn([{ ip: '10.7.1.2', holders: [holder('z')] }], never)
  const next = await open(store, 2)
  assert.deepEqual(
    next.contested().map(({ ip, entry }) => [ip, entry.podUid, claimsOf(entry).map(({ podUid }) => podUid)]),
    [['10.7.1.1', 'uid-a', ['uid-b']]],
  )
  assert.equal(next.claimedBy('race/b').length, 1)
  await next.free(next.ofPod('race/a'), never)
  assert.equal(next.entry('10.7.1.1')?.podUid, 'uid-b')
  assert.deepEqual(next.contested(), [])
  await assert.rejects(next.add(addOf('new'), never), PoolFullError)
  await next.free(next.ofPod('race/b'), never)
  const { addresses } = await next.add(addOf('new'), never)
  assert.deepEqual(
    addresses.map(({ ip }) => ip),
    ['10.7.1.1'],
  )
})

void test('a holder that drops a contested address leaves it to the other', async () => {
  const ledger = await open(new MemoryBlockStore())
  await ledger.takeIn([{ ip: '10.7.1.1', holders: [holder('a', { nic: 'eth0' }), holder('b')] }], never)
  const { addresses } = await ledger.add(addOf('a', [], ['10.7.1.1']), never)
  assert.deepEqual(
    addresses.map(({ ip }) => ip),
    ['10.7.1.2'],
  )
  assert.equal(ledger.entry('10.7.1.1')?.podUid, 'uid-b')
})

void test('a claim on what we gave is kept beside its owner, and can be withdrawn', async () => {
  const ledger = await open(new MemoryBlockStore())
  await ledger.add(addOf('a'), never)
  await ledger.takeIn([{ ip: '10.7.1.1', holders: [holder('a'), holder('b')] }], never)
  const entry = ledger.entry('10.7.1.1')
  assert.equal(entry?.podUid, 'uid-a')
  assert.equal(entry.attachments?.length, 1)
  assert.deepEqual(
    claimsOf(entry).map(({ podUid }) => podUid),
    ['uid-b'],
    'the owner is no claimant of its own',
  )
  await ledger.withdraw('10.7.1.1', holder('b'), never)
  assert.equal(isContested(ledger.entry('10.7.1.1') ?? holder('')), false)
})

void test('match() makes a detached entry of an adopted one', async () => {
  const ledger = await open(new MemoryBlockStore())
  await ledger.takeIn([{ ip: '10.7.1.1', holders: [holder('a')] }], never)
  await ledger.match(ledger.ofPod('race/a'), never)
  assert.equal(ledger.entry('10.7.1.1')?.adopted, undefined)
})

void test('an entry with claims that cannot be read keeps its address from everybody', () => {
  const entry = { ...holder('a'), claims: [{ pool: 7 }] }
  const block = {
    metadata: { name: 'v4-0a070100-26', resourceVersion: '1' },
    spec: { cidr: '10.7.1.0/26', term: 1, entries: { '10.7.1.1': entry } },
  }
  const read = parseBlock(block as unknown as SpiderIpBlock)
  assert.deepEqual([...read.unreadable], ['10.7.1.1'])
})

void test('all of many holders keep the address, also those that are known by their names alone', async () => {
  const ledger = await open(new MemoryBlockStore())
  const named = ['x', 'y'].map((name) => holder(name, { owner: { kind: 'pod', uid: '' }, podUid: '' }))
  const holders = [...Array.from({ length: 30 }, (_, at) => holder(`pod-${at}`)), ...named]
  await ledger.takeIn([{ ip: '10.7.1.1', holders }], never)
  await ledger.takeIn([{ ip: '10.7.1.1', holders: named }], never)
  const entry = ledger.entry('10.7.1.1') ?? holder('')
  assert.deepEqual(
    [entry, ...claimsOf(entry)].map(({ pod }) => pod),
    holders.map(({ pod }) => pod),
  )
})

void test('a block whose term no Lease can follow is refused with a remedy', () => {
  const block = {
    metadata: { name: 'v4-0a070100-26', resourceVersion: '1' },
    spec: { cidr: '10.7.1.0/26', term: 2_147_483_647 },
  }
  assert.throws(() => parseBlock(block), /spec\.term 2147483647: it is above 2000000000/)
})
