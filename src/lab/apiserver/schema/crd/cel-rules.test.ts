import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { InvalidInputError } from '../../../../base/index.ts'
import { renderFailures } from '../failure.ts'
import type { JsonObject } from '../record.ts'
import { versionWithSpec } from './sample-definition.ts'

const text = { type: 'string' }
const fields = {
  subnet: text,
  'a-b': text,
  'x.y/z': text,
  namespace: text,
  count: { type: 'integer' },
  ratio: { type: 'number' },
  on: { type: 'boolean' },
  port: { 'x-kubernetes-int-or-string': true },
  ips: { type: 'array', items: text },
  numbers: { type: 'array', items: { type: 'integer' } },
  labels: { type: 'object', additionalProperties: text },
  at: { type: 'string', format: 'date-time' },
  maybe: { type: 'string', nullable: true },
  inner: { type: 'object', properties: { a: text, b: { type: 'integer' } } },
  list: { type: 'array', items: { type: 'object', properties: { name: text, size: { type: 'integer' } } } },
}

const withRule = (rule: JsonObject): ReturnType<typeof versionWithSpec> =>
  versionWithSpec({ type: 'object', properties: fields, 'x-kubernetes-validations': [rule] })

// expression, a spec for which it holds, one for which it does not
const expressions: readonly (readonly [string, JsonObject, JsonObject])[] = [
  [
    'isCIDR(self.subnet) && cidr(self.subnet).prefixLength() <= 16',
    { subnet: '10.6.0.0/16' },
    { subnet: '10.6.0.0/17' },
  ],
  ['string(cidr(self.subnet).masked()) == self.subnet', { subnet: '10.6.0.0/16' }, { subnet: '10.6.5.0/16' }],
  [
    'self.ips.all(i, cidr(self.subnet).containsIP(i))',
    { subnet: '10.6.0.0/16', ips: ['10.6.1.1'] },
    { subnet: '10.6.0.0/16', ips: ['10.7.1.1'] },
  ],
  ['cidr(self.subnet).containsCIDR("10.6.4.0/24")', { subnet: '10.6.0.0/16' }, { subnet: '10.6.4.0/25' }],
  ['self.ips.all(i, isIP(i) && ip(i).family() == 6)', { ips: ['fd00::1'] }, { ips: ['10.0.0.1'] }],
  ['ip(self.subnet).isLoopback()', { subnet: '127.0.0.9' }, { subnet: '10.0.0.1' }],
  ['ip(self.subnet).isGlobalUnicast()', { subnet: '10.0.0.1' }, { subnet: '169.254.1.1' }],
  ['ip(self.subnet).isUnspecified()', { subnet: '::' }, { subnet: '::1' }],
  ['ip(self.subnet).isLinkLocalUnicast()', { subnet: 'fe80::1' }, { subnet: 'fd00::1' }],
  ['ip(self.subnet).isLinkLocalMulticast()', { subnet: '224.0.0.5' }, { subnet: '224.1.0.5' }],
  ['ip.isCanonical(self.subnet)', { subnet: 'fd00::1' }, { subnet: 'FD00::1' }],
  ['!isIP(self.subnet)', { subnet: '::ffff:10.0.0.1' }, { subnet: '10.0.0.1' }],
  ['ip(self.subnet) == ip("fd00::1")', { subnet: 'FD00:0::1' }, { subnet: 'fd00::2' }],
  ['has(self.count) ? self.count > 1 : true', {}, { count: 1 }],
  ['self.count == 9223372036854775807', { count: 9223372036854775807n }, { count: 9223372036854775806n }],
  ['self.ratio > 0.5', { ratio: 1 }, { ratio: 0.25 }],
  ['self.on', { on: true }, { on: false }],
  ['self.port == 80 || self.port == "http"', { port: 'http' }, { port: 81 }],
  ['self.a__dash__b == self.x__dot__y__slash__z', { 'a-b': '1', 'x.y/z': '1' }, { 'a-b': '1', 'x.y/z': '2' }],
  ['self.__namespace__.startsWith("kube")', { namespace: 'kube-system' }, { namespace: 'default' }],
  ['self.ips.isSorted()', { ips: ['a', 'b'] }, { ips: ['b', 'a'] }],
  [
    'self.numbers.sum() == 6 && self.numbers.min() == 1 && self.numbers.max() == 3',
    { numbers: [3, 1, 2] },
    { numbers: [3, 1, 3] },
  ],
  ['self.ips.indexOf("b") == 1 && self.ips.lastIndexOf("b") == 2', { ips: ['a', 'b', 'b'] }, { ips: ['b'] }],
  [
    'self.labels.all(k, k.size() < 3) && "a" in self.labels',
    { labels: { a: 'b' } },
    { labels: { abc: 'd' } },
  ],
  ['self.labels["a"] == "b"', { labels: { a: 'b' } }, { labels: { a: 'c' } }],
  ['self.subnet.find("[0-9]+") == "12"', { subnet: 'a12b3' }, { subnet: 'a1' }],
  ['self.subnet.findAll("[0-9]", 2) == ["1", "2"]', { subnet: '1a2b3' }, { subnet: '1a' }],
  ['self.subnet.split("-").size() == 2', { subnet: 'a-b' }, { subnet: 'a' }],
  ['self.ips.join(",") == "a,b"', { ips: ['a', 'b'] }, { ips: ['a'] }],
  ['self.subnet.replace("a", "b").upperAscii() == "BB"', { subnet: 'ab' }, { subnet: 'ac' }],
  [
    'self.subnet.trim().substring(1, 2) == "b"',
    { subnet: ' abc ' },
    { subnet: 'bbb'.replace('b', 'a').replace('b', 'c') },
  ],
  ['self.subnet.matches("^[a-z]+$")', { subnet: 'abc' }, { subnet: 'Abc' }],
  [
    '"%s-%d".format([self.subnet, self.count]) == "a-3"',
    { subnet: 'a', count: 3 },
    { subnet: 'a', count: 4 },
  ],
  ['quantity(self.subnet).isLessThan(quantity("1Gi"))', { subnet: '1023Mi' }, { subnet: '1Gi' }],
  ['url(self.subnet).getHostname() == "a.b"', { subnet: 'https://a.b:1/c' }, { subnet: 'https://b' }],
  ['self.?inner.?b.orValue(1) == 1', {}, { inner: { b: 2 } }],
  [
    'self.list.exists_one(i, i.name == "a") && self.list.map(i, i.size).sum() == 3',
    {
      list: [
        { name: 'a', size: 1 },
        { name: 'b', size: 2 },
      ],
    },
    { list: [] },
  ],
  [
    'self.list.filter(i, i.size > 1).size() == 0',
    { list: [{ name: 'a', size: 1 }] },
    { list: [{ name: 'a', size: 2 }] },
  ],
  [
    'self.at > timestamp("2026-01-01T00:00:00Z")',
    { at: '2026-05-01T00:00:00Z' },
    { at: '2025-05-01T00:00:00Z' },
  ],
  ['sets.contains(["a", "b"], self.ips)', { ips: ['a'] }, { ips: ['c'] }],
  [
    'size(self.ips) <= 2 && type(self.count) == int',
    { ips: [], count: 1 },
    { ips: ['a', 'b', 'c'], count: 1 },
  ],
]

