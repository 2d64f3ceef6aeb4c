import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admit, answer, type Case, ours, patched } from '../testing/reviewing.ts'

const rdma = 'cni.spidernet.io/rdma-resource-inject'
const network = 'cni.spidernet.io/network-resource-inject'
const crName = 'multus.spidernet.io/cr-name'
const parent = { master: ['ens192'] }

const multus = (spec: unknown, annotations: object = {}): Record<string, unknown> =>
  ours('SpiderMultusConfig', 'm', spec, { namespace: 'netops', annotations })
const create = (spec: unknown, annotations: object = {}): Case => ({
  kind: 'SpiderMultusConfig',
  object: multus(spec, annotations),
})
const macvlan = (block: object, annotations: object = {}): Case =>
  create({ cniType: 'macvlan', macvlan: { ...parent, ...block } }, annotations)
const renamed = (before: object, after: object): Case => ({
  kind: 'SpiderMultusConfig',
  object: multus({ cniType: 'macvlan', macvlan: parent }, after),
  oldObject: multus({ cniType: 'macvlan', macvlan: parent }, before),
})
const takenBy = (kind: string, name: string): Case => ({
  ...macvlan({}),
  world: {
    attachment: {
      metadata: {
        name: 'm',
        ownerReferences: [{ apiVersion: 'x/v1', kind, name, uid: 'u', controller: true }],
      },
    },
  },
})
const coordinator = (spec: object): Case => ({
  kind: 'SpiderCoordinator',
  object: ours('SpiderCoordinator', 'default', { podCIDRType: 'cluster', ...spec }),
})
const inner = (block: object): Case => create({ cniType: 'macvlan', macvlan: parent, coordinator: block })

