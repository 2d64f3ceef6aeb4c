import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EntryGrant } from '../../api/index.ts'
import type { OwnedAddress } from '../../ledger/index.ts'
import { planCurrent } from './plan-endpoint.ts'

const address = (ip: string, nic: string, grant: Partial<EntryGrant>): OwnedAddress => ({
  ip,
  entry: {
    pool: ip.includes(':') ? 'p6' : 'p4',
    nic,
    owner: { kind: 'pod', uid: 'u1' },
    pod: 'default/web-1',
    podUid: 'u1',
    node: 'n',
    since: 1,
    grant: { prefixBits: ip.includes(':') ? 64 : 16, ...grant },
  },
})

void test('planCurrent() shows MAC, VLAN, DNS settings and metadata of each interface, both families as one', () => {
  const mac = '02:00:00:00:00:01'
  const { ips } = planCurrent([
    address('fd00::9', 'eth0', {
      mac,
      dns: { nameservers: ['fd00::53'] },
      metadata: { rack: 'six', b: '6' },
    }),
    address('10.6.0.9', 'eth0', {
      mac,
      vlan: 7,
      dns: { nameservers: ['10.6.0.53'] },
      metadata: { rack: 'four' },
    }),
    address('10.6.0.10', 'net1', { cleanGateway: true }),
  ])
  assert.deepEqual(ips, [
    {
      interface: 'eth0',
      ipv4: '10.6.0.9/16',
      ipv4Pool: 'p4',
      ipv6: 'fd00::9/64',
      ipv6Pool: 'p6',
      vlan: 7,
      cleanGateway: false,
      mac,
      dns: { nameservers: ['10.6.0.53', 'fd00::53'] },
      metadata: { rack: 'four', b: '6' },
    },
    { interface: 'net1', ipv4: '10.6.0.10/16', ipv4Pool: 'p4', vlan: 0, cleanGateway: true },
  ])
})
