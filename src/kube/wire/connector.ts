import { type Logger, toError } from '../../base/index.ts'
import type { Credentials, KubeAccess } from '../access/access.ts'
import { Connections, type Outgoing, type Reply, type StreamReply, TransportFailure } from './transport.ts'

const closeGraceMs = 5000

/** Keeps the connections that fit the credentials of the moment, and sends with them. */
export class Connector {
  readonly #access: KubeAccess
  readonly #logger: Logger
  readonly #userAgent: string
  readonly #retiring = new Set<Promise<void>>()
  readonly #end = new AbortController()
  #connections: Connections | undefined

  constructor(access: KubeAccess, userAgent: string, logger: Logger) {
    this.#access = access
    this.#userAgent = userAgent
    this.#logger = logger
  }

  /** Sends once; after a 401 once more, with credentials that were read again. */
  async exchange(out: Outgoing, signal: AbortSignal): Promise<Reply> {
    const first = await this.#credentials(signal)
    const reply = await this.#connect(first).exchange(this.#sign(out, first), signal)
    if (reply.status !== 401) return reply
    this.#access.reject(first)
    const second = await this.#credentials(signal)
    if (second === first) return reply
    return this.#connect(second).exchange(this.#sign(out, second), signal)
  }

  /** As `exchange`, for an answer that goes on. */
  async open(out: Outgoing, signal: AbortSignal): Promise<StreamReply> {
    const first = await this.#credentials(signal)
    const reply = await this.#connect(first).open(this.#sign(out, first), signal)
    if (reply.status !== 401) return reply
    this.#access.reject(first)
    const second = await this.#credentials(signal)
    if (second === first) return reply
    await reply.text()
    return this.#connect(second).open(this.#sign(out, second), signal)
  }

  /** Ends all connections, after a moment for what is under way. */
  async close(): Promise<void> {
    const current = this.#connections
    this.#connections = undefined
    if (!this.#end.signal.aborted) {
      const timer = setTimeout(() => this.#end.abort(), closeGraceMs)
      if (current !== undefined) this.#retire(current)
      await Promise.all(this.#retiring)
      clearTimeout(timer)
      this.#end.abort()
    }
  }

  async #credentials(signal: AbortSignal): Promise<Credentials> {
    if (this.#end.signal.aborted) {
      throw new TransportFailure({ status: 0, reason: 'Closed', message: 'this client is closed' })
    }
    return this.#access.current(signal)
  }

  #connect(credentials: Credentials): Connections {
    const current = this.#connections
    if (current?.key === credentials.connectionKey) return current
    const next = new Connections(credentials)
    this.#connections = next
    if (current !== undefined) {
      this.#logger.info('connecting anew to the API server: address or certificates changed')
      this.#retire(current)
    }
    return next
  }

  // Watches on the old connections run to their own end: a new certificate is no reason to drop them.
  #retire(connections: Connections): void {
    const done = connections.close(this.#end.signal).catch((error: unknown) => {
      this.#logger.debug('closing a connection failed', { err: toError(error).message })
    })
    this.#retiring.add(done)
    void done.finally(() => this.#retiring.delete(done))
  }

  #sign(out: Outgoing, credentials: Credentials): Outgoing {
    const { authorization } = credentials
    const headers = {
      ...out.headers,
      'user-agent': this.#userAgent,
      ...(authorization === undefined ? {} : { authorization }),
    }
    return { ...out, headers }
  }
}
