import type { CaseObject, Given, RuleCase } from './rule-case.ts'

const rdma = 'cni.spidernet.io/rdma-resource-inject'
const network = 'cni.spidernet.io/network-resource-inject'
const crName = 'multus.spidernet.io/cr-name'
const cniVersion = 'multus.spidernet.io/cni-version'
const parent = { master: ['ens192'] }

type Annotations = Readonly<Record<string, string>>
const config = (spec: object, annotations: Annotations = {}, name = 'm-{n}'): CaseObject => ({
  kind: 'SpiderMultusConfig',
  name,
  metadata: { annotations },
  spec,
})
const macvlan = (block: object, annotations: Annotations = {}, more: object = {}): CaseObject =>
  config(
    { cniType: 'macvlan', enableCoordinator: false, macvlan: { ...parent, ...block }, ...more },
    annotations,
  )
const sriov = (block: object) => config({ cniType: 'sriov', sriov: { resourceName: 'a/b', ...block } })
const vlan = (block: object) => config({ cniType: 'vlan', vlan: { ...parent, ...block } })
const ovs = (block: object, annotations: Annotations = {}) =>
  config({ cniType: 'ovs', ovs: { bridge: 'br1', ...block } }, annotations)

type Words = readonly string[]
const accept = (rule: string, what: string, object: CaseObject, more: Partial<RuleCase> = {}): RuleCase => ({
  rule,
  what,
  object,
  ...more,
})
const refuse = (
  rule: string,
  object: CaseObject,
  refused: { readonly schema?: Words; readonly webhook: Words },
  more: Partial<RuleCase> & { readonly what: string },
): RuleCase => ({ rule, object, refused, ...more })
const taken: readonly Given[] = [
  config(
    { cniType: 'macvlan', enableCoordinator: false, macvlan: parent },
    { [crName]: 'm-{n}' },
    'other-{n}',
  ),
  {
    kind: 'NetworkAttachmentDefinition',
    name: 'm-{n}',
    awaited: true,
    metadata: {
      ownerReferences: [
        {
          apiVersion: 'spiderpool.spidernet.io/v2beta1',
          kind: 'SpiderMultusConfig',
          name: 'other-{n}',
          uid: 'u',
          controller: true,
        },
      ],
    },
  },
]
const annotations = 'metadata.annotations'

const names: readonly RuleCase[] = [
  refuse(
    'M-01',
    macvlan({}, { [crName]: 'x-{n}' }),
    {
      webhook: [
        annotations,
        '"x-{n}"',
        'renames the attachment from "m-{n}"',
        'create another SpiderMultusConfig',
      ],
    },
    { what: 'a name that is added', old: macvlan({}) },
  ),
  refuse(
    'M-01',
    macvlan({}, { [crName]: 'x-{n}' }),
    { webhook: [annotations, '"x-{n}"', 'from "y-{n}"', 'create another SpiderMultusConfig'] },
    { what: 'another name', old: macvlan({}, { [crName]: 'y-{n}' }) },
  ),
  accept('M-01', 'a name that is dropped', macvlan({}), { old: macvlan({}, { [crName]: 'y-{n}' }) }),
  refuse(
    'M-02',
    macvlan({}, { [crName]: 'No_Name' }),
    { webhook: [annotations, '"No_Name"', 'no object name', 'write small letters'] },
    { what: 'a name that is none' },
  ),
  accept('M-02', 'a name', macvlan({}, { [crName]: 'net-{n}' })),
  refuse(
    'M-03',
    macvlan({}),
    {
      webhook: [
        annotations,
        '"m-{n}"',
        'SpiderMultusConfig "other-{n}" already makes',
        'write another name into annotation multus.spidernet.io/cr-name',
      ],
    },
    { what: 'a name that another SpiderMultusConfig has taken', given: taken },
  ),
  accept('M-03', 'an attachment of nobody, which is taken over', macvlan({}), {
    given: [{ kind: 'NetworkAttachmentDefinition', name: 'm-{n}', spec: { config: '{}' } }],
  }),
  refuse(
    'M-04',
    macvlan({}, { [cniVersion]: '0.2.0' }),
    { webhook: [annotations, '"0.2.0"', 'no CNI version that works here', 'write one of 0.3.0'] },
    { what: 'a CNI version that does not work' },
  ),
  accept('M-04', 'a CNI version', macvlan({}, { [cniVersion]: '1.0.0' })),
]

