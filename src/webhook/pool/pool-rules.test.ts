import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpiderSubnet } from '../../api/index.ts'
import { admit, answer, type Case, ours, patched } from '../testing/reviewing.ts'

const pool = (spec: unknown, metadata: object = {}, name = 'p'): Record<string, unknown> =>
  ours('SpiderIPPool', name, spec, metadata)
const reserved = (spec: unknown): Record<string, unknown> => ours('SpiderReservedIP', 'r', spec)
const storedSubnet = (name: string, spec: object, more: object = {}): SpiderSubnet =>
  ({ metadata: { name, uid: `${name}-uid` }, spec, ...more }) as SpiderSubnet

const net = '10.6.0.0/16'
const fine = { subnet: net, ips: ['10.6.1.1-10.6.1.9'] }
const create = (spec: unknown, world: Case['world'] = {}): Case => ({
  kind: 'SpiderIPPool',
  object: pool(spec),
  world,
})

// The cases of the rules are in test/support/webhook-cases; here is what they cannot say.
void test('a refusal lists every mistake in the selectors beside the first of the addresses', () => {
  const { status } = admit(create({ subnet: net, ips: ['x'], podAffinity: { matchLabels: { 'a b': 'c' } } }))
  assert.deepEqual(
    status?.details?.causes.map(({ field }) => field),
    ['spec.ips[0]', 'spec.podAffinity.matchLabels'],
  )
})

void test('attributes that no pod could be given are refused by their field', () => {
  const facts = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'x'.repeat(200)]))
  for (const [more, field] of [
    [{ dns: { nameservers: ['10.6.0.53', 'ns.example'] } }, 'spec.dns.nameservers[1]'],
    [{ dns: { domain: '' } }, 'spec.dns.domain'],
    [{ dns: { search: ['a', 'b c'] } }, 'spec.dns.search[1]'],
    [{ dns: { options: ['ndots:2\nnameserver 1.2.3.4'] } }, 'spec.dns.options[0]'],
    [{ metadata: { ['k'.repeat(129)]: 'x' } }, 'spec.metadata'],
    [{ metadata: facts }, 'spec.metadata'],
  ] as const) {
    const { allowed, status } = admit(create({ ...fine, ...more }))
    assert.deepEqual([allowed, status?.details?.causes.map((cause) => cause.field)], [false, [field]])
  }
  const right = { dns: { nameservers: ['10.6.0.53'], search: ['a.example'] }, metadata: { rack: 'r7' } }
  assert(admit(create({ ...fine, ...right })).allowed)
})

const terminating = {
  deletionTimestamp: '2026-11-21T00:00:00Z',
  finalizers: ['spiderpool.spidernet.io', 'other/f'],
}
void test('a terminating pool keeps its spec, and any party may take its finalizer away', () => {
  const old = pool({ ipVersion: 4, ...fine }, terminating)
  const changed = pool({ ipVersion: 4, ...fine, disable: true }, terminating)
  const refused = answer('validate', { kind: 'SpiderIPPool', object: changed, oldObject: old })
  assert.equal(refused.status?.code, 403)
  assert.match(refused.status?.message ?? '', /"p" is being deleted/)
  const other = pool({ ipVersion: 4, ...fine }, { ...terminating, finalizers: ['spiderpool.spidernet.io'] })
  assert(answer('validate', { kind: 'SpiderIPPool', object: other, oldObject: old }).allowed)
  const freed = pool({ ipVersion: 4, ...fine, disable: true }, { ...terminating, finalizers: [] })
  assert(answer('validate', { kind: 'SpiderIPPool', object: freed, oldObject: old }).allowed)
  assert.equal(answer('mutate', { kind: 'SpiderIPPool', object: freed, oldObject: old }).patch, undefined)
})

void test('without the guard pools and subnets in use may be deleted', () => {
  const used = { usedIps: [{ ip: '10.6.1.1', holder: 'pod "a/b"' }] }
  for (const kind of ['SpiderIPPool', 'SpiderSubnet']) {
    const oldObject = ours(kind, 'p', fine)
    assert(answer('validate', { kind, operation: 'DELETE', oldObject, world: used }).allowed)
  }
})

void test('a reservation of addresses in use is accepted, and says so', () => {
  const object = reserved({ ipVersion: 4, ips: ['10.6.1.1-10.6.1.9'] })
  const usedIps = ['10.6.1.3', '10.6.1.4', '10.7.0.1'].map((ip) => ({ ip, holder: 'pod "a/b"' }))
  const { allowed, warnings } = answer('validate', { kind: 'SpiderReservedIP', object, world: { usedIps } })
  assert(allowed)
  assert.deepEqual(warnings, [
    'spec.ips: 10.6.1.3 of pod "a/b" and 1 more are in use, and stay so until those pods and claims are gone',
  ])
})

