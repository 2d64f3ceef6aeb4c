import { once } from 'node:events'
import type http from 'node:http'
import type https from 'node:https'
import type { RpcFailure } from '../api/index.ts'
import {
  assert,
  deadlineAfter,
  type Logger,
  nodeHttp,
  nodeHttps,
  OperationError,
  type Retry,
  toError,
} from '../base/index.ts'
import { type ConnectionLimits, UntrustedConnections } from './connections.ts'
import { type BodyRoom, readBody } from './read-body.ts'
import type { RefusalReason } from './refusal.ts'

/** What is known of a request before its body. */
export interface RouteHead {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
  /** IP address of the caller's end of the connection. */
  readonly remoteAddress: string
}

/** One request as a route sees it. */
export interface RouteRequest extends Omit<RouteHead, 'remoteAddress'> {
  readonly body: Buffer
}

export interface RouteReply {
  readonly status: number
  readonly body: string
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
}

interface RoutePlace {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly maxBodyBytes: number
  readonly deadlineMs: number
}

type Handle = (request: RouteRequest, signal: AbortSignal) => Promise<RouteReply>

/** What answers one path. `signal` aborts when the caller is gone, the deadline is over, or the server is closed by force. */
export interface Route extends RoutePlace {
  handle(request: RouteRequest, signal: AbortSignal): Promise<RouteReply>
}

/** A route for known callers: who is not admitted gets a reply before the body is read; a stranger's connection (401, 403) ends. */
export interface GuardedRoute extends RoutePlace {
  admit(head: RouteHead, signal: AbortSignal): Promise<RouteReply | Handle>
}

export interface ServerTls {
  readonly cert: string
  readonly key: string
}

export interface ServerLimits extends ConnectionLimits {
  readonly maxConnections: number
  /** Requests that are being handled at once; more get 503. */
  readonly maxRequests: number
  readonly headersTimeoutMs: number
  /** For the whole request, headers and body, to arrive. */
  readonly requestTimeoutMs: number
  readonly idleTimeoutMs: number
  /** Bodies of callers that showed no token, together. */
  readonly maxUntrustedBodyBytes: number
}

export interface ServerOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Absent: plain HTTP, for probes and metrics alone. */
  readonly tls?: ServerTls
  readonly routes: readonly (Route | GuardedRoute)[]
  readonly limits?: Partial<ServerLimits>
  /** Hears of each request and connection that is turned away. */
  readonly onRefused?: (reason: RefusalReason) => void
}

