import { resources } from '../resources.ts'
import { routesSchema, specRequired } from './address-rules.ts'
import { crdLimits } from './limits.ts'
import { type CrdManifest, crdManifest } from './manifest.ts'
import { flag, integer, list, object, type Rule, type Schema, text, textList } from './schema.ts'

const destination = 'isCIDR(self.dst) || isIP(self.dst)'
const destinationFamily =
  '(isCIDR(self.dst) ? cidr(self.dst).ip().family() : (isIP(self.dst) ? ip(self.dst).family() : 0))'

const policyRoutes = routesSchema('Routes put into the policy table of the interface.', [
  {
    rule: destination,
    message: 'is neither an IP address nor a CIDR',
    messageExpression: `'"' + self.dst + '" is neither an IP address nor a CIDR: write one, such as 10.9.0.0/16'`,
    fieldPath: '.dst',
  },
  {
    rule: `!(${destination}) || !isIP(self.gw) || ${destinationFamily} == ip(self.gw).family()`,
    message: 'is of another family than dst: write both as IPv4 or both as IPv6',
    messageExpression: `'"' + self.gw + '" is of another family than dst ' + self.dst + ': write both as IPv4 or both as IPv6'`,
    fieldPath: '.gw',
  },
])

const hijackCidr = list(
  'Destinations that pods reach through their host, as IP addresses or CIDRs.',
  {
    type: 'string',
    maxLength: crdLimits.cidrLength,
    'x-kubernetes-validations': [
      {
        rule: 'isCIDR(self) || isIP(self)',
        message: 'is neither an IP address nor a CIDR',
        messageExpression: `'"' + self + '" is neither an IP address nor a CIDR: write one, such as 10.96.0.0/12'`,
      },
    ],
  },
  { maxItems: crdLimits.hijackCidrs },
)

const macPrefix = text('First two bytes of the MAC addresses of pods, such as 0a:1b; empty: none.', {
  maxLength: crdLimits.macPrefixLength,
  'x-kubernetes-validations': [
    {
      rule: "self == '' || self.matches('^[0-9a-fA-F][02468aceACE]:[0-9a-fA-F]{2}$')",
      message: 'is not two bytes in hexadecimal with an even first byte (unicast): write one such as 0a:1b',
      messageExpression: `'"' + self + '" is not two bytes in hexadecimal with an even first byte (unicast): write one such as 0a:1b'`,
    },
  ],
})

/** The settings of the coordinator plugin (spec/api.md §9), also inside a SpiderMultusConfig. */
export function coordinatorSpec(rules: readonly Rule[] = []): Schema {
  const properties = {
    mode: text('How pods meet the host.', {
      default: 'auto',
      enum: ['auto', 'underlay', 'overlay', 'disabled'],
    }),
    podCIDRType: text('Where the pod CIDRs of the overlay network are read from.', {
      enum: ['auto', 'cluster', 'calico', 'cilium', 'none'],
    }),
    hijackCIDR: hijackCidr,
    policyRoutes,
    podMACPrefix: macPrefix,
    tunePodRoutes: flag('Tunes the routes of pods with several interfaces.', { default: true }),
    podDefaultRouteNIC: text('Interface that keeps the default route; empty: eth0.'),
    hostRuleTable: integer('Number of the routing table on the host.', { default: 500 }),
    podRPFilter: integer('Reverse path filter in pods: 0, 1 or 2; negative: left alone.', {
      default: 0,
      maximum: 2,
    }),
    txQueueLen: integer('Transmit queue length of the interface; 0: left alone.', {
      default: 0,
      minimum: 0,
    }),
    vethLinkAddress: text('Link-local address of veth0; empty: none.', {
      maxLength: crdLimits.ipLength,
      'x-kubernetes-validations': [
        {
          rule: "self == '' || isIP(self)",
          message: 'is not an IP address: write one, such as 169.254.100.1, or leave it empty',
          messageExpression: `'"' + self + '" is not an IP address: write one, such as 169.254.100.1, or leave it empty'`,
        },
      ],
    }),
    vethMTU: integer('MTU of veth0.', { minimum: 1 }),
  }
  const extra = rules.length === 0 ? {} : { 'x-kubernetes-validations': rules }
  return object('Settings of the coordinator plugin.', properties, extra)
}

/** SpiderCoordinator (spec/api.md §9). */
export const coordinatorCrd: CrdManifest = crdManifest({
  resource: resources.coordinator,
  singular: 'spidercoordinator',
  shortName: 'scc',
  category: 'spiderpool',
  description: 'How pods and hosts reach each other, for the whole cluster.',
  properties: {
    spec: coordinatorSpec([
      {
        rule: 'has(self.podCIDRType)',
        message: 'is missing: write auto, cluster, calico, cilium or none',
        fieldPath: '.podCIDRType',
        reason: 'FieldValueRequired',
      },
    ]),
    status: object(
      'What was found.',
      {
        phase: text('Synced or NotReady.'),
        reason: text('Why it is NotReady.'),
        overlayPodCIDR: textList('Pod CIDRs found.'),
        serviceCIDR: textList('Service CIDRs found.'),
      },
      { required: ['phase'] },
    ),
  },
  rules: [specRequired],
  subresources: { status: {} },
})
