import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type SpiderIpPool, totalSetOf } from '../../api/index.ts'
import { PoolConflicts } from './pool-conflicts.ts'

const pool = (name: string, second: number, spec: SpiderIpPool['spec']): SpiderIpPool => ({
  metadata: {
    name,
    uid: `${name}-uid`,
    generation: 1,
    creationTimestamp: `2026-11-28T00:00:${String(second).padStart(2, '0')}Z`,
  },
  spec,
})
const subnet = '10.6.0.0/16'

void test('addresses are of the pool that was there first, whatever the order they are looked at', () => {
  const first = pool('z', 1, { subnet, ips: ['10.6.1.1-10.6.1.20'], excludeIPs: ['10.6.1.8'] })
  const second = pool('a', 2, { subnet, ips: ['10.6.1.5-10.6.1.9', '10.6.2.1'] })
  for (const pools of [
    [first, second],
    [second, first],
  ]) {
    const found = new PoolConflicts().of(pools)
    assert.deepEqual([...found.keys()], ['a'])
    assert.deepEqual(found.get('a')?.taken, ['10.6.1.5-10.6.1.7', '10.6.1.9'])
    assert.match(found.get('a')?.message ?? '', /10\.6\.1\.5-10\.6\.1\.7, .*SpiderIPPool "z".*take them out/)
  }
})

void test('of two pools of one second the name decides', () => {
  const found = new PoolConflicts().of([
    pool('b', 1, { subnet, ips: ['10.6.1.1'] }),
    pool('a', 1, { subnet, ips: ['10.6.1.1'] }),
  ])
  assert.deepEqual([...found.keys()], ['b'])
})

void test('networks that overlap are told, also when no address is shared; equal ones are fine', () => {
  const found = new PoolConflicts().of([
    pool('wide', 1, { subnet, ips: ['10.6.1.1'] }),
    pool('same', 2, { subnet, ips: ['10.6.1.2'] }),
    pool('inner', 3, { subnet: '10.6.9.0/24', ips: ['10.6.9.1'] }),
    pool('far', 4, { subnet: '10.7.0.0/16', ips: ['10.7.9.1'] }),
    pool('six', 5, { subnet: '::/0', ips: ['::1'] }),
    pool('broken', 6, { subnet: '?', ips: ['x'] }),
  ])
  assert.deepEqual([...found.keys()], ['inner'])
  assert.deepEqual(found.get('inner')?.taken, [])
  assert.match(
    found.get('inner')?.message ?? '',
    /10\.6\.9\.0\/24 overlaps 10\.6\.0\.0\/16 of SpiderIPPool "wide"/,
  )
})

void test('the same map comes back until a spec changes', () => {
  const conflicts = new PoolConflicts()
  const pools = [pool('a', 1, { subnet, ips: ['10.6.1.1'] }), pool('b', 2, { subnet, ips: ['10.6.1.1'] })]
  const before = conflicts.of(pools)
  assert.equal(conflicts.of(pools), before)
  const [first, second] = pools
  assert(first !== undefined && second !== undefined)
  const changed = {
    ...second,
    metadata: { ...second.metadata, generation: 2 },
    spec: { subnet, ips: ['10.6.1.2'] },
  }
  assert.equal(conflicts.of([first, changed]).size, 0)
})

void test('no address is left to two pools, and none is left to nobody', () => {
  const range = fc
    .tuple(fc.nat(60), fc.nat(20))
    .map(([start, length]) => `10.6.1.${start}-10.6.1.${start + length}`)
  const spec = fc.record({ subnet: fc.constant(subnet), ips: fc.array(range, { maxLength: 3 }) })
  const law = fc.property(fc.array(spec, { maxLength: 6 }), (specs) => {
    const pools = specs.map((one, i) => pool(`p${i}`, i % 3, one))
    const conflicts = new PoolConflicts().of(pools)
    const owners = new Map<string, number>()
    for (const one of pools) {
      const excludeIPs = conflicts.get(one.metadata.name)?.taken ?? []
      for (const ip of totalSetOf({ spec: { ...one.spec, excludeIPs } })
        .toRanges()
        .flatMap(addresses))
        owners.set(ip, (owners.get(ip) ?? 0) + 1)
    }
    const all = new Set(pools.flatMap((one) => totalSetOf(one).toRanges().flatMap(addresses)))
    assert.deepEqual([...owners.keys()].sort(), [...all].sort())
    assert([...owners.values()].every((count) => count === 1))
  })
  fc.assert(law, { numRuns: 300 })
})

function addresses(text: string): readonly string[] {
  const [first = '', last = first] = text.split('-')
  const at = (ip: string) => Number(ip.split('.')[3])
  return Array.from({ length: at(last) - at(first) + 1 }, (_, i) => `10.6.1.${at(first) + i}`)
}
