import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockEntry, SpiderIpBlock, SpiderIpPool } from '../api/index.ts'
import { OperationError, silentLogger } from '../base/index.ts'
import type { AddCall } from './add-call.ts'
import type { BlockChange } from './blocks/block-store.ts'
import { MemoryBlockStore } from './blocks/memory-block-store.ts'
import { BlockRefusedError, LedgerDeposedError } from './errors.ts'
import { Ledger } from './ledger.ts'
import { reservedOf } from './pool/offered.ts'

const never = new AbortController().signal
const pool4: SpiderIpPool = {
  metadata: { name: 'p4' },
  spec: { subnet: '10.0.0.0/16', ips: ['10.0.0.1-10.0.0.20'] },
}
const pool6: SpiderIpPool = {
  metadata: { name: 'p6' },
  spec: { subnet: 'fd00::/64', ips: ['fd00::1-fd00::20'] },
}
const noReserved = reservedOf([])
const v4Block = 'v4-0a000000-26'

class BrokenError extends OperationError {
  override readonly code = 'BROKEN'
  override readonly retry = 'later'
}

/** A store whose writes a test can hold, lose, or leave unanswered. */
class TestStore extends MemoryBlockStore {
  before: (block: string) => Promise<void> = () => Promise.resolve()
  after: (block: string) => Promise<void> = () => Promise.resolve()

  override async create(block: SpiderIpBlock, signal: AbortSignal): Promise<string> {
    await this.before(block.metadata.name)
    const version = await super.create(block, signal)
    await this.after(block.metadata.name)
    return version
  }
  override async patch(
    name: string,
    version: string,
    change: BlockChange,
    signal: AbortSignal,
  ): Promise<string> {
    await this.before(name)
    const next = await super.patch(name, version, change, signal)
    await this.after(name)
    return next
  }
}

/** One leader's access to a store that others use too. */
function through(shared: MemoryBlockStore): TestStore {
  const own = new TestStore()
  own.list = (visit, signal) => shared.list(visit, signal)
  own.read = (name, signal) => shared.read(name, signal)
  const create = shared.create.bind(shared)
  const patch = shared.patch.bind(shared)
  own.create = async (block, signal) => {
    await own.before(block.metadata.name)
    const version = await create(block, signal)
    await own.after(block.metadata.name)
    return version
  }
  own.patch = async (name, version, change, signal) => {
    await own.before(name)
    const next = await patch(name, version, change, signal)
    await own.after(name)
    return next
  }
  return own
}

let nowMs = 1000
const next = () => ++nowMs
const clock = { nowMs: next, monotonicMs: next, sleep: () => Promise.resolve() }
const random = { next: () => 0.5 }
const open = (store: MemoryBlockStore, term: number) =>
  Ledger.open({ store, term, clock, random, logger: silentLogger }, never)

function call(pod: string, pools: readonly SpiderIpPool[], containerId = `c-${pod}`): AddCall {
  return {
    owner: { kind: 'pod', uid: pod },
    pod: `default/${pod}`,
    podUid: pod,
    node: 'n',
    containerId,
    nic: 'eth0',
    reserved: noReserved,
    plan: (existing) => ({
      drop: [],
      wants: pools
        .filter((pool) => existing.every(({ entry }) => entry.pool !== pool.metadata.name))
        .map((pool) => ({ nic: 'eth0', version: pool === pool4 ? 4 : 6, pools: [pool] })),
    }),
    grant: () => ({ prefixBits: 16 }),
  }
}
const ips = (answer: { addresses: readonly { ip: string }[] }) => answer.addresses.map(({ ip }) => ip)

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    assert(turns < 10_000, 'the condition never came true')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

void test('an acknowledgement that was lost is found out by reading, and the address is answered', async () => {
  const store = new TestStore()
  const ledger = await open(store, 1)
  let losses = 1
  store.after = () => (losses-- > 0 ? Promise.reject(new BrokenError('broken', '')) : Promise.resolve())
  assert.deepEqual(ips(await ledger.add(call('a', [pool4]), never)), ['10.0.0.1'])
  assert.equal(store.calls.create, 1)
  assert.equal(store.calls.patch, 0)
})