void suite('a rule of CEL', () => {
  for (const [rule, good, bad] of expressions) {
    test(rule, () => {
      const version = withRule({ rule, message: 'broken' })
      assert.deepEqual(version.validate({ spec: good }, undefined), [])
      assert.deepEqual(version.validate({ spec: bad }, undefined), [
        { field: 'spec', reason: 'FieldValueInvalid', message: 'Invalid value: "object": broken' },
      ])
    })
  }
})

const uncompilable: readonly (readonly [string, JsonObject, string])[] = [
  ['an unknown function', { rule: 'nosuch(self.subnet)' }, 'rule'],
  ['an unknown method', { rule: 'self.subnet.nosuch()' }, 'rule'],
  ['an unknown field', { rule: 'self.subnett == "a"' }, 'rule'],
  ['an unknown field of items', { rule: 'self.list.all(i, i.nmae == "a")' }, 'rule'],
  ['an unknown field inside has()', { rule: '!has(self.ipss) || self.ips.size() > 0' }, 'rule'],
  ['an unknown field of an item inside has()', { rule: 'self.list.all(i, has(i.nmae))' }, 'rule'],
  ['a regular expression that is none', { rule: "self.subnet.matches('(')" }, 'rule'],
  ['a regular expression with look-ahead', { rule: "self.ips.all(i, i.matches('a(?=b)'))" }, 'rule'],
  ['an unknown variable', { rule: 'object.subnet == "a"' }, 'rule'],
  ['bad syntax', { rule: 'self.subnet ==' }, 'rule'],
  ['unlike types', { rule: 'self.count == "a"' }, 'rule'],
  ['no boolean', { rule: 'self.subnet' }, 'rule'],
  ['an empty rule', { rule: ' ' }, 'rule'],
  ['a message expression that is no text', { rule: 'true', messageExpression: '1 + 1' }, 'messageExpression'],
  [
    'a message expression that does not compile',
    { rule: 'true', messageExpression: 'self.nosuch' },
    'messageExpression',
  ],
  ['an unknown reason', { rule: 'true', reason: 'Because' }, 'reason'],
  ['a bad field path', { rule: 'true', fieldPath: 'subnet' }, 'fieldPath'],
  ['optionalOldSelf without oldSelf', { rule: 'true', optionalOldSelf: true }, 'optionalOldSelf'],
  [
    'oldSelf used as a value when it is optional',
    { rule: 'oldSelf.subnet == ""', optionalOldSelf: true },
    'rule',
  ],
  ['several lines without a message', { rule: 'true &&\ntrue' }, 'message'],
]

