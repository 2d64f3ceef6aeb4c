import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDefaults } from './create-defaults.ts'

const pool = {
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderIPPool',
  metadata: { name: 'default-v4-ippool' },
}

void test('objects of the kinds that an installation brings are taken as they are', () => {
  assert.deepEqual(parseDefaults([]), [])
  assert.deepEqual(parseDefaults([pool]), [pool])
})

void test('anything else is refused with its place', () => {
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [{}, /file .*no list of objects/],
    [Array.from({ length: 101 }, () => pool), /file .*no list of objects/],
    [[pool, 'x'], /\[1\] "x".*no object with a name/],
    [[{ ...pool, metadata: {} }], /\[0\].*no object with a name/],
    [[{ ...pool, kind: 'Secret' }], /\[0\]\.kind "Secret".*not created here/],
    [[{ ...pool, apiVersion: 'spiderpool.spidernet.io/v1' }], /\[0\]\.kind "SpiderIPPool".*not created here/],
  ]
  for (const [value, message] of refused)
    assert.throws(() => parseDefaults(value), { code: 'INVALID_INPUT', message })
})
