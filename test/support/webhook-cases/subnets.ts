import type { CaseObject, Given, RuleCase } from './rule-case.ts'

const net = '10.{n}.0.0/16'
const small = '10.{n}.4.0/24'
const fine = { subnet: net, ips: ['10.{n}.1.1-10.{n}.1.9'] }

const subnet = (spec: object, name = 's-{n}', status?: object): Given => ({
  kind: 'SpiderSubnet',
  name,
  spec,
  ...(status === undefined ? {} : { status }),
})
const pool = (spec: object): Given => ({ kind: 'SpiderIPPool', name: 'q-{n}', spec })
const reserved = (spec: object): CaseObject => ({ kind: 'SpiderReservedIP', name: 'r-{n}', spec })
const used: Given = {
  kind: 'SpiderIPBlock',
  name: '10.{n}.1.0/26',
  spec: { entries: { '10.{n}.1.7': { pool: 'q-{n}', pod: 'default/cart-0' } } },
}
const holds = (ips: string) => ({ controlledIPPools: `{"q-{n}":{"ips":["${ips}"]}}` })

type Rest = Partial<Omit<RuleCase, 'rule' | 'what' | 'object'>>
const row = (rule: string, what: string, object: CaseObject, rest: Rest = {}): RuleCase => ({
  rule,
  what,
  object,
  ...rest,
})

const ofSubnets: readonly RuleCase[] = [
  row('S-01', 'a subnet that is no network', subnet({ subnet: 'x' }), {
    refused: {
      schema: ['spec.subnet', '"x"', 'is not a CIDR', 'write address/prefix length'],
      webhook: ['spec.ipVersion', 'cannot be read from spec.subnet', 'correct spec.subnet'],
    },
  }),
  row('S-01', 'a family that is switched off', subnet({ subnet: 'fd00:{n}::/64' }), {
    refused: { webhook: ['spec.ipVersion', '6', 'switched off', 'set enableIPv6'] },
    without: 'IPv6',
  }),
  row('S-01', 'a family that is on', subnet({ subnet: 'fd00:{n}::/64' })),
  row('S-02', 'host bits', subnet({ subnet: '10.{n}.0.1/16' }), {
    refused: {
      schema: ['spec.subnet', '"10.{n}.0.1/16"', 'host bits must be zero'],
      webhook: ['spec.subnet', '"10.{n}.0.1/16"', 'write 10.{n}.0.0/16'],
    },
  }),
  row('S-02', 'the network form', subnet(fine)),
  row('S-03', 'a name that is taken', subnet(fine), {
    given: [subnet({ subnet: 'fd00:{n}::/64' })],
    refused: {
      webhook: ['SpiderSubnet "s-{n}"', 'already exists', 'choose another name'],
      code: 409,
    },
  }),
  row('S-03', 'a name of its own', subnet(fine), { given: [subnet({ subnet: 'fd00:{n}::/64' }, 't-{n}')] }),
  row('S-04', 'the network of another subnet', subnet(fine), {
    given: [subnet({ subnet: net }, 't-{n}')],
    refused: {
      webhook: ['spec.subnet', net, 'of SpiderSubnet "t-{n}"', 'write a network that does not overlap it'],
    },
  }),
  row('S-04', 'a network beside that of another subnet', subnet({ subnet: small }), {
    given: [subnet({ subnet: '10.{n}.5.0/24' }, 't-{n}')],
  }),
  row('S-05', 'a network around that of a pool', subnet(fine), {
    given: [pool({ subnet: '10.{n}.1.0/24' })],
    refused: {
      webhook: ['spec.subnet', net, '10.{n}.1.0/24 of SpiderIPPool "q-{n}"', 'write 10.{n}.1.0/24'],
    },
  }),
  row('S-05', 'the network of a pool', subnet(fine), { given: [pool({ subnet: net })] }),
  row('S-06', 'fewer addresses than a pool of the network has', subnet(fine), {
    given: [pool({ subnet: net, ips: ['10.{n}.1.9-10.{n}.1.10'] })],
    refused: {
      webhook: ['spec.ips', 'does not hold 10.{n}.1.10', 'SpiderIPPool "q-{n}" has', 'add them to spec.ips'],
    },
  }),
  row('S-06', 'the addresses of a pool', subnet(fine), {
    given: [pool({ subnet: net, ips: ['10.{n}.1.9'] })],
  }),
  row('S-07', 'a range that runs backwards', subnet({ subnet: net, ips: ['10.{n}.1.9-10.{n}.1.1'] }), {
    refused: {
      webhook: ['spec.ips[0]', '10.{n}.1.9-10.{n}.1.1', 'runs backwards', 'write 10.{n}.1.1-10.{n}.1.9'],
    },
  }),
  row('S-07', 'a range outside', subnet({ subnet: small, ips: ['10.{n}.1.1'] }), {
    refused: {
      schema: ['spec.ips', '10.{n}.1.1', 'outside spec.subnet 10.{n}.4.0/24', 'write ranges of that network'],
      webhook: ['spec.ips[0]', '10.{n}.1.1', 'not inside', 'write addresses of'],
    },
  }),
  row('S-07', 'ranges inside', subnet(fine)),
  row('S-08', 'an excluded range outside', subnet({ subnet: small, excludeIPs: ['10.{n}.1.1'] }), {
    refused: {
      schema: ['spec.excludeIPs', '10.{n}.1.1', 'outside spec.subnet', 'write ranges of that network'],
      webhook: ['spec.excludeIPs[0]', '10.{n}.1.1', 'not inside', 'write addresses of'],
    },
  }),
  row('S-08', 'excluded ranges inside', subnet({ ...fine, excludeIPs: ['10.{n}.1.2'] })),
  row('S-09', 'a gateway that is handed out', subnet({ ...fine, gateway: '10.{n}.1.1' }), {
    refused: {
      webhook: ['spec.ips[0]', 'contains spec.gateway 10.{n}.1.1', 'add 10.{n}.1.1 to spec.excludeIPs'],
    },
  }),
  row(
    'S-09',
    'a gateway that is excluded',
    subnet({ ...fine, gateway: '10.{n}.1.1', excludeIPs: ['10.{n}.1.1'] }),
  ),
  row('S-10', 'a default route', subnet({ ...fine, routes: [{ dst: '0.0.0.0/0', gw: '10.{n}.0.1' }] }), {
    refused: {
      schema: ['spec.routes[0].dst', '"0.0.0.0/0"', 'is the default route', 'into spec.gateway'],
      webhook: ['spec.routes[0].dst', '0.0.0.0/0', 'is the default route', 'into spec.gateway'],
    },
  }),
  row('S-10', 'a route', subnet({ ...fine, routes: [{ dst: '172.20.0.0/16', gw: '10.{n}.0.1' }] })),
  row('S-11', 'another network', subnet({ ...fine, subnet: '10.{n}.0.0/17' }), {
    old: subnet(fine),
    refused: {
      schema: ['spec.subnet', 'cannot change from "10.{n}.0.0/16"', 'create another object'],
      webhook: ['spec.subnet', 'cannot change from 10.{n}.0.0/16', 'create another object'],
    },
  }),
  row('S-11', 'another gateway', subnet({ ...fine, gateway: '10.{n}.0.1' }), { old: subnet(fine) }),
  row('S-12', 'a subnet that loses addresses of a pool', subnet({ ...fine, ips: ['10.{n}.1.1'] }), {
    old: subnet(fine, 's-{n}', holds('10.{n}.1.1-10.{n}.1.3')),
    refused: {
      webhook: [
        'spec.ips',
        'no longer holds 10.{n}.1.2-10.{n}.1.3',
        'which SpiderIPPool "q-{n}" has',
        'take them out of that pool first',
      ],
    },
  }),
  row('S-12', 'a subnet that loses other addresses', subnet({ ...fine, ips: ['10.{n}.1.1-10.{n}.1.3'] }), {
    old: subnet(fine, 's-{n}', holds('10.{n}.1.1-10.{n}.1.3')),
  }),
  {
    rule: 'S-13',
    what: 'the deletion of a subnet whose addresses pods have, with the guard on',
    old: subnet(fine),
    given: [used],
    refused: {
      webhook: [
        'SpiderSubnet "s-{n}"',
        'in use',
        '10.{n}.1.7 by pod "default/cart-0"',
        'delete those pods and claims first',
      ],
      code: 403,
    },
  },
  {
    rule: 'S-13',
    what: 'the deletion of a subnet whose addresses pools hold and no pod has',
    old: subnet(fine, 's-{n}', { ...holds('10.{n}.1.1-10.{n}.1.3'), allocatedIPCount: 3 }),
  },
]

