import { crdLimits } from './limits.ts'
import { list, object, type Rule, type Schema, text } from './schema.ts'

// Expressions are built so that the API server can estimate their cost: no result of split(), whose items have no
// known length. Addresses have no order in CEL, so a reversed range and a gateway inside a range are left to the webhook.

const firstOf = (range: string): string =>
  `(${range}.indexOf('-') < 0 ? ${range} : ${range}.substring(0, ${range}.indexOf('-')))`
const lastOf = (range: string): string => `${range}.substring(${range}.indexOf('-') + 1)`
// Of an empty text indexOf() is an error in Kubernetes.
const isRange = (range: string): string =>
  `size(${range}) > 0 && isIP(${firstOf(range)}) && isIP(${lastOf(range)})`

/** A network in network form; its rules carry P-04, P-05 and P-22 (spec/webhooks.md). */
export function subnetSchema(description: string): Schema {
  const wrongForm = 'is not the network form of a CIDR'
  const canonical = 'string(cidr(self).masked())'
  return text(description, {
    maxLength: crdLimits.cidrLength,
    'x-kubernetes-validations': [
      {
        rule: 'isCIDR(self)',
        message: 'is not a CIDR: write address/prefix length, such as 10.6.0.0/16 or fd00:6::/64',
        messageExpression:
          "'\"' + self + '\" is not a CIDR: write address/prefix length, such as 10.6.0.0/16 or fd00:6::/64'",
      },
      {
        rule: `!isCIDR(self) || ${canonical} == self`,
        message: `${wrongForm}: host bits must be zero, IPv6 short and in lower case`,
        // The right text cannot be in here: string() has no known length, so its cost has no bound. Admission warns with it.
        messageExpression: `'"' + self + '" ${wrongForm}: host bits must be zero, IPv6 short and in lower case'`,
      },
      {
        rule: 'self == oldSelf',
        message: 'cannot change: create another object for another network',
        messageExpression:
          "'cannot change from \"' + oldSelf + '\" to \"' + self + '\": create another object for another network'",
        reason: 'FieldValueForbidden',
      },
    ],
  })
}

/** The family of an object (P-02, P-22). */
export function ipVersionSchema(description: string): Schema {
  return {
    type: 'integer',
    format: 'int64',
    description,
    enum: [4, 6],
    'x-kubernetes-validations': [
      {
        rule: 'self == oldSelf',
        message: 'cannot change: create another object for the other family',
        messageExpression:
          "'cannot change from ' + (oldSelf == 4 ? '4' : '6') + ' to ' + (self == 4 ? '4' : '6') + " +
          "': create another object for the other family'",
        reason: 'FieldValueForbidden',
      },
    ],
  }
}

/** A list of ranges `a` or `a-b` (spec/api.md §3.2). */
export function rangesSchema(description: string): Schema {
  const wrong =
    'is no address or range: write one address, or first-last of one family, such as 10.6.0.10-10.6.0.20'
  const item: Schema = {
    type: 'string',
    maxLength: crdLimits.rangeLength,
    'x-kubernetes-validations': [
      {
        rule: `${isRange('self')} && ip(${firstOf('self')}).family() == ip(${lastOf('self')}).family()`,
        message: wrong,
        messageExpression: `'"' + self + '" ${wrong}'`,
      },
    ],
  }
  return list(description, item, { maxItems: crdLimits.ranges })
}

/** Every range of `field` is of the family in `ipVersion` (R-03). */
export function familyRule(field: string): Rule {
  const fits = `!(${isRange('r')}) || ip(${firstOf('r')}).family() == self.ipVersion`
  return {
    rule: `!has(self.ipVersion) || !has(self.${field}) || self.${field}.all(r, ${fits})`,
    message: 'has a range of another family than ipVersion: reserve it with an object of its own',
    messageExpression:
      `'has ' + self.${field}.filter(r, !(${fits}))[0] + ', which is of another family than ipVersion: ' + ` +
      `'reserve it with an object of its own'`,
    fieldPath: `.${field}`,
  }
}

/** Every range of `field` lies inside `subnet` (P-08, S-07, S-08). */
function insideSubnetRule(field: string): Rule {
  const inside = (end: string): string => `cidr(self.subnet).containsIP(${end})`
  const fits = `!(${isRange('r')}) || (${inside(firstOf('r'))} && ${inside(lastOf('r'))})`
  const guard = `!has(self.${field}) || !isCIDR(self.subnet)`
  return {
    rule: `${guard} || self.${field}.all(r, ${fits})`,
    message: 'has a range outside spec.subnet',
    messageExpression:
      `'has a range outside spec.subnet ' + self.subnet + ': ' + ` +
      `(${guard} ? '' : self.${field}.filter(r, !(${fits}))[0]) + ': write ranges of that network alone'`,
    fieldPath: `.${field}`,
  }
}

const subnetFamily = 'cidr(self.subnet).ip().family()'

/** The member of the first route that meets `filter`. Of an item that filter() keeps, the API server knows no length. */
function firstBad(member: 'dst' | 'gw', filter: string): string {
  return `self.routes[self.routes.map(r, ${filter}).indexOf(true)].${member}`
}