// [rule, case, field of the first cause, words of the message]; a case without field is accepted.
const rules: readonly (readonly [string, Case, string?, ...RegExp[]])[] = [
  ['M-01', renamed({}, { [crName]: 'x' }), 'metadata.annotations', /renames the attachment from "m"/],
  ['M-01', renamed({ [crName]: 'y' }, { [crName]: 'x' }), 'metadata.annotations', /from "y"/],
  ['M-01', renamed({ [crName]: 'y' }, {})],
  ['M-02', macvlan({}, { [crName]: 'No_Name' }), 'metadata.annotations', /no object name/],
  [
    'M-03',
    takenBy('SpiderMultusConfig', 'other'),
    'metadata.annotations',
    /SpiderMultusConfig "other" already makes/,
  ],
  ['M-03', takenBy('SpiderMultusConfig', 'm')],
  ['M-03', takenBy('Helm', 'other')],
  [
    'M-04',
    macvlan({}, { 'multus.spidernet.io/cni-version': '0.2.0' }),
    'metadata.annotations',
    /0\.2\.0/,
    /write one of 0\.3\.0/,
  ],
  ['M-04', macvlan({}, { 'multus.spidernet.io/cni-version': '1.0.0' })],
  ['M-05', create({ cniType: 'macvlan' }), 'spec.macvlan', /is missing, and cniType is macvlan/],
  ['M-05', create({ cniType: 'ib-sriov' }), 'spec.ibsriov', /is missing/],
  ['M-05', create({ cniType: 'macvlan', macvlan: parent })],
  ['M-06', macvlan({ vlanID: 4095 }), 'spec.macvlan.vlanID', /4095/, /4094 or less/],
  ['M-06', create({ cniType: 'ovs', ovs: { bridge: 'b', vlan: 5000 } }), 'spec.ovs.vlan', /5000/],
  ['M-07', macvlan({ mtu: -1 }), 'spec.macvlan.mtu', /-1/],
  [
    'M-08',
    macvlan({ ippools: { matchMasterSubnet: true } }),
    'spec.macvlan.ippools.matchMasterSubnet',
    /sriov alone/,
  ],
  [
    'M-08',
    create({ cniType: 'sriov', sriov: { resourceName: 'a/b', ippools: { matchMasterSubnet: true } } }),
  ],
  ['M-09', macvlan({ master: [] }), 'spec.macvlan.master', /names no parent interface/],
  ['M-09', macvlan({ master: ['a', 'b'] }), 'spec.macvlan.bond', /several masters/],
  [
    'M-09',
    macvlan({ master: ['a', 'b'], bond: { name: '', mode: 1 } }),
    'spec.macvlan.bond.name',
    /is empty/,
  ],
  ['M-09', macvlan({ master: ['a', 'b'], bond: { name: 'bond0', mode: 1 } })],
  [
    'M-10',
    create({ cniType: 'vlan', vlan: { ...parent, vlanMode: 'auto', vlanID: 3 } }),
    'spec.vlan.vlanID',
    /given by the provider/,
  ],
  ['M-10', create({ cniType: 'vlan', vlan: { ...parent, vlanMode: 'auto' } })],
  ['M-10', create({ cniType: 'vlan', vlan: { ...parent, vlanID: 3 } })],
  [
    'M-11',
    create({ cniType: 'sriov', sriov: { resourceName: 'a/b', minTxRateMbps: 5 } }),
    'spec.sriov.minTxRateMbps',
    /above maxTxRateMbps 0/,
  ],
  ['M-11', create({ cniType: 'sriov', sriov: { resourceName: 'a/b', minTxRateMbps: 5, maxTxRateMbps: 5 } })],
  ['M-12', create({ cniType: 'sriov', sriov: {} }), 'spec.sriov.resourceName', /is missing/],
  ['M-12', create({ cniType: 'ib-sriov', ibsriov: {} }), 'spec.ibsriov.resourceName', /is missing/],
  ['M-12', create({ cniType: 'ipoib', ipoib: {} }), 'spec.ipoib.master', /is missing/],
  [
    'M-13',
    create({ cniType: 'ovs', ovs: { bridge: 'b', trunk: [{ maxID: 4 }, { minID: 5, maxID: 4 }] } }),
    'spec.ovs.trunk[1].maxID',
    /below minID 5/,
  ],
  [
    'M-13',
    create({ cniType: 'ovs', ovs: { bridge: 'b', trunk: [{ id: 4096 }] } }),
    'spec.ovs.trunk[0].id',
    /4096/,
  ],
  ['M-13', create({ cniType: 'ovs', ovs: { bridge: 'b', trunk: [{ minID: 4, maxID: 4 }, { id: 0 }] } })],
  [
    'M-14',
    create({ cniType: 'macvlan', macvlan: parent, ovs: { bridge: 'b' } }),
    'spec.cniType',
    /spec\.ovs/,
  ],
  [
    'M-14',
    create({ cniType: 'macvlan', macvlan: parent, customCNI: '{}' }),
    'spec.cniType',
    /spec\.customCNI/,
  ],
  ['M-14', create({ cniType: 'macvlan', macvlan: parent, customCNI: '' })],
  ['M-14', create({ macvlan: parent }), 'spec.cniType', /"custom"/, /remove spec\.macvlan/],
  ['M-15', create({ customCNI: '{' }), 'spec.customCNI', /is not JSON/],
  ['M-15', create({ customCNI: '{"type":"x"}' })],
  [
    'M-16',
    macvlan({ ippools: { ipv4: ['p'] } }, { [rdma]: 'a' }),
    'spec.macvlan.rdmaResourceName',
    /is empty/,
  ],
  ['M-16', macvlan({ rdmaResourceName: 'a/b' }, { [rdma]: 'a' }), 'spec.macvlan.ippools', /names no pool/],
  [
    'M-16',
    create(
      {
        cniType: 'ib-sriov',
        ibsriov: { resourceName: 'acme.io/ib_left', ippools: { ipv4: ['ib-left-v4'] } },
      },
      { [rdma]: 'fabric-a' },
    ),
  ],
  ['M-17', macvlan({ rdmaResourceName: 'a/b' }, { [network]: 'a' }), 'spec.macvlan.ippools', /names no pool/],
  ['M-17', macvlan({}, { [network]: 'a' })],
  [
    'M-18',
    create({ cniType: 'ovs', ovs: { bridge: 'b' } }, { [network]: 'a' }),
    'spec.cniType',
    /cannot be injected/,
  ],
  ['M-18', create({}, { [rdma]: 'a' }), 'spec.cniType', /cannot be injected/],
  ['M-19', inner({ podMACPrefix: '0b:77' }), 'spec.coordinator.podMACPrefix', /multicast/],
  ['M-19', inner({ hijackCIDR: ['169.254.0.0/16'], vethMTU: 1500 })],
  [
    'M-20',
    create({ cniType: 'macvlan', macvlan: parent, chainCNIJsonData: ['{"type":"a"}', '{}'] }),
    'spec.chainCNIJsonData[1]',
    /no CNI plugin/,
  ],
  ['M-20', create({ cniType: 'macvlan', macvlan: parent, chainCNIJsonData: ['{"type":"bandwidth"}'] })],
  [
    'C-01',
    { kind: 'SpiderCoordinator', object: ours('SpiderCoordinator', 'default', {}) },
    'spec.podCIDRType',
    /is missing/,
    /write one of auto/,
  ],
  ['C-02', coordinator({ podCIDRType: 'flannel' }), 'spec.podCIDRType', /flannel/],
  ['C-03', coordinator({ hijackCIDR: ['10.0.0.0/8', 'x'] }), 'spec.hijackCIDR[1]', /neither an IP/],
  [
    'C-04',
    coordinator({ policyRoutes: [{ dst: 'x', gw: '10.0.0.1' }] }),
    'spec.policyRoutes[0].dst',
    /neither an IP/,
  ],
  [
    'C-05',
    coordinator({ policyRoutes: [{ dst: '10.0.0.0/8', gw: 'x' }] }),
    'spec.policyRoutes[0].gw',
    /not an IP/,
  ],
  [
    'C-06',
    coordinator({ policyRoutes: [{ dst: '0.0.0.0/0', gw: 'fd00::1' }] }),
    'spec.policyRoutes[0]',
    /dst of IPv4 and a gw of IPv6/,
  ],
  ['C-07', coordinator({ podMACPrefix: '0a-77' }), 'spec.podMACPrefix', /two bytes/],
  ['C-08', coordinator({ podMACPrefix: '01:77' }), 'spec.podMACPrefix', /multicast/],
  ['C-09', coordinator({ txQueueLen: -1 }), 'spec.txQueueLen', /-1/],
  ['C-10', coordinator({ podRPFilter: 3 }), 'spec.podRPFilter', /3/],
  ['C-10', coordinator({ podRPFilter: -5 })],
  ['C-11', coordinator({ vethLinkAddress: 'x' }), 'spec.vethLinkAddress', /not an IP/],
  ['C-11', coordinator({ vethLinkAddress: 'fd00::1' })],
  ['C-12', coordinator({ vethMTU: 0 }), 'spec.vethMTU', /0/],
  ['C-12', coordinator({ policyRoutes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }], podMACPrefix: '0A:77' })],
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

