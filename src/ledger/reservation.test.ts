import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownerOfClaim, type SpiderIpPool } from '../api/index.ts'
import { silentLogger } from '../base/index.ts'
import type { AddCall } from './add-call.ts'
import { MemoryBlockStore } from './blocks/memory-block-store.ts'
import { PoolFullError } from './errors.ts'
import { reservedOf } from './index.ts'
import { Ledger } from './ledger.ts'

const never = new AbortController().signal
const pool = (name: string, spec: SpiderIpPool['spec']): SpiderIpPool => ({ metadata: { name }, spec })
const p4 = pool('p4', { subnet: '10.6.0.0/16', ips: ['10.6.1.1-10.6.1.2'] })
const p6 = pool('p6', { subnet: 'fd00:6::/64', ips: ['fd00:6::1'] })
const owner = ownerOfClaim({ kind: 'SpiderIPClaim', namespace: 'shop', name: 'db', uid: 'claim-1' })
const random = { next: () => 0.5 }
let nowMs = 1000
const next = () => ++nowMs
const clock = { nowMs: next, monotonicMs: next, sleep: () => Promise.resolve() }
const open = (store: MemoryBlockStore, term: number) =>
  Ledger.open({ store, term, clock, random, logger: silentLogger }, never)

const base: AddCall = {
  owner,
  pod: '',
  podUid: '',
  node: '',
  containerId: '',
  nic: '',
  reserved: reservedOf([]),
  plan: () => ({ drop: [], wants: [] }),
  grant: () => ({ prefixBits: 16 }),
}
const reservation = (pools: readonly SpiderIpPool[]): AddCall => ({
  ...base,
  isReservation: true,
  mayTake: () => true,
  plan: (existing) => ({
    drop: [],
    wants:
      existing.length > 0
        ? []
        : pools.map((one) => ({
            nic: '',
            version: one.spec.subnet.includes(':') ? (6 as const) : (4 as const),
            pools: [one],
          })),
  }),
})
/** An ADD of a pod that takes over what its claim has. */
const use = (pod: string, more: Partial<AddCall> = {}): AddCall => ({
  ...base,
  pod: `shop/${pod}`,
  podUid: `uid-${pod}`,
  node: 'node1',
  containerId: `c-${pod}`,
  nic: 'net1',
  mayTake: ({ pod: user }) => user === '' || user === `shop/${pod}`,
  plan: (existing) => ({ drop: [], wants: [], named: existing.map(({ ip }) => ip) }),
  ...more,
})
const ips = (addresses: readonly { ip: string }[]) => addresses.map(({ ip }) => ip)

void test('a reservation takes addresses of both families or none, and attaches nobody', async () => {
  const store = new MemoryBlockStore()
  const ledger = await open(store, 1)
  const { created } = await ledger.add(reservation([p4, p6]), never)
  assert.deepEqual(ips(created), ['10.6.1.1', 'fd00:6::1'])
  const entry = ledger.entry('10.6.1.1')
  assert.deepEqual([entry?.pod, entry?.podUid, entry?.nic], ['', '', ''])
  assert.deepEqual([entry?.attachments, entry?.createdBy], [undefined, undefined])
  assert.equal(ledger.isHeld(entry ?? assert.fail()), false)
  // The other family is full: nothing is taken of the first.
  const second = ownerOfClaim({ kind: 'SpiderIPClaim', namespace: 'shop', name: 'b', uid: 'claim-2' })
  await assert.rejects(ledger.add({ ...reservation([p4, p6]), owner: second }, never), PoolFullError)
  assert.deepEqual(ledger.ofOwner(second), [])
  // The next leader finds what was reserved.
  const next = await open(store, 2)
  assert.deepEqual(ips(next.ofOwner(owner)), ['10.6.1.1', 'fd00:6::1'])
})

void test('a pod takes over what was reserved and is answered with new grants', async () => {
  const ledger = await open(new MemoryBlockStore(), 1)
  await ledger.add(reservation([p4]), never)
  const renewed = new Map([['10.6.1.1', { prefixBits: 16, mac: '02:00:00:00:00:01' }]])
  const plan = () => ({ drop: [], wants: [], named: ['10.6.1.1'], renewed })
  const first = await ledger.add(use('a', { plan }), never)
  assert.deepEqual(ips(first.addresses), ['10.6.1.1'])
  assert.deepEqual(first.created, [])
  const { nic, podUid, attachments, grant } = ledger.entry('10.6.1.1') ?? assert.fail()
  assert.deepEqual([nic, podUid, grant.mac], ['net1', 'uid-a', '02:00:00:00:00:01'])
  assert.deepEqual(attachments, [{ containerId: 'c-a', node: 'node1', active: true }])
  // Another pod finds nothing that it may take.
  assert.deepEqual(ips((await ledger.add(use('b'), never)).addresses), [])
  assert.equal(ledger.entry('10.6.1.1')?.podUid, 'uid-a')
})

void test('an undo of an ADD leaves a reserved address with its owner', async () => {
  const ledger = await open(new MemoryBlockStore(), 1)
  await ledger.add(reservation([p4]), never)
  await ledger.add(use('a'), never)
  assert.deepEqual(await ledger.undo({ containerId: 'c-a', ifName: 'net1', node: 'node1' }, never), [])
  assert.deepEqual(ledger.entry('10.6.1.1')?.attachments, undefined)
})

void test('vacate() takes the pod off what is still as it was seen, and nothing else', async () => {
  const ledger = await open(new MemoryBlockStore(), 1)
  await ledger.add(reservation([p4]), never)
  await ledger.add(use('a'), never)
  const seen = ledger.ofOwner(owner)
  await ledger.add(use('a', { containerId: 'c-a2' }), never)
  assert.deepEqual(await ledger.vacate(seen, never), [], 'a sandbox came meanwhile')
  assert.equal(ledger.entry('10.6.1.1')?.podUid, 'uid-a')
  assert.deepEqual(await ledger.vacate(ledger.ofOwner(owner), never), ['10.6.1.1'])
  const { pod, podUid, node, attachments } = ledger.entry('10.6.1.1') ?? assert.fail()
  assert.deepEqual([pod, podUid, node, attachments], ['', '', '', undefined])
  assert.deepEqual(ips((await ledger.add(use('b'), never)).addresses), ['10.6.1.1'])
})
