import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpiderIpPool, SpiderSubnet } from '../../api/index.ts'
import { admit, answer, type Case, ours, patched, settings } from '../testing/reviewing.ts'

const pool = (spec: unknown, metadata: object = {}, name = 'p'): Record<string, unknown> =>
  ours('SpiderIPPool', name, spec, metadata)
const subnet = (spec: unknown, metadata: object = {}): Record<string, unknown> =>
  ours('SpiderSubnet', 's', spec, metadata)
const reserved = (spec: unknown): Record<string, unknown> => ours('SpiderReservedIP', 'r', spec)
const storedPool = (name: string, spec: object, more: object = {}): SpiderIpPool =>
  ({ metadata: { name }, spec, ...more }) as SpiderIpPool
const storedSubnet = (name: string, spec: object, more: object = {}): SpiderSubnet =>
  ({ metadata: { name, uid: `${name}-uid` }, spec, ...more }) as SpiderSubnet

const net = '10.6.0.0/16'
const fine = { subnet: net, ips: ['10.6.1.1-10.6.1.9'] }
const stored = (spec: object): Record<string, unknown> => pool({ ipVersion: 4, ...spec })
const create = (spec: unknown, world: Case['world'] = {}): Case => ({
  kind: 'SpiderIPPool',
  object: pool(spec),
  world,
})
const update = (spec: object, old: object = fine, world: Case['world'] = {}): Case => ({
  kind: 'SpiderIPPool',
  object: stored(spec),
  oldObject: stored(old),
  world,
})
const createSubnet = (spec: unknown, world: Case['world'] = {}): Case => ({
  kind: 'SpiderSubnet',
  object: subnet(spec),
  world,
})
const updateSubnet = (spec: object, old: object, status: object = {}): Case => ({
  kind: 'SpiderSubnet',
  object: subnet({ ipVersion: 4, ...spec }),
  oldObject: { ...subnet({ ipVersion: 4, ...old }), status },
})
const reserve = (spec: unknown, old?: unknown): Case => ({
  kind: 'SpiderReservedIP',
  object: reserved(spec),
  ...(old === undefined ? {} : { oldObject: reserved(old) }),
})

const noIp6 = { settings: { ...settings, enableIPv6: false } }
const owned = (name: string) => ({
  labels: { 'ipam.spidernet.io/owner-spider-subnet': name },
  ownerReferences: [
    {
      apiVersion: 'spiderpool.spidernet.io/v2beta1',
      kind: 'SpiderSubnet',
      name,
      uid: `${name}-uid`,
      controller: true,
    },
  ],
})
const auto = {
  ...owned('s'),
  labels: { ...owned('s').labels, 'ipam.spidernet.io/owner-application-name': 'web' },
}
const appAffinity = { matchLabels: { 'ipam.spidernet.io/app-name': 'web' } }
const ownedCase = (metadata: object, spec: object, world: Case['world']): Case => ({
  kind: 'SpiderIPPool',
  object: pool(spec, metadata),
  world,
})

