import { resources } from '../resources.ts'
import { recordedRoutesSchema } from './address-rules.ts'
import { dnsSchema, metadataSchema } from './grant-schemas.ts'
import { crdLimits } from './limits.ts'
import { type CrdManifest, crdManifest, type PrinterColumn } from './manifest.ts'
import { flag, int64, integer, list, map, object, type Schema, text } from './schema.ts'

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

// A ledger entry repeats what others wrote: bounded, so that one object cannot outgrow what the API server stores.
const recorded = (description: string): Schema => text(description, { maxLength: crdLimits.recordedText })
const requestIps = list(
  'All addresses of the request.',
  { type: 'string', maxLength: crdLimits.ipLength },
  { maxItems: crdLimits.recordedItems },
)

const entryProperties: Readonly<Record<string, Schema>> = {
  pool: recorded('Pool that gave the address.'),
  nic: recorded('Interface of the pod.'),
  owner: object(
    'A pod by uid, or a replica of a sticky workload.',
    {
      kind: text('pod or sticky.', { enum: ['pod', 'sticky'] }),
      uid: recorded('UID of the pod or of the workload.'),
      group: recorded('API group of the workload.'),
      ownerKind: recorded('Kind of the workload.'),
      name: recorded('Name of the workload.'),
      replica: recorded('Ordinal or name of the replica.'),
    },
    { required: ['kind', 'uid'], 'x-kubernetes-preserve-unknown-fields': true },
  ),
  pod: recorded('namespace/name of the pod that uses the address, or used it last.'),
  podUid: recorded('UID of that pod.'),
  node: recorded('Node of that pod.'),
  intent: object(
    'Set when one request took several addresses: held until all carry this id.',
    { id: recorded('Name of the request.'), ips: requestIps },
    { required: ['id', 'ips'] },
  ),
  attachments: list(
    'Sandboxes that use the address; none when it is detached.',
    object(
      'One sandbox.',
      {
        containerId: recorded('Container id.'),
        node: recorded('Node.'),
        active: flag('Carries traffic.'),
        podName: recorded('Pod of the sandbox, when the record is that of a virtual machine or of a claim.'),
        podUid: recorded('UID of that pod.'),
      },
      { required: ['containerId', 'node', 'active'], 'x-kubernetes-preserve-unknown-fields': true },
    ),
    { maxItems: crdLimits.recordedItems },
  ),
  since: int64('Time of the allocation, milliseconds since the epoch.'),
  grant: object(
    'What the request was answered with.',
    {
      prefixBits: integer('Prefix length of the network.'),
      gateway: recorded('Default gateway.'),
      routes: recordedRoutesSchema('Routes of the interface.'),
      cleanGateway: flag('No default route for this interface.'),
      vlan: integer('VLAN tag.'),
      mac: recorded('MAC address.'),
      dns: dnsSchema('DNS settings.'),
      metadata: metadataSchema('Free-form facts.'),
      isStatic: flag('The pod asked for this very address.'),
      isDual: flag('The interface was given an address of each family.'),
    },
    { required: ['prefixBits'], 'x-kubernetes-preserve-unknown-fields': true },
  ),
  adopted: text('Where an allocation of another allocator was found; gone when its pod was seen to use it.', {
    enum: ['record', 'endpoint'],
  }),
}

const entryExtra = {
  required: ['pool', 'nic', 'owner'],
  // A newer controller may record more than this schema knows, and must not lose it.
  'x-kubernetes-preserve-unknown-fields': true,
} as const

const blockEntry = object(
  'Who owns one address.',
  {
    ...entryProperties,
    claims: list(
      'Others that are recorded as holders of the address: it is given to nobody new.',
      object('Another holder.', entryProperties, entryExtra),
      { maxItems: crdLimits.blockClaims },
    ),
  },
  entryExtra,
)

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

const pastHolder = object(
  'One allocation that is over.',
  {
    ip: text('Address in canonical text.', { maxLength: crdLimits.ipLength }),
    pod: recorded('namespace/name of the pod.'),
    podUid: recorded('UID of the pod.'),
    nic: recorded('Interface of the pod.'),
    node: recorded('Node of the pod.'),
    since: time('When it was given'),
    until: time('When it was freed'),
  },
  { required: ['ip'], 'x-kubernetes-preserve-unknown-fields': true },
)

const blockSpec: Schema = object(
  'The range and its owners.',
  {
    cidr: text('Network form of the range. Decides the name, never changes.', {
      maxLength: crdLimits.cidrLength,
      'x-kubernetes-validations': [
        {
          rule: 'isCIDR(self) && string(cidr(self).masked()) == self',
          message: 'is not the network form of a CIDR: write one such as 10.6.0.128/25',
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
    entries: map('Owners by address in canonical text.', blockEntry, {
      maxProperties: crdLimits.blockEntries,
    }),
    released: map('When each address was released last, milliseconds since the epoch.', int64('Time.'), {
      maxProperties: crdLimits.blockEntries,
    }),
    quarantine: map('Addresses that somebody outside uses, by canonical text.', quarantineRecord, {
      maxProperties: crdLimits.blockEntries,
    }),
    history: list('Who had the addresses before, oldest first.', pastHolder, {
      maxItems: crdLimits.blockHistory,
    }),
  },
  { required: ['cidr', 'term'] },
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
