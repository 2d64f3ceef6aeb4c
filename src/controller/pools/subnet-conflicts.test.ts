import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpiderSubnet } from '../../api/index.ts'
import { subnetConflict } from './subnet-conflicts.ts'

const subnet = (name: string, second: number, network: string): SpiderSubnet => ({
  metadata: { name, uid: `${name}-uid`, creationTimestamp: `2026-11-28T00:00:0${second}Z` },
  spec: { subnet: network },
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
  assert.equal(subnetConflict(first, all), undefined)
  const words = /10\.6\.0\.0\/16 overlaps 10\.6\.0\.0\/16 of SpiderSubnet "z", which is older: delete one/
  assert.match(subnetConflict(equal, all) ?? '', words)
  assert.match(
    subnetConflict(inner, all) ?? '',
    /10\.6\.1\.0\/24 overlaps 10\.6\.0\.0\/16 of SpiderSubnet "a"/,
  )
  assert.equal(subnetConflict(subnet('f', 9, '?'), all), undefined)
})
