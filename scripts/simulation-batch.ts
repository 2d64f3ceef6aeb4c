import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** What a process says of its histories. */
export interface SimulationReport {
  readonly passed: number
  readonly failed: readonly { readonly seed: number; readonly why: string }[]
  readonly total: Readonly<Record<string, number>>
  readonly cpuMs: number
}

const budgetMs = 15 * 60_000

/** Runs histories in one process: what they leave in memory goes with it. */
export async function runBatch(
  root: string,
  first: number,
  count: number,
  endsAtFailure: boolean,
): Promise<SimulationReport> {
  const script = join(root, 'test/simulation/cluster/run-histories.ts')
  const args = [script, String(first), String(count), ...(endsAtFailure ? ['until-failure'] : [])]
  const child = spawn(process.execPath, ['--max-semi-space-size=32', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: budgetMs,
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  await new Promise((resolve) => child.once('close', resolve))
  try {
    return JSON.parse(text) as SimulationReport
  } catch {
    const state = String(child.exitCode ?? child.signalCode)
    const why = `the process of seeds from ${first} ended with ${state}: ${text.slice(-500)}`
    return { passed: 0, failed: [{ seed: first, why }], total: {}, cpuMs: 0 }
  }
}
