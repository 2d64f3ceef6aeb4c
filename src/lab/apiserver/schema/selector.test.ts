import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { InvalidInputError } from '../../../base/index.ts'
import {
  labelMatcherOf,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from './selector.ts'

const labels = { app: 'web', tier: 'front', 'a.b/c': '5' }

const matches: readonly (readonly [string, boolean])[] = [
  ['', true],
  ['app=web', true],
  ['app==web,tier=front', true],
  ['app=web, tier=back', false],
  ['app!=web', false],
  ['other!=x', true],
  ['app in (api, web)', true],
  ['app in (api)', false],
  ['app notin (api),tier', true],
  ['other notin (a)', true],
  ['tier', true],
  ['!tier', false],
  ['!other', true],
  ['a.b/c>4', true],
  ['a.b/c<5', false],
  ['app=', false],
  ['other=', false],
]

void suite('a label selector', () => {
  for (const [text, wanted] of matches) {
    test(`${JSON.stringify(text)} ${wanted ? 'matches' : 'does not match'}`, () => {
      assert.equal(matchesLabels(parseLabelSelector(text), labels), wanted)
    })
  }
  for (const text of [
    '=a',
    'a in',
    'a in (b',
    'a b',
    'a=b=c',
    ',',
    'a>x',
    '!',
    '-a',
    `a=${'x'.repeat(64)}`,
    'ä=b',
  ]) {
    test(`${JSON.stringify(text.slice(0, 20))} is refused`, () => {
      assert.throws(() => parseLabelSelector(text), InvalidInputError)
    })
  }
})

void test('a LabelSelector object: absent gives none, empty matches all, expressions must all hold', () => {
  assert.equal(labelMatcherOf(undefined, 'spec.selector'), undefined)
  assert.equal(matchesLabels(labelMatcherOf({}, 'spec.selector') ?? [], labels), true)
  const selector = {
    matchLabels: { app: 'web' },
    matchExpressions: [
      { key: 'tier', operator: 'In', values: ['front', 'back'] },
      { key: 'x', operator: 'DoesNotExist' },
    ],
  }
  assert.equal(matchesLabels(labelMatcherOf(selector, 's') ?? [], labels), true)
  assert.equal(matchesLabels(labelMatcherOf(selector, 's') ?? [], { ...labels, x: '1' }), false)
  assert.throws(
    () => labelMatcherOf({ matchExpressions: [{ key: 'a', operator: 'Near' }] }, 's'),
    /s\.matchExpressions\[0\]\.operator/,
  )
  assert.throws(
    () => labelMatcherOf({ matchExpressions: [{ key: 'a', operator: 'In' }] }, 's'),
    /s\.matchExpressions\[0\]\.values/,
  )
})

const object = { metadata: { name: 'a' }, spec: { nodeName: 'n1' }, status: { phase: 'Running', count: 3 } }
const fieldMatches: readonly (readonly [string, boolean])[] = [
  ['', true],
  ['metadata.name=a', true],
  ['metadata.name==b', false],
  ['spec.nodeName!=n2,status.phase=Running', true],
  ['spec.nodeName=', false],
  ['spec.missing=', true],
  ['status.count=3', true],
]

void suite('a field selector', () => {
  for (const [text, wanted] of fieldMatches) {
    test(`${JSON.stringify(text)} ${wanted ? 'matches' : 'does not match'}`, () => {
      assert.equal(matchesFields(parseFieldSelector(text), object), wanted)
    })
  }
  test('without a comparison is refused', () => {
    assert.throws(() => parseFieldSelector('metadata.name'), InvalidInputError)
  })
})
