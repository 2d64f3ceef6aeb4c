import type { CaseObject, Given, RuleCase } from './rule-case.ts'

const net = '10.{n}.0.0/16'
const small = '10.{n}.4.0/24'
const fine = { subnet: net, ips: ['10.{n}.1.1-10.{n}.1.9'] }
const routed = (...routes: readonly object[]) => ({ ...fine, routes })

const pool = (spec: object, metadata: CaseObject['metadata'] = {}, name = 'p-{n}'): CaseObject => ({
  kind: 'SpiderIPPool',
  name,
  spec,
  metadata,
})
const other = (spec: object, name = 'q-{n}'): Given => pool(spec, {}, name)
const subnet = (spec: object, status?: object): Given => ({
  kind: 'SpiderSubnet',
  name: 's-{n}',
  spec,
  ...(status === undefined ? {} : { status }),
})
/** The address that a pod has of the pool. */
const used: Given = {
  kind: 'SpiderIPBlock',
  name: '10.{n}.1.0/26',
  spec: { entries: { '10.{n}.1.7': { pool: 'p-{n}', pod: 'default/cart-0' } } },
}
const accept = (rule: string, what: string, object: CaseObject, more: Partial<RuleCase> = {}): RuleCase => ({
  rule,
  what,
  object,
  ...more,
})
const refuse = (
  [rule, what]: readonly [string, string],
  object: CaseObject,
  refused: NonNullable<RuleCase['refused']>,
  more: Partial<RuleCase> = {},
): RuleCase => ({ rule, what, object, refused, ...more })

const autoLabel = { 'ipam.spidernet.io/owner-application-name': 'web' }
const appAffinity = { matchLabels: { 'ipam.spidernet.io/app-name': 'web' } }
const ownedBy = (kind: string, apiVersion: string) => ({
  labels: { 'ipam.spidernet.io/owner-spider-subnet': 'gone-{n}' },
  ownerReferences: [
    { apiVersion, kind, name: 'gone-{n}', uid: '0d9c3f1e-0000-4b7e-9c55-000000000{n}', controller: true },
  ],
})

const families: readonly RuleCase[] = [
  refuse(['P-01', 'a subnet that is no network'], pool({ subnet: 'nonsense' }), {
    schema: ['spec.subnet', '"nonsense"', 'is not a CIDR', 'write address/prefix length'],
    webhook: ['spec.ipVersion', 'cannot be read from spec.subnet', 'correct spec.subnet'],
  }),
  accept('P-01', 'a subnet, from which the family is read', pool(fine)),
  refuse(['P-02', 'a family that is none'], pool({ ...fine, ipVersion: 5 }), {
    schema: ['spec.ipVersion', '5', 'supported values'],
    webhook: ['spec.ipVersion', '5', 'write one of 4, 6'],
  }),
  accept('P-02', 'the family beside the subnet', pool({ ...fine, ipVersion: 4 })),
  refuse(
    ['P-03', 'a family that is switched off'],
    pool({ subnet: 'fd00:{n}::/64' }),
    { webhook: ['spec.ipVersion', '6', 'switched off', 'set enableIPv6'] },
    { without: 'IPv6' },
  ),
  accept('P-03', 'the other family', pool(fine), { without: 'IPv6' }),
  accept('P-03', 'a family that is on', pool({ subnet: 'fd00:{n}::/64', ips: ['fd00:{n}::1'] })),
  refuse(['P-04', 'a subnet of the other family'], pool({ ...fine, ipVersion: 6 }), {
    schema: ['spec.ipVersion', '6 is not the family of 10.{n}.0.0/16', 'leave ipVersion out'],
    webhook: ['spec.subnet', '10.{n}.0.0/16', 'IPv4, where IPv6', 'write'],
  }),
  accept('P-04', 'a subnet of its family', pool({ subnet: 'fd00:{n}::/64', ipVersion: 6 })),
  refuse(['P-05', 'host bits'], pool({ subnet: '10.{n}.5.1/16' }), {
    schema: ['spec.subnet', '"10.{n}.5.1/16"', 'host bits must be zero'],
    webhook: ['spec.subnet', '"10.{n}.5.1/16"', 'write 10.{n}.0.0/16'],
  }),
  refuse(['P-05', 'IPv6 in capitals'], pool({ subnet: 'FD00:{n}::/64' }), {
    schema: ['spec.subnet', '"FD00:{n}::/64"', 'in lower case'],
    webhook: ['spec.subnet', '"FD00:{n}::/64"', 'write fd00:{n}::/64'],
  }),
  accept('P-05', 'a network in network form', pool({ subnet: 'fd00:{n}::/64' })),
]