/** A running server. */
export interface RunningServer {
  readonly port: number
  /** New connections get this certificate. */
  setCertificate(tls: ServerTls): void
  stats(): {
    readonly requests: number
    readonly refused: number
    readonly droppedConnections: number
    /** Connections that are open now and have shown no token. */
    readonly untrustedConnections: number
  }
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
  // Longer than a Go client, such as the API server, keeps a connection without use: it never sends into one that we just ended.
  idleTimeoutMs: 120_000,
  maxUntrustedPerAddress: 256,
  maxUntrusted: 2_048,
  maxUntrustedBodyBytes: 64 * 1024 * 1024,
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
  readonly #untrusted: UntrustedConnections
  #untrustedBodyBytes = 0
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
        ? nodeHttp().createServer(settings)
        : nodeHttps().createServer({ ...settings, ...secure, cert: tls.cert, key: tls.key })
    this.#server.maxConnections = maxConnections
    const dropped = () => {
      this.#counts.droppedConnections += 1
      options.onRefused?.('too-many-connections')
    }
    this.#untrusted = new UntrustedConnections(this.#limits, dropped)
    this.#server.on('connection', (socket) => this.#untrusted.add(socket))
    this.#server.on('drop', dropped)
    this.#server.on('request', (request, response) => this.#accept(request, response))
    this.#server.on('tlsClientError', (error) => this.#noteBadClient(error))
    this.#server.on('clientError', (error, socket) => {
      const status = this.#noteBadClient(error)
      if (socket.writable)
        socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      socket.destroy()
    })
  }

  /** @returns the status line's end for what a client did wrong before there was a request */
  #noteBadClient(error: NodeJS.ErrnoException): string {
    const { onRefused } = this.#options
    this.#logger.debug('client not understood', { err: error.message })
    switch (error.code) {
      case 'ERR_HTTP_REQUEST_TIMEOUT':
      case 'ERR_TLS_HANDSHAKE_TIMEOUT':
        onRefused?.('too-slow')
        return '408 Request Timeout'
      case 'HPE_HEADER_OVERFLOW':
        onRefused?.('too-large')
        return '431 Request Header Fields Too Large'
      default:
        return '400 Bad Request'
    }
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
    if (this.#server instanceof nodeHttps().Server) {
      this.#server.setSecureContext({ cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' })
    }
  }

  stats() {
    return { ...this.#counts, untrustedConnections: this.#untrusted.size }
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
      this.#refuse(response, 503, { msg, hint: 'try again later', code: 11, reason: 'too-many-requests' })
      return
    }
    await this.#handle(route, url, request, response)
  }

  async #handle(
    route: Route | GuardedRoute,
    url: URL,
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    const gone = new AbortController()
    const onClose = () => gone.abort(new DOMException('the caller is gone', 'AbortError'))
    response.once('close', onClose)
    using deadline = deadlineAfter(route.deadlineMs, gone.signal, this.#forced.signal)
    const { method = '', headers, socket } = request
    const seen = { method, path: url.pathname, query: url.searchParams, headers }
    try {
      const handle = await this.#admit(route, seen, request, deadline.signal)
      if (typeof handle !== 'function') {
        this.#counts.refused += 1
        const isStranger = handle.status === 401 || handle.status === 403
        send(response, {
          ...handle,
          headers: { ...handle.headers, ...(isStranger ? { connection: 'close' } : {}) },
        })
        return
      }
      await this.#answer({ route, handle, seen }, request, response, deadline.signal)
    } catch (error) {
      if (gone.signal.aborted) throw error
      this.#logger.error('a route failed', { path: route.path, err: toError(error) })
      const msg = `Cannot answer ${route.path}: internal error`
      this.#refuse(response, 500, { msg, hint: 'look at the log of the controller', code: 999 })
    } finally {
      response.off('close', onClose)
      this.#untrusted.setBusy(socket, false)
    }
  }

  async #admit(
    route: Route | GuardedRoute,
    seen: Omit<RouteHead, 'remoteAddress'>,
    { socket }: http.IncomingMessage,
    signal: AbortSignal,
  ): Promise<Handle | RouteReply> {
    if (!('admit' in route)) return (request, inner) => route.handle(request, inner)
    const admitted = await route.admit({ ...seen, remoteAddress: socket.remoteAddress ?? '' }, signal)
    if (typeof admitted === 'function') this.#untrusted.trust(socket)
    return admitted
  }

  async #answer(
    call: {
      readonly route: Route | GuardedRoute
      readonly handle: Handle
      readonly seen: Omit<RouteHead, 'remoteAddress'>
    },
    request: http.IncomingMessage,
    response: http.ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const { route, handle, seen } = call
    using room = this.#bodyRoom()
    const body = await readBody(request, route.maxBodyBytes, 'admit' in route ? undefined : room)
    if (body === 'too-long') {
      const msg = `Cannot accept the body of ${route.path}: it is too long`
      const hint = `send at most ${route.maxBodyBytes} bytes`
      this.#refuse(response, 413, { msg, hint, reason: 'too-large' })
      return
    }
    if (body === 'no-room') {
      const msg = `Cannot accept the body of ${route.path}: too many are being read`
      this.#refuse(response, 503, { msg, hint: 'try again later', code: 11, reason: 'too-many-requests' })
      return
    }
    this.#untrusted.setBusy(request.socket, true)
    send(response, await handle({ ...seen, body }, signal))
  }

  /** Holds what one body takes of the room for all, and gives it back. */
  #bodyRoom(): BodyRoom & Disposable {
    let held = 0
    return {
      take: (bytes) => {
        held += bytes
        this.#untrustedBodyBytes += bytes
        return this.#untrustedBodyBytes <= this.#limits.maxUntrustedBodyBytes
      },
      [Symbol.dispose]: () => {
        this.#untrustedBodyBytes -= held
      },
    }
  }

  #refuse(
    response: http.ServerResponse,
    status: number,
    problem: {
      readonly msg: string
      readonly hint: string
      readonly code?: number
      readonly reason?: RefusalReason
    },
  ): void {
    this.#counts.refused += 1
    const { msg, hint, code = 7, reason } = problem
    if (reason !== undefined) this.#options.onRefused?.(reason)
    const failure: RpcFailure = {
      code,
      msg,
      details: `${code === 11 ? 'try-again' : 'bad-request'}: ${hint}`,
    }
    // What was not read of the request would be taken for the next one.
    if (reason !== undefined) response.setHeader('connection', 'close')
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
