import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import type { RpcFailure } from '../api/index.ts'
import { assert, deadlineAfter, type Logger, OperationError, type Retry, toError } from '../base/index.ts'
import { readBody } from './read-body.ts'

/** One request as a route sees it. */
export interface RouteRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

export interface RouteReply {
  readonly status: number
  readonly body: string
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** What answers one path. `signal` aborts when the caller is gone, the deadline is over, or the server is closed by force. */
export interface Route {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly maxBodyBytes: number
  readonly deadlineMs: number
  handle(request: RouteRequest, signal: AbortSignal): Promise<RouteReply>
}

export interface ServerTls {
  readonly cert: string
  readonly key: string
}

export interface ServerLimits {
  readonly maxConnections: number
  /** Requests that are being handled at once; more get 503. */
  readonly maxRequests: number
  readonly headersTimeoutMs: number
  /** For the whole request, headers and body, to arrive. */
  readonly requestTimeoutMs: number
  readonly idleTimeoutMs: number
}

export interface ServerOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Absent: plain HTTP, for probes and metrics alone. */
  readonly tls?: ServerTls
  readonly routes: readonly Route[]
  readonly limits?: Partial<ServerLimits>
}

/** A running server. */
export interface RunningServer {
  readonly port: number
  /** New connections get this certificate. */
  setCertificate(tls: ServerTls): void
  stats(): { readonly requests: number; readonly refused: number; readonly droppedConnections: number }
  /** Takes no more connections, lets requests under way finish until `signal` aborts, then ends all. */
  close(signal: AbortSignal): Promise<void>
}

/** The address cannot be listened on. */
export class ListenError extends OperationError {
  override readonly code = 'LISTEN'
  override readonly retry: Retry = 'later'
}

const defaultLimits: ServerLimits = {
  maxConnections: 8192,
  maxRequests: 4096,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  idleTimeoutMs: 75_000,
}
const maxHeaderBytes = 16 * 1024
const tlsHandshakeMs = 10_000
const timeoutCheckMs = 1000

/** Serves `routes` over HTTPS until closed. @throws {ListenError} when the address cannot be had */
export async function serveHttps(options: ServerOptions, logger: Logger): Promise<RunningServer> {
  const server = new Server(options, logger)
  await server.listen()
  return server
}

class Server implements RunningServer {
  readonly #options: ServerOptions
  readonly #limits: ServerLimits
  readonly #logger: Logger
  readonly #server: http.Server | https.Server
  readonly #forced = new AbortController()
  readonly #running = new Set<Promise<void>>()
  readonly #counts = { requests: 0, refused: 0, droppedConnections: 0 }
  #isClosing = false

