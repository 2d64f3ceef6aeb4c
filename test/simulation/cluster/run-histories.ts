import { runHistory } from './history.ts'

Error.stackTraceLimit = process.env['SIMULATION_VERBOSE'] === undefined ? 0 : 20

/** `run-histories.ts FIRST COUNT [until-failure]`: runs histories, and says of each that failed why. Last line: JSON. */
const [first = 1, count = 1] = process.argv.slice(2, 4).map(Number)
const endsAtFailure = process.argv[4] === 'until-failure'
const total: Record<string, number> = {}
const failed: { readonly seed: number; readonly why: string }[] = []
for (let seed = first; seed < first + count; seed++) {
  try {
    const { counts } = await runHistory(seed)
    for (const [key, value] of Object.entries(counts)) total[key] = (total[key] ?? 0) + value
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    failed.push({ seed, why })
    if (process.env['SIMULATION_VERBOSE'] !== undefined) console.error(error)
    if (endsAtFailure) break
  }
}
const cpuMs = Math.round(process.cpuUsage().user / 1000)
process.stdout.write(`${JSON.stringify({ passed: count - failed.length, failed, total, cpuMs })}\n`)
