import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { InvalidInputError } from '../../../../base/index.ts'
import type { JsonObject } from '../record.ts'
import { compileCrd } from './compile-crd.ts'
import { definition, versionOf } from './sample-definition.ts'

const at = 'spec.versions[0].schema.openAPIV3Schema'
const spec = (schema: JsonObject): JsonObject => ({ type: 'object', properties: { spec: schema } })

const refusedSchemas: readonly (readonly [string, JsonObject, string])[] = [
  ['a root that is no object', { type: 'string' }, `${at}.type`],
  ['a property without a type', spec({}), `${at}.properties[spec].type`],
  ['an unknown type', spec({ type: 'text' }), `${at}.properties[spec].type`],
  ['a reference', spec({ $ref: '#/x' }), `${at}.properties[spec].$ref`],
  [
    'uniqueItems',
    spec({ type: 'array', items: { type: 'string' }, uniqueItems: true }),
    `${at}.properties[spec].uniqueItems`,
  ],
  ['an array without items', spec({ type: 'array' }), `${at}.properties[spec].items`],
  ['items of an object', spec({ type: 'object', items: { type: 'string' } }), `${at}.properties[spec].items`],
  [
    'a list of item schemas',
    spec({ type: 'array', items: [{ type: 'string' }] }),
    `${at}.properties[spec].items`,
  ],
  ['properties of a string', spec({ type: 'string', properties: {} }), `${at}.properties[spec].properties`],
  [
    'properties beside additionalProperties',
    spec({ type: 'object', properties: { a: { type: 'string' } }, additionalProperties: { type: 'string' } }),
    `${at}.properties[spec].additionalProperties`,
  ],
  [
    'additionalProperties: false',
    spec({ type: 'object', additionalProperties: false }),
    `${at}.properties[spec].additionalProperties`,
  ],
  [
    'preserve-unknown-fields: false',
    spec({ type: 'object', 'x-kubernetes-preserve-unknown-fields': false }),
    `${at}.properties[spec].x-kubernetes-preserve-unknown-fields`,
  ],
  [
    'a type beside int-or-string',
    spec({ type: 'string', 'x-kubernetes-int-or-string': true }),
    `${at}.properties[spec].type`,
  ],
  [
    'an embedded resource without fields',
    spec({ type: 'object', 'x-kubernetes-embedded-resource': true }),
    `${at}.properties[spec]`,
  ],
  [
    'a type inside anyOf',
    spec({ type: 'string', anyOf: [{ type: 'string' }] }),
    `${at}.properties[spec].anyOf[0].type`,
  ],
  [
    'a field that only a junctor knows',
    spec({ type: 'object', anyOf: [{ required: ['a'], properties: { a: { minLength: 1 } } }] }),
    `${at}.properties[spec].properties[a]`,
  ],
  [
    'a list type on an object',
    spec({ type: 'object', 'x-kubernetes-list-type': 'set' }),
    `${at}.properties[spec].x-kubernetes-list-type`,
  ],
  [
    'a map list without keys',
    spec({ type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'map' }),
    `${at}.properties[spec].x-kubernetes-list-map-keys`,
  ],
  [
    'a map list whose key is not required',
    spec({
      type: 'array',
      items: { type: 'object', properties: { name: { type: 'string' } } },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    }),
    `${at}.properties[spec].x-kubernetes-list-map-keys`,
  ],
  [
    'a set of objects',
    spec({ type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'set' }),
    `${at}.properties[spec].items`,
  ],
  ['a pattern that is none', spec({ type: 'string', pattern: '(' }), `${at}.properties[spec].pattern`],
  [
    'a pattern with look-ahead',
    spec({ type: 'string', pattern: 'a(?=b)' }),
    `${at}.properties[spec].pattern`,
  ],
  ['a minimum that is text', spec({ type: 'integer', minimum: '1' }), `${at}.properties[spec].minimum`],
  ['a negative length', spec({ type: 'string', minLength: -1 }), `${at}.properties[spec].minLength`],
  ['an empty enum', spec({ type: 'string', enum: [] }), `${at}.properties[spec].enum`],
  ['a default of another type', spec({ type: 'string', default: 1 }), `${at}.properties[spec].default`],
  [
    'a default with unknown fields',
    spec({ type: 'object', properties: { a: { type: 'string' } }, default: { b: 1 } }),
    `${at}.properties[spec].default`,
  ],
]

void suite('compileCrd() refuses schemas that are not structural', () => {
  for (const [name, schema, field] of refusedSchemas) {
    test(name, () => {
      assert.throws(
        () => compileCrd(definition(schema)),
        (error: unknown) => error instanceof InvalidInputError && error.field === field && error.hint !== '',
      )
    })
  }
})

const sound = definition(spec({ type: 'object' }))
const soundSpec = sound['spec']
const withSpec = (change: JsonObject): JsonObject => ({
  ...sound,
  spec: { ...(soundSpec as JsonObject), ...change },
})
const version = (change: JsonObject): JsonObject => {
  const [first] = (soundSpec as { readonly versions: readonly JsonObject[] }).versions
  return { ...first, ...change }
}