/** Rules of a spec with `subnet`: family, ranges, gateway, routes (P-04, P-08, P-10, P-13 to P-15). */
export const subnetRules: readonly Rule[] = [
  {
    rule: '!has(self.ipVersion) || !isCIDR(self.subnet) || cidr(self.subnet).ip().family() == self.ipVersion',
    message: 'is not the family of spec.subnet: leave ipVersion out, it is filled from the subnet',
    messageExpression:
      "(self.ipVersion == 4 ? '4' : '6') + ' is not the family of ' + self.subnet + ': leave ipVersion out, it is filled from the subnet'",
    fieldPath: '.ipVersion',
  },
  insideSubnetRule('ips'),
  insideSubnetRule('excludeIPs'),
  {
    rule:
      '!has(self.gateway) || !isCIDR(self.subnet) || ' +
      '(isIP(self.gateway) && cidr(self.subnet).containsIP(self.gateway))',
    message: 'is not an address inside spec.subnet',
    messageExpression:
      `'"' + (has(self.gateway) ? self.gateway : '') + '" is not an address inside spec.subnet ' + self.subnet + ` +
      `': write the address of the router in that network'`,
    fieldPath: '.gateway',
  },
  {
    rule:
      '!has(self.routes) || !isCIDR(self.subnet) || ' +
      'self.routes.all(r, !isIP(r.gw) || cidr(self.subnet).containsIP(r.gw))',
    message: 'has a gw outside spec.subnet: write the address of a router in that network',
    messageExpression:
      `'has the gw ' + ${firstBad('gw', 'isIP(r.gw) && !cidr(self.subnet).containsIP(r.gw)')} + ` +
      `', which is outside spec.subnet ' + self.subnet + ': write a router of that network'`,
    fieldPath: '.routes',
  },
  {
    rule:
      '!has(self.routes) || !isCIDR(self.subnet) || ' +
      `self.routes.all(r, !isCIDR(r.dst) || cidr(r.dst).ip().family() == ${subnetFamily})`,
    message: 'has a dst of another family than spec.subnet',
    messageExpression:
      `'has the dst ' + ${firstBad('dst', `isCIDR(r.dst) && cidr(r.dst).ip().family() != ${subnetFamily}`)} + ` +
      `', which is of another family than spec.subnet ' + self.subnet + ': remove it'`,
    fieldPath: '.routes',
  },
  {
    rule: '!has(self.routes) || self.routes.all(a, self.routes.exists_one(b, b.dst == a.dst))',
    message: 'has the same dst twice: keep one route for each destination',
    messageExpression:
      `'has the dst ' + ${firstBad('dst', '!self.routes.exists_one(b, b.dst == r.dst)')} + ` +
      `' twice: keep one route for each destination'`,
    fieldPath: '.routes',
  },
]

/** Routes of pools and subnets: `dst` is a network other than everything (P-12, P-14). */
export const poolRoutesSchema: Schema = routesSchema('Extra routes of the interface.', [
  {
    rule: 'isCIDR(self.dst)',
    message: 'is not a CIDR: write address/prefix length, such as 192.168.40.0/24',
    messageExpression: `'"' + self.dst + '" is not a CIDR: write address/prefix length, such as 192.168.40.0/24'`,
    fieldPath: '.dst',
  },
  {
    rule: '!isCIDR(self.dst) || cidr(self.dst).prefixLength() > 0',
    message: 'is the default route: write its gateway into spec.gateway instead',
    messageExpression: `'"' + self.dst + '" is the default route: write its gateway into spec.gateway instead'`,
    fieldPath: '.dst',
  },
])

/** A list of `{dst, gw}` with rules of its own for `dst`; `gw` is an address. */
export function routesSchema(description: string, rules: readonly Rule[]): Schema {
  const gatewayRule: Rule = {
    rule: 'isIP(self.gw)',
    message: 'is not an IP address',
    messageExpression: `'"' + self.gw + '" is not an IP address: write the address of a router'`,
    fieldPath: '.gw',
  }
  const route = object(
    'One route.',
    {
      dst: text('Destination.', { maxLength: crdLimits.cidrLength }),
      gw: text('Address of the next hop.', { maxLength: crdLimits.ipLength }),
    },
    { required: ['dst', 'gw'], 'x-kubernetes-validations': [...rules, gatewayRule] },
  )
  return list(description, route, { maxItems: crdLimits.routes })
}

/** A route as the system records it: no rules. */
export function recordedRoutesSchema(description: string): Schema {
  const route = object(
    'One route.',
    {
      dst: text('Destination.', { maxLength: crdLimits.cidrLength }),
      gw: text('Address of the next hop.', { maxLength: crdLimits.ipLength }),
    },
    { required: ['dst', 'gw'] },
  )
  return list(description, route, { maxItems: crdLimits.recordedRoutes })
}

/** An object without `spec` means nothing. */
export const specRequired: Rule = {
  rule: 'has(self.spec)',
  message: 'spec is missing: write what the object is to hold',
  reason: 'FieldValueRequired',
  fieldPath: '.spec',
}