const others: readonly RuleCase[] = [
  refuse(
    ['P-06', 'a name that is taken'],
    pool(fine),
    {
      schema: ['p-{n}', 'already exists'],
      webhook: ['SpiderIPPool "p-{n}"', 'already exists', 'choose another name'],
      code: 409,
    },
    { given: [pool({ subnet: 'fd00:{n}::/64' })] },
  ),
  accept('P-06', 'a name of its own', pool(fine), { given: [other({ subnet: 'fd00:{n}::/64' })] }),
  refuse(
    ['P-07', 'a network inside that of another pool'],
    pool({ subnet: small }),
    {
      webhook: [
        'spec.subnet',
        '10.{n}.4.0/24',
        'overlaps the network 10.{n}.0.0/16 of SpiderIPPool "q-{n}"',
        'write 10.{n}.0.0/16 to share that network',
      ],
    },
    { given: [other({ subnet: net })] },
  ),
  accept('P-07', 'the network of another pool', pool(fine), { given: [other({ subnet: net })] }),
  refuse(
    ['P-09', 'addresses of another pool'],
    pool(fine),
    {
      webhook: [
        'spec.ips',
        'SpiderIPPool "p-{n}"',
        '10.{n}.1.5-10.{n}.1.9',
        'SpiderIPPool "q-{n}" already has',
        'take them out',
      ],
    },
    { given: [other({ subnet: net, ips: ['10.{n}.1.5-10.{n}.1.20'] })] },
  ),
  accept('P-09', 'addresses that another pool excludes', pool(fine), {
    given: [other({ subnet: net, ips: ['10.{n}.1.1-10.{n}.1.20'], excludeIPs: ['10.{n}.1.1-10.{n}.1.9'] })],
  }),
  refuse(
    ['P-09', 'a change that takes addresses of another pool'],
    pool({ ...fine, ips: ['10.{n}.1.1-10.{n}.1.9', '10.{n}.2.2'] }),
    { webhook: ['spec.ips', '10.{n}.2.2', 'SpiderIPPool "q-{n}"', 'take them out'] },
    { old: pool(fine), given: [other({ subnet: net, ips: ['10.{n}.2.2'] })] },
  ),
  accept('P-09', 'a change within its own addresses', pool({ ...fine, ips: ['10.{n}.1.1'] }), {
    old: pool(fine),
  }),
]

const ranges: readonly RuleCase[] = [
  refuse(['P-08', 'a range that runs backwards'], pool({ subnet: net, ips: ['10.{n}.1.9-10.{n}.1.1'] }), {
    webhook: ['spec.ips[0]', '10.{n}.1.9-10.{n}.1.1', 'runs backwards', 'write 10.{n}.1.1-10.{n}.1.9'],
  }),
  refuse(['P-08', 'a CIDR as a range'], pool({ subnet: net, ips: ['10.{n}.1.0/24'] }), {
    schema: ['spec.ips[0]', '"10.{n}.1.0/24"', 'is no address or range', 'write one address, or first-last'],
    webhook: ['spec.ips[0]', '10.{n}.1.0/24', 'is a CIDR', 'write 10.{n}.1.0-10.{n}.1.255'],
  }),
  refuse(['P-08', 'two dashes'], pool({ subnet: net, ips: ['10.{n}.0.1', '10.{n}.0.1-10.{n}.0.2-10'] }), {
    schema: ['spec.ips[1]', '10.{n}.0.1-10.{n}.0.2-10', 'is no address or range', 'write one address'],
    webhook: ['spec.ips[1]', '10.{n}.0.1-10.{n}.0.2-10', 'more than one dash', 'write'],
  }),
  refuse(['P-08', 'addresses outside the subnet'], pool({ subnet: small, ips: ['10.{n}.1.1'] }), {
    schema: ['spec.ips', '10.{n}.1.1', 'outside spec.subnet 10.{n}.4.0/24', 'write ranges of that network'],
    webhook: ['spec.ips[0]', '10.{n}.1.1', 'not inside spec.subnet 10.{n}.4.0/24', 'write addresses of'],
  }),
  refuse(['P-08', 'excluded addresses outside'], pool({ subnet: small, excludeIPs: ['10.{n}.1.1'] }), {
    schema: [
      'spec.excludeIPs',
      '10.{n}.1.1',
      'outside spec.subnet 10.{n}.4.0/24',
      'write ranges of that network',
    ],
    webhook: ['spec.excludeIPs[0]', '10.{n}.1.1', 'not inside', 'write addresses of'],
  }),
  accept(
    'P-08',
    'ranges that overlap: they are joined',
    pool({ ...fine, ips: ['10.{n}.0.1-10.{n}.0.9', '10.{n}.0.5'] }),
  ),
]

