import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { canonicalJson, podNames, templateHash } from './names.ts'

const owner = { name: 'web-6994b9d5bb', uid: 'c1f5' }
const never = () => false

void test('podNames() gives the same names to the same question, so that a double is refused', () => {
  assert.deepEqual(podNames(owner, 5, never), podNames(owner, 5, never))
  assert.match(podNames(owner, 1, never)[0] ?? '', /^web-6994b9d5bb-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
})

void test('podNames() never gives a taken name, nor one name twice', () => {
  const law = fc.property(fc.nat(40), fc.nat(40), (taken, count) => {
    const used = new Set(podNames(owner, taken, never))
    const names = podNames(owner, count, (name) => used.has(name))
    assert.equal(new Set(names).size, count)
    assert.ok(names.every((name) => !used.has(name)))
  })
  fc.assert(law)
})

void test('podNames() of another uid differ, and long owner names are cut to 63 characters', () => {
  assert.notDeepEqual(podNames({ ...owner, uid: 'other' }, 1, never), podNames(owner, 1, never))
  const [name = ''] = podNames({ name: 'a'.repeat(200), uid: 'u' }, 1, never)
  assert.equal(name.length, 63)
})

void test('templateHash() sees every change, but neither the order of keys nor null members', () => {
  const hash = templateHash({ a: 1, b: { c: [1, 2] } })
  assert.equal(templateHash({ b: { c: [1, 2], d: null }, a: 1 }), hash)
  assert.notEqual(templateHash({ a: 1, b: { c: [2, 1] } }), hash)
  assert.notEqual(templateHash({ a: 1, b: { c: [1, 2] } }, 1), hash)
  assert.equal(hash.length, 10)
})

void test('canonicalJson() of a value and of its copy with shuffled keys are equal', () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([key, member]) => [key, shuffled(member)]),
    )
  }
  fc.assert(fc.property(fc.jsonValue(), (value) => canonicalJson(shuffled(value)) === canonicalJson(value)))
})
