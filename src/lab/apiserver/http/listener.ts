import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { assert, stringifyJson, toError } from '../../../base/index.ts'
import { certificateIdentity, tokenIdentity } from '../auth/authenticate.ts'
import type { Identity } from '../auth/identity.ts'
import type { ServerContext } from '../context.ts'
import { versionDocument } from '../discovery/discovery.ts'
import type { Answer, Call } from '../rest/call.ts'
import { route } from '../rest/router.ts'
import { badRequest, internalError, StatusError, unauthorized } from '../status.ts'
import { JournalError } from '../store/journal.ts'
import { type HeldBytes, readBody } from './read-body.ts'

const maxConnections = 4000
const maxHeaderBytes = 32 * 1024
const maxHeaders = 200
const headersMs = 10_000
const requestMs = 60_000
const keepAliveMs = 120_000
// A client that vanished without a word is noticed, and its watch ended.
const tcpProbeMs = 15_000
const closeMs = 3000
const maxSelectorBytes = 16 * 1024
const retryAfterSeconds = 1

export interface ListenerFiles {
  readonly certPem: string
  readonly keyPem: string
  readonly caPem: string
}

/** The HTTPS side of the server: limits, authentication, and a Status object for whatever is refused. */
export class Listener {
  readonly #context: ServerContext
  readonly #server: Server
  readonly #held: HeldBytes = { count: 0 }

  constructor(context: ServerContext, files: ListenerFiles) {
    this.#context = context
    this.#server = createServer(
      {
        cert: files.certPem,
        key: files.keyPem,
        ca: files.caPem,
        requestCert: true,
        // A client without a certificate may still bring a token.
        rejectUnauthorized: false,
        minVersion: 'TLSv1.2',
        maxHeaderSize: maxHeaderBytes,
        headersTimeout: headersMs,
        requestTimeout: requestMs,
        keepAliveTimeout: keepAliveMs,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: tcpProbeMs,
      },
      (request, response) => void this.#serve(request, response),
    )
    this.#server.maxConnections = maxConnections
    this.#server.maxHeadersCount = maxHeaders
    this.#server.on('clientError', (error, socket) => refuseBroken(error, socket))
    this.#server.on('tlsClientError', (_error, socket) => void socket.destroy())
  }

  /** @returns the port it listens on */
  async listen(host: string, port: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen(port, host, resolve)
    await promise
    this.#server.off('error', reject)
    this.#server.on('error', (error) => this.#context.logger.error('listener failed', { err: error }))
    const address: AddressInfo | string | null = this.#server.address()
    assert(address !== null && typeof address === 'object', 'a TCP listener has an address')
    return address.port
  }

  /** Stops listening; open watches end, other requests get a few seconds. */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeIdleConnections()
    const timer = setTimeout(() => this.#server.closeAllConnections(), closeMs)
    await promise
    clearTimeout(timer)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const signal = AbortSignal.any([gone.signal, this.#context.stopping])
    // Of admission; a refusal carries them too, as they may say what to write instead.
    const warnings: string[] = []
    try {
      const answer = await this.#answer(request, warnings, signal)
      if (answer.kind === 'stream') await answer.run(response)
      else send(response, answer, warnings)
    } catch (error) {
      this.#refuse(request, response, error, warnings)
    }
  }

  async #answer(request: IncomingMessage, warnings: string[], signal: AbortSignal): Promise<Answer> {
    const url = parseUrl(request)
    const open = openAnswer(url.pathname)
    if (open !== undefined) return open
    const identity = this.#authenticate(request)
    const query = url.searchParams
    if (url.search.length > maxSelectorBytes)
      throw badRequest(`the query is longer than ${maxSelectorBytes} bytes; shorten its selectors`)
    if (request.headers.upgrade !== undefined)
      throw badRequest(
        `upgrade to ${request.headers.upgrade} is not supported: lab pods run no shell; use: spiderpoolctl lab exec NAMESPACE/POD -- COMMAND`,
      )
    const call: Call = {
      method: request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET'),
      path: url.pathname,
      query,
      identity,
      contentType: request.headers['content-type'],
      userAgent: request.headers['user-agent'] ?? '',
      accept: request.headers.accept,
      signal,
      body: await readBody(request, this.#held),
      warnings,
    }
    return route(this.#context, call).finally(() => {
      this.#held.count -= call.body.byteLength
    })
  }

  #authenticate(request: IncomingMessage): Identity {
    const { authorization } = request.headers
    const token = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1]
    if (token !== undefined) {
      const { store, tokens, clock } = this.#context
      const identity = tokenIdentity(token, store, tokens, clock.nowMs())
      if (typeof identity === 'string')
        throw unauthorized(`Unauthorized: the bearer token is refused: ${identity}`)
      return identity
    }
    const identity = request.socket instanceof TLSSocket ? certificateIdentity(request.socket) : undefined
    if (identity !== undefined) return identity
    throw unauthorized('Unauthorized: send a client certificate of this server or a bearer token')
  }

  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    error: unknown,
    warnings: readonly string[],
  ): void {
    const status = this.#statusOf(request, error)
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    // What is left of a body that was too long must not be read as the next request.
    if (!request.complete) response.setHeader('Connection', 'close')
    const seconds = status.parts.retryAfterSeconds
    if (seconds !== undefined) response.setHeader('Retry-After', String(seconds))
    if (status.status === 401) response.setHeader('WWW-Authenticate', 'Bearer')
    send(response, { kind: 'json', status: status.status, text: stringifyJson(status.toStatus()) }, warnings)
  }

  #statusOf(request: IncomingMessage, error: unknown): StatusError {
    if (error instanceof StatusError) return error
    const { method, url } = request
    if (error instanceof JournalError) {
      this.#context.logger.error('store refused a write', { err: error })
      return new StatusError(500, 'InternalError', `${error.message}; ${error.hint}`, { retryAfterSeconds })
    }
    const known = toError(error)
    if (known.name !== 'AbortError') this.#context.logger.error('request failed', { method, url, err: known })
    return internalError(known.message)
  }
}

