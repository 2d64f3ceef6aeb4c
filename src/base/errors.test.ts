import assert from 'node:assert/strict'
import test from 'node:test'
import { InvalidInputError, showValue, undone } from './errors.ts'

void test('a refusal of input names the field, the value and the remedy', () => {
  const error = new InvalidInputError(
    'spec.ips[0]',
    '10.6.0.300',
    'is not an IP address',
    'write one address',
  )
  assert.equal(error.message, 'Cannot accept spec.ips[0] "10.6.0.300": it is not an IP address')
  assert.equal(error.hint, 'write one address')
})

void test('showValue() never throws and stays short', () => {
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  for (const value of [circle, 12n, undefined, () => 1, Symbol('x'), 'y'.repeat(10_000)]) {
    assert.ok(showValue(value).length <= 200)
  }
})

void test('undone() keeps the first error when the undo fails too', async () => {
  const first = new InvalidInputError('a', 1, 'is wrong', 'mend it')
  const second = new InvalidInputError('b', 2, 'is wrong', 'mend it')
  assert.equal(await undone(first, () => Promise.resolve()), first)
  const joined = await undone(first, () => Promise.reject(second))
  assert.ok(joined instanceof AggregateError)
  assert.deepEqual(joined.errors, [first, second])
})
