// `npm run test:simulation [FIRST COUNT]`: random histories of a cluster in one process each batch, on all cores, and then the
// planted bugs. Last line: "N passed, N failed".
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { plantedBugs } from '../test/simulation/planted-bugs.ts'
import { findPlantedBugs } from './plant-bugs.ts'
import { runBatch, type SimulationReport } from './simulation-batch.ts'

const root = dirname(import.meta.dirname)
const [first = 1, count = 10_000] = process.argv.slice(2).map(Number)
const batchSize = 250
const maxTold = 20

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const startedMs = performance.now()
const reports: SimulationReport[] = []
let next = first
const work = async (): Promise<void> => {
  while (next < first + count) {
    const from = next
    const size = Math.min(batchSize, first + count - from)
    next += size
    reports.push(await runBatch(root, from, size, false))
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
const problems = await findPlantedBugs(root, availableParallelism(), say)
for (const problem of problems) say(`failed: ${problem}`)
const failures = failed.length + problems.length
process.exitCode = failures === 0 ? 0 : 1
say(`${passed + plantedBugs.length - problems.length} passed, ${failures} failed`)
