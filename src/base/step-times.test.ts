import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StepTimes } from './step-times.ts'

const busy = (ms: number): void => {
  for (const endMs = performance.now() + ms; performance.now() < endMs; );
}

void test('StepTimes gives each step the time since the one before, adds up equal names, and keeps their order', () => {
  const steps = new StepTimes()
  busy(3)
  steps.end('read')
  busy(1)
  steps.end('write')
  busy(2)
  steps.end('read')
  const { durationMs, stepsMs } = steps.fields()
  assert.deepEqual(Object.keys(stepsMs), ['read', 'write'])
  const { read = 0, write = 0 } = stepsMs
  assert.ok(read >= 5, `read ${read}`)
  assert.ok(write >= 1, `write ${write}`)
  assert.ok(Math.abs(durationMs - read - write) <= 1, `${durationMs} = ${read} + ${write}`)
})
