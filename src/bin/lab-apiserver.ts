import { parseArgs } from 'node:util'
import { InvalidInputError, jsonLogger, toError } from '../base/index.ts'
import { startApiServer } from '../lab/index.ts'

// lab-apiserver --dir DIR --port N: serves until SIGTERM or SIGINT; prints one line when it is ready.

const { values } = parseArgs({
  options: { dir: { type: 'string' }, port: { type: 'string', default: '0' } },
})
const logger = jsonLogger('info', { component: 'lab-apiserver' })
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
process.once('SIGINT', () => stop.abort())

try {
  const folder = values.dir ?? process.env['SPIDERPOOL_LAB_DIR'] ?? '/var/lib/spiderpool-lab'
  const server = await startApiServer({ folder, port: parsePort(values.port), logger }, stop.signal)
  const { port, url, kubeconfig } = server
  process.stdout.write(`${JSON.stringify({ ready: true, port, url, kubeconfig, pid: process.pid })}\n`)
  if (!stop.signal.aborted) await new Promise((resolve) => stop.signal.addEventListener('abort', resolve))
  logger.info('api server stops')
  await server.close()
} catch (error) {
  logger.error('api server failed', { err: toError(error) })
  process.exitCode = 1
}

function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  throw new InvalidInputError('--port', text, 'is not a TCP port', 'give 0 to 65535')
}
