// Starts and keeps the processes of a lab. Started by `spiderpoolctl lab up`.
import { parseArgs } from 'node:util'
import { jsonLogger } from '../base/index.ts'
import { parseSupervisorOptions, runSupervisor } from '../lab/index.ts'

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    nodes: { type: 'string' },
    kubeconfig: { type: 'string' },
    'api-port': { type: 'string' },
    'controller-ports': { type: 'string' },
  },
})
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())
process.once('SIGINT', () => stopping.abort())
const logger = jsonLogger('info', { process: 'lab-supervisor' })
await runSupervisor(parseSupervisorOptions(values), logger, stopping.signal)
