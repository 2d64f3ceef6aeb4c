// How long many pods at once take to get and to give back their addresses, beside the floor that the API server sets: as many
// creates of objects of the size of a SpiderEndpoint, with the same concurrency, in the same run.
// Usage: npm run bench:ipam [-- --server real|embedded] [--addresses exact|plenty] [--families 4|46] [--rounds 5] [--pods 1000]
//   [--agents 10] [--at-once 64] [--json] [--all]
// Needs root; brings a lab of its own up and down. --all runs every combination. The last line is one JSON object.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setUpMachine } from '../scripts/setup.ts'

const { values } = parseArgs({
  options: {
    server: { type: 'string', default: 'real' },
    addresses: { type: 'string', default: 'exact' },
    families: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    pods: { type: 'string', default: '1000' },
    agents: { type: 'string', default: '10' },
    'at-once': { type: 'string', default: '64' },
    json: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
  },
})

function oneOf(name: 'server' | 'addresses' | 'families', known: readonly string[]): string {
  const value = values[name]
  assert.ok(known.includes(value), `--${name} is "${value}": use ${known.join(' or ')}`)
  return value
}

function whole(name: 'rounds' | 'pods' | 'agents' | 'at-once', least: number, step = 1): number {
  const value = Number(values[name])
  const isGood = Number.isSafeInteger(value) && value >= least && value % step === 0
  assert.ok(isGood, `--${name} is "${values[name]}": use a multiple of ${step} of at least ${least}`)
  return value
}

const options = {
  server: oneOf('server', ['real', 'embedded']),
  addresses: oneOf('addresses', ['exact', 'plenty']),
  families: oneOf('families', ['4', '46']),
  rounds: whole('rounds', 1),
  pods: whole('pods', 10, 10),
  agents: whole('agents', 2),
  atOnce: whole('at-once', 1),
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
