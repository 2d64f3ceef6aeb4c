import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mergePatchOf } from './merge-patch.ts'

/** RFC 7396 §2. */
function applied(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target)
  const result = new Map<string, unknown>(isObject ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key)
    else result.set(key, applied(result.get(key), value))
  }
  return Object.fromEntries(result)
}

void test('a server that applies mergePatchOf(before, after) to before has after', () => {
  const key = fc.constantFrom('pool', 'owner', 'grant', 'routes', 'uid')
  const { members } = fc.letrec<{ members: object; value: unknown }>((tie) => ({
    members: fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom('a', 'b', 1, true),
      fc.array(fc.constantFrom('a', 'b')),
      tie('members'),
    ),
  }))
  const law = fc.property(fc.option(members, { nil: undefined }), members, (before, after) => {
    assert.deepEqual(applied(before ?? {}, mergePatchOf(before, after)), applied({}, after))
  })
  fc.assert(law)
})

void test('mergePatchOf() removes the members of an earlier owner', () => {
  const sticky = { owner: { kind: 'sticky', group: 'apps', uid: 's' }, attachments: [{ containerId: 'a' }] }
  const pod = { owner: { kind: 'pod', uid: 'p' } }
  assert.deepEqual(mergePatchOf<object>(sticky, pod), {
    attachments: null,
    owner: { kind: 'pod', group: null, uid: 'p' },
  })
})
