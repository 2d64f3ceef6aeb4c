import { resources } from '../resources.ts'
import { specRequired } from './address-rules.ts'
import { coordinatorSpec } from './coordinator-kind.ts'
import { crdLimits } from './limits.ts'
import { type CrdManifest, crdManifest } from './manifest.ts'
import { flag, int32, integer, list, object, type Rule, type Schema, text, textList } from './schema.ts'

/** The member of `spec` that holds the settings of each CNI type but `custom`. */
export const blockOfCniType = {
  macvlan: 'macvlan',
  ipvlan: 'ipvlan',
  vlan: 'vlan',
  sriov: 'sriov',
  ovs: 'ovs',
  'ib-sriov': 'ibsriov',
  ipoib: 'ipoib',
} as const

const pools = object('Default pools of this network; names or wildcards.', {
  ipv4: textList('IPv4 pools.'),
  ipv6: textList('IPv6 pools.'),
  matchMasterSubnet: flag('Keep only pools in the subnet of the parent (sriov alone).', {
    default: false,
    enum: [true, false],
  }),
})

const bond = object(
  'Bond made of several parent interfaces.',
  {
    name: text('Name of the bond.'),
    mode: int32('Linux bond mode.', { minimum: 0, maximum: 6 }),
    options: text('Bond options as k=v;k=v.'),
  },
  { required: ['name', 'mode'] },
)

const tag = (description: string): Schema => int32(description, { minimum: 0, maximum: 4094 })
const mtu = int32('MTU; 0: chosen by the kernel.', { default: 0, minimum: 0 })

const parentRules: readonly Rule[] = [
  {
    rule: 'size(self.master) > 0',
    message: 'is empty: name the parent interface',
    fieldPath: '.master',
  },
  {
    rule: 'size(self.master) < 2 || (has(self.bond) && size(self.bond.name) > 0)',
    message: 'two or more master interfaces need a bond with a name: write bond.name and bond.mode',
  },
  {
    rule: '!has(self.ippools) || !has(self.ippools.matchMasterSubnet) || !self.ippools.matchMasterSubnet',
    message: 'ippools.matchMasterSubnet works for sriov alone: leave it out',
  },
]

const vlanRule: Rule = {
  rule: "!has(self.vlanMode) || self.vlanMode != 'auto' || !has(self.vlanID)",
  message: 'is given by the provider when vlanMode is auto: leave vlanID out',
  fieldPath: '.vlanID',
}

function parentBlock(description: string, more: Readonly<Record<string, Schema>>, rules: readonly Rule[]) {
  const properties = {
    master: textList('Parent interfaces.'),
    mtu,
    vlanID: tag('Tag of a VLAN sub-interface of the parent; 0: none.'),
    bond,
    rdmaResourceName: text('Extended resource to inject.'),
    ippools: pools,
    ...more,
  }
  return object(description, properties, {
    required: ['master'],
    'x-kubernetes-validations': [...parentRules, ...rules],
  })
}

const notEmpty = (field: string): Rule => ({
  rule: `has(self.${field}) && size(self.${field}) > 0`,
  message: 'is missing: write a value',
  fieldPath: `.${field}`,
  reason: 'FieldValueRequired',
})

const sriov = object(
  'Virtual functions of an SR-IOV NIC.',
  {
    resourceName: text('Resource of the device plugin.'),
    vlanID: tag('VLAN tag.'),
    mtu,
    minTxRateMbps: integer('Lowest transmit rate in Mbit/s.', { minimum: 0 }),
    maxTxRateMbps: integer('Highest transmit rate in Mbit/s; 0: no limit.', { minimum: 0 }),
    rdmaIsolation: flag('Chain the rdma plugin.', { default: false }),
    ippools: pools,
  },
  {
    'x-kubernetes-validations': [
      notEmpty('resourceName'),
      {
        rule:
          '!has(self.minTxRateMbps) || ' +
          'self.minTxRateMbps <= (has(self.maxTxRateMbps) ? self.maxTxRateMbps : 0)',
        message: 'is above maxTxRateMbps: raise maxTxRateMbps or lower minTxRateMbps',
        fieldPath: '.minTxRateMbps',
      },
    ],
  },
)

