import request from 'undici/lib/api/api-request.js'
import Pool from 'undici/lib/dispatcher/pool.js'
import type { Credentials } from '../access/access.ts'
import { type ApiFailure, parseRetryAfter } from '../api-error.ts'

/** One HTTP exchange as it goes out. `path` starts with '/' and holds the query. */
export interface Outgoing {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Reply {
  readonly status: number
  readonly isJson: boolean
  readonly retryAfterMs: number | undefined
  readonly text: string
}

/** The answer of a watch: its body is read chunk by chunk, no faster than it is used. */
export interface StreamReply {
  readonly status: number
  readonly chunks: AsyncIterable<Uint8Array>
  /** The whole body as text, for a refusal. */
  text(): Promise<Reply>
}

/** The exchange did not complete. `failure.reason` says how; thrown only inside this room. */
export class TransportFailure extends Error {
  readonly failure: ApiFailure
  constructor(failure: ApiFailure) {
    super(failure.message, { cause: failure.cause })
    this.failure = failure
  }
}

// Requests: foreground and background calls together; watches hold one connection each.
const requestConnections = 40
const watchConnections = 256
const connectTimeoutMs = 5000
// Idle connections go before servers and middleboxes forget them.
const idleConnectionMs = 20_000
// After 10 s of silence the kernel probes every second; after 10 lost probes (libuv sets both) the connection fails.
// So a connection whose packets vanish is noticed in about 20 s, and an idle healthy one is left alone.
const keepAliveProbeAfterMs = 10_000
const maxReplyBytes = 128 * 1024 * 1024
const maxErrorReplyBytes = 1024 * 1024

/** Connections to one API server with one set of TLS material, requests and watches apart. */
export class Connections {
  readonly key: string
  readonly #requests: Pool
  readonly #watches: Pool
  readonly #prefix: string

  constructor(credentials: Credentials) {
    this.key = credentials.connectionKey
    const url = new URL(credentials.server)
    this.#prefix = url.pathname === '/' ? '' : url.pathname
    this.#requests = new Pool(url.origin, poolOptions(credentials, requestConnections))
    this.#watches = new Pool(url.origin, poolOptions(credentials, watchConnections))
  }

  /** Sends and reads the whole answer. @throws {TransportFailure}, or `signal.reason` when aborted */
  async exchange(out: Outgoing, signal: AbortSignal): Promise<Reply> {
    const progress = { wasAnswered: false }
    try {
      const reply = await request.call(this.#requests, this.#options(out, signal))
      progress.wasAnswered = true
      const limit = reply.statusCode < 400 ? maxReplyBytes : maxErrorReplyBytes
      return await readReply(reply.statusCode, reply.headers, { chunks: reply.body, limit })
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw asFailure(error, progress.wasAnswered)
    }
  }

  /** Sends and gives the answer as soon as its headers are there. Aborting `signal` ends the stream. */
  async open(out: Outgoing, signal: AbortSignal): Promise<StreamReply> {
    try {
      const reply = await request.call(this.#watches, this.#options(out, signal))
      const refusal = { chunks: reply.body, limit: maxErrorReplyBytes }
      return {
        status: reply.statusCode,
        chunks: failing(reply.body, signal),
        text: () => readReply(reply.statusCode, reply.headers, refusal),
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw asFailure(error, false)
    }
  }

  /** Lets running exchanges finish, for as long as `signal` lets them, then ends all. */
  async close(signal: AbortSignal): Promise<void> {
    const end = () => Promise.all([this.#requests.destroy(), this.#watches.destroy()])
    if (signal.aborted) {
      await end()
      return
    }
    const onAbort = () => void end()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.all([this.#requests.close(), this.#watches.close()])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #options(out: Outgoing, signal: AbortSignal) {
    return {
      method: out.method as 'GET',
      path: this.#prefix + out.path,
      headers: { ...out.headers },
      signal,
      ...(out.body === undefined ? {} : { body: out.body }),
    }
  }
}

function poolOptions(credentials: Credentials, connections: number): Pool.Options {
  const { ca, cert, key, servername, insecure } = credentials.tls
  return {
    connections,
    pipelining: 1,
    allowH2: false,
    // Deadlines are the caller's, per kind of call.
    headersTimeout: 0,
    bodyTimeout: 0,
    connectTimeout: connectTimeoutMs,
    keepAliveTimeout: idleConnectionMs,
    keepAliveMaxTimeout: idleConnectionMs,
    keepAliveTimeoutThreshold: 2000,
    connect: {
      keepAlive: true,
      keepAliveInitialDelay: keepAliveProbeAfterMs,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: insecure !== true,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(servername === undefined ? {} : { servername }),
    },
  }
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

async function readReply(
  status: number,
  headers: Headers,
  body: { chunks: AsyncIterable<Uint8Array>; limit: number },
): Promise<Reply> {
  const parts: Uint8Array[] = []
  let byteCount = 0
  for await (const chunk of body.chunks) {
    byteCount += chunk.byteLength
    if (byteCount > body.limit) {
      const message = `the answer is longer than ${body.limit} bytes`
      throw new TransportFailure({ status: 0, reason: 'TooLarge', message, maybeApplied: true })
    }
    parts.push(chunk)
  }
  return {
    status,
    isJson: String(headers['content-type'] ?? '').includes('json'),
    retryAfterMs: parseRetryAfter(headers['retry-after'], Date.now()),
    text: Buffer.concat(parts).toString('utf8'),
  }
}

async function* failing(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw asFailure(error, true)
  }
}

// What cannot have reached the server: no connection was made, so repeating a write is safe.
const unsentCodes = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
])

function asFailure(error: unknown, wasAnswered: boolean): TransportFailure {
  if (error instanceof TransportFailure) return error
  const code = codeOf(error)
  const message = (error instanceof Error ? error.message : String(error)) || code
  const isUnsent = !wasAnswered && (unsentCodes.has(code) || isTlsRefusal(code))
  const failure = { status: 0, message: message === '' ? 'connection failed' : message, cause: error }
  if (isUnsent) return new TransportFailure({ ...failure, reason: 'Unreachable' })
  return new TransportFailure({ ...failure, reason: 'ConnectionLost', maybeApplied: true })
}

// The handshake comes before the request, so nothing of it was sent.
function isTlsRefusal(code: string): boolean {
  return code.startsWith('ERR_TLS_') || code.startsWith('CERT_') || /SELF_SIGNED|UNABLE_TO_|ISSUER/.test(code)
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}
