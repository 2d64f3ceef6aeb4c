import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BlockEntry, parsePodRoutes, type SpiderIpPool } from '../../api/index.ts'
import { addressText, grantOf, routesOf } from './grant.ts'

const pool: SpiderIpPool = {
  metadata: { name: 'p' },
  spec: {
    subnet: '10.6.0.0/16',
    gateway: '10.6.0.1',
    routes: [{ dst: '10.99.0.0/16', gw: '10.6.0.2' }],
  },
}
const podRoutes = parsePodRoutes(
  '[{"dst":"10.7.0.0/16","gw":"10.6.0.9"},{"dst":"192.168.0.0/24","gw":"172.16.0.1"}]',
)
const entryOf = (grant: BlockEntry['grant']): BlockEntry => ({
  pool: 'p',
  nic: 'eth0',
  owner: { kind: 'pod', uid: 'u' },
  pod: 'a/b',
  podUid: 'u',
  node: 'n',
  since: 1,
  grant,
})

void test('grantOf() takes the routes of the pool, and those of the pod whose gateway is in the subnet', () => {
  const grant = grantOf({ pool, cleanGateway: false, podRoutes, taken: [] })
  assert.deepEqual(grant, {
    prefixBits: 16,
    gateway: '10.6.0.1',
    routes: [
      { dst: '10.99.0.0/16', gw: '10.6.0.2' },
      { dst: '10.7.0.0/16', gw: '10.6.0.9' },
    ],
  })
  const address = { ip: '10.6.168.151', entry: entryOf(grant) }
  assert.equal(addressText(address), '10.6.168.151/16')
  assert.deepEqual(routesOf(address).at(-1), { dst: '0.0.0.0/0', gw: '10.6.0.1' })
})

void test('grantOf() leaves out a pod route that another NIC has', () => {
  const taken = [{ dst: '10.7.0.0/16', gw: '10.6.0.9' }]
  assert.equal(grantOf({ pool, cleanGateway: false, podRoutes, taken }).routes?.length, 1)
})

void test('cleanGateway drops the default route alone, and is recorded', () => {
  const grant = grantOf({ pool, cleanGateway: true, podRoutes: [], taken: [] })
  assert.equal(grant.gateway, '10.6.0.1')
  assert.equal(grant.cleanGateway, true)
  assert.deepEqual(routesOf({ ip: '10.6.0.5', entry: entryOf(grant) }), pool.spec.routes)
})

void test('grantOf() takes VLAN, DNS settings and metadata of the pool, and holds equal ones once', () => {
  const spec = { ...pool.spec, vlanID: 7, dns: { domain: 'a.example' }, metadata: { rack: 'r7' } }
  const granted = (attributes = {}) =>
    grantOf({
      pool: { ...pool, spec: structuredClone(spec) },
      cleanGateway: false,
      podRoutes: [],
      taken: [],
      attributes,
    })
  const one = granted()
  assert.deepEqual([one.vlan, one.dns, one.metadata], [7, { domain: 'a.example' }, { rack: 'r7' }])
  assert.equal(granted().dns, one.dns)
  assert.equal(granted().metadata, one.metadata)
  const ofPod = granted({ dns: { domain: 'b.example' }, metadata: { owner: 'shop' } })
  assert.deepEqual([ofPod.dns, ofPod.metadata], [{ domain: 'b.example' }, { rack: 'r7', owner: 'shop' }])
  assert.equal(grantOf({ pool, cleanGateway: false, podRoutes: [], taken: [] }).vlan, undefined)
})

void test('grantOf() records the flag cleanGateway also when the pool has no gateway', () => {
  const bare = { ...pool, spec: { subnet: '10.6.0.0/16' } }
  assert.equal(grantOf({ pool: bare, cleanGateway: true, podRoutes: [], taken: [] }).cleanGateway, true)
})
