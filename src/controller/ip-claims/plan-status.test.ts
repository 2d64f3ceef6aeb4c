import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownerOfClaim, type SpiderIpClaim } from '../../api/index.ts'
import type { OwnedAddress } from '../../ledger/index.ts'
import { planClaimStatus, planIpamClaimStatus } from './plan-status.ts'

const owner = ownerOfClaim({ kind: 'SpiderIPClaim', namespace: 'shop', name: 'db', uid: 'c1' })
const held = (ip: string, pod = ''): OwnedAddress => ({
  ip,
  entry: {
    pool: 'p',
    nic: 'eth0',
    owner,
    pod,
    podUid: pod,
    node: '',
    since: 1,
    grant: { prefixBits: ip.includes(':') ? 64 : 16, mac: '02:00:00:00:00:01' },
  },
})
const claim = (status?: SpiderIpClaim['status'], deletionTimestamp?: string): SpiderIpClaim => ({
  metadata: {
    name: 'db',
    namespace: 'shop',
    uid: 'c1',
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
  },
  spec: {},
  ...(status === undefined ? {} : { status }),
})
const ip4 = { ip: '10.6.0.1/16', pool: 'p', version: 4 } as const
const ip6 = { ip: 'fd00::1/64', pool: 'p', version: 6 } as const
const full = { reason: 'PoolFull', message: 'all are used' }

void test('a claim is pending until it has addresses, reserved until a pod uses them', () => {
  const pending = planClaimStatus(claim(), [], full)
  assert.deepEqual([pending.phase, pending.ips, pending.ipv4], ['Pending', [], undefined])
  assert.deepEqual(pending.conditions, [{ type: 'Reserved', status: 'False', ...full }])
  const reserved = planClaimStatus(claim(), [held('fd00::1'), held('10.6.0.1')], undefined)
  assert.deepEqual([reserved.phase, reserved.ips], ['Reserved', [ip4, ip6]])
  assert.deepEqual([reserved.ipv4, reserved.ipv6, reserved.mac], [ip4.ip, ip6.ip, '02:00:00:00:00:01'])
  assert.deepEqual([reserved.pod, reserved.conditions], [undefined, undefined])
  const used = planClaimStatus(claim(reserved), [held('10.6.0.1', 'shop/a')], undefined)
  assert.deepEqual([used.phase, used.pod], ['InUse', 'a'])
})

void test('what a claim lost stays on record, to be taken back', () => {
  const before = planClaimStatus(claim(), [held('10.6.0.1'), held('fd00::1')], undefined)
  const all = planClaimStatus(claim(before), [], full)
  assert.deepEqual([all.phase, all.ips, all.ipv4], ['Lost', [ip4, ip6], undefined])
  const one = planClaimStatus(claim(before), [held('10.6.0.1')], full)
  assert.deepEqual([one.phase, one.ips], ['Lost', [ip4, ip6]])
})

void test('a claim that is deleted while a pod uses it says so', () => {
  const status = planClaimStatus(claim(undefined, 'now'), [held('10.6.0.1', 'shop/a')], undefined)
  assert.equal(status.conditions?.[0]?.type, 'Released')
  assert.match(status.conditions?.[0]?.message ?? '', /pod shop\/a uses the addresses/)
  assert.equal(planClaimStatus(claim(undefined, 'now'), [held('10.6.0.1')], undefined).conditions, undefined)
})

void test('an IPAMClaim shows addresses and the pod that uses them', () => {
  assert.deepEqual(planIpamClaimStatus([held('fd00::1', 'shop/a'), held('10.6.0.1', 'shop/a')]), {
    ips: [ip4.ip, ip6.ip],
    ownerPod: { name: 'a' },
  })
  assert.deepEqual(planIpamClaimStatus([]), { ips: [] })
})
