import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { JsonObject } from '../record.ts'
import { versionWithSpec } from './sample-definition.ts'

const text = { type: 'string' }
const keyedItems = {
  type: 'object',
  required: ['name'],
  properties: { name: text, port: { type: 'integer' } },
}

// keyword, schema of spec, a value that fits, one that does not, field and start of its message
const keywords: readonly (readonly [string, JsonObject, unknown, unknown, string, string])[] = [
  [
    'type object',
    { type: 'object' },
    {},
    [],
    'spec',
    'Invalid value: "array": spec in body must be of type object: "array"',
  ],
  ['type array', { type: 'array', items: text }, ['a'], 'a', 'spec', 'Invalid value: "string"'],
  ['items', { type: 'array', items: text }, ['a'], ['a', 1], 'spec[1]', 'Invalid value: "integer"'],
  ['type integer', { type: 'integer' }, 3, 3.5, 'spec', 'Invalid value: "number"'],
  ['type number', { type: 'number' }, 3, '3', 'spec', 'Invalid value: "string"'],
  ['type boolean', { type: 'boolean' }, false, 'no', 'spec', 'Invalid value: "string"'],
  [
    'nullable',
    { type: 'array', items: { type: 'string', nullable: true } },
    [null],
    [1],
    'spec[0]',
    'Invalid value: "integer"',
  ],
  ['no null', { type: 'array', items: text }, ['a'], [null], 'spec[0]', 'Invalid value: "null"'],
  [
    'required',
    { type: 'object', required: ['a'], properties: { a: text } },
    { a: 'x' },
    {},
    'spec.a',
    'Required value',
  ],
  [
    'properties',
    { type: 'object', properties: { a: text } },
    { a: 'x' },
    { a: 1 },
    'spec.a',
    'Invalid value: "integer"',
  ],
  [
    'additionalProperties',
    { type: 'object', additionalProperties: text },
    { k: 'x' },
    { k: 1 },
    'spec.k',
    'Invalid value',
  ],
  [
    'enum',
    { type: 'string', enum: ['a', 'b'] },
    'a',
    'c',
    'spec',
    'Unsupported value: "c": supported values: "a", "b"',
  ],
  [
    'enum of integers',
    { type: 'integer', enum: [4, 6] },
    6n,
    5,
    'spec',
    'Unsupported value: 5: supported values: 4, 6',
  ],
  [
    'pattern',
    { type: 'string', pattern: '^a+$' },
    'aa',
    'ab',
    'spec',
    `Invalid value: "ab": spec in body should match '^a+$'`,
  ],
  ['pattern is not anchored', { type: 'string', pattern: 'a' }, 'bab', 'b', 'spec', 'Invalid value'],
  ['pattern without case', { type: 'string', pattern: '(?i)^A$' }, 'a', 'b', 'spec', 'Invalid value'],
  ['pattern of a class', { type: 'string', pattern: '^[[:alpha:]]+$' }, 'ab', 'a1', 'spec', 'Invalid value'],
  [
    'minimum',
    { type: 'integer', minimum: 1 },
    1,
    0,
    'spec',
    'Invalid value: 0: spec in body should be greater than or equal to 1',
  ],
  [
    'maximum',
    { type: 'integer', maximum: 5 },
    5,
    6,
    'spec',
    'Invalid value: 6: spec in body should be less than or equal to 5',
  ],
  [
    'exclusiveMinimum',
    { type: 'integer', minimum: 1, exclusiveMinimum: true },
    2,
    1,
    'spec',
    'Invalid value: 1: spec in body should be greater than 1',
  ],
  [
    'exclusiveMaximum',
    { type: 'number', maximum: 1, exclusiveMaximum: true },
    0.9,
    1,
    'spec',
    'Invalid value: 1: spec in body should be less than 1',
  ],
  [
    'multipleOf',
    { type: 'integer', multipleOf: 3 },
    9,
    10,
    'spec',
    'Invalid value: 10: spec in body should be a multiple of 3',
  ],
  [
    'minLength counts characters',
    { type: 'string', minLength: 2 },
    '😀😀',
    '😀',
    'spec',
    'Invalid value: "😀": spec in body should be at least 2 chars long',
  ],
  [
    'maxLength',
    { type: 'string', maxLength: 2 },
    'ab',
    'abc',
    'spec',
    'Too long: may not be more than 2 bytes',
  ],
  [
    'minItems',
    { type: 'array', items: text, minItems: 1 },
    ['a'],
    [],
    'spec',
    'Invalid value: 0: spec in body should have at least 1 items',
  ],
  [
    'maxItems',
    { type: 'array', items: text, maxItems: 1 },
    ['a'],
    ['a', 'b'],
    'spec',
    'Too many: 2: must have at most 1 items',
  ],
  [
    'minProperties',
    { type: 'object', additionalProperties: text, minProperties: 1 },
    { a: 'b' },
    {},
    'spec',
    'Invalid value: 0',
  ],
  [
    'maxProperties',
    { type: 'object', additionalProperties: text, maxProperties: 1 },
    { a: 'b' },
    { a: 'b', c: 'd' },
    'spec',
    'Too many: 2',
  ],
  [
    'int32',
    { type: 'integer', format: 'int32' },
    2147483647,
    2147483648,
    'spec',
    'Invalid value: 2147483648: spec in body must be of type int32',
  ],
  [
    'int64',
    { type: 'integer', format: 'int64' },
    9223372036854775807n,
    9223372036854775808n,
    'spec',
    'Invalid value: 9223372036854775808: spec in body must be of type int64',
  ],
  [
    'exact maximum',
    { type: 'integer', maximum: 9007199254740993n },
    9007199254740993n,
    9007199254740994n,
    'spec',
    'Invalid value: 9007199254740994',
  ],
  [
    'format ipv4',
    { type: 'string', format: 'ipv4' },
    '10.0.0.1',
    '10.0.0.256',
    'spec',
    'Invalid value: "10.0.0.256": spec in body must be of type ipv4',
  ],
  ['format ipv6', { type: 'string', format: 'ipv6' }, 'fd00::1', '10.0.0.1', 'spec', 'Invalid value'],
  ['format ip', { type: 'string', format: 'ip' }, 'fd00::1', 'x', 'spec', 'Invalid value'],
  ['format cidr', { type: 'string', format: 'cidr' }, '10.0.0.0/8', '10.0.0.0/33', 'spec', 'Invalid value'],
  [
    'format date-time',
    { type: 'string', format: 'date-time' },
    '2026-02-28T23:59:59Z',
    '2026-02-30T00:00:00Z',
    'spec',
    'Invalid value',
  ],
  ['format date', { type: 'string', format: 'date' }, '2024-02-29', '2023-02-29', 'spec', 'Invalid value'],
  ['format duration', { type: 'string', format: 'duration' }, '1h30m', '1 hour', 'spec', 'Invalid value'],
  ['format mac', { type: 'string', format: 'mac' }, '02:00:00:00:00:01', '02:00', 'spec', 'Invalid value'],
  [
    'format uuid',
    { type: 'string', format: 'uuid' },
    '6f1d0b52-7d0e-4a56-9e0c-1f3c2a9b1d77',
    'x',
    'spec',
    'Invalid value',
  ],
  ['format byte', { type: 'string', format: 'byte' }, 'YQ==', 'a', 'spec', 'Invalid value'],
  ['format hostname', { type: 'string', format: 'hostname' }, 'a.b', 'a_b', 'spec', 'Invalid value'],
  ['format uri', { type: 'string', format: 'uri' }, 'https://a/b', 'a b', 'spec', 'Invalid value'],
  [
    'int-or-string',
    { 'x-kubernetes-int-or-string': true },
    '50%',
    true,
    'spec',
    'Invalid value: "boolean": spec in body must be of type integer,string',
  ],
  [
    'int-or-string with its anyOf',
    { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
    3,
    3.5,
    'spec',
    'Invalid value',
  ],
  ['allOf', { type: 'string', allOf: [{ minLength: 1 }, { maxLength: 2 }] }, 'a', 'abc', 'spec', 'Too long'],
  [
    'anyOf',
    { type: 'string', anyOf: [{ pattern: '^a' }, { pattern: '^b' }] },
    'bc',
    'c',
    'spec',
    'Invalid value: "": "spec" must validate at least one schema (anyOf)',
  ],
  [
    'oneOf',
    { type: 'integer', oneOf: [{ minimum: 5 }, { maximum: 5 }] },
    6,
    5,
    'spec',
    'Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid',
  ],
  [
    'not',
    { type: 'string', not: { enum: ['x'] } },
    'y',
    'x',
    'spec',
    'Invalid value: "": "spec" must not validate the schema (not)',
  ],
  [
    'list type set',
    { type: 'array', items: text, 'x-kubernetes-list-type': 'set' },
    ['a', 'b'],
    ['a', 'a'],
    'spec[1]',
    'Duplicate value: "a"',
  ],
  [
    'list type map',
    {
      type: 'array',
      items: keyedItems,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    },
    [{ name: 'a' }, { name: 'b' }],
    [{ name: 'a' }, { name: 'a', port: 1 }],
    'spec[1]',
    'Duplicate value: {"name":"a"}',
  ],
  [
    'embedded resource',
    { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
    { apiVersion: 'v1', kind: 'Pod' },
    { apiVersion: 'v1' },
    'spec.kind',
    'Required value: must not be empty',
  ],
]

void suite('validate()', () => {
  for (const [name, spec, good, bad, field, message] of keywords) {
    test(name, () => {
      const version = versionWithSpec(spec)
      assert.deepEqual(version.validate({ spec: good }, undefined), [])
      const [failure] = version.validate({ spec: bad }, undefined)
      assert.equal(failure?.field, field)
      assert.ok(failure?.message.startsWith(message), failure?.message)
    })
  }
})

void test('an unknown format accepts any text', () => {
  assert.deepEqual(
    versionWithSpec({ type: 'string', format: 'shoe-size' }).validate({ spec: 'x' }, undefined),
    [],
  )
})

void test('validate() of the status subresource passes over faults in the spec', () => {
  const version = versionWithSpec({ type: 'integer' })
  assert.deepEqual(version.validate({ spec: 'bad' }, { spec: 'bad' }, { subresource: 'status' }), [])
})

void test('validate() never lists more than a hundred failures', () => {
  const version = versionWithSpec({ type: 'array', items: text })
  const spec = Array.from({ length: 1000 }, (_, index) => index)
  assert.equal(version.validate({ spec }, undefined).length, 100)
})
