import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpiderIpPool } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { NoPoolError } from '../errors.ts'
import { anInput, aPool } from '../testing/selection-kit.ts'
import { mayKeep, requirePools, selectPools } from './select-pools.ts'
import type { SelectionInput } from './selection-input.ts'

const poolOf = aPool
const inputOf = (pools: readonly SpiderIpPool[], more: Partial<SelectionInput> = {}): SelectionInput => ({
  ...anInput(pools),
  ...more,
})
const withAnnotations = (annotations: Record<string, string>): Partial<SelectionInput> => ({
  pod: { namespace: 'default', name: 'web', labels: { app: 'web' }, annotations },
})
const names = (input: SelectionInput) =>
  selectPools(input).candidates.map(({ nic, version, pools }) => [
    nic,
    version,
    pools.map(({ metadata }) => metadata.name).join(' '),
  ])

void test('a key of ippool that means nothing is passed over, and named when no pool is left', () => {
  const choose = (text: string) =>
    names(inputOf([poolOf('a4')], withAnnotations({ 'ipam.spidernet.io/ippool': text })))
  assert.deepEqual(choose('{"ipv4":["a4"],"note":"x"}'), [['eth0', 4, 'a4']])
  const words =
    /no IPPool of a family that is enabled: its keys are ipv4 and ipv6, and 'ip4' counts for nothing$/
  assert.throws(() => choose('{"ip4":["a4"]}'), { message: words })
  assert.throws(() => choose('{}'), { message: /no IPPool of a family that is enabled$/ })
})

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

void test('wildcards are 16 of one annotation, over all of its lists; names alone are as many as ever', () => {
  let reads = 0
  const metered = (name: string): SpiderIpPool => ({
    ...poolOf(name),
    metadata: {
      get name() {
        reads++
        return name
      },
    },
  })
  const pools = new Map(Array.from({ length: 300 }, (_, n) => [`pool-${n}`, metered(`pool-${n}`)]))
  const patterns = (count: number, mark: string) => Array.from({ length: count }, (_, n) => `${mark}${n}*`)
  const nics = Array.from({ length: 64 }, (_, n) => (n === 0 ? 'eth0' : `net${n}`))
  const perNic = (list: (nic: string) => readonly string[]) =>
    JSON.stringify(nics.map((nic) => ({ interface: nic, ipv4: list(nic) })))
  const attempt = (more: Partial<SelectionInput>) => selectPools({ ...inputOf([], more), pools, nics })
  const ofNamespace = {
    'ipam.spidernet.io/default-ipv4-ippool': JSON.stringify(patterns(9, 'a')),
    'ipam.spidernet.io/default-ipv6-ippool': JSON.stringify(patterns(8, 'b')),
  }
  const lists = { defaultIpv4Pools: patterns(9, 'a'), defaultIpv6Pools: patterns(8, 'b') }
  const refused: readonly (readonly [Partial<SelectionInput>, string])[] = [
    [
      withAnnotations({ 'ipam.spidernet.io/ippools': perNic((nic) => patterns(1, nic)) }),
      'ipam.spidernet.io/ippools',
    ],
    [
      withAnnotations({
        'ipam.spidernet.io/ippool': JSON.stringify({ ipv4: patterns(9, 'a'), ipv6: patterns(8, 'b') }),
      }),
      'ipam.spidernet.io/ippool',
    ],
    [
      { namespace: { name: 'default', labels: {}, annotations: ofNamespace } },
      'annotations of Namespace default',
    ],
    [{ request: { nic: 'eth0', cleanGateway: false, ...lists } }, 'CNI configuration'],
    [
      {
        ...withAnnotations({ 'ipam.spidernet.io/ippool': '{"ipv4":["pool-1"]}' }),
        namespace: {
          name: 'default',
          labels: {},
          annotations: { 'ipam.spidernet.io/confined-to-ippools': JSON.stringify(patterns(17, 'a')) },
        },
      },
      'ipam.spidernet.io/confined-to-ippools',
    ],
  ]
  for (const [more, field] of refused) {
    reads = 0
    assert.throws(
      () => attempt(more),
      (error) => {
        assert(error instanceof InvalidInputError, String(error))
        assert(
          error.message.includes(field) &&
            /more than 16 wildcards|wildcards, more than 16/.test(error.message),
        )
        assert.notEqual(error.hint, '')
        return true
      },
    )
    assert(reads <= 2, `${field}: ${reads} names were looked at before it was refused`)
  }
  const all = { ipv4: [...patterns(15, 'pool-'), 'pool-2?9'] }
  const [some] = attempt(withAnnotations({ 'ipam.spidernet.io/ippool': JSON.stringify(all) })).candidates
  assert.equal(some?.pools.length, 300)
  const [, second] = attempt(
    withAnnotations({ 'ipam.spidernet.io/ippools': perNic(() => [...pools.keys()].slice(0, 256)) }),
  ).candidates
  assert.equal(second?.pools.length, 256)
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

void test('of many pools that do not fit a message names the first, and counts the others', () => {
  const pools = Array.from({ length: 5000 }, (_, i) =>
    poolOf(`p${String(i).padStart(4, '0')}`, {
      default: true,
      ...(i < 4000 ? { nodeName: ['n9'] } : { disable: true }),
    }),
  )
  const [candidates] = selectPools(inputOf(pools)).candidates
  assert(candidates !== undefined)
  assert.throws(
    () => requirePools(candidates),
    (error) => {
      assert(error instanceof NoPoolError)
      assert.equal(error.reasonCode, 'no-pool-fits')
      assert.match(error.message, /p0019, 4980 more\] of eth0/)
      assert.match(error.message, /4980 more: 3980 node-name-mismatch, 1000 pool-disabled\]$/)
      assert(error.message.length < 4000)
      return true
    },
  )
})

