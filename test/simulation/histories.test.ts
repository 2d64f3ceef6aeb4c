import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runHistory } from './cluster/history.ts'

// `npm run test:simulation` runs 10,000; SIMULATION_SEED=<seed> replays one, SIMULATION_TRACE=1 tells what happens in it.
const seed = process.env['SIMULATION_SEED']
const first = Number(seed ?? 1)
const count = seed === undefined ? 100 : 1

void test(`${count} random histories of a cluster, whatever fails (seeds from ${first})`, async (context) => {
  const total: Record<string, number> = {}
  for (let at = first; at < first + count; at++) {
    try {
      const { counts } = await runHistory(at)
      for (const [key, value] of Object.entries(counts)) total[key] = (total[key] ?? 0) + value
    } catch (error) {
      throw new Error(`replay with SIMULATION_SEED=${at}`, { cause: error })
    }
  }
  context.diagnostic(JSON.stringify(total))
  assert((total['acked'] ?? 0) > count, JSON.stringify(total))
})
