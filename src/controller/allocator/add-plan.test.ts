import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockEntry, IpVersion, SpiderIpPool } from '../../api/index.ts'
import { type Candidates, NoPoolError, type OwnedAddress } from '../../ledger/index.ts'
import { type PlanInput, planAdd } from './add-plan.ts'

const poolOf = (name: string, subnet: string): SpiderIpPool => ({
  metadata: { name },
  spec: { subnet, ips: [subnet.includes(':') ? 'fd00:7::1-fd00:7::ff' : '10.7.1.1-10.7.1.9'] },
})
const p4 = poolOf('p4', '10.7.0.0/16')
const q4 = poolOf('q4', '10.7.0.0/16')
const p6 = poolOf('p6', 'fd00:7::/64')

const candidatesOf = (nic: string, version: IpVersion, pool: SpiderIpPool): Candidates => ({
  nic,
  version,
  cleanGateway: false,
  source: 'test',
  pools: [pool],
  verdicts: [{ pool: pool.metadata.name, kind: 'pass' }],
})

function held(ip: string, more: Partial<BlockEntry> = {}): OwnedAddress {
  const owner = { kind: 'pod', uid: 'u' } as const
  const grant = { prefixBits: 16 }
  const entry = { pool: 'p4', nic: '', owner, pod: 'race/a', podUid: 'u', node: 'n', since: 1, grant }
  return { ip, entry: { ...entry, adopted: 'record', ...more } }
}
const claim = held('x').entry

function inputOf(candidates: readonly Candidates[], more: Partial<PlanInput> = {}): PlanInput {
  const select = () => ({ candidates, warnings: [] })
  return { nic: 'eth0', containerId: 'c1', isSticky: false, select, pools: new Map(), ...more }
}

void test('an adopted address without a NIC is the call’s, and the family that is missing is taken', () => {
  const candidates = [candidatesOf('eth0', 4, p4), candidatesOf('eth0', 6, p6)]
  const plan = planAdd([held('10.7.1.1')], inputOf(candidates))
  assert.deepEqual(plan.named, ['10.7.1.1'])
  assert.deepEqual(plan.drop, [])
  assert.deepEqual(
    plan.wants.map(({ nic, version }) => [nic, version]),
    [['eth0', 6]],
  )
})

void test('of two NICs each gets the adopted address of its pool', () => {
  const candidates = [candidatesOf('eth0', 4, q4), candidatesOf('net1', 4, p4)]
  const addresses = [held('10.7.1.1'), held('10.7.1.2', { pool: 'q4' })]
  const first = planAdd(addresses, inputOf(candidates))
  assert.deepEqual([first.named, first.wants], [['10.7.1.2'], []])
  const named = [held('10.7.1.1'), held('10.7.1.2', { pool: 'q4', nic: 'eth0' })]
  const second = planAdd(named, inputOf([...candidates].reverse(), { nic: 'net1' }))
  assert.deepEqual([second.named, second.drop, second.wants], [['10.7.1.1'], [], []])
})

void test('a pod keeps an adopted address whose pool is gone', () => {
  const select = () => {
    throw new NoPoolError('no-pool-named', 'nothing is named', 'name one')
  }
  const plan = planAdd([held('10.7.1.1', { pool: 'gone' })], inputOf([], { select }))
  assert.deepEqual(plan, { drop: [], wants: [], named: ['10.7.1.1'] })
  assert.throws(() => planAdd([], inputOf([], { select })), NoPoolError)
})

void test('of two families that were given together the one that an undo has freed is taken again', () => {
  const candidates = [candidatesOf('eth0', 4, p4), candidatesOf('eth0', 6, p6)]
  const half = (isDual?: true) => {
    const { adopted: _, ...entry } = held('10.7.1.1', { nic: 'eth0' }).entry
    return { ip: '10.7.1.1', entry: { ...entry, grant: { prefixBits: 16, ...(isDual && { isDual }) } } }
  }
  const { drop, wants } = planAdd([half(true)], inputOf(candidates))
  assert.deepEqual([drop, wants.map(({ nic, version }) => [nic, version])], [[], [['eth0', 6]]])
  // What was given alone stays alone, also when its pod may have more by now.
  assert.deepEqual(planAdd([half()], inputOf(candidates)).wants, [])
})

void test('a contested address is left to the other, unless this very sandbox has it', () => {
  const candidates = [candidatesOf('eth0', 4, p4)]
  const contested = held('10.7.1.1', { claims: [claim] })
  const left = planAdd([contested], inputOf(candidates))
  assert.deepEqual([left.drop, left.named, left.wants.length], [['10.7.1.1'], [], 1])
  const attachments = [{ containerId: 'c1', node: 'n', active: true }]
  const mine = held('10.7.1.1', { nic: 'eth0', claims: [claim], attachments })
  assert.deepEqual(planAdd([mine], inputOf(candidates)), { drop: [], wants: [] })
})

void test('a sticky replica gives up an adopted address whose pool is not asked for any more', () => {
  const pools = new Map([['p4', p4]])
  const sticky = { isSticky: true, pools }
  const kept = planAdd([held('10.7.1.1')], inputOf([candidatesOf('eth0', 4, p4)], sticky))
  assert.deepEqual([kept.named, kept.drop, kept.wants.length], [['10.7.1.1'], [], 0])
  const moved = planAdd([held('10.7.1.1')], inputOf([candidatesOf('eth0', 4, q4)], sticky))
  assert.deepEqual([moved.drop, moved.wants.length], [['10.7.1.1'], 1])
})
