import assert from 'node:assert/strict'
import test from 'node:test'
import { WakeUp } from './wake-up.ts'

const signal = new AbortController().signal

void test('wait() returns at once for a call that came while nobody waited, and only once for it', async () => {
  const wake = new WakeUp()
  wake.now()
  wake.now()
  await wake.wait(undefined, signal)
  let isOver = false
  const second = wake.wait(undefined, signal).then(() => {
    isOver = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(isOver, false)
  wake.now()
  await second
})

void test('wait() ends after its time, and when aborted', async () => {
  const wake = new WakeUp()
  await wake.wait(1, signal)
  const stopping = new AbortController()
  const waiting = wake.wait(undefined, stopping.signal)
  stopping.abort()
  await waiting
  await wake.wait(undefined, stopping.signal)
})
