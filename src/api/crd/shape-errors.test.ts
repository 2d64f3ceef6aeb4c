import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shapeErrors } from './shape-errors.ts'

const pool = (spec: unknown, more: object = {}) => ({ metadata: { name: 'p' }, spec, ...more })

void test('shapeErrors() finds nothing in sound objects, and passes over unknown members', () => {
  assert.deepEqual(shapeErrors('SpiderIPPool', pool({ subnet: 'x', more: 1, totalIPCount: 1 })), [])
  const status = { totalIPCount: 9223372036854775807n, allocatedIPCount: 4, allocatedIPs: '{}' }
  assert.deepEqual(shapeErrors('SpiderIPPool', pool({ subnet: 'x', ipVersion: 4 }, { status })), [])
})

const wrong: readonly (readonly [string, unknown, string, RegExp])[] = [
  ['an object that is text', 'x', 'object', /is not an object/],
  ['no metadata', { spec: { subnet: 'x' } }, 'metadata', /is missing/],
  ['spec null', pool(null), 'spec', /is not an object/],
  ['spec a list', pool([]), 'spec', /is not an object/],
  ['no subnet', pool({}), 'spec.subnet', /is missing/],
  ['subnet a number', pool({ subnet: 7 }), 'spec.subnet', /is not a string/],
  ['ips a map', pool({ subnet: 'x', ips: {} }), 'spec.ips', /is not an array/],
  ['ips with null', pool({ subnet: 'x', ips: ['a', null] }), 'spec.ips[1]', /is not a string/],
  ['ipVersion 5', pool({ subnet: 'x', ipVersion: 5 }), 'spec.ipVersion', /not one of the values/],
  ['a route without gw', pool({ subnet: 'x', routes: [{ dst: 'y' }] }), 'spec.routes[0].gw', /is missing/],
  [
    'a label that is a number',
    pool({ subnet: 'x', podAffinity: { matchLabels: { a: 1 } } }),
    'spec.podAffinity.matchLabels.a',
    /is not a string/,
  ],
  ['a long subnet', pool({ subnet: 'x'.repeat(50) }), 'spec.subnet', /is too long/],
  ['too many ranges', pool({ subnet: 'x', ips: new Array(3001).fill('a') }), 'spec.ips', /has 3001 entries/],
  [
    'a broken finalizer',
    { ...pool({ subnet: 'x' }), metadata: { finalizers: 'f' } },
    'metadata.finalizers',
    /is not an array/,
  ],
]
for (const [name, object, field, problem] of wrong) {
  void test(`shapeErrors() names the place of ${name}`, () => {
    const error = shapeErrors('SpiderIPPool', object)[0]
    assert.equal(error?.field, field)
    assert.match(error?.message ?? '', problem)
    assert.match(error?.hint ?? '', /^write /)
  })
}

void test('shapeErrors() refuses an unknown kind and stops after ten errors', () => {
  assert.match(shapeErrors('Bogus', {})[0]?.message ?? '', /not a kind of ours/)
  assert.equal(shapeErrors('SpiderIPPool', pool({ subnet: 'x', ips: new Array(100).fill(7) })).length, 10)
})
