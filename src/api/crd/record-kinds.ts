import { resources } from '../resources.ts'
import { recordedRoutesSchema } from './address-rules.ts'
import { dnsSchema, metadataSchema } from './grant-schemas.ts'
import { crdLimits } from './limits.ts'
import { type CrdManifest, crdManifest, type PrinterColumn } from './manifest.ts'
import { flag, int64, list, map, object, type Schema, text } from './schema.ts'

const nicColumn = (name: string, field: string): PrinterColumn => ({
  name,
  type: 'string',
  jsonPath: `.status.current.ips[0].${field}`,
  description: field,
})

const endpointNic = object(
  'One interface of the pod.',
  {
    interface: text('Name; empty while it is not known.'),
    ipv4: text('Address with prefix length.'),
    ipv6: text('Address with prefix length.'),
    ipv4Pool: text('Pool of the IPv4 address.'),
    ipv6Pool: text('Pool of the IPv6 address.'),
    ipv4Gateway: text('IPv4 default gateway.'),
    ipv6Gateway: text('IPv6 default gateway.'),
    vlan: int64('VLAN tag.', { minimum: 0, maximum: 4094, default: 0 }),
    cleanGateway: flag('No default route for this interface.'),
    mac: text('MAC address.'),
    routes: recordedRoutesSchema('Routes of this interface.'),
    dns: dnsSchema('DNS settings of this interface.'),
    metadata: metadataSchema('Free-form facts of the allocation.'),
  },
  { required: ['interface'] },
)

const endpointStatus = object(
  'What the pod holds.',
  {
    current: object(
      'The present allocation.',
      {
        uid: text('UID of the pod.'),
        node: text('Name of the node.'),
        ips: list('One entry for each interface.', endpointNic),
      },
      { required: ['uid', 'node', 'ips'] },
    ),
    ownerControllerType: text('Kind of the workload on top.'),
    ownerControllerName: text('Name of the workload on top.'),
  },
  { required: ['current', 'ownerControllerType', 'ownerControllerName'] },
)

/** SpiderEndpoint (spec/api.md §7): the payload is in `status`, so there must be no status subresource. */
export const endpointCrd: CrdManifest = crdManifest({
  resource: resources.endpoint,
  singular: 'spiderendpoint',
  shortName: 'se',
  category: 'spiderpool',
  description: 'The addresses of one pod.',
  properties: { status: endpointStatus },
  columns: [
    nicColumn('INTERFACE', 'interface'),
    nicColumn('IPV4POOL', 'ipv4Pool'),
    nicColumn('IPV4', 'ipv4'),
    nicColumn('IPV6POOL', 'ipv6Pool'),
    nicColumn('IPV6', 'ipv6'),
    { name: 'NODE', type: 'string', jsonPath: '.status.current.node', description: 'node' },
  ],
  subresources: {},
})

// A ledger record repeats what others wrote: bounded, so that one object cannot outgrow what the API server stores.
const recorded = (description: string): Schema => text(description, { maxLength: crdLimits.recordedText })
const recordText: Schema = { type: 'string', maxLength: crdLimits.recordBytes }

const time = (description: string): Schema => int64(`${description}, milliseconds since the epoch.`)

const quarantineRecord = object(
  'Why nobody gets the address.',
  {
    since: time('When it was met'),
    until: time('When it is over'),
    mac: recorded('MAC address of the other party, when it is known.'),
    pod: recorded('namespace/name of the pod that had the address.'),
    nic: recorded('Interface of that pod.'),
    node: recorded('Node of that pod.'),
  },
  { required: ['since', 'until'], 'x-kubernetes-preserve-unknown-fields': true },
)

const blockSpec: Schema = object(
  'The range and its owners.',
  {
    cidr: text('Network form of the range. Decides the name, never changes.', {
      maxLength: crdLimits.cidrLength,
      'x-kubernetes-validations': [
        {
          rule: 'isCIDR(self) && string(cidr(self).masked()) == self',
          message: 'is not the network form of a CIDR: write one such as 10.6.0.128/26',
        },
        {
          rule: 'self == oldSelf',
          message: 'cannot change: it decides the name',
          reason: 'FieldValueForbidden',
        },
      ],
    }),
    term: int64('Term of the leader that wrote last.', {
      minimum: 0,
      maximum: crdLimits.term,
      'x-kubernetes-validations': [
        {
          rule: 'self >= oldSelf',
          message: 'is lower than the stored term: a newer leader has written, so step down',
          reason: 'FieldValueForbidden',
        },
      ],
    }),
    entries: map('Owners by address in canonical text: each a JSON object, as one text.', recordText, {
      maxProperties: crdLimits.blockEntries,
    }),
    released: map('When each address was released last, milliseconds since the epoch.', int64('Time.'), {
      maxProperties: crdLimits.blockEntries,
    }),
    quarantine: map('Addresses that somebody outside uses, by canonical text.', quarantineRecord, {
      maxProperties: crdLimits.blockEntries,
    }),
    history: list(
      'Who had the addresses before, oldest first: each a JSON object, as one text.',
      recordText,
      {
        maxItems: crdLimits.blockHistory,
      },
    ),
  },
  // Nobody shares the fields of a block: who wrote which is not kept, at a cost for each of them and each write.
  { required: ['cidr', 'term'], 'x-kubernetes-map-type': 'atomic' },
)

/** SpiderIPBlock: the durable ledger, one object for each aligned range of addresses. */
export const ipBlockCrd: CrdManifest = crdManifest({
  resource: resources.ipBlock,
  singular: 'spideripblock',
  shortName: 'sib',
  category: 'spiderpool',
  description: 'Who owns which address of one aligned range. Written by the leading controller alone.',
  properties: { spec: blockSpec },
  rules: [{ rule: 'has(self.spec)', message: 'spec is missing', reason: 'FieldValueRequired' }],
  columns: [
    { name: 'CIDR', type: 'string', jsonPath: '.spec.cidr', description: 'cidr' },
    { name: 'TERM', type: 'integer', jsonPath: '.spec.term', description: 'term' },
    { name: 'AGE', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'age' },
  ],
})

/** NetworkAttachmentDefinition of the NPWG standard, version 1.3. */
export const networkAttachmentDefinitionCrd: CrdManifest = crdManifest({
  resource: resources.networkAttachmentDefinition,
  singular: 'network-attachment-definition',
  shortName: 'net-attach-def',
  description: 'A network that pods may be attached to (Network Plumbing Working Group standard).',
  properties: {
    spec: object('The network.', { config: text('CNI configuration as JSON text.') }),
  },
})
