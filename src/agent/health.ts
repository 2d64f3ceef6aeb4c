import { once } from 'node:events'
import { type Logger, nodeHttp } from '../base/index.ts'

/** Answers probes until closed. */
export interface Health {
  close(): Promise<void>
}

const timeoutMs = 5_000

/**
 * Serves GET /healthz (200 while this process answers) and /readyz (503 with the reason while no ADD can be served) on
 * 127.0.0.1. @returns undefined when there is no port
 */
export async function serveHealth(
  port: number | undefined,
  notReady: () => string | undefined,
  logger: Logger,
): Promise<Health | undefined> {
  if (port === undefined) return undefined
  const server = nodeHttp().createServer(
    { requestTimeout: timeoutMs, keepAliveTimeout: 0 },
    (request, response) => {
      const reply = answer(request.method ?? '', request.url ?? '', notReady)
      response.writeHead(reply.status, { 'content-type': 'text/plain', connection: 'close' })
      response.end(`${reply.text}\n`)
    },
  )
  server.maxConnections = 16
  server.listen(port, '127.0.0.1')
  await once(server, 'listening') // an error of the port rejects
  logger.info('probes are answered', { port })
  return {
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function answer(
  method: string,
  path: string,
  notReady: () => string | undefined,
): { readonly status: number; readonly text: string } {
  if (method !== 'GET') return { status: 405, text: 'use GET' }
  if (path === '/healthz') return { status: 200, text: 'ok' }
  if (path !== '/readyz') return { status: 404, text: 'use /healthz or /readyz' }
  const reason = notReady()
  return reason === undefined ? { status: 200, text: 'ok' } : { status: 503, text: reason }
}
