import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLabelKey, isLabelValue, matchesSelector, selectorErrors } from './label-selector.ts'
import type { LabelSelector } from './meta.ts'

const labels = { app: 'shop', tier: 'edge', empty: '' }
const cases: readonly (readonly [LabelSelector, boolean])[] = [
  [{}, true],
  [{ matchLabels: { app: 'shop' } }, true],
  [{ matchLabels: { app: 'shop', tier: 'core' } }, false],
  [{ matchLabels: { toString: 'x' } }, false],
  [{ matchExpressions: [{ key: 'tier', operator: 'In', values: ['edge', 'core'] }] }, true],
  [{ matchExpressions: [{ key: 'zone', operator: 'In', values: ['a'] }] }, false],
  [{ matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] }, true],
  [{ matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['edge'] }] }, false],
  [{ matchExpressions: [{ key: 'empty', operator: 'Exists' }] }, true],
  [{ matchExpressions: [{ key: 'zone', operator: 'Exists' }] }, false],
  [{ matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' }] }, true],
  [{ matchExpressions: [{ key: 'app', operator: 'Bogus' }] }, false],
  [{ matchLabels: { app: 'shop' }, matchExpressions: [{ key: 'app', operator: 'DoesNotExist' }] }, false],
]
for (const [selector, wanted] of cases) {
  void test(`selector ${JSON.stringify(selector)} ${wanted ? 'matches' : 'does not match'}`, () => {
    assert.equal(matchesSelector(selector, labels), wanted)
  })
}

void test('selectorErrors() names the place of every mistake', () => {
  const selector: LabelSelector = {
    matchLabels: { 'bad key': 'v', good: 'bad value', 'x.io/a': '' },
    matchExpressions: [
      { key: 'k', operator: 'In' },
      { key: 'k', operator: 'Exists', values: ['v'] },
      { key: 'k', operator: 'in', values: ['v'] },
      { key: '', operator: 'In', values: ['v', '-v'] },
    ],
  }
  assert.deepEqual(
    selectorErrors(selector, 'spec.podAffinity').map(({ field }) => field),
    [
      'spec.podAffinity.matchLabels',
      'spec.podAffinity.matchLabels[good]',
      'spec.podAffinity.matchExpressions[0].values',
      'spec.podAffinity.matchExpressions[1].values',
      'spec.podAffinity.matchExpressions[2].operator',
      'spec.podAffinity.matchExpressions[3].key',
      'spec.podAffinity.matchExpressions[3].values[1]',
    ],
  )
})

void test('label keys and values follow the syntax of Kubernetes', () => {
  for (const key of ['app', 'ipam.spidernet.io/app-name', 'a'.repeat(63), 'A_b.c-d'])
    assert(isLabelKey(key), key)
  for (const key of ['', '/a', 'a/', 'a/b/c', 'UPPER.io/a', '-a', 'a'.repeat(64)])
    assert(!isLabelKey(key), key)
  for (const value of ['', 'a', 'fd00-6---64']) assert(isLabelValue(value), value)
  for (const value of ['-a', 'a-', 'a b', 'a'.repeat(64), '--64']) assert(!isLabelValue(value), value)
})
