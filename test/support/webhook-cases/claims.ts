import type { CaseObject, RuleCase } from './rule-case.ts'

/** Of a pool that is not there: a claim that reserved an address would be in the way of other cases. */
const claim = (spec: object): CaseObject => ({
  kind: 'SpiderIPClaim',
  name: 'claim-{n}',
  spec: { ippools: { ipv4: ['not-there'] }, ...spec },
})
const wildcards = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `a${i}*`)
const refuse = (
  rule: string,
  what: string,
  object: CaseObject,
  ...[schema, webhook]: readonly [schema: readonly string[] | undefined, webhook: readonly string[]]
): RuleCase => ({ rule, what, object, refused: { ...(schema === undefined ? {} : { schema }), webhook } })
const accept = (rule: string, what: string, object: CaseObject): RuleCase => ({ rule, what, object })

export const claimCases: readonly RuleCase[] = [
  refuse(
    'I-01',
    'an address that is none',
    claim({ ips: ['10.6.0.1/16'] }),
    ['spec.ips[0]', '"10.6.0.1/16"', 'is not an IP address', 'write one without prefix length'],
    ['spec.ips[0]', '10.6.0.1/16', 'is not an IP address'],
  ),
  refuse(
    'I-01',
    'two addresses of one family',
    claim({ ips: ['10.6.0.1', '10.6.0.2'] }),
    ['spec.ips', 'has two addresses of one family', 'another claim for more'],
    ['spec.ips', 'has two addresses of one family', 'another claim for more'],
  ),
  accept('I-01', 'one address of each family', claim({ ips: ['10.6.0.1', 'fd00:6::1'] })),
  refuse(
    'I-02',
    'a MAC address of a group',
    claim({ mac: '01:00:5e:00:00:01' }),
    ['spec.mac', '"01:00:5e:00:00:01"', 'is not a unicast MAC address', 'the first one even'],
    ['spec.mac', '"01:00:5e:00:00:01"', 'is not a unicast MAC address', 'the first one even'],
  ),
  accept('I-02', 'a MAC address', claim({ mac: '02:00:0A:06:00:01' })),
  refuse('I-03', 'a pool without a name', claim({ ippools: { ipv4: [''] } }), undefined, [
    'spec.ippools.ipv4[0]',
    'is empty',
    'write the name of an IPPool',
  ]),
  refuse(
    'I-03',
    'more wildcards than are matched with all pools',
    claim({ ippools: { ipv4: wildcards(9), ipv6: wildcards(8) } }),
    undefined,
    ['spec.ippools', 'has 17 wildcards, more than 16', 'the names of the IPPools'],
  ),
  accept('I-03', 'as many as are', claim({ ippools: { ipv4: wildcards(8), ipv6: wildcards(8) } })),
  accept('I-03', 'names and wildcards', claim({ ippools: { ipv4: ['a', 'b*'] } })),
  refuse('I-04', 'a name server that is no address', claim({ dns: { nameservers: ['ns'] } }), undefined, [
    'spec.dns.nameservers[0]',
    '"ns"',
    'is not an IP address',
  ]),
  accept('I-04', 'name servers', claim({ dns: { nameservers: ['10.6.0.53'] }, metadata: { rack: 'r7' } })),
  {
    rule: 'I-05',
    what: 'other addresses',
    old: claim({ ips: ['10.6.0.1'] }),
    object: claim({ ips: ['10.6.0.2'] }),
    refused: {
      schema: ['spec.ips', 'cannot change', 'create another claim'],
      webhook: ['spec.ips', 'cannot change', 'create another claim'],
    },
  },
  {
    rule: 'I-05',
    what: 'other pools',
    old: claim({ ippools: { ipv4: ['a'] } }),
    object: claim({ ippools: { ipv4: ['b'] } }),
    refused: {
      schema: ['spec.ippools', 'cannot change', 'create another claim'],
      webhook: ['spec.ippools', 'cannot change', 'create another claim'],
    },
  },
  {
    rule: 'I-05',
    what: 'another MAC address',
    old: claim({ ips: ['10.6.0.1'] }),
    object: claim({ ips: ['10.6.0.1'], mac: '02:00:00:00:00:01' }),
  },
  refuse(
    'I-06',
    'a kind that no pod belongs to',
    claim({ workload: { apiVersion: 'apps/v1', kind: 'Deploymnt', name: 'web' } }),
    ['spec.workload.kind', '"Deploymnt"', 'supported values', '"Deployment"'],
    ['spec.workload.kind', '"Deploymnt"', 'is not one of the values', 'write one of Deployment, ReplicaSet'],
  ),
  refuse(
    'I-06',
    'a kind of another group',
    claim({ workload: { apiVersion: 'v1', kind: 'Deployment', name: 'web' } }),
    undefined,
    ['spec.workload.apiVersion', '"v1"', 'is not of the group of a Deployment', 'write apps/v1'],
  ),
  accept(
    'I-06',
    'a workload',
    claim({ workload: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } }),
  ),
  accept('I-06', 'a pod', claim({ workload: { apiVersion: 'v1', kind: 'Pod', name: 'web-0' } })),
]