void test('mutation fills the block of the chosen type and adds the coordinator of a network', () => {
  const after = patched(
    create({ cniType: 'macvlan', macvlan: { master: ['a', 'b'], bond: { name: 'b', mode: 1 } } }),
  )
  assert.deepEqual(after['spec'], {
    cniType: 'macvlan',
    chainCNIJsonData: [],
    macvlan: {
      master: ['a', 'b'],
      bond: { name: 'b', mode: 1, options: '' },
      vlanID: 0,
      mtu: 0,
      rdmaResourceName: '',
      ippools: {},
    },
    coordinator: {
      mode: 'auto',
      podRPFilter: 0,
      tunePodRoutes: true,
      podMACPrefix: '',
      podDefaultRouteNIC: '',
      vethLinkAddress: '',
    },
  })
})

void test('mutation of a custom network takes its coordinator away', () => {
  const after = patched(create({ enableCoordinator: true, coordinator: { mode: 'auto' } }))
  assert.deepEqual(after['spec'], {
    cniType: 'custom',
    customCNI: '',
    enableCoordinator: false,
    chainCNIJsonData: [],
  })
})

void test('a network that was custom may get another type: the empty customCNI does not stand in the way', () => {
  const after = patched(create({ cniType: 'macvlan', macvlan: parent, customCNI: '' }))
  assert(!('customCNI' in (after['spec'] as object)))
})

void test('mutation copies inject annotations to labels', () => {
  const after = patched(macvlan({}, { [rdma]: 'fabric-a', other: 'x' }))
  assert.deepEqual((after['metadata'] as { labels: unknown }).labels, { [rdma]: 'fabric-a' })
})

void test('mutation of a coordinator fills defaults and writes prefix lengths', () => {
  const item = coordinator({
    hijackCIDR: ['198.18.9.9', 'fd00::1', '10.0.0.0/8'],
    policyRoutes: [{ dst: '203.0.113.7', gw: '10.77.0.253' }],
  })
  const after = patched(item)
  assert.deepEqual(after['spec'], {
    podCIDRType: 'cluster',
    mode: 'auto',
    tunePodRoutes: true,
    hostRuleTable: 500,
    podRPFilter: 0,
    txQueueLen: 0,
    vethLinkAddress: '',
    vethMTU: 1500,
    hijackCIDR: ['198.18.9.9/32', 'fd00::1/128', '10.0.0.0/8'],
    policyRoutes: [{ dst: '203.0.113.7/32', gw: '10.77.0.253' }],
  })
  assert.deepEqual((after['metadata'] as { finalizers: unknown }).finalizers, ['spiderpool.spidernet.io'])
  assert.equal(answer('mutate', { ...item, object: after }).patch, undefined)
})

const warned: readonly (readonly [string, Case, readonly RegExp[]])[] = [
  [
    'the coordinator, which is on by default',
    macvlan({}),
    [/^spec\.enableCoordinator: .*: set it to false$/],
  ],
  [
    'a VLAN',
    create({ cniType: 'macvlan', enableCoordinator: false, macvlan: { ...parent, vlanID: 3 } }),
    [/^spec\.macvlan: .*ifacer.*name it alone in spec\.macvlan\.master$/],
  ],
  ['ipvlan', create({ cniType: 'ipvlan', ipvlan: parent }), [/^spec\.cniType "ipvlan" .*: write macvlan/]],
  ['nothing that is missing', create({ cniType: 'macvlan', enableCoordinator: false, macvlan: parent }), []],
]
for (const [what, item, expected] of warned) {
  void test(`a network that wants ${what} is accepted with ${expected.length} warnings`, () => {
    const { allowed, warnings = [] } = answer('mutate', item)
    assert(allowed)
    assert.equal(warnings.length, expected.length)
    for (const [index, pattern] of expected.entries()) assert.match(warnings[index] ?? '', pattern)
    assert(admit(item).allowed)
  })
}