const ibsriov = object(
  'Virtual functions of an InfiniBand NIC.',
  {
    resourceName: text('Resource of the device plugin.'),
    pkey: text('InfiniBand partition key.'),
    linkState: text('State of the link.', { default: 'enable', enum: ['auto', 'enable', 'disable'] }),
    rdmaIsolation: flag('Separate the RDMA devices of pods.', { default: true }),
    enableIbKubernetes: flag('Work with ib-kubernetes.', { default: false }),
    ippools: pools,
  },
  { 'x-kubernetes-validations': [notEmpty('resourceName')] },
)

const ipoib = object(
  'IP over InfiniBand.',
  { master: text('Parent interface.'), ippools: pools },
  { 'x-kubernetes-validations': [notEmpty('master')] },
)

const trunk = object(
  'VLAN tags allowed on the port.',
  {
    minID: integer('First tag.', { minimum: 0, maximum: 4094 }),
    maxID: integer('Last tag.', { minimum: 0, maximum: 4094 }),
    id: integer('One tag.', { minimum: 0, maximum: 4094 }),
  },
  {
    'x-kubernetes-validations': [
      {
        rule: '!has(self.minID) || !has(self.maxID) || self.minID <= self.maxID',
        message: 'is below minID: exchange the two',
        fieldPath: '.maxID',
      },
    ],
  },
)

const ovs = object(
  'Port of an Open vSwitch bridge.',
  {
    bridge: text('Bridge.'),
    vlan: tag('Access tag.'),
    trunk: list('Trunk of the port.', trunk, { maxItems: crdLimits.trunks }),
    deviceID: text('PCI address of a virtual function.'),
    ippools: pools,
  },
  { required: ['bridge'] },
)

const blockRules: readonly Rule[] = Object.entries(blockOfCniType).flatMap(([type, block]): Rule[] => [
  {
    rule: `!has(self.cniType) || self.cniType != '${type}' || has(self.${block})`,
    message: `is missing: cniType ${type} needs this block`,
    fieldPath: `.${block}`,
    reason: 'FieldValueRequired',
  },
  {
    rule: `!has(self.${block}) || (has(self.cniType) && self.cniType == '${type}')`,
    message: `belongs to cniType ${type}: remove this block or change cniType`,
    fieldPath: `.${block}`,
    reason: 'FieldValueForbidden',
  },
])

const spec = object(
  'The network.',
  {
    cniType: text('Plugin that makes the interface; the block of that name holds its settings.', {
      default: 'custom',
      enum: ['macvlan', 'ipvlan', 'vlan', 'sriov', 'ovs', 'ib-sriov', 'ipoib', 'custom'],
    }),
    enableCoordinator: flag('Chain the coordinator plugin.', { default: true }),
    disableIPAM: flag('Leave the ipam block out.', { default: false }),
    chainCNIJsonData: textList('Further plugins of the chain, each as JSON text.'),
    customCNI: text('Whole CNI configuration as JSON text, for cniType custom.'),
    coordinator: coordinatorSpec(),
    macvlan: parentBlock('macvlan interfaces.', {}, []),
    ipvlan: parentBlock('ipvlan interfaces.', {}, []),
    vlan: parentBlock(
      'VLAN interfaces.',
      { vlanMode: text('Who chooses the tag.', { default: 'manual', enum: ['manual', 'auto'] }) },
      [vlanRule],
    ),
    sriov,
    ibsriov,
    ipoib,
    ovs,
  },
  {
    'x-kubernetes-validations': [
      ...blockRules,
      {
        rule: "!has(self.customCNI) || size(self.customCNI) == 0 || (has(self.cniType) && self.cniType == 'custom')",
        message: 'belongs to cniType custom: remove it or change cniType',
        fieldPath: '.customCNI',
        reason: 'FieldValueForbidden',
      },
    ],
  },
)

/** SpiderMultusConfig (spec/api.md §8). */
export const multusConfigCrd: CrdManifest = crdManifest({
  resource: resources.multusConfig,
  singular: 'spidermultusconfig',
  shortName: 'smc',
  category: 'spiderpool',
  description: 'A network attachment in short form; the NetworkAttachmentDefinition is made from it.',
  properties: { spec },
  rules: [specRequired],
})
