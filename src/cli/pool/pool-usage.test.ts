import assert from 'node:assert/strict'
import test from 'node:test'
import type { BlockEntry, SpiderIpPool } from '../../api/index.ts'
import { parseBlock, reservedOf } from '../../ledger/index.ts'
import { Gathering, setsOfPool, topOf } from './pool-usage.ts'
import { poolLines, viewPool } from './pool-view.ts'

const nowMs = 1_000_000
const entry = (pool: string, pod: string): BlockEntry => ({
  pool,
  nic: 'eth0',
  owner: { kind: 'pod', uid: pod },
  pod,
  podUid: pod,
  node: 'n1',
  since: 1,
  grant: { prefixBits: 16 },
})
function gathered(more: object = {}) {
  const gathering = new Gathering(nowMs)
  const spec = {
    cidr: '10.0.0.0/26',
    term: 1,
    entries: {
      '10.0.0.1': entry('p', 'a/x'),
      '10.0.0.2': entry('old', 'b/y'),
      '10.0.0.60': entry('p', 'a/z'),
    },
    released: { '10.0.0.3': nowMs - 1_000, '10.0.0.4': nowMs - 90_000, '10.0.0.1': 5 },
    quarantine: {
      '10.0.0.5': { since: 1, until: nowMs + 1, pod: 'a/q', nic: 'eth0', node: 'n' },
      '10.0.0.6': { since: 1, until: nowMs, pod: 'a/q', nic: 'eth0', node: 'n' },
    },
    ...more,
  }
  gathering.add(parseBlock({ metadata: { name: 'v4-0a000000-26', resourceVersion: '1' }, spec }))
  return gathering.records()
}
const pool: SpiderIpPool = {
  metadata: { name: 'p' },
  spec: {
    subnet: '10.0.0.0/24',
    ips: ['10.0.0.1-10.0.0.20'],
    excludeIPs: ['10.0.0.10'],
    gateway: '10.0.0.20',
  },
}
const reserved = reservedOf([{ metadata: { name: 'r' }, spec: { ips: ['10.0.0.8-10.0.0.10', '10.0.0.1'] } }])

void test('setsOfPool() puts each address into exactly one set', () => {
  const sets = setsOfPool(pool, reserved, gathered(), nowMs)
  const texts = Object.fromEntries(Object.entries(sets).map(([name, set]) => [name, set.toRanges()]))
  assert.deepEqual(texts, {
    total: ['10.0.0.1-10.0.0.20'],
    used: ['10.0.0.1-10.0.0.2'],
    resting: ['10.0.0.3'],
    quarantined: ['10.0.0.5'],
    reserved: ['10.0.0.8-10.0.0.9'],
    excluded: ['10.0.0.10'],
    gateway: ['10.0.0.20'],
    free: ['10.0.0.4', '10.0.0.6-10.0.0.7', '10.0.0.11-10.0.0.19'],
    outside: ['10.0.0.60'],
  })
  const { total, outside, ...parts } = sets
  assert.equal(
    Object.values(parts).reduce((sum, set) => sum + set.size, 0n),
    total.size,
  )
  assert.equal(outside.size, 1n)
})

void test('pools without end cost no more than what is recorded in them', () => {
  const startMs = performance.now()
  const records = gathered()
  for (const [subnet, ips, total] of [
    ['10.0.0.0/8', '10.0.0.0-10.255.255.255', 2n ** 24n],
    ['fd00::/64', 'fd00::-fd00::ffff:ffff:ffff:ffff', 2n ** 64n],
  ] as const) {
    const view = viewPool(
      { metadata: { name: 'p' }, spec: { subnet, ips: [ips] } },
      { reserved, records, nowMs },
    )
    assert.equal(BigInt(view.counts.total), total)
  }
  assert.ok(performance.now() - startMs < 200)
})

void test('a pool whose spec cannot be read says so, and counts nothing', () => {
  const broken = { metadata: { name: 'p' }, spec: { subnet: '10.0.0.0/24', ips: ['nonsense'] } }
  const view = viewPool(broken, { reserved, records: gathered(), nowMs })
  assert.match(view.problem ?? '', /spec\.ips\[0\].*nonsense/)
  assert.equal(view.counts.free, 0)
})

void test('poolLines() shows one pool', () => {
  assert.deepEqual(poolLines(viewPool(pool, { reserved, records: gathered(), nowMs })), [
    'Pool:               p (IPv4 10.0.0.0/24)',
    'State:              -',
    'Policy:             leastRecentlyReleased, cool-down 60 s, sticky: replace',
    'Total:              20',
    'Used:               2: 10.0.0.1-10.0.0.2',
    'Free:               12: 10.0.0.4, 10.0.0.6-10.0.0.7, 10.0.0.11-10.0.0.19',
    'Resting:            1: 10.0.0.3',
    'Quarantined:        1: 10.0.0.5',
    'Reserved:           2: 10.0.0.8-10.0.0.9',
    'Excluded:           1: 10.0.0.10',
    'Gateway:            1: 10.0.0.20',
    'Outside spec.ips:   1: 10.0.0.60',
    'By namespace:       2 a',
    'By node:            2 n1',
  ])
})

void test('topOf() counts names, the most frequent first, equal ones by name', () => {
  assert.deepEqual(topOf(['b', 'a', 'c', 'b', 'a', 'd'], 3), [
    { name: 'a', count: 2 },
    { name: 'b', count: 2 },
    { name: 'c', count: 1 },
  ])
})
