import assert from 'node:assert/strict'
import test from 'node:test'
import { ReviewSlots } from './review-slots.ts'

/** Work that ends when told to. */
function started(slots: ReviewSlots, request: { address: string; isKnown: boolean }) {
  const { promise, resolve } = Promise.withResolvers<string>()
  const state = { hasStarted: false }
  const result = slots.run(request, () => {
    state.hasStarted = true
    return promise
  })
  return { state, result, finish: () => resolve('done') }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

void test('an address has four slots, and the next of it starts when one is free', async () => {
  const slots = new ReviewSlots()
  const calls = Array.from({ length: 6 }, () => started(slots, { address: 'a', isKnown: false }))
  const other = started(slots, { address: 'b', isKnown: false })
  await turn()
  assert.equal(calls.filter(({ state }) => state.hasStarted).length, 4)
  assert.ok(other.state.hasStarted, 'another address is not held up')
  calls[0]?.finish()
  assert.equal(await calls[0]?.result, 'done')
  await turn()
  assert.equal(calls.filter(({ state }) => state.hasStarted).length, 5)
})

void test('many addresses share sixteen slots, and tokens that were good before have their own', async () => {
  const slots = new ReviewSlots()
  const strangers = Array.from({ length: 40 }, (_, index) =>
    started(slots, { address: String(index), isKnown: false }),
  )
  const known = Array.from({ length: 17 }, () => started(slots, { address: 'a', isKnown: true }))
  await turn()
  assert.equal(strangers.filter(({ state }) => state.hasStarted).length, 16)
  assert.equal(known.filter(({ state }) => state.hasStarted).length, 16)
  for (const call of [...known, ...strangers]) call.finish()
  await Promise.all([...known, ...strangers].map(({ result }) => result))
  assert.ok([...known, ...strangers].every(({ state }) => state.hasStarted))
})

void test('who finds too many waiting is turned away; a known token never is', async () => {
  const slots = new ReviewSlots()
  const flood = Array.from({ length: 100 }, () => started(slots, { address: 'a', isKnown: false }))
  assert.equal(flood.filter(({ result }) => result === undefined).length, 100 - 4 - 64)
  assert.notEqual(started(slots, { address: 'a', isKnown: true }).result, undefined)
  assert.notEqual(started(slots, { address: 'b', isKnown: false }).result, undefined)
})

void test('work that fails gives its slot back', async () => {
  const slots = new ReviewSlots()
  for (let i = 0; i < 10; i += 1) {
    const failing = slots.run({ address: 'a', isKnown: false }, () => Promise.reject(new TypeError('no')))
    await assert.rejects(failing ?? Promise.resolve(), /no/)
  }
})