// [rule, case, field of the first cause, words of the message]; a case without field is accepted.
const rules: readonly (readonly [string, Case, string?, ...RegExp[]])[] = [
  ['P-01', create({ subnet: 'nonsense' }), 'spec.ipVersion', /cannot be read from spec\.subnet/],
  ['P-01', create(fine)],
  ['P-02', create({ ...fine, ipVersion: 5 }), 'spec.ipVersion', /5/, /write one of 4, 6/],
  ['P-03', create({ subnet: 'fd00::/64' }, noIp6), 'spec.ipVersion', /switched off/, /enableIPv6/],
  ['P-03', create({ subnet: 'fd00::/64' })],
  ['P-04', create({ subnet: net, ipVersion: 6 }), 'spec.subnet', /IPv4, where IPv6/],
  ['P-05', create({ subnet: '10.6.5.1/16' }), 'spec.subnet', /"10\.6\.5\.1\/16"/, /write 10\.6\.0\.0\/16/],
  ['P-05', create({ subnet: 'FD00::/64' }), 'spec.subnet', /write fd00::\/64/],
  [
    'P-07',
    create(fine, { pools: [storedPool('wide', { subnet: '10.0.0.0/8' })] }),
    'spec.subnet',
    /10\.0\.0\.0\/8 of SpiderIPPool "wide"/,
  ],
  ['P-07', create(fine, { pools: [storedPool('same', { subnet: net })] })],
  [
    'P-07',
    create(fine, { pools: [storedPool('broken', { subnet: '?' }), storedPool('v6', { subnet: '::/0' })] }),
  ],
  [
    'P-08',
    create({ subnet: net, ips: ['10.6.1.9-10.6.1.1'] }),
    'spec.ips[0]',
    /runs backwards/,
    /write 10\.6\.1\.1-10\.6\.1\.9/,
  ],
  [
    'P-08',
    create({ subnet: net, ips: ['10.6.1.0/24'] }),
    'spec.ips[0]',
    /is a CIDR/,
    /write 10\.6\.1\.0-10\.6\.1\.255/,
  ],
  ['P-08', create({ subnet: net, ips: ['10.6.0.1', '1-2-3'] }), 'spec.ips[1]', /more than one dash/],
  [
    'P-08',
    create({ subnet: net, ips: ['10.7.0.1'] }),
    'spec.ips[0]',
    /not inside spec\.subnet 10\.6\.0\.0\/16/,
  ],
  ['P-08', create({ subnet: net, excludeIPs: ['10.7.0.1'] }), 'spec.excludeIPs[0]', /10\.7\.0\.1/],
  ['P-08', create({ subnet: net, ips: ['10.6.0.1-10.6.0.9', '10.6.0.5'] })],
  [
    'P-09',
    create(
      { subnet: net, ips: ['10.6.168.151-10.6.168.160'] },
      {
        pools: [storedPool('test-pod-ippool', { subnet: net, ips: ['10.6.168.155-10.6.168.170'] })],
      },
    ),
    'spec.ips',
    /SpiderIPPool "p"/,
    /SpiderIPPool "test-pod-ippool"/,
    /10\.6\.168\.155-10\.6\.168\.160/,
    /take them out/,
  ],
  [
    'P-09',
    create(fine, {
      pools: [
        storedPool('q', { subnet: net, ips: ['10.6.1.1-10.6.1.9'], excludeIPs: ['10.6.1.1-10.6.1.9'] }),
      ],
    }),
  ],
  ['P-09', update(fine, fine, { pools: [storedPool('p', fine)] })],
  [
    'P-09',
    update({ ...fine, ips: ['10.6.2.2'] }, fine, {
      pools: [storedPool('q', { subnet: net, ips: ['10.6.2.2'] })],
    }),
    'spec.ips',
    /"q"/,
  ],
  ['P-10', create({ ...fine, gateway: '10.7.0.1' }), 'spec.gateway', /not inside spec\.subnet/],
  ['P-10', create({ ...fine, gateway: 'fd00::1' }), 'spec.gateway', /IPv6 address, not an IPv4/],
  ['P-10', create({ ...fine, gateway: '10.6.0.1' })],
  [
    'P-11',
    create({ ...fine, gateway: '10.6.1.5' }),
    'spec.ips[0]',
    /contains spec\.gateway 10\.6\.1\.5/,
    /excludeIPs/,
  ],
  ['P-11', create({ ...fine, gateway: '10.6.1.5', excludeIPs: ['10.6.1.4-10.6.1.6'] })],
  [
    'P-11',
    create({ subnet: 'fd00::/64', ips: ['fd00:0::1'], gateway: 'fd00::1' }),
    'spec.ips[0]',
    /contains spec\.gateway/,
  ],
  [
    'P-12',
    create({ ...fine, routes: [{ dst: '0.0.0.0/0', gw: '10.6.0.1' }] }),
    'spec.routes[0].dst',
    /spec\.gateway/,
  ],
  [
    'P-13',
    create({
      ...fine,
      routes: [
        { dst: '10.9.0.0/16', gw: '10.6.0.1' },
        { dst: '10.9.0.0/16', gw: '10.6.0.2' },
      ],
    }),
    'spec.routes[1].dst',
    /spec\.routes\[0\]/,
  ],
  [
    'P-14',
    create({ ...fine, routes: [{ dst: 'fd00::/8', gw: '10.6.0.1' }] }),
    'spec.routes[0].dst',
    /not a CIDR of IPv4/,
  ],
  [
    'P-15',
    create({ ...fine, routes: [{ dst: '10.9.0.0/16', gw: '10.7.0.1' }] }),
    'spec.routes[0].gw',
    /not inside spec\.subnet/,
  ],
  ['P-15', create({ ...fine, routes: [{ dst: '10.9.0.1/16', gw: '10.6.0.1' }] })],
  ['P-16', create({ ...fine, podAffinity: {} }), 'spec.podAffinity', /empty/],
  [
    'P-17',
    create({ ...fine, podAffinity: { matchLabels: { 'a b': 'c' } } }),
    'spec.podAffinity.matchLabels',
    /not a label key/,
  ],
  [
    'P-17',
    create({ ...fine, podAffinity: { matchExpressions: [{ key: 'a', operator: 'In' }] } }),
    'spec.podAffinity.matchExpressions[0].values',
    /must not be empty/,
  ],
  [
    'P-17',
    create({ ...fine, nodeAffinity: { matchExpressions: [{ key: 'a', operator: 'in', values: ['b'] }] } }),
    'spec.nodeAffinity.matchExpressions[0].operator',
    /write In, NotIn/,
  ],
  ['P-17', create({ ...fine, podAffinity: { matchLabels: { app: 'test-app-3' } } })],
  [
    'P-18',
    ownedCase(
      auto,
      { ...fine, podAffinity: { matchLabels: { app: 'x' } } },
      { subnets: [storedSubnet('s', fine)] },
    ),
    'spec.podAffinity',
    /additional match labels/,
  ],
  [
    'P-19',
    create({ ...fine, ips: ['10.6.1.1-10.6.1.20'] }, { subnets: [storedSubnet('s', fine)] }),
    'spec.ips',
    /10\.6\.1\.10-10\.6\.1\.20/,
    /SpiderSubnet "s"/,
  ],
  ['P-19', create(fine, { subnets: [storedSubnet('s', fine)] })],
  ['P-20', ownedCase(owned('gone'), fine, {}), 'spec.subnet', /"gone", which does not exist/],
  [
    'P-20',
    ownedCase(
      { ownerReferences: [{ apiVersion: 'x/v1', kind: 'Other', name: 'o', uid: 'u', controller: true }] },
      fine,
      {},
    ),
  ],
  [
    'P-21',
    ownedCase(
      auto,
      { ...fine, podAffinity: appAffinity },
      { subnets: [storedSubnet('s', fine, { status: { controlledIPPools: '{"p":{"ips":["10.6.1.1"]}}' } })] },
    ),
    'spec.ips',
    /differs from 10\.6\.1\.1,/,
  ],
  [
    'P-21',
    ownedCase(
      auto,
      { ...fine, podAffinity: appAffinity },
      {
        subnets: [
          storedSubnet('s', fine, { status: { controlledIPPools: '{"p":{"ips":["10.6.1.1-10.6.1.9"]}}' } }),
        ],
      },
    ),
  ],
  ['P-22', update({ ...fine, subnet: '10.7.0.0/16' }), 'spec.subnet', /cannot change from 10\.6\.0\.0\/16/],
  ['P-22', update({ ...fine, ipVersion: 6 }), 'spec.ipVersion', /cannot change from 4/],
  ['P-22', update({ ...fine, disable: true })],
  [
    'P-23',
    update({ ...fine, ips: ['10.6.1.1-10.6.1.5'] }, fine, {
      usedIps: [{ ip: '10.6.1.7', pod: 'shop/cart-0' }],
    }),
    'spec.ips',
    /10\.6\.1\.7/,
    /"shop\/cart-0"/,
  ],
  [
    'P-23',
    update({ ...fine, ips: ['10.6.1.1-10.6.1.5'] }, fine, {
      usedIps: [{ ip: '10.6.1.5', pod: 'shop/cart-0' }],
    }),
  ],
  ['S-01', createSubnet({ subnet: 'x' }), 'spec.ipVersion', /cannot be read/],
  ['S-02', createSubnet({ subnet: '10.6.0.1/16' }), 'spec.subnet', /write 10\.6\.0\.0\/16/],
  [
    'S-04',
    createSubnet(fine, { subnets: [storedSubnet('t', { subnet: net })] }),
    'spec.subnet',
    /SpiderSubnet "t"/,
  ],
  [
    'S-05',
    createSubnet(fine, { pools: [storedPool('q', { subnet: '10.6.1.0/24' })] }),
    'spec.subnet',
    /SpiderIPPool "q"/,
  ],
  [
    'S-06',
    createSubnet(fine, { pools: [storedPool('q', { subnet: net, ips: ['10.6.1.9-10.6.1.10'] })] }),
    'spec.ips',
    /10\.6\.1\.10, which SpiderIPPool "q" has/,
  ],
  ['S-06', createSubnet(fine, { pools: [storedPool('q', { subnet: net, ips: ['10.6.1.9'] })] })],
  ['S-07', createSubnet({ subnet: net, ips: ['10.6.1.9-10.6.1.1'] }), 'spec.ips[0]', /runs backwards/],
  ['S-08', createSubnet({ subnet: net, excludeIPs: ['10.7.0.0'] }), 'spec.excludeIPs[0]', /not inside/],
  [
    'S-09',
    createSubnet({ subnet: '10.88.0.0/24', ips: ['10.88.0.1-10.88.0.50'], gateway: '10.88.0.1' }),
    'spec.ips[0]',
    /excludeIPs/,
  ],
  [
    'S-09',
    createSubnet({
      subnet: '10.88.0.0/24',
      ips: ['10.88.0.1-10.88.0.50'],
      gateway: '10.88.0.1',
      excludeIPs: ['10.88.0.1'],
    }),
  ],
  [
    'S-10',
    createSubnet({ ...fine, routes: [{ dst: '::/0', gw: '10.6.0.1' }] }),
    'spec.routes[0].dst',
    /not a CIDR of IPv4/,
  ],
  ['S-11', updateSubnet({ ...fine, subnet: '10.7.0.0/16' }, fine), 'spec.subnet', /cannot change/],
  [
    'S-12',
    updateSubnet({ ...fine, ips: ['10.6.1.1'] }, fine, {
      controlledIPPools: '{"q":{"ips":["10.6.1.1-10.6.1.3"]}}',
    }),
    'spec.ips',
    /10\.6\.1\.2-10\.6\.1\.3, which SpiderIPPool "q" has/,
  ],
  [
    'S-12',
    updateSubnet({ ...fine, ips: ['10.6.1.1-10.6.1.3'] }, fine, {
      controlledIPPools: '{"q":{"ips":["10.6.1.1-10.6.1.3"]}}',
    }),
  ],
  [
    'S-12',
    updateSubnet(fine, fine, { controlledIPPools: '{' }),
    'status.controlledIPPools',
    /cannot be read/,
  ],
  ['R-01', reserve({ ips: [] }), 'spec.ipVersion', /first entry of spec\.ips/],
  ['R-01', reserve({ ips: [], ipVersion: 4 })],
  ['R-02', { ...reserve({ ips: ['fd00::1'] }), world: noIp6 }, 'spec.ipVersion', /switched off/],
  ['R-03', reserve({ ipVersion: 4, ips: ['10.0.0.1', 'fd00::1'] }), 'spec.ips[1]', /IPv6, where IPv4/],
  ['R-03', reserve({ ips: ['fd77:b::10-fd77:b::1f', 'fd77:b::53'], ipVersion: 6 })],
  [
    'R-04',
    reserve({ ips: ['fd00::1'], ipVersion: 6 }, { ips: ['10.0.0.1'], ipVersion: 4 }),
    'spec.ipVersion',
    /cannot change from 4/,
  ],
  ['R-04', reserve({ ips: [], ipVersion: 4 }, { ips: ['10.0.0.1'], ipVersion: 4 })],
]
for (const [i, [rule, item, field, ...words]] of rules.entries()) {
  void test(`${rule} ${field === undefined ? 'accepts' : `refuses ${field} in`} case ${i}`, () => {
    const response = admit(item)
    if (field === undefined) {
      assert.deepEqual(response, { uid: 'request-1', allowed: true })
      return
    }
    assert.equal(response.allowed, false)
    assert.equal(response.status?.code, 422)
    assert.equal(response.status?.details?.causes[0]?.field, field)
    for (const word of words) assert.match(response.status?.message ?? '', word)
  })
}

