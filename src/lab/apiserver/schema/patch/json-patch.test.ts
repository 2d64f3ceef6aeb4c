import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { jsonPatch } from './json-patch.ts'
import { mergePatch } from './merge-patch.ts'
import { PatchError } from './patch-error.ts'

const base = { a: { b: [1, 2, 3], 'x/y': 1, 'm~n': 2 }, c: null, big: 9223372036854775807n }

const good: readonly (readonly [string, readonly unknown[], unknown])[] = [
  ['add to an object', [{ op: 'add', path: '/d', value: 1 }], { ...base, d: 1 }],
  ['add replaces', [{ op: 'add', path: '/c', value: 1 }], { a: base.a, big: base.big, c: 1 }],
  [
    'add into a list',
    [{ op: 'add', path: '/a/b/1', value: 9 }],
    { ...base, a: { ...base.a, b: [1, 9, 2, 3] } },
  ],
  [
    'add at the end',
    [{ op: 'add', path: '/a/b/-', value: 9 }],
    { ...base, a: { ...base.a, b: [1, 2, 3, 9] } },
  ],
  ['add the whole document', [{ op: 'add', path: '', value: { z: 1 } }], { z: 1 }],
  ['remove', [{ op: 'remove', path: '/a/b/0' }], { ...base, a: { ...base.a, b: [2, 3] } }],
  ['remove an escaped key', [{ op: 'remove', path: '/a/x~1y' }], { ...base, a: { b: [1, 2, 3], 'm~n': 2 } }],
  ['replace', [{ op: 'replace', path: '/a/m~0n', value: null }], { ...base, a: { ...base.a, 'm~n': null } }],
  [
    'move',
    [{ op: 'move', from: '/a/b', path: '/b' }],
    { a: { 'x/y': 1, 'm~n': 2 }, c: null, big: base.big, b: [1, 2, 3] },
  ],
  ['copy', [{ op: 'copy', from: '/a/b/2', path: '/a/b/0' }], { ...base, a: { ...base.a, b: [3, 1, 2, 3] } }],
  ['test of equal values', [{ op: 'test', path: '/a/b', value: [1, 2, 3] }], base],
  ['test of a big integer', [{ op: 'test', path: '/big', value: 9223372036854775807n }], base],
  ['test of null', [{ op: 'test', path: '/c', value: null }], base],
  ['nothing', [], base],
]

void suite('jsonPatch() does', () => {
  for (const [name, patch, wanted] of good) {
    test(name, () => {
      assert.deepEqual(jsonPatch(base, patch), wanted)
    })
  }
})

const bad: readonly (readonly [string, unknown, number])[] = [
  ['no list', { op: 'add' }, 400],
  ['an operation that is no object', [1], 400],
  ['an unknown op', [{ op: 'spin', path: '/a' }], 400],
  ['no path', [{ op: 'remove' }], 400],
  ['add without value', [{ op: 'add', path: '/d' }], 400],
  ['move without from', [{ op: 'move', path: '/d' }], 400],
  ['a path without slash', [{ op: 'remove', path: 'a' }], 422],
  ['remove of what is not there', [{ op: 'remove', path: '/nope' }], 422],
  ['replace of what is not there', [{ op: 'replace', path: '/nope', value: 1 }], 422],
  ['add below what is not there', [{ op: 'add', path: '/nope/x', value: 1 }], 422],
  ['an index beyond the end', [{ op: 'add', path: '/a/b/4', value: 1 }], 422],
  ['an index that is none', [{ op: 'replace', path: '/a/b/01', value: 1 }], 422],
  ['a key of a scalar', [{ op: 'add', path: '/c/d', value: 1 }], 422],
  ['removing the document', [{ op: 'remove', path: '' }], 422],
  ['moving into itself', [{ op: 'move', from: '/a', path: '/a/b/0' }], 422],
  ['a test that fails', [{ op: 'test', path: '/a/b/0', value: 2 }], 422],
  ['a prototype as path', [{ op: 'add', path: '/__proto__/x', value: 1 }], 422],
]

void suite('jsonPatch() refuses', () => {
  for (const [name, patch, status] of bad) {
    test(name, () => {
      assert.throws(
        () => jsonPatch(base, patch),
        (error: unknown) => error instanceof PatchError && error.status === status,
      )
    })
  }
})

void test('jsonPatch() leaves its base as it was, also when a later operation fails', () => {
  const before = structuredClone(base)
  assert.throws(() =>
    jsonPatch(base, [
      { op: 'remove', path: '/a/b' },
      { op: 'remove', path: '/nope' },
    ]),
  )
  assert.deepEqual(base, before)
})

// RFC 7386, appendix A
const merges: readonly (readonly [unknown, unknown, unknown])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

void suite('mergePatch() follows the examples of RFC 7386', () => {
  for (const [target, patch, result] of merges) {
    test(`${JSON.stringify(target)} + ${JSON.stringify(patch)}`, () => {
      assert.deepEqual(mergePatch(target, patch), result)
    })
  }
})

void test('a merge patch applied twice changes nothing more', () => {
  const json = fc.jsonValue({ maxDepth: 3 })
  fc.assert(
    fc.property(json, json, (target, patch) => {
      const once = mergePatch(target, patch)
      assert.deepEqual(mergePatch(once, patch), once)
    }),
    { seed: 7386, numRuns: 200 },
  )
})
