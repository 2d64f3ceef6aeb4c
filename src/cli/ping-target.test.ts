import assert from 'node:assert/strict'
import test from 'node:test'
import { InvalidInputError } from '../base/index.ts'
import { pingTarget } from './ping-target.ts'

const places = {
  placeIps: { switch: ['10.6.0.1', 'fd00:6::1'], 'node:node1': ['10.6.0.12', 'fd00:6::12'] },
  pods: [
    { namespace: 'default', name: 'both', ips: ['10.6.20.4', 'fd00:6::103'] },
    { namespace: 'default', name: 'six', ips: ['fd00:6::101'] },
    { namespace: 'default', name: 'four', ips: ['10.6.20.5'] },
    { namespace: 'default', name: 'waiting', ips: [] },
    { namespace: 'team-a', name: 'db', ips: ['10.6.20.9'] },
  ],
}

void test('a ping goes to an address of a family that both ends have', () => {
  assert.equal(pingTarget(places, 'six', 'both'), 'fd00:6::103')
  assert.equal(pingTarget(places, 'six', 'switch'), 'fd00:6::1')
  assert.equal(pingTarget(places, 'four', 'both'), '10.6.20.4')
  assert.equal(pingTarget(places, 'both', 'default/six'), 'fd00:6::101')
  assert.equal(pingTarget(places, 'switch', 'node:node1'), '10.6.0.12')
  assert.equal(pingTarget(places, 'six', '192.0.2.1'), '192.0.2.1')
})

const refused: readonly (readonly [string, string, string, RegExp, RegExp])[] = [
  [
    'ends without a common family',
    'four',
    'six',
    /"six": it has fd00:6::101 alone, and four has/,
    /one family/,
  ],
  ['a pod without address', 'four', 'waiting', /"waiting": it has no address yet/, /describe pod/],
  ['a pod of another namespace', 'four', 'db', /"db": it is no place/, /write team-a\/db$/],
  ['an unknown name', 'four', 'nosuch', /"nosuch": it is no place/, /NAMESPACE\/POD.*lab status/],
]
for (const [what, from, to, message, hint] of refused) {
  void test(`${what} is refused with the value and the remedy`, () => {
    assert.throws(
      () => pingTarget(places, from, to),
      (error) => error instanceof InvalidInputError && message.test(error.message) && hint.test(error.hint),
    )
  })
}