void test('a write that fails without a trace is tried again on what is found', async () => {
  const store = new TestStore()
  const ledger = await open(store, 1)
  let losses = 3
  store.before = () => (losses-- > 0 ? Promise.reject(new BrokenError('broken', '')) : Promise.resolve())
  assert.deepEqual(ips(await ledger.add(call('a', [pool4]), never)), ['10.0.0.1'])
})

void test('what nobody waits for any more is undone when its late write has landed', async () => {
  const store = new TestStore()
  const ledger = await open(store, 1)
  const gate = Promise.withResolvers<void>()
  store.after = () => gate.promise
  const caller = new AbortController()
  const adding = ledger.add(call('a', [pool4]), caller.signal)
  await until(() => store.entries().size === 1)
  caller.abort(new BrokenError('gave up', ''))
  await assert.rejects(adding, BrokenError)
  gate.resolve()
  await until(() => store.entries().size === 0)
  assert.equal(ledger.stats().entries, 0)
})

void test('one change that the store refuses does not take the others of its write with it', async () => {
  const store = new TestStore()
  const ledger = await open(store, 1)
  await ledger.add(call('first', [pool4]), never)
  const patch = store.patch.bind(store)
  store.patch = (name, version, change, signal) => {
    const holdsBad = Object.values(change.entries).some(({ after }) => after?.podUid === 'bad')
    return holdsBad
      ? Promise.reject(new BlockRefusedError(name, 'too long'))
      : patch(name, version, change, signal)
  }
  const results = await Promise.allSettled(
    ['a', 'bad', 'b'].map((pod) => ledger.add(call(pod, [pool4]), never)),
  )
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.equal(store.entries().size, 3)
})

void test('a new leader undoes an intent of which a part never came, and keeps one that is complete', async () => {
  const shared = new MemoryBlockStore()
  const oldStore = through(shared)
  const old = await open(oldStore, 1)
  await old.add(call('whole', [pool4, pool6]), never)
  const crashed = new Promise<void>(() => undefined)
  oldStore.before = (name) => (name === v4Block ? Promise.resolve() : crashed)
  void old.add(call('half', [pool4, pool6]), never)
  await until(() => shared.entries().size === 3)
  const next = await open(shared, 2)
  assert.deepEqual(
    [...shared.entries().values()].map(({ pod }) => pod),
    ['default/whole', 'default/whole'],
  )
  assert.deepEqual(ips(await next.add(call('whole', [pool4, pool6]), never)), ['10.0.0.1', 'fd00::1'])
})

void test('a leader that was frozen half way cannot complete an intent that was undone', async () => {
  const shared = new MemoryBlockStore()
  const oldStore = through(shared)
  const old = await open(oldStore, 1)
  const frozen = Promise.withResolvers<void>()
  oldStore.before = (name) => (name === v4Block ? Promise.resolve() : frozen.promise)
  const adding = old.add(call('a', [pool4, pool6]), never)
  await until(() => shared.entries().size === 1)
  const next = await open(shared, 2)
  assert.equal(shared.entries().size, 0)
  frozen.resolve()
  await assert.rejects(adding, LedgerDeposedError)
  assert.equal(shared.entries().size, 0, 'its late write did not land')
  assert.equal((await next.add(call('a', [pool4, pool6]), never)).addresses.length, 2)
})

void test('an older leader cannot undo what a newer one has confirmed', async () => {
  const shared = new MemoryBlockStore()
  const oldStore = through(shared)
  const old = await open(oldStore, 1)
  const frozen = Promise.withResolvers<void>()
  oldStore.after = () => frozen.promise
  const caller = new AbortController()
  const adding = old.add(call('a', [pool4]), caller.signal)
  await until(() => shared.entries().size === 1)
  caller.abort(new BrokenError('gave up', ''))
  await assert.rejects(adding, BrokenError)
  const next = await open(shared, 2)
  assert.deepEqual(ips(await next.add(call('a', [pool4]), never)), ['10.0.0.1'])
  frozen.resolve() // the old leader hears of its write, and would undo it for the caller that is gone
  await until(() => old.ended.aborted)
  assert.equal(shared.entries().get('10.0.0.1')?.podUid, 'a')
})