const gateways: readonly RuleCase[] = [
  refuse(['P-10', 'a gateway outside the subnet'], pool({ subnet: small, gateway: '10.{n}.9.1' }), {
    schema: ['spec.gateway', '"10.{n}.9.1"', 'not an address inside spec.subnet', 'write the address'],
    webhook: ['spec.gateway', '10.{n}.9.1', 'not inside spec.subnet', 'write an address of'],
  }),
  refuse(['P-10', 'a gateway of the other family'], pool({ ...fine, gateway: 'fd00::1' }), {
    schema: ['spec.gateway', '"fd00::1"', 'not an address inside spec.subnet', 'write the address'],
    webhook: ['spec.gateway', 'fd00::1', 'IPv6 address, not an IPv4', 'write'],
  }),
  accept('P-10', 'a gateway in the subnet', pool({ ...fine, gateway: '10.{n}.0.1' })),
  refuse(['P-11', 'a gateway that is handed out'], pool({ ...fine, gateway: '10.{n}.1.5' }), {
    webhook: ['spec.ips[0]', 'contains spec.gateway 10.{n}.1.5', 'add 10.{n}.1.5 to spec.excludeIPs'],
  }),
  refuse(
    ['P-11', 'the same address in other words'],
    pool({ subnet: 'fd00:{n}::/64', ips: ['fd00:{n}:0::1'], gateway: 'fd00:{n}::1' }),
    { webhook: ['spec.ips[0]', 'contains spec.gateway fd00:{n}::1', 'spec.excludeIPs'] },
  ),
  accept(
    'P-11',
    'a gateway that is excluded',
    pool({ ...fine, gateway: '10.{n}.1.5', excludeIPs: ['10.{n}.1.5'] }),
  ),
  refuse(['P-12', 'a default route'], pool(routed({ dst: '0.0.0.0/0', gw: '10.{n}.0.1' })), {
    schema: ['spec.routes[0].dst', '"0.0.0.0/0"', 'is the default route', 'into spec.gateway'],
    webhook: ['spec.routes[0].dst', '0.0.0.0/0', 'is the default route', 'into spec.gateway'],
  }),
  accept('P-12', 'a route to a network', pool(routed({ dst: '172.20.0.0/16', gw: '10.{n}.0.1' }))),
  refuse(
    ['P-13', 'one destination twice'],
    pool(routed({ dst: '172.20.0.0/16', gw: '10.{n}.0.1' }, { dst: '172.20.0.0/16', gw: '10.{n}.0.2' })),
    {
      schema: ['spec.routes', 'the dst 172.20.0.0/16', 'twice', 'keep one'],
      webhook: ['spec.routes[1].dst', '172.20.0.0/16', 'spec.routes[0]', 'keep one'],
    },
  ),
  accept(
    'P-13',
    'two destinations',
    pool(routed({ dst: '172.20.0.0/16', gw: '10.{n}.0.1' }, { dst: '172.21.0.0/16', gw: '10.{n}.0.1' })),
  ),
  refuse(['P-14', 'a destination that is no network'], pool(routed({ dst: 'x', gw: '10.{n}.0.1' })), {
    schema: ['spec.routes[0].dst', '"x"', 'is not a CIDR', 'write address/prefix length'],
    webhook: ['spec.routes[0].dst', '"x"', 'is not a CIDR of IPv4', 'write address/prefix length'],
  }),
  refuse(['P-14', 'a destination of the other family'], pool(routed({ dst: 'fd00::/8', gw: '10.{n}.0.1' })), {
    schema: ['spec.routes', 'the dst fd00::/8', 'another family than spec.subnet 10.{n}.0.0/16', 'remove it'],
    webhook: ['spec.routes[0].dst', 'fd00::/8', 'is not a CIDR of IPv4', 'write address/prefix length'],
  }),
  accept('P-14', 'a destination with host bits', pool(routed({ dst: '172.20.0.1/16', gw: '10.{n}.0.1' }))),
  refuse(['P-15', 'a next hop that is no address'], pool(routed({ dst: '172.20.0.0/16', gw: 'x' })), {
    schema: ['spec.routes[0].gw', '"x"', 'is not an IP address', 'write the address of a router'],
    webhook: ['spec.routes[0].gw', '"x"', 'is not an IPv4 address', 'write the address of a router'],
  }),
  refuse(
    ['P-15', 'a next hop outside the subnet'],
    pool({ subnet: small, routes: [{ dst: '172.20.0.0/16', gw: '10.{n}.9.1' }] }),
    {
      schema: ['spec.routes', 'the gw 10.{n}.9.1', 'outside spec.subnet 10.{n}.4.0/24', 'write a router'],
      webhook: ['spec.routes[0].gw', '10.{n}.9.1', 'not inside spec.subnet', 'write the address of a router'],
    },
  ),
  accept('P-15', 'a next hop in the subnet', pool(routed({ dst: '172.20.0.0/16', gw: '10.{n}.0.254' }))),
]