function parseUrl(request: IncomingMessage): URL {
  const text = request.url ?? '/'
  const url = text.startsWith('/') ? URL.parse(`https://server${text}`) : null
  if (url === null)
    throw badRequest(`cannot read request path ${JSON.stringify(text.slice(0, 200))}: it must start with /`)
  return url
}

const health = ['/healthz', '/readyz', '/livez']

/** What anybody may ask without credentials. */
function openAnswer(path: string): Answer | undefined {
  if (health.includes(path)) return { kind: 'text', status: 200, text: 'ok' }
  return path === '/version' ? { kind: 'json', status: 200, text: versionDocument() } : undefined
}

function send(
  response: ServerResponse,
  answer: Exclude<Answer, { kind: 'stream' }>,
  warnings: readonly string[],
): void {
  const bytes = Buffer.from(answer.text)
  for (const warning of warnings)
    response.appendHeader('Warning', `299 - ${JSON.stringify(printable(warning))}`)
  const contentType =
    answer.kind === 'text' ? 'text/plain; charset=utf-8' : (answer.contentType ?? 'application/json')
  response.writeHead(answer.status, {
    'Content-Type': contentType,
    'Content-Length': bytes.byteLength,
    'Cache-Control': 'no-cache, private',
  })
  response.end(bytes)
}

// Header values are latin1 without control characters.
const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '?')

const brokenRequests: Readonly<Record<string, { readonly code: number; readonly text: string }>> = {
  HPE_HEADER_OVERFLOW: { code: 431, text: `the headers are longer than ${maxHeaderBytes} bytes` },
  ERR_HTTP_REQUEST_TIMEOUT: { code: 408, text: 'the request took too long to arrive' },
}

// Before there is a request object: what came is not HTTP.
function refuseBroken(error: Error & { code?: string }, socket: Socket | NodeJS.WritableStream): void {
  const { code, text } = brokenRequests[error.code ?? ''] ?? {
    code: 400,
    text: `the request is not HTTP/1.1: ${error.message}`,
  }
  if (!('destroyed' in socket) || socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
    if ('destroy' in socket) socket.destroy()
    return
  }
  const body = stringifyJson(new StatusError(code, 'BadRequest', `${text}; correct the request`).toStatus())
  socket.end(
    `HTTP/1.1 ${code} Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
