import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpiderIpClaim, SpiderIpPool } from '../../api/index.ts'
import { NoPoolError } from '../../ledger/index.ts'
import { planReservation } from './plan-reservation.ts'

const pool = (name: string, spec: Partial<SpiderIpPool['spec']>): readonly [string, SpiderIpPool] => [
  name,
  { metadata: { name }, spec: { subnet: '10.6.0.0/16', ...spec } },
]
const pools = new Map([
  pool('p4', { default: true }),
  pool('p6', { default: true, subnet: 'fd00::/64' }),
  pool('placed', { nodeName: ['n1'], multusName: ['net'], podAffinity: { matchLabels: { a: 'b' } } }),
  pool('tenant', { namespaceName: ['other'] }),
])
const claim = (spec: SpiderIpClaim['spec'], status?: SpiderIpClaim['status']): SpiderIpClaim => ({
  metadata: { name: 'c', namespace: 'shop' },
  spec,
  ...(status === undefined ? {} : { status }),
})
function plan(one: SpiderIpClaim, missing?: readonly (4 | 6)[], annotations = {}) {
  const namespace = { metadata: { name: 'shop', annotations } }
  const world = {
    pools,
    namespace,
    versions: [4, 6],
    blockedPools: new Map(),
    installNamespace: 's',
  } as const
  return planReservation(one, world, missing).map((want) => ({
    version: want.version,
    pools: want.pools.map(({ metadata }) => metadata.name),
    ...(want.ips === undefined ? {} : { ips: want.ips }),
  }))
}

void test('a claim that names nothing gets one address of each family of the default pools', () => {
  assert.deepEqual(plan(claim({})), [
    { version: 4, pools: ['p4'] },
    { version: 6, pools: ['p6'] },
  ])
  const annotations = { 'ipam.spidernet.io/default-ipv4-ippool': '["p*"]' }
  assert.deepEqual(
    plan(claim({}), undefined, annotations),
    [{ version: 4, pools: ['p4', 'placed'] }].map(sorted),
  )
})

void test('addresses by name are of their family alone, unless pools of the other are named', () => {
  assert.deepEqual(plan(claim({ ips: ['10.6.0.9'] })), [{ version: 4, pools: ['p4'], ips: ['10.6.0.9'] }])
  assert.deepEqual(plan(claim({ ips: ['10.6.0.9'], ippools: { ipv4: ['p4'], ipv6: ['p6'] } })), [
    { version: 4, pools: ['p4'], ips: ['10.6.0.9'] },
    { version: 6, pools: ['p6'] },
  ])
})

void test('what is wrong is told by the fields of the claim, without a NIC that it does not name', () => {
  const messageOf = (spec: SpiderIpClaim['spec']): string => {
    try {
      return JSON.stringify(plan(claim(spec)))
    } catch (error) {
      assert(error instanceof NoPoolError)
      return `${error.message}; ${error.hint}`
    }
  }
  assert.equal(
    messageOf({ ips: ['FD00::09'], ippools: { ipv4: ['p4'] } }),
    'no IPPool available, spec.ippools.ipv6 names none for fd00::9; ' +
      'Create another claim, with a pool of the address in spec.ippools.ipv6: that of this one cannot change',
  )
  assert.equal(
    messageOf({ ippools: { ipv4: ['shopv4'] } }),
    'no IPPool available, none of the IPv4 IPPools [shopv4] exists (named in spec.ippools of the claim); ' +
      'Create one of them, or correct the names in spec.ippools of the claim',
  )
  assert.match(
    messageOf({ ippools: { ipv4: ['shop*'] } }),
    /, spec\.ippools of the claim gives no IPPool of a/,
  )
  assert.match(messageOf({ ippools: { ipv4: ['tenant'] } }), /, all IPv4 IPPools \[tenant\] filtered out: /)
})

void test('rules about namespaces hold, those about nodes, pods and networks wait for a pod', () => {
  const [want] = plan(claim({ ippools: { ipv4: ['placed'] } }))
  assert.deepEqual(want?.pools, ['placed'])
  assert.throws(() => plan(claim({ ippools: { ipv4: ['tenant'] } })), NoPoolError)
  assert.throws(() => plan(claim({ ippools: { ipv4: ['nowhere'] } })), NoPoolError)
})

void test('a namespace that is confined to pools reserves from no other', () => {
  const annotations = { 'ipam.spidernet.io/confined-to-ippools': '["p6"]' }
  assert.throws(() => plan(claim({ ippools: { ipv4: ['p4'] } }), undefined, annotations), NoPoolError)
})

void test('what a claim had it gets back, and nothing else', () => {
  const status = { phase: 'Lost', ips: [{ ip: '10.6.0.7/16', pool: 'p4', version: 4 }] } as const
  assert.deepEqual(plan(claim({}, status), [4]), [{ version: 4, pools: ['p4'], ips: ['10.6.0.7'] }])
})

function sorted<T extends { readonly pools: readonly string[] }>(want: T): T {
  // A pool with rules of its own goes before one without; its rules are not looked at here, so the name decides.
  return { ...want, pools: [...want.pools].sort() }
}
