import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpiderIpPool } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { NoPoolError } from '../errors.ts'
import { mayKeep, requirePools, selectPools } from './select-pools.ts'
import type { SelectionInput } from './selection-input.ts'

type Spec = Partial<SpiderIpPool['spec']>
const poolOf = (
  name: string,
  spec: Spec = {},
  metadata: Partial<SpiderIpPool['metadata']> = {},
): SpiderIpPool => ({
  metadata: { name, ...metadata },
  spec: { subnet: spec.ipVersion === 6 ? 'fd00::/64' : '10.6.0.0/16', ...spec },
})

function inputOf(pools: readonly SpiderIpPool[], more: Partial<SelectionInput> = {}): SelectionInput {
  return {
    pod: { namespace: 'default', name: 'web', labels: { app: 'web' }, annotations: {} },
    node: { name: 'node1', labels: { zone: 'a' } },
    namespace: { name: 'default', labels: { team: 'x' }, annotations: {} },
    request: { nic: 'eth0', defaultIpv4Pools: [], defaultIpv6Pools: [], cleanGateway: false },
    pools: new Map(pools.map((pool) => [pool.metadata.name, pool])),
    versions: [4, 6],
    nics: ['eth0'],
    nadOf: () => 'kube-system/macvlan-ens192',
    installNamespace: 'kube-system',
    ...more,
  }
}
const withAnnotations = (annotations: Record<string, string>): Partial<SelectionInput> => ({
  pod: { namespace: 'default', name: 'web', labels: { app: 'web' }, annotations },
})
const names = (input: SelectionInput) =>
  selectPools(input).candidates.map(({ nic, version, pools }) => [
    nic,
    version,
    pools.map(({ metadata }) => metadata.name).join(' '),
  ])

void test('the first source that says anything wins, and nothing is merged', () => {
  const pools = ['a4', 'b4', 'ns4', 'cni4'].map((name) => poolOf(name))
  const all = [...pools, poolOf('d4', { default: true }), poolOf('d6', { default: true, ipVersion: 6 })]
  const annotations: Record<string, string> = {
    'ipam.spidernet.io/ippools': '[{"interface":"eth0","ipv4":["b4"]}]',
    'ipam.spidernet.io/ippool': '{"ipv4":["a4"]}',
  }
  const namespaceAnnotations: Record<string, string> = { 'ipam.spidernet.io/default-ipv4-ippool': '["ns4"]' }
  const cni = { nic: 'eth0', defaultIpv4Pools: ['cni4'], defaultIpv6Pools: [], cleanGateway: false }
  let more: Partial<SelectionInput> = {
    ...withAnnotations(annotations),
    namespace: { name: 'default', labels: {}, annotations: namespaceAnnotations },
    request: cni,
  }
  assert.deepEqual(names(inputOf(all, more)), [['eth0', 4, 'b4']])
  delete annotations['ipam.spidernet.io/ippools']
  assert.deepEqual(names(inputOf(all, more)), [['eth0', 4, 'a4']])
  delete annotations['ipam.spidernet.io/ippool']
  assert.deepEqual(names(inputOf(all, more)), [['eth0', 4, 'ns4']])
  delete namespaceAnnotations['ipam.spidernet.io/default-ipv4-ippool']
  assert.deepEqual(names(inputOf(all, more)), [['eth0', 4, 'cni4']])
  more = {}
  assert.deepEqual(names(inputOf(all, more)), [
    ['eth0', 4, 'd4'],
    ['eth0', 6, 'd6'],
  ])
})

void test('declared order holds among equals, wildcards expand by name, doubles count once', () => {
  const pools = ['team-b', 'team-a', 'z', 'other'].map((name) => poolOf(name))
  const annotations = { 'ipam.spidernet.io/ippool': '{"ipv4":["z","team-*","team-a"]}' }
  assert.deepEqual(names(inputOf(pools, withAnnotations(annotations))), [['eth0', 4, 'z team-a team-b']])
})

