import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { parseJson, stringifyJson } from './json.ts'

void test('integers beyond 2^53 survive a read and a write exactly', () => {
  const text =
    '{"a":9223372036854775807,"b":[-9223372036854775808,12345678901234567890],"c":9007199254740991}'
  assert.equal(stringifyJson(parseJson(text)), text)
  assert.deepEqual(parseJson(text), {
    a: 9223372036854775807n,
    b: [-9223372036854775808n, 12345678901234567890n],
    c: 9007199254740991,
  })
})

void test('digits in strings and fractions stay what they are', () => {
  const value = { text: '9223372036854775807', fraction: 0.1234567890123456, big: 1e300 }
  assert.deepEqual(parseJson(stringifyJson(value)), value)
})

void test('parseJson() reads what JSON.parse reads', () => {
  const law = fc.property(fc.jsonValue(), (value) => {
    const text = JSON.stringify(value)
    assert.equal(stringifyJson(parseJson(text)), JSON.stringify(JSON.parse(text)))
  })
  fc.assert(law)
})

void test('any integer comes back from text to text', () => {
  const law = fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), (value) => {
    assert.equal(stringifyJson(parseJson(`[${value}]`)), `[${value}]`)
  })
  fc.assert(law)
})
