import { resources } from '../resources.ts'
import {
  familyRule,
  ipVersionSchema,
  poolRoutesSchema,
  rangesSchema,
  specRequired,
  subnetRules,
  subnetSchema,
} from './address-rules.ts'
import { dnsSchema, metadataSchema } from './grant-schemas.ts'
import { crdLimits } from './limits.ts'
import { type CrdManifest, crdManifest, type PrinterColumn } from './manifest.ts'
import { flag, int64, integer, list, object, type Rule, type Schema, text, textList } from './schema.ts'
import { selectorNotEmpty, selectorSchema } from './selector-schema.ts'

const category = 'spiderpool'

const column = (
  name: string,
  type: PrinterColumn['type'],
  jsonPath: string,
  description: string,
): PrinterColumn => ({ name, type, jsonPath, description })

const countColumns: readonly PrinterColumn[] = [
  column('VERSION', 'string', '.spec.ipVersion', 'ipVersion'),
  column('SUBNET', 'string', '.spec.subnet', 'subnet'),
  column('ALLOCATED-IP-COUNT', 'integer', '.status.allocatedIPCount', 'allocatedIPCount'),
  column('TOTAL-IP-COUNT', 'integer', '.status.totalIPCount', 'totalIPCount'),
]

const wide = (columns: readonly PrinterColumn[]): readonly PrinterColumn[] =>
  columns.map((item) => ({ ...item, priority: 10 }))

const poolColumns: readonly PrinterColumn[] = [
  ...countColumns,
  column('DEFAULT', 'boolean', '.spec.default', 'default'),
  ...wide([
    column('DISABLE', 'boolean', '.spec.disable', 'disable'),
    column('NodeName', 'string', '.spec.nodeName', 'nodeName'),
    column('MultusName', 'string', '.spec.multusName', 'multusName'),
    column(
      'APP-NAMESPACE',
      'string',
      ".spec.podAffinity.matchLabels['ipam\\.spidernet\\.io/app\\-namespace']",
      'AppNamespace',
    ),
  ]),
]

const networkProperties: Readonly<Record<string, Schema>> = {
  ipVersion: ipVersionSchema('Family, 4 or 6; filled from subnet.'),
  subnet: subnetSchema('Network in network form, such as 10.6.0.0/16. Never changes.'),
  ips: rangesSchema('Addresses offered, each entry an address or first-last.'),
  excludeIPs: rangesSchema('Addresses taken out of ips.'),
  gateway: text('Default route of the interface: an address of subnet that is not offered.', {
    maxLength: crdLimits.ipLength,
  }),
  routes: poolRoutesSchema,
}

const poolSpec = object(
  'What the pool offers and to whom.',
  {
    ...networkProperties,
    podAffinity: selectorSchema('Pods that may use the pool, by label.', [selectorNotEmpty]),
    namespaceAffinity: selectorSchema('Namespaces that may use the pool, by label.'),
    namespaceName: textList('Namespaces that may use the pool; when given, namespaceAffinity is ignored.'),
    nodeAffinity: selectorSchema('Nodes that may use the pool, by label.'),
    nodeName: textList('Nodes that may use the pool; when given, nodeAffinity is ignored.'),
    multusName: textList('Network attachments that may use the pool, as namespace/name or name.'),
    default: flag('One of the pools for pods that name none.', { default: false }),
    disable: flag('Hands out no new address; those in use stay.', { default: false }),
    allocationPolicy: text('Which free address goes out next; leastRecentlyReleased when absent.', {
      enum: ['leastRecentlyReleased', 'lowest', 'random'],
    }),
    coolDownSeconds: integer('How long a released address rests while another is free; 60 when absent.', {
      minimum: 0,
      maximum: 86_400,
    }),
    stickyPolicy: text(
      'What a replica does whose address this pool may no longer give it: take another, wait, or fail.',
      { enum: ['replace', 'wait', 'fail'] },
    ),
    vlanID: integer('VLAN tag of the segment; travels with the allocation.', { minimum: 0, maximum: 4094 }),
    dns: dnsSchema('Name servers for the pods.'),
    metadata: metadataSchema('Free-form facts that travel with the allocation.'),
  },
  { required: ['subnet'], 'x-kubernetes-validations': subnetRules },
)

const poolStatus = object('Counts, and a view of who holds which address.', {
  allocatedIPCount: int64('Addresses in use.', { minimum: 0 }),
  allocatedIPs: text('JSON text: address to pod and podUid.'),
  allocatedIPsView: object(
    'Tells the view that the controller wrote from what others wrote.',
    {
      term: int64('Term of the leader that wrote.', { minimum: 0 }),
      sha256: text('Digest of allocatedIPs.'),
    },
    { required: ['term', 'sha256'] },
  ),
  conditions: list(
    'What an operator should know.',
    object(
      'One condition.',
      {
        type: text('Name.'),
        status: text('True or False.'),
        reason: text('Reason in one word.'),
        message: text('What is so, and what to do.'),
      },
      { required: ['type', 'status', 'reason', 'message'] },
    ),
    { maxItems: crdLimits.poolConditions },
  ),
  totalIPCount: int64('Addresses offered.', { minimum: 0 }),
})

/** SpiderIPPool (spec/api.md §4). */
export const ipPoolCrd: CrdManifest = crdManifest({
  resource: resources.ipPool,
  singular: 'spiderippool',
  shortName: 'sp',
  category,
  description: 'A set of addresses of one network, and the pods that may use them.',
  properties: { spec: poolSpec, status: poolStatus },
  rules: [specRequired],
  columns: poolColumns,
  subresources: { status: {} },
})

/** SpiderSubnet (spec/api.md §5). */
export const subnetCrd: CrdManifest = crdManifest({
  resource: resources.subnet,
  singular: 'spidersubnet',
  shortName: 'ss',
  category,
  description: 'The addresses of one network that pools may draw from.',
  properties: {
    spec: object('What the subnet manages.', networkProperties, {
      required: ['subnet'],
      'x-kubernetes-validations': subnetRules,
    }),
    status: object('Which pool holds which part.', {
      allocatedIPCount: int64('Addresses handed to pools.', { minimum: 0 }),
      controlledIPPools: text('JSON text: pool name to its ranges.'),
      totalIPCount: int64('Addresses managed.', { minimum: 0 }),
    }),
  },
  rules: [specRequired],
  columns: countColumns,
  subresources: { status: {} },
})

const familyKnown: Rule = {
  rule: 'has(self.ipVersion) || (has(self.ips) && size(self.ips) > 0)',
  message: 'is absent, and there is no entry in ips to read it from: write one of the two',
  fieldPath: '.ipVersion',
}

/** SpiderReservedIP (spec/api.md §6). */
export const reservedIpCrd: CrdManifest = crdManifest({
  resource: resources.reservedIp,
  singular: 'spiderreservedip',
  shortName: 'sr',
  category,
  description: 'Addresses that no pool hands out.',
  properties: {
    spec: object(
      'What is reserved.',
      {
        ipVersion: ipVersionSchema('Family, 4 or 6; filled from the first entry of ips.'),
        ips: rangesSchema('Addresses reserved, each entry an address or first-last.'),
      },
      { 'x-kubernetes-validations': [familyKnown, familyRule('ips')] },
    ),
  },
  rules: [specRequired],
  columns: [column('VERSION', 'string', '.spec.ipVersion', 'ipVersion')],
  subresources: {},
})