void test('a leader that wakes does not answer a repeated ADD from memory', async () => {
  const shared = new MemoryBlockStore()
  const old = await open(shared, 1)
  await old.add(call('a', [pool4]), never)
  const next = await open(shared, 2)
  await next.free([...next.all()], never)
  await assert.rejects(old.add(call('a', [pool4]), never), LedgerDeposedError)
})

void test('entries written by an old leader after the new one listed are found by resync()', async () => {
  const shared = new MemoryBlockStore()
  const old = await open(shared, 1)
  const next = await open(shared, 2)
  await old.add(call('a', [pool4, pool6]), never)
  assert.equal(next.stats().entries, 0)
  await next.resync(never)
  assert.equal(next.stats().entries, 2)
  assert.equal(next.poolUsage('p4'), 1)
})

void test('an address taken by another writer is given up for the next one', async () => {
  const shared = new MemoryBlockStore()
  const first = await open(shared, 1)
  await first.add(call('x', [pool6]), never)
  const second = await open(shared, 1) // never so in a cluster; the blocks hold even then
  await first.add(call('a', [pool4]), never)
  assert.deepEqual(ips(await second.add(call('b', [pool4]), never)), ['10.0.0.2'])
})

void test('freeing a part of an intent leaves the rest complete for the next leader', async () => {
  const shared = new MemoryBlockStore()
  const ledger = await open(shared, 1)
  await ledger.add(call('a', [pool4, pool6]), never)
  const [v4] = ledger.ofPool('p4')
  assert(v4 !== undefined)
  assert.deepEqual(await ledger.free([v4], never), ['10.0.0.1'])
  const next = await open(shared, 2)
  assert.deepEqual([...shared.entries().keys()], ['fd00::1'])
  assert.equal(next.ofPod('default/a').length, 1)
})

void test('a deleted block is written again, and nobody else gets its addresses twice', async () => {
  const shared = new MemoryBlockStore()
  const ledger = await open(shared, 1)
  await ledger.add(call('a', [pool4]), never)
  shared.remove(v4Block)
  const answer = await ledger.add(call('b', [pool4]), never)
  assert.equal(answer.addresses.length, 1)
  assert.deepEqual(
    [...shared.entries().values()].map(({ podUid }) => podUid),
    ['b'],
  )
  assert.equal(ledger.stats().entries, 1)
})

void test('an entry that cannot be read keeps its address taken', async () => {
  const shared = new MemoryBlockStore()
  const bad = { pool: 'p4', owner: 7 } as unknown as BlockEntry
  const spec = { cidr: '10.0.0.0/26', term: 1, entries: { '10.0.0.1': bad } }
  await shared.create({ metadata: { name: v4Block }, spec }, never)
  const ledger = await open(shared, 1)
  assert.deepEqual(ips(await ledger.add(call('a', [pool4]), never)), ['10.0.0.2'])
})

void test('an object that is no block keeps no leader from serving', async () => {
  const shared = new MemoryBlockStore()
  await shared.create({ metadata: { name: 'made-by-hand' }, spec: { cidr: 'x', term: 9 } }, never)
  const ledger = await open(shared, 1)
  await ledger.resync(never)
  assert.deepEqual(ips(await ledger.add(call('a', [pool4]), never)), ['10.0.0.1'])
})

void test('listeners hear of every address that is taken, attached and freed', async () => {
  const ledger = await open(new MemoryBlockStore(), 1)
  const heard: string[] = []
  const stop = ledger.onChange(({ ip, before, after }) => {
    heard.push(`${ip} ${before === undefined ? '-' : 'held'} ${after === undefined ? '-' : 'held'}`)
  })
  await ledger.add(call('a', [pool4]), never)
  await ledger.free(ledger.ofPod('default/a'), never)
  stop()
  await ledger.add(call('b', [pool4]), never)
  assert.deepEqual(heard, ['10.0.0.1 - held', '10.0.0.1 held -'])
})
