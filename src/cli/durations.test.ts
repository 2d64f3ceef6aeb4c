import assert from 'node:assert/strict'
import test from 'node:test'
import { InvalidInputError } from '../base/index.ts'
import { formatDuration, formatTime, parseDuration } from './durations.ts'

const day = 86_400_000

void test('durations are read with their unit, and nothing else is', () => {
  for (const [text, ms] of [
    ['90s', 90_000],
    ['10m', 600_000],
    ['1h', 3_600_000],
    ['7d', 7 * day],
  ] as const)
    assert.equal(parseDuration('--x', text, 365 * day), ms)
  for (const text of ['', '1', 'h', '-1h', '1.5h', '1w', '0s', '366d', '99999999999d', '1h30m'])
    assert.throws(() => parseDuration('--x', text, 365 * day), InvalidInputError, text)
})

void test('durations and times are written short', () => {
  for (const [ms, text] of [
    [0, '0s'],
    [59_999, '59s'],
    [3_661_000, '1h1m'],
    [day + 5_000, '1d5s'],
    [-5, '0s'],
  ] as const)
    assert.equal(formatDuration(ms), text)
  assert.equal(formatTime(0), '1970-01-01T00:00:00.000Z')
  assert.equal(formatTime(1e18), '1000000000000000000 ms')
})