  constructor(options: ServerOptions, logger: Logger) {
    this.#options = options
    this.#logger = logger
    this.#limits = { ...defaultLimits, ...options.limits }
    const { headersTimeoutMs, requestTimeoutMs, idleTimeoutMs, maxConnections } = this.#limits
    const settings = {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: idleTimeoutMs,
      connectionsCheckingInterval: timeoutCheckMs,
      keepAlive: true,
      keepAliveInitialDelay: 10_000,
      noDelay: true,
    }
    const { tls } = options
    const secure = { minVersion: 'TLSv1.2', handshakeTimeout: tlsHandshakeMs } as const
    this.#server =
      tls === undefined
        ? http.createServer(settings)
        : https.createServer({ ...settings, ...secure, cert: tls.cert, key: tls.key })
    this.#server.maxConnections = maxConnections
    this.#server.on('request', (request, response) => this.#accept(request, response))
    this.#server.on('drop', () => {
      this.#counts.droppedConnections += 1
    })
    this.#server.on('tlsClientError', (error) => logger.debug('tls handshake failed', { err: error.message }))
  }

  get port(): number {
    const address = this.#server.address()
    assert(address !== null && typeof address === 'object', 'the server listens on no port')
    return address.port
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options
    try {
      this.#server.listen(port, host)
      await once(this.#server, 'listening')
    } catch (cause) {
      const hint = 'Choose another port, or stop what uses it'
      throw new ListenError(`Cannot listen on ${host}:${port}: ${toError(cause).message}`, hint, { cause })
    }
    this.#server.on('error', (error) => this.#logger.error('server failed', { err: error }))
  }

  setCertificate(tls: ServerTls): void {
    if (this.#server instanceof https.Server) {
      this.#server.setSecureContext({ cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' })
    }
  }

  stats() {
    return { ...this.#counts }
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#isClosing = true
    const closed = once(this.#server, 'close')
    this.#server.close()
    const force = () => {
      this.#forced.abort(new DOMException('the server is closing', 'AbortError'))
      this.#server.closeAllConnections()
    }
    if (signal.aborted) force()
    else signal.addEventListener('abort', force, { once: true })
    try {
      await closed
      await Promise.all(this.#running)
    } finally {
      signal.removeEventListener('abort', force)
    }
  }

  #accept(request: http.IncomingMessage, response: http.ServerResponse): void {
    const work = this.#serve(request, response).catch((error: unknown) => {
      this.#logger.debug('request ended early', { err: toError(error).message })
      response.destroy()
    })
    this.#running.add(work)
    void work.finally(() => this.#running.delete(work))
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    this.#counts.requests += 1
    if (this.#isClosing) response.setHeader('connection', 'close')
    const url = URL.parse(request.url ?? '/', 'https://here')
    const routes = this.#options.routes.filter((route) => route.path === url?.pathname)
    if (url === null || routes.length === 0) {
      const known = [...new Set(this.#options.routes.map((route) => route.path))].join(', ')
      const msg = `Cannot answer path "${(request.url ?? '').slice(0, 200)}": it is unknown`
      this.#refuse(response, 404, { msg, hint: `ask one of ${known}` })
      return
    }
    const route = routes.find(({ method }) => method === request.method)
    if (route === undefined) {
      const methods = routes.map(({ method }) => method).join(', ')
      response.setHeader('allow', methods)
      const msg = `Cannot answer ${request.method ?? ''} ${url.pathname}: it takes another method`
      this.#refuse(response, 405, { msg, hint: `use ${methods}` })
      return
    }
    if (this.#running.size > this.#limits.maxRequests) {
      response.setHeader('retry-after', '1')
      const msg = 'Cannot take the request: too many are under way'
      this.#refuse(response, 503, { msg, hint: 'try again later', code: 11 })
      return
    }
    await this.#handle(route, url, request, response)
  }

  async #handle(
    route: Route,
    url: URL,
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    const body = await readBody(request, route.maxBodyBytes)
    if (body === 'too-long') {
      const msg = `Cannot accept the body of ${route.path}: it is too long`
      this.#refuse(response, 413, { msg, hint: `send at most ${route.maxBodyBytes} bytes` })
      return
    }
    const gone = new AbortController()
    const onClose = () => gone.abort(new DOMException('the caller is gone', 'AbortError'))
    response.once('close', onClose)
    using deadline = deadlineAfter(route.deadlineMs, gone.signal, this.#forced.signal)
    const { method = '', headers } = request
    const seen = { method, path: url.pathname, query: url.searchParams, headers, body }
    try {
      send(response, await route.handle(seen, deadline.signal))
    } catch (error) {
      this.#logger.error('a route failed', { path: route.path, err: toError(error) })
      const msg = `Cannot answer ${route.path}: internal error`
      this.#refuse(response, 500, { msg, hint: 'look at the log of the controller', code: 999 })
    } finally {
      response.off('close', onClose)
    }
  }

  #refuse(
    response: http.ServerResponse,
    status: number,
    problem: { readonly msg: string; readonly hint: string; readonly code?: number },
  ): void {
    this.#counts.refused += 1
    const { msg, hint, code = 7 } = problem
    const failure: RpcFailure = {
      code,
      msg,
      details: `${code === 11 ? 'try-again' : 'bad-request'}: ${hint}`,
    }
    // What was not read of the request would be taken for the next one.
    if (status === 413) response.setHeader('connection', 'close')
    send(response, { status, body: JSON.stringify(failure) })
  }
}

function send(response: http.ServerResponse, reply: RouteReply): void {
  if (response.destroyed || response.headersSent) return
  response.writeHead(reply.status, {
    ...reply.headers,
    'content-type': reply.contentType ?? 'application/json',
    'content-length': Buffer.byteLength(reply.body),
  })
  response.end(reply.body)
}