void suite('a definition is refused for', () => {
  for (const [name, rule, key] of uncompilable) {
    test(name, () => {
      assert.throws(
        () => withRule(rule),
        (error: unknown) =>
          error instanceof InvalidInputError && error.field.endsWith(`x-kubernetes-validations[0].${key}`),
      )
    })
  }
})

void test('a rule that fails at run time counts as broken and says why', () => {
  const version = withRule({ rule: 'cidr(self.subnet).prefixLength() > 0', message: 'needs a CIDR' })
  const [failure] = version.validate({ spec: { subnet: 'nonsense' } }, undefined)
  assert.equal(
    failure?.message,
    'Invalid value: "object": network address parse error during conversion from string: "nonsense" evaluating rule: needs a CIDR',
  )
  const [absent] = version.validate({ spec: {} }, undefined)
  assert.match(absent?.message ?? '', /No such key: subnet evaluating rule: needs a CIDR$/)
  const division = withRule({ rule: '1 / self.count == 1' })
  assert.match(division.validate({ spec: { count: 0 } }, undefined)[0]?.message ?? '', /division by zero/)
})

void test('messageExpression, reason and fieldPath shape the failure; a broken message falls back', () => {
  const rule = {
    rule: 'self.count > 1',
    messageExpression: '"got " + string(self.count)',
    reason: 'FieldValueForbidden',
    fieldPath: '.count',
  }
  assert.deepEqual(withRule(rule).validate({ spec: { count: 1 } }, undefined), [
    { field: 'spec.count', reason: 'FieldValueForbidden', message: 'Forbidden: got 1' },
  ])
  const broken = withRule({ rule: 'false', messageExpression: 'self.subnet', message: 'fixed text' })
  assert.equal(
    renderFailures(broken.validate({ spec: {} }, undefined)),
    'spec: Invalid value: "object": fixed text',
  )
  assert.equal(
    renderFailures(withRule({ rule: 'false' }).validate({ spec: {} }, undefined)),
    'spec: Invalid value: "object": failed rule: false',
  )
})

