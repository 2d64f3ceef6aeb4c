import type { CaseObject, RuleCase } from './rule-case.ts'

const coordinator = (spec: object): CaseObject => ({
  kind: 'SpiderCoordinator',
  name: 'c-{n}',
  spec: { podCIDRType: 'cluster', ...spec },
})
const bare = (spec: object): CaseObject => ({ kind: 'SpiderCoordinator', name: 'c-{n}', spec })
const refuse = (
  rule: string,
  what: string,
  object: CaseObject,
  ...[schema, webhook]: readonly [schema: readonly string[], webhook: readonly string[]]
): RuleCase => ({ rule, what, object, refused: { schema, webhook } })
const accept = (rule: string, what: string, object: CaseObject): RuleCase => ({ rule, what, object })
const routes = (dst: string, gw: string) => coordinator({ policyRoutes: [{ dst, gw }] })

export const coordinatorCases: readonly RuleCase[] = [
  refuse(
    'C-01',
    'no podCIDRType',
    bare({}),
    ['spec.podCIDRType', 'is missing', 'write auto, cluster'],
    ['spec.podCIDRType', 'is missing', 'write one of auto'],
  ),
  accept('C-01', 'a podCIDRType', coordinator({})),
  refuse(
    'C-02',
    'a podCIDRType that is none',
    coordinator({ podCIDRType: 'flannel' }),
    ['spec.podCIDRType', '"flannel"', 'supported values', '"calico"'],
    ['spec.podCIDRType', '"flannel"', 'write one of', 'calico'],
  ),
  accept('C-02', 'podCIDRType calico', coordinator({ podCIDRType: 'calico' })),
  refuse(
    'C-03',
    'a destination that is none',
    coordinator({ hijackCIDR: ['10.0.0.0/8', 'x'] }),
    ['spec.hijackCIDR[1]', '"x"', 'neither an IP address nor a CIDR', 'write one, such as'],
    ['spec.hijackCIDR[1]', '"x"', 'neither an IP address nor a CIDR', 'write one, such as'],
  ),
  accept('C-03', 'destinations of both forms', coordinator({ hijackCIDR: ['10.0.0.0/8', '169.254.1.1'] })),
  refuse(
    'C-04',
    'a policy route to nowhere',
    routes('x', '10.0.0.1'),
    ['spec.policyRoutes[0].dst', '"x"', 'neither an IP address nor a CIDR', 'write one, such as'],
    ['spec.policyRoutes[0].dst', '"x"', 'neither an IP address nor a CIDR', 'write one, such as'],
  ),
  accept('C-04', 'a policy route to one address', routes('203.0.113.7', '10.77.0.253')),
  refuse(
    'C-05',
    'a gateway that is no address',
    routes('10.0.0.0/8', 'x'),
    ['spec.policyRoutes[0].gw', '"x"', 'not an IP address', 'write the address of a router'],
    ['spec.policyRoutes[0].gw', '"x"', 'not an IP address', 'write the address of a router'],
  ),
  accept('C-05', 'a gateway', routes('10.0.0.0/8', '10.77.0.253')),
  refuse(
    'C-06',
    'a route of one family by a gateway of the other',
    routes('0.0.0.0/0', 'fd00::1'),
    ['spec.policyRoutes[0].gw', '"fd00::1"', 'another family than dst 0.0.0.0/0', 'write both'],
    ['spec.policyRoutes[0]', 'fd00::1', 'dst of IPv4 and a gw of IPv6', 'write the address of a router'],
  ),
  accept('C-06', 'a default route', routes('0.0.0.0/0', '10.0.0.1')),
  refuse(
    'C-07',
    'a MAC prefix with a dash',
    coordinator({ podMACPrefix: '0a-77' }),
    ['spec.podMACPrefix', '"0a-77"', 'not two bytes in hexadecimal', 'write one such as 0a:1b'],
    ['spec.podMACPrefix', '"0a-77"', 'not two bytes in hexadecimal', 'such as 0a:1b'],
  ),
  accept('C-07', 'a MAC prefix', coordinator({ podMACPrefix: '0A:77' })),
  refuse(
    'C-08',
    'a multicast MAC prefix',
    coordinator({ podMACPrefix: '01:77' }),
    ['spec.podMACPrefix', '"01:77"', 'even first byte', 'write one such as 0a:1b'],
    ['spec.podMACPrefix', '"01:77"', 'multicast', 'such as 0a:1b'],
  ),
  accept('C-08', 'no MAC prefix', coordinator({ podMACPrefix: '' })),
  refuse(
    'C-09',
    'a negative queue length',
    coordinator({ txQueueLen: -1 }),
    ['spec.txQueueLen', '-1', 'greater than or equal to 0'],
    ['spec.txQueueLen', '-1', 'write 0 or more'],
  ),
  accept('C-09', 'a queue length', coordinator({ txQueueLen: 1000 })),
  refuse(
    'C-10',
    'a filter mode that is none',
    coordinator({ podRPFilter: 3 }),
    ['spec.podRPFilter', '3', 'less than or equal to 2'],
    ['spec.podRPFilter', '3', 'write 2 or less'],
  ),
  accept('C-10', 'a negative filter mode', coordinator({ podRPFilter: -5 })),
  refuse(
    'C-11',
    'a link address that is none',
    coordinator({ vethLinkAddress: 'x' }),
    ['spec.vethLinkAddress', '"x"', 'not an IP address', 'write one'],
    ['spec.vethLinkAddress', '"x"', 'not an IP address', 'write one'],
  ),
  accept('C-11', 'a link address', coordinator({ vethLinkAddress: 'fd00::1' })),
  refuse(
    'C-12',
    'an MTU of 0',
    coordinator({ vethMTU: 0 }),
    ['spec.vethMTU', '0', 'greater than or equal to 1'],
    ['spec.vethMTU', '0', 'write 1 or more'],
  ),
  accept('C-12', 'an MTU', coordinator({ vethMTU: 9000 })),
]