const blocks: readonly RuleCase[] = [
  refuse(
    'M-05',
    config({ cniType: 'macvlan' }),
    {
      schema: ['spec.macvlan', 'is missing', 'cniType macvlan needs this block'],
      webhook: ['spec.macvlan', 'is missing, and cniType is macvlan', 'write spec.macvlan'],
    },
    { what: 'no block of its type' },
  ),
  accept('M-05', 'a block of its type', macvlan({})),
  refuse(
    'M-06',
    macvlan({ vlanID: 4095 }),
    {
      schema: ['spec.macvlan.vlanID', '4095', 'less than or equal to 4094'],
      webhook: ['spec.macvlan.vlanID', '4095', 'write 4094 or less'],
    },
    { what: 'a tag that is none' },
  ),
  accept('M-06', 'a tag', macvlan({ vlanID: 4094 })),
  refuse(
    'M-07',
    macvlan({ mtu: -1 }),
    {
      schema: ['spec.macvlan.mtu', '-1', 'greater than or equal to 0'],
      webhook: ['spec.macvlan.mtu', '-1', 'write 0 or more'],
    },
    { what: 'a negative MTU' },
  ),
  accept('M-07', 'an MTU', macvlan({ mtu: 9000 })),
  refuse(
    'M-08',
    macvlan({ ippools: { matchMasterSubnet: true } }),
    {
      schema: ['spec.macvlan', 'ippools.matchMasterSubnet works for sriov alone', 'leave it out'],
      webhook: ['spec.macvlan.ippools.matchMasterSubnet', 'true', 'works for sriov alone', 'leave it out'],
    },
    { what: 'matchMasterSubnet of macvlan' },
  ),
  accept('M-08', 'matchMasterSubnet of sriov', sriov({ ippools: { matchMasterSubnet: true } })),
  refuse(
    'M-09',
    macvlan({ master: [] }),
    {
      schema: ['spec.macvlan.master', 'is empty', 'name the parent interface'],
      webhook: ['spec.macvlan.master', 'names no parent interface', 'write one'],
    },
    { what: 'no master' },
  ),
  refuse(
    'M-09',
    macvlan({ master: ['a', 'b'] }),
    {
      schema: ['spec.macvlan', 'need a bond with a name', 'write bond.name and bond.mode'],
      webhook: ['spec.macvlan.bond', '["a","b"]', 'several masters', 'write bond.name and bond.mode'],
    },
    { what: 'two masters without a bond' },
  ),
  accept(
    'M-09',
    'two masters with a bond',
    macvlan({ master: ['a', 'b'], bond: { name: 'bond0', mode: 1 } }),
  ),
  refuse(
    'M-10',
    vlan({ vlanMode: 'auto', vlanID: 3 }),
    {
      schema: ['spec.vlan.vlanID', 'given by the provider', 'leave vlanID out'],
      webhook: ['spec.vlan.vlanID', '3', 'given by the provider', 'leave vlanID out'],
    },
    { what: 'a tag beside vlanMode auto' },
  ),
  accept('M-10', 'vlanMode auto', vlan({ vlanMode: 'auto' })),
  refuse(
    'M-11',
    sriov({ minTxRateMbps: 5 }),
    {
      // A number in the message would have no bound to its length, for the cost budget of CEL.
      schema: ['spec.sriov.minTxRateMbps', 'is above maxTxRateMbps', 'raise maxTxRateMbps or lower'],
      webhook: ['spec.sriov.minTxRateMbps', '5', 'is above maxTxRateMbps 0', 'raise maxTxRateMbps or lower'],
    },
    { what: 'a least rate above the highest' },
  ),
  accept('M-11', 'rates', sriov({ minTxRateMbps: 5, maxTxRateMbps: 5 })),
  refuse(
    'M-12',
    config({ cniType: 'ipoib', ipoib: {} }),
    {
      schema: ['spec.ipoib.master', 'is missing', 'write a value'],
      webhook: ['spec.ipoib.master', 'is missing', 'write spec.ipoib.master'],
    },
    { what: 'no master of ipoib' },
  ),
  refuse(
    'M-12',
    config({ cniType: 'ib-sriov', ibsriov: {} }),
    {
      schema: ['spec.ibsriov.resourceName', 'is missing', 'write a value'],
      webhook: ['spec.ibsriov.resourceName', 'is missing', 'write spec.ibsriov.resourceName'],
    },
    { what: 'no resource of ib-sriov' },
  ),
  accept('M-12', 'a master of ipoib', config({ cniType: 'ipoib', ipoib: { master: 'ib0' } })),
  refuse(
    'M-13',
    ovs({ trunk: [{ maxID: 4 }, { minID: 5, maxID: 4 }] }),
    {
      schema: ['spec.ovs.trunk[1].maxID', '4', 'is below minID', 'exchange the two'],
      webhook: ['spec.ovs.trunk[1].maxID', '4', 'is below minID 5', 'exchange the two'],
    },
    { what: 'a trunk that runs backwards' },
  ),
  refuse(
    'M-13',
    ovs({ trunk: [{ id: 4096 }] }),
    {
      schema: ['spec.ovs.trunk[0].id', '4096', 'less than or equal to 4094'],
      webhook: ['spec.ovs.trunk[0].id', '4096', 'write 4094 or less'],
    },
    { what: 'a tag in a trunk that is none' },
  ),
  accept('M-13', 'a trunk', ovs({ trunk: [{ minID: 4, maxID: 4 }, { maxID: 9 }, { id: 0 }] })),
]

