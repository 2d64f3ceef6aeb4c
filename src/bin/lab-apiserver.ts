import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { InvalidInputError, jsonLogger, toError } from '../base/index.ts'
import { loadKeys, startApiServer, writeAdminKubeconfig } from '../lab/index.ts'

// lab-apiserver --dir DIR [--port N]: keeps store, keys and kubeconfig below DIR and makes what is missing.
// Serves on 127.0.0.1 until SIGTERM or SIGINT; prints one JSON line with the port when it is ready.

const { values } = parseArgs({
  options: { dir: { type: 'string' }, port: { type: 'string', default: '0' } },
})
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
process.once('SIGINT', () => stop.abort())
const logger = jsonLogger('info', { component: 'lab-apiserver' })

try {
  const folder = values.dir ?? process.env['SPIDERPOOL_LAB_DIR'] ?? '/var/lib/spiderpool-lab'
  const keys = await loadKeys(join(folder, 'pki'), Date.now())
  const server = await startApiServer(
    {
      storeFolder: join(folder, 'apiserver'),
      host: '127.0.0.1',
      port: parsePort(values.port),
      keys: { ...keys.serving, caPem: keys.ca.certPem, tokenKeyPem: keys.tokenKeyPem },
      logger,
    },
    stop.signal,
  )
  const { port, url } = server
  const kubeconfig = await writeAdminKubeconfig(folder, keys, url)
  process.stdout.write(`${JSON.stringify({ ready: true, port, url, kubeconfig, pid: process.pid })}\n`)
  const stopped = new Promise<undefined>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve(undefined))
  })
  const failure = stop.signal.aborted ? undefined : await Promise.race([stopped, server.died])
  if (failure !== undefined) throw failure
  logger.info('api server stops')
  await server.close()
} catch (error) {
  logger.error('api server failed', { err: toError(error) })
  // The listener would keep the process; a new one opens the store afresh.
  process.exit(1)
}

function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  throw new InvalidInputError('--port', text, 'is not a TCP port', 'give 0 to 65535')
}
