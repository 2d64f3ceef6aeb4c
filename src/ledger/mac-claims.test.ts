import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OwnedAddress } from './entry.ts'
import { MacTakenError } from './errors.ts'
import { MacClaims } from './mac-claims.ts'

const addressOf = (ip: string, pod: string): OwnedAddress => {
  const owner = { kind: 'pod' as const, uid: pod }
  const grant = { prefixBits: 16, mac: '02:00:00:00:00:01' }
  return { ip, entry: { pool: 'p', nic: 'net1', owner, pod, podUid: pod, node: 'n', since: 1, grant } }
}

void test('who holds a MAC address is told inside its namespace alone', () => {
  const refusal = (asker: string): string => {
    const claims = new MacClaims({ ofMac: () => [addressOf('10.6.1.1', 'shop/db')] })
    try {
      claims.claim([addressOf('10.6.1.2', asker)])
    } catch (error) {
      assert(error instanceof MacTakenError)
      return error.message
    }
    return 'given'
  }
  assert.match(refusal('shop/web'), /it is held by NIC net1 of pod shop\/db$/)
  for (const asker of ['evil/web', 'sho/web', 'shop2/web'])
    assert.match(refusal(asker), /it is held by a pod of another namespace$/)
})
