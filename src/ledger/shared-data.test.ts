import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedData } from './shared-data.ts'

void test('sharedData() gives one copy of what is equal', () => {
  const first = sharedData({ prefixBits: 24, gateway: '10.6.0.1' })
  assert.equal(sharedData({ prefixBits: 24, gateway: '10.6.0.1' }), first)
  assert.notEqual(sharedData({ gateway: '10.6.0.1', prefixBits: 24 }), first)
})

void test('sharedData() does not keep what is long: whoever writes it chooses how much that is', () => {
  const long = { text: 'x'.repeat(1_100) }
  assert.equal(sharedData(long), long)
  const other = { ...long }
  assert.equal(sharedData(other), other)
})
