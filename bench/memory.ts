// Memory of the controller with many allocated addresses, its start with them, what it and an agent do when nothing happens, and
// allocation from a large pool beside a small one.
// Usage: npm run bench:memory [-- --addresses 100000] [--server real|embedded] [--idle-seconds 60]
// Needs root; brings a lab of its own up and down. Takes some minutes. The last line is one JSON object.
import { setUpMachine } from '../scripts/setup.ts'
import { oneOf, optionsOf, whole } from './support/options.ts'

const values = optionsOf(import.meta.filename, { addresses: '100000', server: 'real', 'idle-seconds': '60' })
const addresses = whole('addresses', values.addresses, { least: 1 })
const idleSeconds = whole('idle-seconds', values['idle-seconds'], { least: 1 })
oneOf('server', values.server, ['real', 'embedded'])

setUpMachine()
// The harness reads it when it is loaded.
process.env['SPIDERPOOL_TEST_SERVER'] = values.server
const { benchMemory } = await import('./support/memory-bench.ts')
const { table, result } = await benchMemory({ server: values.server, addresses, idleSeconds })
process.stdout.write(`${table}\n${JSON.stringify(result)}\n`)