void test('the reason of a refusal by one rule alone is that of the rule', () => {
  const pools = [
    poolOf('a', { default: true, nodeName: ['n9'] }),
    poolOf('b', { default: true, nodeName: ['n8'] }),
  ]
  const [candidates] = selectPools(inputOf(pools)).candidates
  assert(candidates !== undefined)
  assert.throws(() => requirePools(candidates), { reasonCode: 'node-name-mismatch' })
})

const confinedTo = (text: string): Partial<SelectionInput> => ({
  namespace: {
    name: 'default',
    labels: { team: 'x' },
    annotations: { 'ipam.spidernet.io/confined-to-ippools': text },
  },
})

void test('a confined namespace uses no other pool, whichever source names it', () => {
  const pools = ['own', 'team-a-1', 'other'].map((name) => poolOf(name, { default: true }))
  const confined = confinedTo('["own","team-a-*"]')
  const all = '["other","team-a-1","own"]'
  const request = {
    nic: 'eth0',
    defaultIpv4Pools: ['other', 'team-a-1', 'own'],
    defaultIpv6Pools: [],
    cleanGateway: false,
  }
  const annotations = { ...confined.namespace?.annotations, 'ipam.spidernet.io/default-ipv4-ippool': all }
  const sources: readonly Partial<SelectionInput>[] = [
    { ...withAnnotations({ 'ipam.spidernet.io/ippools': `[{"ipv4":${all}}]` }), ...confined },
    { ...withAnnotations({ 'ipam.spidernet.io/ippool': `{"ipv4":${all}}` }), ...confined },
    { namespace: { name: 'default', labels: {}, annotations } },
    { request, ...confined },
    { ...withAnnotations({ 'ipam.spidernet.io/ippool': '{"ipv4":["*"]}' }), ...confined },
    confined,
  ]
  for (const more of sources) {
    const [candidates] = selectPools(inputOf(pools, more)).candidates
    assert.deepEqual(candidates?.pools.map(({ metadata }) => metadata.name).sort(), ['own', 'team-a-1'])
    assert.equal(candidates.pools.length, 2)
    // Nor does it keep an address of another one that it had before.
    assert.equal(mayKeep(candidates, 'other'), false)
    assert.equal(mayKeep(candidates, 'own'), true)
  }
})

void test('a namespace that is confined to nothing, or to pools of nobody, gets no address and is told so', () => {
  for (const text of ['[]', '["none-*"]']) {
    const [candidates] = selectPools(inputOf([poolOf('p', { default: true })], confinedTo(text))).candidates
    assert(candidates !== undefined)
    assert.throws(
      () => requirePools(candidates),
      (error) => {
        assert(error instanceof NoPoolError)
        assert.equal(error.reasonCode, 'namespace-confined')
        assert.match(error.message, /p: Namespace is confined to other IPPools: Namespace default may use \[/)
        return true
      },
    )
  }
})

void test('a confinement that cannot be read lets nothing through', () => {
  const bad = [
    '',
    'null',
    '{}',
    '"p"',
    '["p",7]',
    '["p",""]',
    '["p",null]',
    '["[x"]',
    '["P!"]',
    '["a/b"]',
    '["p"',
    '["z*[b-a]"]',
  ]
  for (const text of [...bad, JSON.stringify(Array.from({ length: 257 }, (_, i) => `p${i}`))]) {
    assert.throws(
      () => selectPools(inputOf([poolOf('p', { default: true })], confinedTo(text))),
      (error) => {
        assert(error instanceof InvalidInputError, text)
        assert(error.message.includes('ipam.spidernet.io/confined-to-ippools'), error.message)
        assert(error.hint.length > 0)
        return true
      },
      text,
    )
  }
})

void test('a disabled pool strands nobody, but on a node that it is not for it lets nobody stay', () => {
  const keeps = (
    spec: Partial<SpiderIpPool['spec']>,
    metadata: Partial<SpiderIpPool['metadata']> = {},
  ): boolean => {
    const [candidates] = selectPools(inputOf([poolOf('p', { default: true, ...spec }, metadata)])).candidates
    assert(candidates !== undefined)
    return mayKeep(candidates, 'p')
  }
  assert.equal(keeps({ disable: true }), true)
  assert.equal(keeps({ disable: true, nodeName: ['n9'] }), false)
  assert.equal(keeps({ namespaceName: ['other'] }, { deletionTimestamp: '2026-01-01T00:00:00Z' }), false)
})

void test('pools that change are seen, in a new map and in the same one', () => {
  const map = new Map([['a', poolOf('a', { default: true })]])
  const input = { ...inputOf([]), pools: map }
  assert.deepEqual(names(input), [['eth0', 4, 'a']])
  map.set('b', poolOf('b', { default: true }))
  assert.deepEqual(names(input), [['eth0', 4, 'a b']])
  map.set('a', poolOf('a', { default: false }))
  assert.deepEqual(names(input), [['eth0', 4, 'b']])
  map.set('a', poolOf('a', { default: true, podAffinity: { matchLabels: { app: 'web' } } }))
  assert.deepEqual(names({ ...input, pools: new Map(map) }), [['eth0', 4, 'a b']])
})