const rest: readonly RuleCase[] = [
  refuse(
    'M-14',
    macvlan({}, {}, { ovs: { bridge: 'br1' } }),
    {
      schema: ['spec.ovs', 'belongs to cniType ovs', 'remove this block or change cniType'],
      webhook: ['spec.cniType', '"macvlan"', 'spec.ovs', 'remove spec.ovs'],
    },
    { what: 'a block of another type' },
  ),
  refuse(
    'M-14',
    macvlan({}, {}, { customCNI: '{}' }),
    {
      schema: ['spec.customCNI', 'belongs to cniType custom', 'remove it or change cniType'],
      webhook: ['spec.cniType', '"macvlan"', 'spec.customCNI', 'remove spec.customCNI'],
    },
    { what: 'customCNI beside another type' },
  ),
  accept(
    'M-14',
    'an empty customCNI, which the webhook itself once wrote',
    macvlan({}, {}, { customCNI: '' }),
  ),
  refuse(
    'M-15',
    config({ customCNI: '{' }),
    { webhook: ['spec.customCNI', '"{"', 'is not JSON', 'write a CNI configuration as JSON'] },
    { what: 'a customCNI that is no JSON' },
  ),
  accept('M-15', 'a customCNI', config({ customCNI: '{"type":"x"}' })),
  refuse(
    'M-16',
    macvlan({ ippools: { ipv4: ['p'] } }, { [rdma]: 'a-{n}' }),
    { webhook: ['spec.macvlan.rdmaResourceName', 'is empty', rdma, 'write spec.macvlan.rdmaResourceName'] },
    { what: 'RDMA injection without a resource' },
  ),
  refuse(
    'M-16',
    macvlan({ rdmaResourceName: 'a/b' }, { [rdma]: 'a-{n}' }),
    { webhook: ['spec.macvlan.ippools', 'names no pool', rdma, 'write spec.macvlan.ippools.ipv4'] },
    { what: 'RDMA injection without pools' },
  ),
  accept(
    'M-16',
    'RDMA injection',
    macvlan({ rdmaResourceName: 'a/b', ippools: { ipv4: ['p'] } }, { [rdma]: 'a-{n}' }),
  ),
  refuse(
    'M-17',
    macvlan({ rdmaResourceName: 'a/b' }, { [network]: 'a-{n}' }),
    { webhook: ['spec.macvlan.ippools', 'names no pool', network, 'write spec.macvlan.ippools.ipv4'] },
    { what: 'injection of a resource without pools' },
  ),
  accept('M-17', 'injection of a network alone', macvlan({}, { [network]: 'a-{n}' })),
  refuse(
    'M-18',
    ovs({}, { [network]: 'a-{n}' }),
    { webhook: ['spec.cniType', '"ovs"', 'cannot be injected', `remove annotation ${network}`] },
    { what: 'injection of ovs' },
  ),
  accept('M-18', 'ovs without injection', ovs({})),
  refuse(
    'M-19',
    macvlan({}, {}, { coordinator: { podMACPrefix: '0b:77' } }),
    {
      schema: ['spec.coordinator.podMACPrefix', '"0b:77"', 'even first byte', 'write one such as 0a:1b'],
      webhook: ['spec.coordinator.podMACPrefix', '"0b:77"', 'multicast', 'such as 0a:1b'],
    },
    { what: 'a coordinator that breaks a rule of coordinators' },
  ),
  accept('M-19', 'a coordinator', macvlan({}, {}, { coordinator: { hijackCIDR: ['169.254.0.0/16'] } })),
  refuse(
    'M-20',
    macvlan({}, {}, { chainCNIJsonData: ['{"type":"a"}', '{}'] }),
    { webhook: ['spec.chainCNIJsonData[1]', '"{}"', 'no CNI plugin configuration', 'write the JSON object'] },
    { what: 'a chained plugin without a type' },
  ),
  accept('M-20', 'a chained plugin', macvlan({}, {}, { chainCNIJsonData: ['{"type":"bandwidth"}'] })),
]

export const networkCases: readonly RuleCase[] = [...names, ...blocks, ...rest]
