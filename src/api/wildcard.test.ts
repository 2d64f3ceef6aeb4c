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

for (const pattern of ['[', '[]', 'a[b', '[b-a]', '[-a]', '[a-]', 'a\\', '*'.repeat(254)]) {
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

void test('compileWildcard() agrees with a regular expression for classes and patterns of many words', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', '/', '😀'), maxLength: 120 })
  const unit = fc.constantFrom('a', '?', '[ab]', '[^ab]', '[b-d]', '[^c]', '[a-c😀]', '😀')
  const globs = fc.array(unit, { maxLength: 50 }).chain((units) =>
    fc.array(fc.nat(units.length), { maxLength: 4 }).map((stars) => {
      const all: string[] = [...units]
      for (const at of stars) all.splice(at, 0, '*')
      return all.join('')
    }),
  )
  const law = fc.property(globs, text, fc.boolean(), (glob, random, isMade) => {
    // A random text of that length fits nothing: most are made of the pattern, and then spoilt at one place at most.
    const name = isMade ? [...glob.replaceAll(/\[[^\]]*\]/g, 'b').replaceAll('?', 'c')].join('') : random
    const expression = glob.replaceAll('[^', '[^/').replaceAll('*', '[^/]*').replaceAll('?', '[^/]')
    assert.equal(compileWildcard(glob)(name), new RegExp(`^${expression}$`, 'u').test(name))
  })
  fc.assert(law, { numRuns: 3000, seed: 20261129 })
})

void test('a pattern made to explode, of the greatest length, is matched as any other', () => {
  const explosive = compileWildcard(`${'a*'.repeat(126)}b`)
  assert.equal(explosive('a'.repeat(253)), false)
  assert.equal(explosive(`${'a'.repeat(252)}b`), true)
  const wide = `*[${'!#'.repeat(120)}5]x`
  assert.equal(compileWildcard(wide)('pool5x'), true)
  assert.equal(compileWildcard(wide)('pool6x'), false)
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