void test('mutation of a pool gives what the worked example of the specification stores', () => {
  const hallB = storedSubnet('hall-b', { subnet: '10.77.0.0/20', gateway: '10.77.0.1' })
  const object = pool(
    { subnet: '10.77.0.0/20', ips: ['10.77.5.9', '10.77.5.4-10.77.5.7', '10.77.5.8', '10.77.5.6'] },
    {},
    'rack8-v4',
  )
  assert.deepEqual(patched({ kind: 'SpiderIPPool', object, world: { subnets: [hallB] } }), {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: {
      name: 'rack8-v4',
      finalizers: ['spiderpool.spidernet.io'],
      labels: {
        'ipam.spidernet.io/ippool-cidr': '10-77-0-0-20',
        'ipam.spidernet.io/owner-spider-subnet': 'hall-b',
      },
      ownerReferences: [
        {
          apiVersion: 'spiderpool.spidernet.io/v2beta1',
          kind: 'SpiderSubnet',
          name: 'hall-b',
          uid: 'hall-b-uid',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: { ipVersion: 4, subnet: '10.77.0.0/20', ips: ['10.77.5.4-10.77.5.9'], gateway: '10.77.0.1' },
  })
})

void test('mutation of a pool that is already as it should be changes nothing', () => {
  const once = patched({ kind: 'SpiderIPPool', object: pool({ subnet: 'fd00:6::/64', ips: ['FD00:6::1'] }) })
  assert.equal(answer('mutate', { kind: 'SpiderIPPool', object: once, oldObject: once }).patch, undefined)
  assert.deepEqual(once['spec'], { subnet: 'fd00:6::/64', ips: ['FD00:6::1'], ipVersion: 6 })
})

void test('mutation warns with the right text of a subnet that the API server will refuse', () => {
  const { warnings, allowed } = answer('mutate', create({ subnet: '10.6.5.1/16' }))
  assert(allowed)
  assert.deepEqual(warnings, [
    'spec.subnet "10.6.5.1/16" is not the network form of a CIDR: write 10.6.0.0/16',
  ])
})

void test('mutation answers a CIDR among the addresses with its range', () => {
  const spec = { subnet: '10.10.0.0/24', ips: ['10.10.0.10/28'], excludeIPs: ['10.10.0.3', '10.10.0.8/31'] }
  const { warnings, allowed } = answer('mutate', create(spec))
  assert(allowed)
  assert.deepEqual(warnings, [
    'spec.ips[0] "10.10.0.10/28" is a CIDR, not a range: write 10.10.0.0-10.10.0.15',
    'spec.excludeIPs[1] "10.10.0.8/31" is a CIDR, not a range: write 10.10.0.8-10.10.0.9',
  ])
})

const network = 'spec.ips has 10.10.0.0, the network address of 10.10.0.0/30: add it to spec.excludeIPs'
const broadcast = 'spec.ips has 10.10.0.3, the broadcast address of 10.10.0.0/30: add it to spec.excludeIPs'
const none = 'spec.ips less spec.excludeIPs is empty: pods get no address from this pool'
const hardlyMeant: readonly (readonly [what: string, spec: object, warnings: readonly string[]])[] = [
  ['both ends of a network', { subnet: '10.10.0.0/30', ips: ['10.10.0.0-10.10.0.3'] }, [network, broadcast]],
  [
    'an end that is excluded',
    { subnet: '10.10.0.0/30', ips: ['10.10.0.0-10.10.0.3'], excludeIPs: ['10.10.0.3'] },
    [network],
  ],
  ['the two of a /31', { subnet: '10.10.0.0/31', ips: ['10.10.0.0-10.10.0.1'] }, []],
  ['a host', { subnet: '10.10.0.0/30', ips: ['10.10.0.1'] }, []],
  ['the first of IPv6', { subnet: 'fd00:6::/64', ips: ['fd00:6::'] }, []],
  ['no addresses', { subnet: '10.10.0.0/24' }, [none]],
]
for (const [what, spec, expected] of hardlyMeant) {
  void test(`validation of a pool with ${what} ${expected.length === 0 ? 'is silent' : 'warns'}`, () => {
    const ipVersion = 'ips' in spec && String(spec.ips).includes(':') ? 6 : 4
    const { warnings = [], allowed } = answer('validate', create({ ...spec, ipVersion }))
    assert(allowed)
    assert.deepEqual(warnings, expected)
  })
}

void test('mutation of a pool that another controller owns binds it to no subnet', () => {
  const other = [{ apiVersion: 'x/v1', kind: 'Other', name: 'o', uid: 'u', controller: true }]
  const object = pool(fine, { ownerReferences: other })
  const after = patched({ kind: 'SpiderIPPool', object, world: { subnets: [storedSubnet('s', fine)] } })
  assert.deepEqual((after['metadata'] as { ownerReferences: unknown }).ownerReferences, other)
})

void test('an explicit empty list of routes blocks the routes of the subnet', () => {
  const routes = [{ dst: '10.9.0.0/16', gw: '10.6.0.1' }]
  const world = { subnets: [storedSubnet('s', { ...fine, routes })] }
  const specOf = (spec: object) => patched({ kind: 'SpiderIPPool', object: pool(spec), world })['spec']
  assert.deepEqual(specOf(fine), { ...fine, ipVersion: 4, routes })
  assert.deepEqual(specOf({ ...fine, routes: [] }), { ...fine, ipVersion: 4, routes: [] })
})

void test('mutation of a reservation reads the family from its first entry', () => {
  const object = reserved({ ips: ['10.77.5.3', '10.77.5.1', '10.77.5.2'] })
  assert.deepEqual(patched({ kind: 'SpiderReservedIP', object })['spec'], {
    ipVersion: 4,
    ips: ['10.77.5.1-10.77.5.3'],
  })
  const empty = reserved({ ips: [] })
  assert.equal(answer('mutate', { kind: 'SpiderReservedIP', object: empty }).patch, undefined)
})
