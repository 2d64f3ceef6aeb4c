import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { InvalidInputError } from '../base/index.ts'
import { compileWildcard, expandPoolNames, isWildcard } from './wildcard.ts'

const cases: readonly (readonly [string, string, boolean])[] = [
  ['pool-*', 'pool-a', true],
  ['pool-*', 'pool-', true],
  ['pool-*', 'a-pool-a', false],
  ['*', 'anything', true],
  ['*', 'a/b', false],
  ['*/b', 'a/b', true],
  ['a*/b*c', 'axx/bxxc', true],
  ['p?ol', 'pool', true],
  ['p?ol', 'pol', false],
  ['rack[0-9]-v4', 'rack7-v4', true],
  ['rack[0-9]-v4', 'rackx-v4', false],
  ['rack[^0-9]', 'rackx', true],
  ['rack[^0-9]', 'rack7', false],
  ['[abc]d', 'bd', true],
  ['\\*', '*', true],
  ['\\*', 'x', false],
  ['a**b', 'ab', true],
  ['*a*b*c*', 'xxaxxbxxcxx', true],
  ['*a*b*c*', 'xxaxxcxxbxx', false],
]
for (const [pattern, name, wanted] of cases) {
  void test(`wildcard ${pattern} ${wanted ? 'matches' : 'does not match'} ${name}`, () => {
    assert.equal(compileWildcard(pattern)(name), wanted)
  })
}

for (const pattern of ['[', '[]', 'a[b', '[b-a]', '[-a]', '[a-]', 'a\\', '*'.repeat(2000)]) {
  void test(`wildcard ${JSON.stringify(pattern.slice(0, 20))} is refused as a bad pattern`, () => {
    assert.throws(
      () => compileWildcard(pattern, 'ipv4[0]'),
      (error) =>
        error instanceof InvalidInputError &&
        error.message.includes('failed to match wildcard') &&
        error.field === 'ipv4[0]',
    )
  })
}

void test('compileWildcard() agrees with a regular expression for stars and question marks', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 12 })
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '/'), maxLength: 8 })
  const law = fc.property(pattern, text, (glob, name) => {
    const expression = glob.replaceAll('*', '[^/]*').replaceAll('?', '[^/]')
    assert.equal(compileWildcard(glob)(name), new RegExp(`^${expression}$`).test(name))
  })
  fc.assert(law, { numRuns: 2000 })
})

void test('a pattern made to explode takes no time', () => {
  const fits = compileWildcard(`${'a*'.repeat(200)}b`)
  const startedMs = performance.now()
  assert.equal(fits('a'.repeat(253)), false)
  assert(performance.now() - startedMs < 200)
})

void test('expandPoolNames() keeps the order written, sorts what a wildcard finds, and names each pool once', () => {
  const names = ['rack-b', 'rack-a', 'other', 'rack-c']
  assert.deepEqual(expandPoolNames(['rack-c', 'rack-*', 'missing', 'other'], names), [
    'rack-c',
    'rack-a',
    'rack-b',
    'missing',
    'other',
  ])
  assert.deepEqual(expandPoolNames(['none*'], names), [])
})

void test('isWildcard() takes a lone bracket for part of a name', () => {
  assert(isWildcard('a*') && isWildcard('a?') && isWildcard('[ab]'))
  assert(!isWildcard('a[') && !isWildcard('a]b[') && !isWildcard('plain'))
})