void test('a rule on a scalar shows its value', () => {
  const version = versionWithSpec({
    type: 'string',
    'x-kubernetes-validations': [{ rule: 'self != "x"', message: 'no' }],
  })
  assert.equal(renderFailures(version.validate({ spec: 'x' }, undefined)), 'spec: Invalid value: "x": no')
})

void test('a transition rule runs on update alone, and an optional one always', () => {
  const fixed = withRule({ rule: 'self.subnet == oldSelf.subnet', message: 'is immutable' })
  assert.deepEqual(fixed.validate({ spec: { subnet: 'b' } }, undefined), [])
  assert.deepEqual(fixed.validate({ spec: { subnet: 'b' } }, {}), [])
  assert.deepEqual(fixed.validate({ spec: { subnet: 'a' } }, { spec: { subnet: 'a' } }), [])
  assert.equal(fixed.validate({ spec: { subnet: 'b' } }, { spec: { subnet: 'a' } }).length, 1)
  const optional = withRule({
    rule: 'oldSelf.hasValue() || self.count == 0',
    optionalOldSelf: true,
    message: 'starts at 0',
  })
  assert.equal(optional.validate({ spec: { count: 1 } }, undefined).length, 1)
  assert.deepEqual(optional.validate({ spec: { count: 1 } }, { spec: { count: 0 } }), [])
})

void test('whole objects compare with their old value whatever the order of keys', () => {
  const version = withRule({ rule: 'self.inner == oldSelf.inner', message: 'changed' })
  const old = { spec: { inner: { a: 'x', b: 1 } } }
  assert.deepEqual(version.validate({ spec: { inner: { b: 1, a: 'x' } } }, old), [])
  assert.equal(version.validate({ spec: { inner: { b: 2, a: 'x' } } }, old).length, 1)
})

const growing = { rule: 'self >= oldSelf', message: 'shrinks' }
const sizes = {
  type: 'object',
  required: ['name'],
  properties: { name: text, size: { type: 'integer', 'x-kubernetes-validations': [growing] } },
}

void test('items of a map list are matched with their old values by key, entries of a map by name', () => {
  const byKey = {
    type: 'array',
    items: sizes,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  }
  const version = versionWithSpec({
    type: 'object',
    properties: { list: byKey, map: { type: 'object', additionalProperties: sizes } },
  })
  const old = {
    spec: {
      list: [
        { name: 'a', size: 1 },
        { name: 'b', size: 5 },
      ],
      map: { k: { name: 'x', size: 3 } },
    },
  }
  const moved = {
    spec: {
      list: [
        { name: 'b', size: 5 },
        { name: 'a', size: 2 },
        { name: 'c', size: 0 },
      ],
      map: { k: { name: 'x', size: 3 }, l: { name: 'y', size: 0 } },
    },
  }
  assert.deepEqual(version.validate(moved, old), [])
  const shrunk = { spec: { list: [{ name: 'b', size: 4 }], map: { k: { name: 'x', size: 2 } } } }
  assert.deepEqual(
    version.validate(shrunk, old).map(({ field }) => field),
    ['spec.list[0].size', 'spec.map.k.size'],
  )
})

void test('oldSelf below a list without keys is refused', () => {
  assert.throws(() => versionWithSpec({ type: 'array', items: sizes }), /uses oldSelf below a list/)
})

void test('rules do not run on values of the wrong type', () => {
  const failures = withRule({ rule: 'self.subnet.size() > 100' }).validate({ spec: { subnet: 5 } }, undefined)
  assert.equal(
    renderFailures(failures),
    'spec.subnet: Invalid value: "integer": spec.subnet in body must be of type string: "integer"',
  )
})

void test('null in a nullable field reaches the rule as null', () => {
  assert.deepEqual(
    withRule({ rule: 'true', message: 'x' }).validate({ spec: { maybe: null } }, undefined),
    [],
  )
})

void test('the root sees name and kind of the object', () => {
  const version = versionWithSpec({ type: 'object' })
  assert.deepEqual(version.validate({ spec: {} }, undefined), [])
})
