import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockEntry, SpiderIpBlock } from '../api/index.ts'
import { silentLogger, systemClock, systemRandom } from '../base/index.ts'
import { ApiError, type WatchEvent } from '../kube/index.ts'
import { Ledger, MemoryBlockStore } from '../ledger/index.ts'
import { type FollowPorts, followBlocks } from './follow-blocks.ts'

const never = new AbortController().signal
const name = 'v4-0a000000-26'
const entry: BlockEntry = {
  pool: 'p',
  nic: 'eth0',
  owner: { kind: 'pod', uid: 'u' },
  pod: 'a/b',
  podUid: 'u',
  node: 'n',
  since: 1,
  grant: { prefixBits: 16 },
}
const quick = { ...systemClock, sleep: () => systemClock.sleep(1, never) }

/** A ledger with one address, and a watch that says what `events` says, once each time it is opened. */
async function following(events: (opened: number) => readonly (WatchEvent<SpiderIpBlock> | ApiError)[]) {
  const store = new MemoryBlockStore()
  await store.create(
    { metadata: { name }, spec: { cidr: '', term: 1, entries: { '10.0.0.1': entry } } },
    never,
  )
  const options = { store, term: 1, clock: systemClock, random: systemRandom, logger: silentLogger }
  const ledger = await Ledger.open(options, never)
  const ending = new AbortController()
  const asked: string[] = []
  const watch = async function* (_: unknown, { resourceVersion }: { readonly resourceVersion: string }) {
    asked.push(resourceVersion)
    for (const event of events(asked.length)) {
      if (event instanceof ApiError) throw event
      yield await Promise.resolve(event)
    }
    // Told everything: stays silent, as a server does.
    if (events(asked.length + 1).length === 0)
      await systemClock.sleep(1_000, ending.signal).catch(() => undefined)
  }
  const ports: FollowPorts = {
    api: { watch: watch as unknown as FollowPorts['api']['watch'] },
    ledger,
    store: { listedVersion: '1', hasSeen: (version) => version === 'own' },
    clock: quick,
    random: systemRandom,
    logger: silentLogger,
  }
  const until = async (holds: () => boolean): Promise<void> => {
    const running = followBlocks(ports, ending.signal)
    for (let left = 200; !holds() && left > 0; left--) await systemClock.sleep(5, never)
    ending.abort()
    await running
    assert.ok(holds())
    await ledger.close()
  }
  return { store, ledger, asked, until }
}

const event = (type: WatchEvent<SpiderIpBlock>['type'], resourceVersion: string) => ({
  type,
  object: { metadata: { name, resourceVersion }, spec: { cidr: '', term: 1 } },
})
const freed = { term: 1, entries: { '10.0.0.1': { before: entry, after: undefined } }, released: {} }

void test('what somebody else freed is free for the sequencer before its next write', async () => {
  const { store, ledger, until } = await following((opened) => (opened === 1 ? [event('MODIFIED', '2')] : []))
  await store.patch(name, '1', freed, never)
  await until(() => ledger.entry('10.0.0.1') === undefined)
  assert.equal(store.calls.patch, 1)
})

void test('own writes, known versions, bookmarks and deletions cost no read; the watch goes on where it ended', async () => {
  const silent = [
    event('MODIFIED', '1'),
    event('MODIFIED', 'own'),
    event('DELETED', '8'),
    event('BOOKMARK', '9'),
  ]
  const { store, ledger, asked, until } = await following((opened) => (opened < 3 ? silent : []))
  await until(() => asked.length > 2)
  assert.deepEqual(asked, ['1', '9', '9'])
  assert.equal(store.calls.read, 0)
  assert.equal(ledger.entry('10.0.0.1')?.pod, 'a/b')
})

void test('after a watch that failed all blocks are compared: nothing that was missed stays unknown', async () => {
  const expired = new ApiError('watch', { status: 410, reason: 'Expired', message: 'too old' })
  const { store, ledger, until } = await following((opened) => (opened === 1 ? [expired] : []))
  await store.patch(name, '1', freed, never)
  await until(() => ledger.entry('10.0.0.1') === undefined)
})