void test('pools with affinity come first, by field and not by number of fields', () => {
  const pools = [
    poolOf('Z', { default: true }),
    poolOf('Y', { default: true, nodeName: ['node1'], namespaceName: ['default'] }),
    poolOf('X', { default: true, podAffinity: { matchLabels: { app: 'web' } } }),
  ]
  assert.deepEqual(names(inputOf(pools)), [['eth0', 4, 'X Y Z']])
})

const refusals: readonly (readonly [string, SpiderIpPool, RegExp])[] = [
  [
    'terminating',
    poolOf('p', {}, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    /p: terminating IPPool: deleted at 2026/,
  ],
  ['disabled', poolOf('p', { disable: true }), /p: disabled IPPool: spec.disable is true/],
  [
    'of the other family',
    poolOf('p', { ipVersion: 6 }),
    /p: expect an IPv4 IPPool: spec.subnet is fd00::\/64/,
  ],
  [
    'of other nodes',
    poolOf('p', { nodeName: ['n9'], nodeAffinity: { matchLabels: { zone: 'a' } } }),
    /p: unmatched Node name: spec.nodeName \[n9\], the pod is on node1/,
  ],
  [
    'of other node labels',
    poolOf('p', { nodeAffinity: { matchLabels: { zone: 'b' } } }),
    /p: unmatched Node affinity: .*\{zone=b\}, Node node1 has \{zone=a\}/,
  ],
  [
    'of other namespaces',
    poolOf('p', { namespaceName: ['ns1'] }),
    /p: unmatched Namespace name: spec.namespaceName \[ns1\], the pod is in default/,
  ],
  [
    'of other namespace labels',
    poolOf('p', { namespaceAffinity: { matchLabels: { team: 'y' } } }),
    /p: unmatched Namespace affinity: .*has \{team=x\}/,
  ],
  [
    'of other pods',
    poolOf('p', { podAffinity: { matchExpressions: [{ key: 'tier', operator: 'In', values: ['db'] }] } }),
    /p: unmatched Pod affinity: .*\{tier In \[db\]\}, Pod default\/web has \{no tier\}/,
  ],
  [
    'of other networks',
    poolOf('p', { multusName: ['other'] }),
    /p: spec.multusName is not matched: spec.multusName \[kube-system\/other\], the network of eth0 is kube-system\/macvlan-ens192/,
  ],
]
for (const [what, pool, text] of refusals) {
  void test(`a pool that is ${what} is refused, with the values compared`, () => {
    const annotations = { 'ipam.spidernet.io/ippool': '{"ipv4":["p"]}' }
    const [candidates] = selectPools(inputOf([pool], withAnnotations(annotations))).candidates
    assert(candidates !== undefined)
    assert.throws(
      () => requirePools(candidates),
      (error) => {
        assert(error instanceof NoPoolError)
        assert.match(
          error.message,
          /^no IPPool available, all IPv4 IPPools \[p\] of eth0 filtered out: \[p: /,
        )
        assert.match(error.message, text)
        return true
      },
    )
    assert.equal(mayKeep(candidates, 'p'), what === 'terminating' || what === 'disabled')
    assert.equal(mayKeep(candidates, 'unknown'), false)
  })
}

void test('a NIC whose network is unknown only fails pools that declare multusName', () => {
  const pools = [poolOf('free', { default: true }), poolOf('bound', { default: true, multusName: ['m'] })]
  const [candidates] = selectPools(inputOf(pools, { nadOf: () => undefined })).candidates
  assert.deepEqual(
    candidates?.pools.map(({ metadata }) => metadata.name),
    ['free'],
  )
  assert.match(JSON.stringify(candidates?.verdicts), /no matched multus object for NIC/)
})

void test('missing pools are left out with a warning, and fail only when none is left', () => {
  const pools = [poolOf('here')]
  const some = withAnnotations({ 'ipam.spidernet.io/ippool': '{"ipv4":["gone","here"]}' })
  const selection = selectPools(inputOf(pools, some))
  assert.deepEqual(
    selection.candidates[0]?.pools.map(({ metadata }) => metadata.name),
    ['here'],
  )
  assert.match(selection.warnings.join(), /do not exist: gone/)
  const none = withAnnotations({ 'ipam.spidernet.io/ippool': '{"ipv4":["gone"]}' })
  assert.throws(
    () => selectPools(inputOf(pools, none)),
    /no IPPool available, none of the IPv4 IPPools \[gone\]/,
  )
})

void test('a request that names no usable pool fails early', () => {
  const pools = [poolOf('a')]
  const cases: readonly (readonly [Partial<SelectionInput>, RegExp])[] = [
    [
      withAnnotations({ 'ipam.spidernet.io/ippool': '{}' }),
      /no IPPool available, Pod annotation .* gives NIC eth0 no IPPool/,
    ],
    [withAnnotations({ 'ipam.spidernet.io/ippool': '{"ipv4":["nomatch-*"]}' }), /no IPPool available/],
    [{}, /no IPPool available, no pool selection rules of any type are specified/],
  ]
  for (const [more, text] of cases) assert.throws(() => selectPools(inputOf(pools, more)), text)
})

void test('subnet annotations get a clear error that names the remedy', () => {
  for (const key of ['ipam.spidernet.io/subnet', 'ipam.spidernet.io/subnets']) {
    assert.throws(
      () => selectPools(inputOf([], withAnnotations({ [key]: '{"ipv4":["s"]}' }))),
      (error) => {
        assert(error instanceof InvalidInputError)
        assert(error.message.includes(key) && error.message.includes('come in a later release'))
        assert(error.hint.includes('ipam.spidernet.io/ippool'))
        return true
      },
    )
  }
})

void test('named items select pools for every NIC that gets addresses from here', () => {
  const pools = [poolOf('v100'), poolOf('v200'), poolOf('v300')]
  const text =
    '[{"interface":"net1","ipv4":["v200"],"cleangateway":true},{"interface":"eth0","ipv4":["v100"]},{"interface":"net9","ipv4":["v300"]}]'
  const more = { ...withAnnotations({ 'ipam.spidernet.io/ippools': text }), nics: ['eth0', 'net1'] }
  const selection = selectPools(inputOf(pools, more))
  assert.deepEqual(
    selection.candidates.map(({ nic, cleanGateway }) => [nic, cleanGateway]),
    [
      ['eth0', false],
      ['net1', true],
    ],
  )
  assert.equal(selection.warnings.length, 1)
})

void test('unnamed items are bound by the order of the networks, not by the order of calls', () => {
  const pools = [poolOf('first'), poolOf('second')]
  const annotated = withAnnotations({
    'ipam.spidernet.io/ippools': '[{"ipv4":["first"]},{"ipv4":["second"]}]',
  })
  const overlay = { ...annotated, nics: ['net1', 'net2'] } // eth0 belongs to another plugin
  const request = { nic: 'net2', defaultIpv4Pools: [], defaultIpv6Pools: [], cleanGateway: false }
  assert.deepEqual(names(inputOf(pools, { ...overlay, request })), [
    ['net2', 4, 'second'],
    ['net1', 4, 'first'],
  ])
  const tooMany = { ...overlay, nics: ['net1', 'net2', 'net3'], request: { ...request, nic: 'net3' } }
  assert.throws(() => selectPools(inputOf(pools, tooMany)), /interface net3 must be specified/)
})

void test('a family that the cluster does not hand out is left out', () => {
  const pools = [poolOf('a'), poolOf('b', { ipVersion: 6 })]
  const more = withAnnotations({ 'ipam.spidernet.io/ippool': '{"ipv4":["a"],"ipv6":["b"]}' })
  assert.deepEqual(names(inputOf(pools, { ...more, versions: [4] })), [['eth0', 4, 'a']])
})
