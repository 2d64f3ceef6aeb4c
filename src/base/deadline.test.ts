import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { deadlineAfter } from './deadline.ts'

void test('deadlineAfter() aborts after its time, or with the first of its signals and its reason', async () => {
  using short = deadlineAfter(5)
  await new Promise((resolve) => short.signal.addEventListener('abort', resolve))
  assert.equal((short.signal.reason as DOMException).name, 'TimeoutError')
  const stop = new AbortController()
  using long = deadlineAfter(60_000, new AbortController().signal, stop.signal)
  stop.abort('reason')
  assert.equal(long.signal.reason, 'reason')
  using late = deadlineAfter(60_000, stop.signal)
  assert.equal(late.signal.aborted, true)
})

void test('deadlineAfter() leaves no listener behind when it is let go', () => {
  const stop = new AbortController()
  for (let i = 0; i < 100; i += 1) {
    using deadline = deadlineAfter(60_000, stop.signal)
    assert.equal(deadline.signal.aborted, false)
  }
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0)
})