const selectors: readonly RuleCase[] = [
  refuse(['P-16', 'an empty selector'], pool({ ...fine, podAffinity: {} }), {
    schema: ['spec.podAffinity', 'is empty', 'write matchLabels or matchExpressions'],
    webhook: ['spec.podAffinity', 'it is empty', 'write matchLabels or matchExpressions'],
  }),
  accept('P-16', 'a selector', pool({ ...fine, podAffinity: { matchLabels: { app: 'test-app-3' } } })),
  refuse(
    ['P-17', 'a label that can be none'],
    pool({ ...fine, podAffinity: { matchLabels: { 'a b': 'c' } } }),
    {
      webhook: ['spec.podAffinity.matchLabels', 'a b', 'not a label key', 'write'],
    },
  ),
  refuse(
    ['P-17', 'In without values'],
    pool({ ...fine, podAffinity: { matchExpressions: [{ key: 'a', operator: 'In' }] } }),
    {
      schema: ['spec.podAffinity.matchExpressions[0].values', 'must not be empty', 'list the values'],
      webhook: ['spec.podAffinity.matchExpressions[0].values', 'must not be empty', 'list'],
    },
  ),
  refuse(
    ['P-17', 'an operator that is none, of nodes'],
    pool({ ...fine, nodeAffinity: { matchExpressions: [{ key: 'a', operator: 'in', values: ['b'] }] } }),
    {
      schema: ['spec.nodeAffinity.matchExpressions[0].operator', '"in"', 'write In, NotIn'],
      webhook: ['spec.nodeAffinity.matchExpressions[0].operator', '"in"', 'write In, NotIn'],
    },
  ),
  accept(
    'P-17',
    'expressions',
    pool({
      ...fine,
      namespaceAffinity: { matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['b'] }] },
      nodeAffinity: { matchExpressions: [{ key: 'a', operator: 'Exists' }] },
    }),
  ),
  refuse(
    ['P-18', 'labels of pods in a pool of an application'],
    pool({ ...fine, podAffinity: { matchLabels: { app: 'x' } } }, { labels: autoLabel }),
    { webhook: ['spec.podAffinity', '["app"]', 'additional match labels', 'keep the 5 labels'] },
  ),
  refuse(
    ['P-18', 'a bad selector under the label of an application'],
    pool(
      { ...fine, podAffinity: { matchLabels: { 'ipam.spidernet.io/app-name': 'a b' } } },
      { labels: autoLabel },
    ),
    { webhook: ['spec.podAffinity.matchLabels[ipam.spidernet.io/app-name]', 'a b', 'write'] },
  ),
  accept(
    'P-18',
    'labels of the application',
    pool({ ...fine, podAffinity: appAffinity }, { labels: autoLabel }),
  ),
]

