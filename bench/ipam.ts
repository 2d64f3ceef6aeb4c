// How long many pods at once take to get and to give back their addresses, beside the floor that the API server sets: as many
// creates of objects of the size of a SpiderEndpoint, with the same concurrency, in the same run.
// Usage: npm run bench:ipam [-- --server real|embedded] [--addresses exact|plenty] [--families 4|46] [--rounds 5] [--pods 1000]
//   [--agents 10] [--at-once 64] [--json] [--all]
// Needs root; brings a lab of its own up and down. --all runs every combination. The last line is one JSON object; with --json it is
// the only one. Ratios of a few hundred pods say little: what does not grow with their number outweighs the rest.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setUpMachine } from '../scripts/setup.ts'
import { oneOf, optionsOf, refuse, whole } from './support/options.ts'

const values = optionsOf(import.meta.filename, {
  server: 'real',
  addresses: 'exact',
  families: '4',
  rounds: '5',
  pods: '1000',
  agents: '10',
  'at-once': '64',
  json: false,
  all: false,
})
const pods = whole('pods', values.pods, { least: 10 })
// Ten to a Deployment.
if (pods % 10 !== 0) refuse(`--pods is "${values.pods}"`, 'use a multiple of 10, as each Deployment has 10')
const options = {
  server: oneOf('server', values.server, ['real', 'embedded']),
  addresses: oneOf('addresses', values.addresses, ['exact', 'plenty']),
  families: oneOf('families', values.families, ['4', '46']),
  rounds: whole('rounds', values.rounds, { least: 1 }),
  pods,
  agents: whole('agents', values.agents, { least: 2, most: 100 }),
  atOnce: whole('at-once', values['at-once'], { least: 1, most: 256 }),
}

if (values.all) runAll()
else await runOne()

function runAll(): void {
  const lines: string[] = []
  for (const server of ['real', 'embedded']) {
    for (const addresses of ['exact', 'plenty']) {
      for (const families of ['4', '46']) {
        const chosen = { server, addresses, families, rounds: values.rounds, pods: values.pods }
        const args = Object.entries({ ...chosen, agents: values.agents, 'at-once': values['at-once'] })
        const { status, stdout } = spawnSync(
          process.execPath,
          [
            ...process.execArgv,
            import.meta.filename,
            ...args.flatMap(([name, value]) => [`--${name}`, value]),
          ],
          { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
        )
        process.stdout.write(stdout)
        assert.equal(status, 0, `bench:ipam on ${server}, ${addresses}, ${families} failed`)
        lines.push(stdout.trimEnd().split('\n').at(-1) ?? '')
      }
    }
  }
  process.stdout.write(`\n${lines.join('\n')}\n`)
}

async function runOne(): Promise<void> {
  setUpMachine()
  const auditDir = mkdtempSync(join(tmpdir(), 'bench-ipam-'))
  try {
    // The harness reads these when it is loaded.
    process.env['SPIDERPOOL_TEST_SERVER'] = options.server
    process.env['SPIDERPOOL_AUDIT_DIR'] = auditDir
    const { benchIpam } = await import('./support/ipam-bench.ts')
    const { table, result } = await benchIpam(options, auditDir)
    if (!values.json) process.stdout.write(`${table}\n`)
    process.stdout.write(`${JSON.stringify(result)}\n`)
  } finally {
    rmSync(auditDir, { recursive: true, force: true })
  }
}