const refusedDefinitions: readonly (readonly [string, unknown, string])[] = [
  ['no spec', { metadata: { name: 'foos.example.com' } }, 'spec'],
  ['no object at all', 'text', 'spec'],
  ['a group without a dot', withSpec({ group: 'example' }), 'spec.group'],
  ['a name that is not plural.group', { ...sound, metadata: { name: 'foo.example.com' } }, 'metadata.name'],
  ['an unknown scope', withSpec({ scope: 'World' }), 'spec.scope'],
  ['an upper-case plural', withSpec({ names: { plural: 'Foos', kind: 'Foo' } }), 'spec.names.plural'],
  ['no kind', withSpec({ names: { plural: 'foos' } }), 'spec.names.kind'],
  ['no versions', withSpec({ versions: [] }), 'spec.versions'],
  ['no storage version', withSpec({ versions: [version({ storage: false })] }), 'spec.versions'],
  ['two storage versions', withSpec({ versions: [version({}), version({ name: 'v2' })] }), 'spec.versions'],
  [
    'one version twice',
    withSpec({ versions: [version({}), version({ storage: false })] }),
    'spec.versions[1].name',
  ],
  ['a version without schema', withSpec({ versions: [version({ schema: {} })] }), `${at}`],
  ['a conversion webhook', withSpec({ conversion: { strategy: 'Webhook' } }), 'spec.conversion.strategy'],
  [
    'a column without a path',
    withSpec({ versions: [version({ additionalPrinterColumns: [{ name: 'A', type: 'string' }] })] }),
    'spec.versions[0].additionalPrinterColumns[0].jsonPath',
  ],
  [
    'a scale outside of spec',
    withSpec({
      versions: [
        version({
          subresources: { scale: { specReplicasPath: '.status.a', statusReplicasPath: '.status.b' } },
        }),
      ],
    }),
    'spec.versions[0].subresources.scale.specReplicasPath',
  ],
]

void suite('compileCrd() refuses definitions with', () => {
  for (const [name, crd, field] of refusedDefinitions) {
    test(name, () => {
      assert.throws(
        () => compileCrd(crd),
        (error: unknown) => error instanceof InvalidInputError && error.field === field,
      )
    })
  }
})

void test('compileCrd() fills in the names that a definition leaves out', () => {
  const crd = compileCrd(sound)
  assert.equal(crd.singular, 'foo')
  assert.equal(crd.listKind, 'FooList')
  assert.equal(crd.namespaced, true)
  assert.deepEqual([...crd.versions.keys()], ['v1'])
})

void test('columns evaluate quoted keys, indexes and dates, and show age when there are none', () => {
  const columns = [
    { name: 'A', type: 'string', jsonPath: ".spec.labels['ipam\\.spidernet\\.io/app\\-namespace']" },
    { name: 'B', type: 'string', jsonPath: '.spec.ips[0]' },
    { name: 'C', type: 'integer', jsonPath: '.spec.count', priority: 10 },
    { name: 'D', type: 'integer', jsonPath: '.spec.missing' },
  ]
  const compiled = versionOf(withSpec({ versions: [version({ additionalPrinterColumns: columns })] }))
  const object = {
    spec: {
      labels: { 'ipam.spidernet.io/app-namespace': 'x' },
      ips: ['a', 'b'],
      count: 9223372036854775807n,
    },
  }
  assert.deepEqual(
    compiled.columns.map((column) => column.cell(object)),
    ['x', 'a', 9223372036854775807n, null],
  )
  assert.deepEqual(
    versionOf(sound).columns.map(({ name, type }) => [name, type]),
    [['Age', 'date']],
  )
})

void test('prune() drops unknown fields at every depth and keeps those of resources and preserved objects', () => {
  const compiled = versionOf(
    definition(
      spec({
        type: 'object',
        properties: {
          known: { type: 'string' },
          list: { type: 'array', items: { type: 'object', properties: { a: { type: 'string' } } } },
          open: {
            type: 'object',
            'x-kubernetes-preserve-unknown-fields': true,
            properties: { closed: { type: 'object' } },
          },
          map: {
            type: 'object',
            additionalProperties: { type: 'object', properties: { a: { type: 'string' } } },
          },
        },
      }),
    ),
  )
  const object = {
    apiVersion: 'example.com/v1',
    kind: 'Foo',
    metadata: { name: 'a' },
    extra: 1,
    spec: {
      known: 'x',
      other: 1,
      list: [{ a: 'b', c: 1 }],
      open: { any: { thing: 1 }, closed: { d: 1 } },
      map: { k: { a: 'b', z: 1 } },
    },
  }
  assert.deepEqual(compiled.prune(object), {
    apiVersion: 'example.com/v1',
    kind: 'Foo',
    metadata: { name: 'a' },
    spec: { known: 'x', list: [{ a: 'b' }], open: { any: { thing: 1 }, closed: {} }, map: { k: { a: 'b' } } },
  })
  assert.deepEqual(compiled.unknownFields(object), [
    'extra',
    'spec.other',
    'spec.list[0].c',
    'spec.open.closed.d',
    'spec.map.k.z',
  ])
})

void test('applyDefaults() fills objects top down, replaces null and leaves what is there', () => {
  const compiled = versionOf(
    definition(
      spec({
        type: 'object',
        default: {},
        properties: {
          mode: { type: 'string', default: 'auto' },
          nested: { type: 'object', default: {}, properties: { count: { type: 'integer', default: 3 } } },
          maybe: { type: 'string', nullable: true },
        },
      }),
    ),
  )
  assert.deepEqual(compiled.applyDefaults({}), { spec: { mode: 'auto', nested: { count: 3 } } })
  assert.deepEqual(compiled.applyDefaults({ spec: { mode: null, nested: { count: 1 }, maybe: null } }), {
    spec: { nested: { count: 1 }, maybe: null, mode: 'auto' },
  })
})
