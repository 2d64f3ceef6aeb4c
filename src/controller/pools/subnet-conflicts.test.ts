import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpiderSubnet } from '../../api/index.ts'
import { subnetConflicts } from './subnet-conflicts.ts'

const subnet = (name: string, second: number, network: string): SpiderSubnet => ({
  metadata: { name, uid: `${name}-uid`, creationTimestamp: `2026-11-28T00:00:0${second}Z` },
  spec: { subnet: network },
})

const toldOf = (seen: SpiderSubnet, all: readonly SpiderSubnet[]) => new Map(subnetConflicts(seen, all))

void test('of two subnets the later one is told, whichever of them is seen first', () => {
  const older = subnet('twin-c', 1, '10.10.0.0/16')
  const later = subnet('twin-d', 1, '10.10.0.0/16')
  for (const order of [
    [older, later],
    [later, older],
  ]) {
    const told = order.flatMap((seen, index) => [...toldOf(seen, order.slice(0, index + 1)).keys()])
    assert.deepEqual(told, [later])
  }
})

void test('the later of two subnets that overlap is told of the older one, also when they are equal', () => {
  const first = subnet('z', 1, '10.6.0.0/16')
  const equal = subnet('a', 2, '10.6.0.0/16')
  const inner = subnet('b', 3, '10.6.1.0/24')
  const all = [
    equal,
    first,
    inner,
    subnet('c', 0, '10.7.0.0/16'),
    subnet('d', 0, '?'),
    subnet('e', 0, '::/0'),
  ]
  assert.equal(toldOf(first, all).get(first), undefined)
  const words = /10\.6\.0\.0\/16 overlaps 10\.6\.0\.0\/16 of SpiderSubnet "z", which is older: delete one/
  assert.match(toldOf(equal, all).get(equal) ?? '', words)
  assert.match(
    toldOf(inner, all).get(inner) ?? '',
    /10\.6\.1\.0\/24 overlaps 10\.6\.0\.0\/16 of SpiderSubnet "a"/,
  )
  assert.equal(toldOf(subnet('f', 9, '?'), all).size, 0)
})
