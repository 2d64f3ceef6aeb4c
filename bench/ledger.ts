import assert from 'node:assert/strict'
import type { SpiderIpPool } from '../src/api/index.ts'
import { silentLogger, systemClock, systemRandom } from '../src/base/index.ts'
import { type AddCall, Ledger, MemoryBlockStore, reservedOf } from '../src/ledger/index.ts'
import { median } from './support/measure.ts'

// Allocation through the whole ledger over the in-memory store: decisions, group commit, indexes; no network, no API server.
// Method: `batch` concurrent ADDs at a time until the pool is full; one warm-up; the median of several runs.

const never = new AbortController().signal
const noReserved = reservedOf([])
const runs = 5

function poolOf(name: string, ips: readonly string[]): SpiderIpPool {
  return { metadata: { name }, spec: { subnet: '10.0.0.0/8', ips } }
}

function callOf(index: number, pool: SpiderIpPool): AddCall {
  const uid = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
  return {
    owner: { kind: 'pod', uid },
    pod: `default/pod-${index}`,
    podUid: uid,
    node: `node-${index % 100}`,
    containerId: uid.replaceAll('-', '').repeat(2),
    nic: 'eth0',
    reserved: noReserved,
    plan: () => ({ drop: [], wants: [{ nic: 'eth0', version: 4, pools: [pool] }] }),
    grant: () => ({ prefixBits: 8, gateway: '10.0.0.1' }),
  }
}

async function fill(
  pool: SpiderIpPool,
  count: number,
  batch: number,
): Promise<{ ms: number; ledger: Ledger; writes: number }> {
  const store = new MemoryBlockStore()
  const options = { store, term: 1, clock: systemClock, random: systemRandom, logger: silentLogger }
  const ledger = await Ledger.open(options, never)
  const start = performance.now()
  for (let index = 0; index < count; index += batch) {
    const size = Math.min(batch, count - index)
    await Promise.all(Array.from({ length: size }, (_, i) => ledger.add(callOf(index + i, pool), never)))
  }
  const ms = performance.now() - start
  assert.equal(ledger.poolUsage(pool.metadata.name), count)
  assert.equal(new Set(store.entries().keys()).size, count)
  return { ms, ledger, writes: store.calls.create + store.calls.patch }
}

/** Milliseconds for 250 allocations, and as many frees, in a pool of `size` that is full but for 250. */
async function turnover(size: number): Promise<number> {
  const pool = poolOf(`pool-${size}`, [
    `10.0.0.2-10.${(size + 1) >> 16}.${((size + 1) >> 8) & 255}.${(size + 1) & 255}`,
  ])
  const { ledger } = await fill(pool, size, 500)
  const times: number[] = []
  for (let run = 0; run < runs * 4; run++) {
    const leaving = ledger.ofPool(pool.metadata.name).slice(0, 250)
    await ledger.free(leaving, never)
    const start = performance.now()
    await Promise.all(leaving.map((_, i) => ledger.add(callOf(1_000_000 + run * 250 + i, pool), never)))
    times.push(performance.now() - start)
  }
  return median(times.slice(4))
}

const report: Record<string, number | string> = {}
const thousand = poolOf('thousand', ['10.0.0.2-10.0.3.233'])
const times: number[] = []
let writes = 0
for (let run = 0; run <= runs; run++) {
  const result = await fill(thousand, 1000, 1000)
  writes = result.writes
  if (run > 0) times.push(result.ms)
}
report['1000 ADDs at once, ms'] = median(times).toFixed(1)
report['1000 ADDs at once, writes'] = writes
report['allocations a second'] = Math.round(1_000_000 / median(times))

const small = await turnover(250)
const large = await turnover(60_000)
report['250 ADDs in a full pool of 250, ms'] = small.toFixed(2)
report['250 ADDs in a full pool of 60000, ms'] = large.toFixed(2)
report['ratio'] = (large / small).toFixed(2)

globalThis.gc?.()
const before = process.memoryUsage().heapUsed
const { ledger } = await fill(poolOf('big', ['10.0.0.2-10.1.134.161']), 100_000, 1000)
globalThis.gc?.()
report['heap with 100000 addresses (store included), MB'] = (
  (process.memoryUsage().heapUsed - before) /
  1e6
).toFixed(0)
report['resident, MB'] = (process.memoryUsage().rss / 1e6).toFixed(0)
assert.equal(ledger.stats().entries, 100_000)
console.log(JSON.stringify(report, undefined, 2))
