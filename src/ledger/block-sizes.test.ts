import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpiderIpPool } from '../api/index.ts'
import { silentLogger } from '../base/index.ts'
import type { AddCall } from './add-call.ts'
import { MemoryBlockStore } from './blocks/memory-block-store.ts'
import { BlockSizeError } from './errors.ts'
import { reservedOf } from './index.ts'
import { Ledger, type LedgerOptions } from './ledger.ts'

const never = new AbortController().signal
let nowMs = 1000
const next = () => ++nowMs
const clock = { nowMs: next, monotonicMs: next, sleep: () => Promise.resolve() }
const random = { next: () => 0.5 }
const pool: SpiderIpPool = { metadata: { name: 'p' }, spec: { subnet: '10.6.0.0/16', ips: ['10.6.1.1'] } }
const halves = { v4: 27, v6: 123 }

const open = (store: MemoryBlockStore, term: number, more: Partial<LedgerOptions> = {}) =>
  Ledger.open({ store, term, clock, random, logger: silentLogger, ...more }, never)

function callOf(uid: string): AddCall {
  return {
    owner: { kind: 'pod', uid },
    pod: `default/${uid}`,
    podUid: uid,
    node: 'node1',
    containerId: `c-${uid}`,
    nic: 'eth0',
    reserved: reservedOf([]),
    plan: () => ({ drop: [], wants: [{ nic: 'eth0', version: 4, pools: [pool] }] }),
    grant: () => ({ prefixBits: 16 }),
  }
}

void test('a ledger whose blocks are of another size is refused: its addresses would be given out again', async () => {
  const store = new MemoryBlockStore()
  const other = await open(store, 1, { blockSizes: halves })
  await other.add(callOf('first'), never)
  await other.close()
  await assert.rejects(open(store, 2), (error) => {
    assert.ok(error instanceof BlockSizeError)
    return error.message.includes('v4-0a060100-27') && error.message.includes('/26')
  })
})

void test('an empty block of another size keeps no leader from serving', async () => {
  const store = new MemoryBlockStore()
  const other = await open(store, 1, { blockSizes: halves })
  const { created } = await other.add(callOf('first'), never)
  await other.free(created, never)
  await other.close()
  const ledger = await open(store, 2)
  const { addresses } = await ledger.add(callOf('second'), never)
  assert.deepEqual(
    addresses.map(({ ip }) => ip),
    ['10.6.1.1'],
  )
  await ledger.close()
})

for (const heard of ['a list', 'a watch']) {
  void test(`a block of another size that ${heard} brings ends a ledger that serves: nothing is given from beside it`, async () => {
    const store = new MemoryBlockStore()
    const ledger = await open(store, 2)
    const restored = await open(store, 1, { blockSizes: halves })
    await restored.add(callOf('first'), never)
    await restored.close()
    const versions = new Map<string, string>()
    await store.list(({ metadata }) => versions.set(metadata.name, metadata.resourceVersion ?? ''), never)
    const [[name, version] = ['', '']] = versions
    const hearing = heard === 'a list' ? ledger.resync(never) : ledger.noteVersion(name, version, never)
    await assert.rejects(hearing, BlockSizeError)
    assert.ok(ledger.ended.reason instanceof BlockSizeError)
    await assert.rejects(ledger.add(callOf('second'), never), BlockSizeError)
  })
}
