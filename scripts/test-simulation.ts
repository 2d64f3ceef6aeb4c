// `npm run test:simulation [FIRST COUNT]`: random histories of a cluster in one process each batch, on all cores, and then the
// planted bugs. Last line: "N passed, N failed".
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)
const [first = 1, count = 10_000] = process.argv.slice(2).map(Number)
const batchSize = 250
const budgetMs = 15 * 60_000
const maxTold = 20

interface Report {
  readonly passed: number
  readonly failed: readonly { readonly seed: number; readonly why: string }[]
  readonly total: Readonly<Record<string, number>>
  readonly cpuMs: number
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** One process for a batch: what a history leaves in memory goes with it. */
async function runBatch(from: number, size: number): Promise<Report> {
  const script = join(root, 'test/simulation/cluster/run-histories.ts')
  const child = spawn(process.execPath, ['--max-semi-space-size=32', script, String(from), String(size)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: budgetMs,
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  await new Promise((resolve) => child.once('close', resolve))
  try {
    return JSON.parse(text) as Report
  } catch {
    const why = `the process of seeds ${from} to ${from + size - 1} ended with ${child.exitCode ?? child.signalCode}`
    return { passed: 0, failed: [{ seed: from, why }], total: {}, cpuMs: 0 }
  }
}

const startedMs = performance.now()
const reports: Report[] = []
let next = first
const work = async (): Promise<void> => {
  while (next < first + count) {
    const from = next
    const size = Math.min(batchSize, first + count - from)
    next += size
    reports.push(await runBatch(from, size))
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, work))

const failed = reports.flatMap((report) => report.failed)
const passed = reports.reduce((sum, report) => sum + report.passed, 0)
const total: Record<string, number> = {}
for (const report of reports)
  for (const [key, value] of Object.entries(report.total)) total[key] = (total[key] ?? 0) + value
for (const { seed, why } of failed.slice(0, maxTold)) say(`failed: SIMULATION_SEED=${seed}: ${why}`)
const cpuMs = reports.reduce((sum, report) => sum + report.cpuMs, 0)
const seconds = Math.round((performance.now() - startedMs) / 1000)
say(`histories: ${JSON.stringify(total)}; ${Math.round(cpuMs / count)} ms of CPU each; ${seconds} s in all`)
process.exitCode = failed.length === 0 ? 0 : 1
say(`${passed} passed, ${failed.length} failed`)