void test('P-06, S-03: an existing name answers 409 AlreadyExists', () => {
  const taken = admit(create(fine, { pools: [storedPool('p', { subnet: 'fd00::/64' })] }))
  assert.equal(taken.status?.code, 409)
  assert.equal(taken.status?.reason, 'AlreadyExists')
  assert.equal(admit(createSubnet(fine, { subnets: [storedSubnet('s', fine)] })).status?.code, 409)
})

void test('a refusal lists every mistake in the selectors beside the first of the addresses', () => {
  const { status } = admit(create({ subnet: net, ips: ['x'], podAffinity: { matchLabels: { 'a b': 'c' } } }))
  assert.deepEqual(
    status?.details?.causes.map(({ field }) => field),
    ['spec.ips[0]', 'spec.podAffinity.matchLabels'],
  )
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

void test('P-24, S-13: deletion is refused only with the guard on and addresses in use', () => {
  const guarded = { settings: { ...settings, guardDeletion: true } }
  const used = { usedIps: [{ ip: '10.6.1.1', pod: 'a/b' }] }
  const remove = (world: Case['world']): Case => ({
    kind: 'SpiderIPPool',
    operation: 'DELETE',
    oldObject: stored(fine),
    world,
  })
  assert(answer('validate', remove(used)).allowed)
  assert(answer('validate', remove(guarded)).allowed)
  const refused = answer('validate', remove({ ...guarded, ...used }))
  assert.equal(refused.status?.code, 403)
  assert.match(refused.status?.message ?? '', /1 addresses are in use, 10\.6\.1\.1 by pod "a\/b"/)
  const full = { ...subnet(fine), status: { allocatedIPCount: 3 } }
  const removeSubnet: Case = { kind: 'SpiderSubnet', operation: 'DELETE', oldObject: full, world: guarded }
  assert.equal(answer('validate', removeSubnet).status?.code, 403)
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
