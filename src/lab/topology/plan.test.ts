import assert from 'node:assert/strict'
import test from 'node:test'
import { formatIpWithPrefix } from '../../address/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { nodeAddressTexts, planTopology } from './plan.ts'

void test('planTopology() gives each node an address of both families, a port and a hardware address of its own', () => {
  const plan = planTopology(Array.from({ length: 200 }, (_, index) => `n${index}`))
  for (const pick of [
    (node: (typeof plan.nodes)[number]) => nodeAddressTexts(node).join(),
    (node: (typeof plan.nodes)[number]) => node.port,
    (node: (typeof plan.nodes)[number]) => node.mac,
  ]) {
    assert.equal(new Set(plan.nodes.map(pick)).size, 200)
  }
  assert.deepEqual(plan.nodes[199]?.addresses.map(formatIpWithPrefix), ['10.6.0.210/16', 'fd00:6::d8/64'])
})

void test('planTopology() has the gateways of the networks that the documents use', () => {
  const gateways = planTopology(['master']).gateways.map(formatIpWithPrefix)
  for (const gateway of ['10.6.0.1/16', '172.18.41.1/24', '10.7.0.1/16', 'fd00:6::1/64']) {
    assert.ok(gateways.includes(gateway), gateway)
  }
})

const refused: readonly (readonly [string, readonly string[]])[] = [
  ['no node', []],
  ['an empty name', ['']],
  ['capital letters', ['Master']],
  ['a path', ['../x']],
  ['a blank', ['a b']],
  ['a dash at the end', ['a-']],
  ['a long name', ['a'.repeat(33)]],
  ['a doubled name', ['a', 'b', 'a']],
  ['too many', Array.from({ length: 201 }, (_, index) => `n${index}`)],
]
for (const [what, names] of refused) {
  void test(`planTopology() refuses ${what}, with a remedy`, () => {
    assert.throws(
      () => planTopology(names),
      (error) => error instanceof InvalidInputError && error.field === 'nodes' && error.hint !== '',
    )
  })
}
