// Memory of the controller with many allocated addresses, its start with them, what it and an agent do when nothing happens, and
// allocation from a large pool beside a small one.
// Usage: npm run bench:memory [-- --addresses 100000] [--server real|embedded] [--idle-seconds 60]
// Needs root; brings a lab of its own up and down. Takes some minutes. The last line is one JSON object.
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'
import { setUpMachine } from '../scripts/setup.ts'

const { values } = parseArgs({
  options: {
    addresses: { type: 'string', default: '100000' },
    server: { type: 'string', default: 'real' },
    'idle-seconds': { type: 'string', default: '60' },
  },
})
const [addresses, idleSeconds] = [Number(values.addresses), Number(values['idle-seconds'])]
assert.ok(Number.isSafeInteger(addresses) && addresses > 0, `--addresses is "${values.addresses}"`)
assert.ok(idleSeconds > 0, `--idle-seconds is "${values['idle-seconds']}"`)
assert.ok(['real', 'embedded'].includes(values.server), `--server is "${values.server}": real or embedded`)

setUpMachine()
// The harness reads it when it is loaded.
process.env['SPIDERPOOL_TEST_SERVER'] = values.server
const { benchMemory } = await import('./support/memory-bench.ts')
const { table, result } = await benchMemory({ server: values.server, addresses, idleSeconds })
process.stdout.write(`${table}\n${JSON.stringify(result)}\n`)
