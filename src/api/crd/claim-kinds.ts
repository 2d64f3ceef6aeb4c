import { claimWorkloads } from '../ip-claim.ts'
import { resources } from '../resources.ts'
import { specRequired } from './address-rules.ts'
import { dnsSchema, metadataSchema } from './grant-schemas.ts'
import { crdLimits } from './limits.ts'
import { type CrdManifest, crdManifest, type PrinterColumn } from './manifest.ts'
import { integer, list, object, type Rule, type Schema, text } from './schema.ts'

const column = (name: string, jsonPath: string, type: PrinterColumn['type'] = 'string'): PrinterColumn => ({
  name,
  type,
  jsonPath,
  description: jsonPath.slice(jsonPath.lastIndexOf('.') + 1),
})
const name = (description: string): Schema => text(description, { maxLength: crdLimits.dnsText })

const addressRule: Rule = {
  rule: 'isIP(self)',
  message: 'is not an IP address: write one without prefix length, such as 10.6.0.10',
  messageExpression: `'"' + self + '" is not an IP address: write one without prefix length, such as 10.6.0.10'`,
}
const onePerFamily: Rule = {
  rule:
    '!has(self.ips) || size(self.ips) < 2 || !isIP(self.ips[0]) || !isIP(self.ips[1]) || ' +
    'ip(self.ips[0]).family() != ip(self.ips[1]).family()',
  message: 'has two addresses of one family: write one IPv4 and one IPv6 address, and another claim for more',
  fieldPath: '.ips',
}
/** What is reserved would have to be given up for it, while a pod may use it. */
const fixed = (field: string): Rule => ({
  rule: `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
  message: 'cannot change: create another claim for other addresses',
  fieldPath: `.${field}`,
  reason: 'FieldValueForbidden',
})
const macRule: Rule = {
  rule: `self.matches('^[0-9A-Fa-f][02468aceACE](:[0-9A-Fa-f]{2}){5}$') && self != '00:00:00:00:00:00'`,
  message: 'is not a unicast MAC address: write six bytes such as 02:00:0a:06:00:01, the first one even',
  messageExpression:
    `'"' + self + '" is not a unicast MAC address: write six bytes such as 02:00:0a:06:00:01, ` +
    `the first one even'`,
}
const poolNames = (description: string): Schema =>
  list(description, name('Name or wildcard.'), { maxItems: crdLimits.claimPools })

const claimSpec = object(
  'What is reserved, and for whom.',
  {
    ips: list(
      'Addresses asked for, at most one of a family; absent: any free ones.',
      { type: 'string', maxLength: crdLimits.ipLength, 'x-kubernetes-validations': [addressRule] },
      { maxItems: 2 },
    ),
    ippools: object('Pools to take from; absent: those of the namespace, else those of the cluster.', {
      ipv4: poolNames('IPv4 pools.'),
      ipv6: poolNames('IPv6 pools.'),
    }),
    mac: text('MAC address of the interface.', {
      maxLength: crdLimits.macPrefixLength,
      'x-kubernetes-validations': [macRule],
    }),
    dns: dnsSchema('Name servers; they win over those of the pool and of the pod.'),
    metadata: metadataSchema('Free-form facts that travel with the allocation.'),
    workload: object(
      'Who alone may use the claim, without an annotation: a workload, or a pod.',
      {
        apiVersion: name('Group and version.'),
        kind: text('Kind.', { enum: claimWorkloads.map(([kind]) => kind) }),
        name: name('Name.'),
      },
      { required: ['apiVersion', 'kind', 'name'] },
    ),
    interface: text('Interface of the pod; absent: its first one that gets addresses from here.', {
      maxLength: crdLimits.interfaceLength,
    }),
  },
  { 'x-kubernetes-validations': [onePerFamily, fixed('ips'), fixed('ippools')] },
)

const condition = object(
  'One condition.',
  {
    type: text('Name.'),
    status: text('True or False.'),
    reason: text('Reason in one word.'),
    message: text('What is so, and what to do.'),
  },
  { required: ['type', 'status', 'reason', 'message'] },
)

const claimStatus = object('What the claim has.', {
  phase: text('Pending, Reserved, InUse or Lost.'),
  ips: list(
    'Addresses, IPv4 first.',
    object(
      'One address.',
      {
        ip: text('Address with prefix length.'),
        pool: text('Pool of the address.'),
        version: integer('Family, 4 or 6.'),
      },
      { required: ['ip', 'pool', 'version'] },
    ),
    { maxItems: 2 },
  ),
  ipv4: text('The IPv4 address.'),
  ipv6: text('The IPv6 address.'),
  mac: text('MAC address.'),
  pod: text('Pod that uses the addresses.'),
  conditions: list('What an operator should know.', condition, { maxItems: crdLimits.poolConditions }),
})

/** SpiderIPClaim: addresses that are reserved ahead of time, and outlive the pods that use them. */
export const ipClaimCrd: CrdManifest = crdManifest({
  resource: resources.ipClaim,
  singular: 'spideripclaim',
  shortName: 'sic',
  category: 'spiderpool',
  description: 'Addresses, MAC and attributes reserved for a pod or workload until the claim is deleted.',
  properties: { spec: claimSpec, status: claimStatus },
  rules: [specRequired],
  columns: [
    column('PHASE', '.status.phase'),
    column('IPV4', '.status.ipv4'),
    column('IPV6', '.status.ipv6'),
    column('MAC', '.status.mac'),
    column('POD', '.status.pod'),
    column('AGE', '.metadata.creationTimestamp', 'date'),
  ],
  subresources: { status: {} },
})

const standardCondition: Schema = object(
  'One condition.',
  {
    type: text('Name.'),
    status: text('True, False or Unknown.'),
    reason: text('Reason in one word.'),
    message: text('What is so.'),
    lastTransitionTime: text('When it became so.'),
    observedGeneration: integer('Generation that it is about.'),
  },
  { required: ['type', 'status', 'reason', 'message'] },
)

/** IPAMClaim of the NPWG standard, version 1.3. */
export const ipamClaimCrd: CrdManifest = crdManifest({
  resource: resources.ipamClaim,
  singular: 'ipamclaim',
  description: 'Addresses of an interface that outlive its pod (Network Plumbing Working Group standard).',
  properties: {
    spec: object(
      'The interface.',
      { network: text('Name of the network.'), interface: text('Name of the interface.') },
      { required: ['network', 'interface'] },
    ),
    status: object('What it has.', {
      ips: list('Addresses.', { type: 'string' }),
      ownerPod: object('The pod that uses them.', { name: text('Name.') }, { required: ['name'] }),
      conditions: list('What an operator should know.', standardCondition),
    }),
  },
  subresources: { status: {} },
})
