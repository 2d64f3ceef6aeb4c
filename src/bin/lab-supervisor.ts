// Starts and keeps the processes of a lab. Started by `spiderpoolctl lab up`.
import { parseArgs } from 'node:util'
import { jsonLogger } from '../base/index.ts'
import { parseSupervisorOptions, runSupervisor } from '../lab/index.ts'

const { values: given } = parseArgs({
  options: {
    dir: { type: 'string' },
    nodes: { type: 'string' },
    kubeconfig: { type: 'string' },
    'api-port': { type: 'string' },
    'controller-ports': { type: 'string' },
    'controller-flag': { type: 'string', multiple: true },
  },
})
const { 'controller-flag': controllerFlags = [], ...values } = given
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())
process.once('SIGINT', () => stopping.abort())
const logger = jsonLogger('info', { process: 'lab-supervisor' })
await runSupervisor(parseSupervisorOptions(values, controllerFlags), logger, stopping.signal)
