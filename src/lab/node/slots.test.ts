import assert from 'node:assert/strict'
import test from 'node:test'
import { Slots } from './slots.ts'

const signal = new AbortController().signal

void test('run() lets at most so many work at once, in the order in which they came', async () => {
  const slots = new Slots(2)
  const started: number[] = []
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
  const work = gates.map((gate, index) =>
    slots.run(() => {
      started.push(index)
      return gate.promise
    }, signal),
  )
  await Promise.resolve()
  assert.deepEqual(started, [0, 1])
  gates[1]?.resolve()
  await work[1]
  gates[0]?.reject(new TypeError('failed work gives its slot back too'))
  await assert.rejects(work[0] ?? Promise.resolve(), TypeError)
  gates[2]?.resolve()
  gates[3]?.resolve()
  await Promise.all(work.slice(2))
  assert.deepEqual(started, [0, 1, 2, 3])
})

void test('run() leaves the queue when aborted, and its place goes to the next', async () => {
  const slots = new Slots(1)
  const gate = Promise.withResolvers<void>()
  const first = slots.run(() => gate.promise, signal)
  const aborting = new AbortController()
  const second = slots.run(() => Promise.resolve('never'), aborting.signal)
  const third = slots.run(() => Promise.resolve('third'), signal)
  aborting.abort()
  await assert.rejects(second, { name: 'AbortError' })
  gate.resolve()
  await first
  assert.equal(await third, 'third')
})
