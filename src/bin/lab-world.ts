// Workload controllers, scheduler and pod runtimes of a lab. Started by its supervisor.
import { parseArgs } from 'node:util'
import { jsonLogger } from '../base/index.ts'
import { parseWorldOptions, runWorld, startWorkloadControllers } from '../lab/index.ts'

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    nodes: { type: 'string' },
    kubeconfig: { type: 'string' },
    external: { type: 'boolean', default: false },
  },
})
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())
process.once('SIGINT', () => stopping.abort())
const logger = jsonLogger('info', { process: 'lab-world' })
await runWorld(parseWorldOptions(values), startWorkloadControllers, logger, stopping.signal)
