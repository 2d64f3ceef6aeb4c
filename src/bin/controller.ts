import { hostname } from 'node:os'
import { jsonLogger, OperationError, toError } from '../base/index.ts'
import { controllerUsage, parseControllerOptions, runController } from '../controller/index.ts'

const args = process.argv.slice(2)
if (args.includes('--help')) {
  process.stdout.write(controllerUsage)
  process.exit(0)
}

const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort())

try {
  const options = parseControllerOptions(args, process.env, hostname())
  await runController(options, jsonLogger(options.logLevel, { component: 'controller' }), stop.signal)
} catch (thrown) {
  const error = toError(thrown)
  const hint = error instanceof OperationError ? `; ${error.hint}` : `\n${error.stack ?? ''}`
  process.stderr.write(`controller: ${error.message}${hint}\n`)
  process.exitCode = 1
}
