import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInputError } from '../../base/index.ts'
import { parseIpClaim } from './ip-claim-choice.ts'

void test('parseIpClaim() reads a name as it stands, a JSON text, and names by NIC', () => {
  assert.deepEqual(parseIpClaim('db'), [{ nic: undefined, name: 'db' }])
  assert.deepEqual(parseIpClaim(' db.main '), [{ nic: undefined, name: 'db.main' }])
  assert.deepEqual(parseIpClaim('"db"'), [{ nic: undefined, name: 'db' }])
  assert.deepEqual(parseIpClaim('{"eth0":"db","net1":"storage"}'), [
    { nic: 'eth0', name: 'db' },
    { nic: 'net1', name: 'storage' },
  ])
})

const many = JSON.stringify(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`n${i}`, `c${i}`])))
for (const [text, problem] of [
  ['', /invalid format/],
  ['shop/db', /invalid format/],
  ['"shop/db"', /no name of an object/],
  ['{}', /names no claim/],
  ['[]', /must be an object, not a list/],
  ['["db"]', /must be an object, not a list/],
  ['{"eth0":7}', /claim of eth0 must be text/],
  ['{"eth0":""}', /claim of eth0 is no name/],
  ['{"a/b":"db"}', /'a\/b'/],
  ['{"eth0":"db","net1":"db"}', /two NICs name the claim db/],
  [many, /more than 64 NICs/],
] as const) {
  void test(`parseIpClaim() refuses ${text.slice(0, 40)}`, () => {
    assert.throws(
      () => parseIpClaim(text),
      (error) => {
        assert.ok(error instanceof InvalidInputError)
        assert.match(error.message, problem)
        assert.match(error.message, /ipam\.spidernet\.io\/ip-claim/)
        return true
      },
    )
  })
}