const ofReservations: readonly RuleCase[] = [
  row('R-01', 'nothing to read the family from', reserved({ ips: [] }), {
    refused: {
      schema: ['spec.ipVersion', 'is absent', 'write one of the two'],
      webhook: ['spec.ipVersion', 'cannot be read from the first entry of spec.ips', 'correct'],
    },
  }),
  row('R-01', 'a family without addresses', reserved({ ips: [], ipVersion: 4 })),
  row('R-02', 'a family that is none', reserved({ ips: ['10.{n}.0.1'], ipVersion: 5 }), {
    refused: {
      schema: ['spec.ipVersion', '5', 'supported values'],
      webhook: ['spec.ipVersion', '5', 'write one of 4, 6'],
    },
  }),
  row('R-02', 'a family that is switched off', reserved({ ips: ['fd00:{n}::1'] }), {
    refused: { webhook: ['spec.ipVersion', '6', 'switched off', 'set enableIPv6'] },
    without: 'IPv6',
  }),
  row('R-02', 'a family that is on', reserved({ ips: ['fd00:{n}::1'] })),
  row('R-03', 'addresses of both families', reserved({ ipVersion: 4, ips: ['10.{n}.0.1', 'fd00::1'] }), {
    refused: {
      schema: ['spec.ips', 'has fd00::1', 'of another family than ipVersion', 'an object of its own'],
      webhook: ['spec.ips[1]', 'fd00::1', 'IPv6, where IPv4', 'write'],
    },
  }),
  row('R-03', 'a range that runs backwards', reserved({ ips: ['10.{n}.0.9-10.{n}.0.1'], ipVersion: 4 }), {
    refused: {
      webhook: ['spec.ips[0]', '10.{n}.0.9-10.{n}.0.1', 'runs backwards', 'write 10.{n}.0.1-10.{n}.0.9'],
    },
  }),
  row('R-03', 'ranges', reserved({ ips: ['fd77:{n}::10-fd77:{n}::1f', 'fd77:{n}::53'] })),
  row('R-04', 'another family', reserved({ ips: ['fd00:{n}::1'], ipVersion: 6 }), {
    old: reserved({ ips: ['10.{n}.0.1'] }),
    refused: {
      schema: ['spec.ipVersion', 'cannot change from 4 to 6', 'create another object'],
      webhook: ['spec.ipVersion', '6', 'cannot change from 4', 'create another object'],
    },
  }),
  row('R-04', 'no address any more', reserved({ ips: [], ipVersion: 4 }), {
    old: reserved({ ips: ['10.{n}.0.1'] }),
  }),
]

export const subnetCases: readonly RuleCase[] = ofSubnets
export const reservationCases: readonly RuleCase[] = ofReservations