const auto = pool({ ...fine, podAffinity: appAffinity }, { labels: autoLabel })
const recorded = (ips: string) => ({ controlledIPPools: `{"p-{n}":{"ips":["${ips}"],"application":"a"}}` })
const owned: readonly RuleCase[] = [
  refuse(
    ['P-19', 'addresses that its subnet does not offer'],
    pool({ ...fine, ips: ['10.{n}.1.1-10.{n}.1.20'] }),
    {
      webhook: [
        'spec.ips',
        '10.{n}.1.10-10.{n}.1.20',
        'which SpiderSubnet "s-{n}" does not offer',
        'take them out, or add them to spec.ips of that subnet',
      ],
    },
    { given: [subnet(fine)] },
  ),
  accept('P-19', 'addresses of its subnet', pool(fine), { given: [subnet(fine)] }),
  refuse(
    ['P-20', 'a subnet that does not exist'],
    pool(fine, ownedBy('SpiderSubnet', 'spiderpool.spidernet.io/v2beta1')),
    { webhook: ['spec.subnet', 'SpiderSubnet "gone-{n}"', 'does not exist', 'create that subnet'] },
  ),
  accept('P-20', 'an owner of another kind', pool(fine, ownedBy('Other', 'example.com/v1'))),
  refuse(
    ['P-21', 'other addresses than its share'],
    auto,
    {
      webhook: [
        'spec.ips',
        'differs from 10.{n}.1.1',
        'SpiderSubnet "s-{n}"',
        'leave spec.ips to the system',
      ],
    },
    { given: [subnet(fine, recorded('10.{n}.1.1'))] },
  ),
  refuse(
    ['P-21', 'other addresses than its share, without the label of an application'],
    pool(fine),
    {
      webhook: [
        'spec.ips',
        'differs from 10.{n}.1.1',
        'SpiderSubnet "s-{n}"',
        'leave spec.ips to the system',
      ],
    },
    { given: [subnet(fine, recorded('10.{n}.1.1'))] },
  ),
  accept('P-21', 'its share', auto, { given: [subnet(fine, recorded('10.{n}.1.1-10.{n}.1.9'))] }),
]

const changes: readonly RuleCase[] = [
  refuse(
    ['P-22', 'another network'],
    pool({ ...fine, subnet: '10.{n}.0.0/17' }),
    {
      schema: [
        'spec.subnet',
        'cannot change from "10.{n}.0.0/16" to "10.{n}.0.0/17"',
        'create another object',
      ],
      webhook: ['spec.subnet', '10.{n}.0.0/17', 'cannot change from 10.{n}.0.0/16', 'create another object'],
    },
    { old: pool(fine) },
  ),
  refuse(
    ['P-22', 'another family'],
    pool({ ...fine, ipVersion: 6 }),
    {
      schema: ['spec.ipVersion', 'cannot change from 4 to 6', 'create another object'],
      webhook: ['spec.ipVersion', '6', 'cannot change from 4', 'create another object'],
    },
    { old: pool(fine) },
  ),
  accept('P-22', 'other settings', pool({ ...fine, disable: true, gateway: '10.{n}.0.1' }), {
    old: pool(fine),
  }),
  refuse(
    ['P-23', 'a pool that loses an address of a pod'],
    pool({ ...fine, ips: ['10.{n}.1.1-10.{n}.1.5'] }),
    { webhook: ['spec.ips', 'no longer holds 10.{n}.1.7', 'pod "default/cart-0" uses', 'keep the address'] },
    { old: pool(fine), given: [used] },
  ),
  accept('P-23', 'a pool that loses free addresses', pool({ ...fine, ips: ['10.{n}.1.7'] }), {
    old: pool(fine),
    given: [used],
  }),
  {
    rule: 'P-24',
    what: 'the deletion of a pool in use, with the guard on',
    old: pool(fine),
    given: [used],
    refused: {
      webhook: [
        'SpiderIPPool "p-{n}"',
        'in use',
        '10.{n}.1.7 by pod "default/cart-0"',
        'delete those pods and claims first',
      ],
      code: 403,
    },
  },
  { rule: 'P-24', what: 'the deletion of a pool that nobody uses', old: pool(fine) },
]

export const poolCases: readonly RuleCase[] = [
  ...families,
  ...others,
  ...ranges,
  ...gateways,
  ...selectors,
  ...owned,
  ...changes,
]
