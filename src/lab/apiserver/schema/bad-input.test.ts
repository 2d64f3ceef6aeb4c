// Malformed definitions, objects and patches: each is answered, none crashes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { InvalidInputError, OperationError } from '../../../base/index.ts'
import { compileCrd } from './crd/compile-crd.ts'
import { definition, versionOf } from './crd/sample-definition.ts'
import { parseJsonPath } from './json-path.ts'
import { builtInSchema } from './openapi/documents.ts'
import { applyPatch } from './patch/apply-patch.ts'
import { isObject, type JsonObject } from './record.ts'
import { parseFieldSelector, parseLabelSelector } from './selector.ts'

const seed = 20_261_121
const runs = 300

const strange = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom('__proto__', 'constructor', '', -1, 2n ** 70n, [], {}, null, [null], { $patch: 'x' }),
)

interface Spot {
  readonly path: readonly (string | number)[]
}

function spots(value: unknown, path: readonly (string | number)[] = []): readonly Spot[] {
  const here = [{ path }]
  if (Array.isArray(value))
    return [...here, ...value.flatMap((item: unknown, index) => spots(item, [...path, index]))]
  if (!isObject(value)) return here
  return [...here, ...Object.entries(value).flatMap(([key, item]) => spots(item, [...path, key]))]
}

function replaced(value: unknown, [step, ...rest]: readonly (string | number)[], by: unknown): unknown {
  if (step === undefined) return by
  if (Array.isArray(value)) return value.with(Number(step), replaced(value[Number(step)], rest, by))
  return isObject(value) ? { ...value, [step]: replaced(value[step], rest, by) } : by
}

const schema: JsonObject = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['subnet'],
      'x-kubernetes-validations': [
        { rule: 'isCIDR(self.subnet)', message: 'no CIDR' },
        {
          rule: 'self.subnet == oldSelf.subnet',
          messageExpression: '"was " + oldSelf.subnet',
          fieldPath: '.subnet',
        },
        { rule: 'self.ips.all(i, cidr(self.subnet).containsIP(i))' },
      ],
      properties: {
        subnet: { type: 'string', format: 'cidr', pattern: '/', minLength: 3, maxLength: 43 },
        ips: { type: 'array', items: { type: 'string' }, maxItems: 10, 'x-kubernetes-list-type': 'set' },
        count: { type: 'integer', minimum: 0, maximum: 10, default: 1 },
        port: { 'x-kubernetes-int-or-string': true },
        labels: {
          type: 'object',
          additionalProperties: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self != "x"' }] },
        },
        at: {
          type: 'string',
          format: 'date-time',
          'x-kubernetes-validations': [{ rule: 'self > timestamp("2000-01-01T00:00:00Z")' }],
        },
        list: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: { type: 'string' }, size: { type: 'integer' } },
          },
        },
      },
    },
  },
}
const sound: JsonObject = {
  apiVersion: 'example.com/v1',
  kind: 'Foo',
  metadata: { name: 'a', labels: { a: 'b' } },
  spec: {
    subnet: '10.6.0.0/16',
    ips: ['10.6.0.1'],
    count: 2,
    port: 80,
    labels: { a: 'b' },
    at: '2026-01-01T00:00:00Z',
    list: [{ name: 'a', size: 1 }],
  },
}

const damaged = (value: unknown): fc.Arbitrary<unknown> =>
  fc.tuple(fc.constantFrom(...spots(value)), strange).map(([spot, by]) => replaced(value, spot.path, by))

void test('a damaged definition is accepted, or refused with field, value and remedy', () => {
  let refused = 0
  fc.assert(
    fc.property(damaged(definition(schema)), (crd) => {
      try {
        compileCrd(crd)
      } catch (error) {
        assert.ok(error instanceof InvalidInputError, String(error))
        assert.ok(error.field !== '' && error.hint !== '')
        refused += 1
      }
    }),
    { seed, numRuns: runs },
  )
  assert.ok(refused > 100, `only ${refused} were refused`)
  assert.doesNotThrow(() => compileCrd(definition(schema)))
})

void test('a damaged object is validated, defaulted and pruned without an exception', () => {
  const version = versionOf(definition(schema))
  let failed = 0
  fc.assert(
    fc.property(damaged(sound), (value) => {
      if (!isObject(value)) return
      const failures = version.validate(version.prune(version.applyDefaults(value)), sound)
      for (const failure of failures) assert.ok(failure.field !== '' && failure.message !== '')
      version.unknownFields(value)
      for (const column of version.columns) column.cell(value)
      failed += failures.length > 0 ? 1 : 0
    }),
    { seed, numRuns: runs },
  )
  assert.ok(failed > 50, `only ${failed} had failures`)
  assert.deepEqual(version.validate(sound, sound), [])
})

void test('a strange patch gives an object or an error of its own kind', () => {
  const base = {
    metadata: { name: 'p', finalizers: ['a'] },
    spec: { containers: [{ name: 'a', ports: [{ containerPort: 1 }] }] },
  }
  const target = {
    kind: 'Pod',
    schema: builtInSchema('', 'v1', 'Pod'),
    isCustom: false,
    fieldManager: 'm',
    nowMs: 0,
  }
  const operation = fc.record(
    {
      op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'spin', 1),
      path: fc.constantFrom(
        '',
        '/',
        '/spec',
        '/spec/containers/0',
        '/spec/containers/-',
        '/spec/containers/9',
        'x',
        '/~2',
        3,
      ),
      from: fc.constantFrom('/metadata', '/spec/containers/0', '/nope', null),
      value: strange,
    },
    { requiredKeys: [] },
  )
  const body = fc.oneof(damaged(base), strange, fc.array(operation, { maxLength: 4 }))
  fc.assert(
    fc.property(fc.constantFrom('merge', 'json', 'strategic', 'apply'), body, (type, patch) => {
      try {
        assert.ok(isObject(applyPatch(type, base, patch, target)))
      } catch (error) {
        assert.ok(error instanceof OperationError, String(error))
      }
    }),
    { seed, numRuns: runs * 3 },
  )
})

void test('strange selectors and paths are read or refused', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (text) => {
      for (const parse of [
        parseLabelSelector,
        parseFieldSelector,
        (path: string) => parseJsonPath(path, 'p'),
      ]) {
        try {
          parse(text)
        } catch (error) {
          assert.ok(error instanceof InvalidInputError, String(error))
        }
      }
    }),
    { seed, numRuns: runs },
  )
})
