import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Clock, parseJson, silentLogger, stringifyJson } from '../../src/base/index.ts'
import { type ApiServer, startApiServer } from '../../src/lab/apiserver/apiserver.ts'
import { loadKeys, type ServerKeys } from '../../src/lab/apiserver/pki-files.ts'

/** One answer of the server. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The parsed body. */
  readonly body: Record<string, unknown>
}

export interface Send {
  readonly body?: unknown
  /** Sent as it is. */
  readonly raw?: string | Buffer
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Instead of the administrator's certificate. */
  readonly token?: string
  readonly isAnonymous?: boolean
}

export interface WatchEvent {
  readonly type: string
  readonly object: Record<string, unknown>
}

/** Events of one watch, in their order. */
export interface Watching {
  /** The next event; fails after five seconds without one. */
  next(): Promise<WatchEvent>
  /** Resolves when the server ended the stream. */
  readonly ended: Promise<void>
  close(): void
}

const waitMs = 5000

/** An API server in this process, in a folder of its own, and a client for it. */
export class TestServer {
  readonly folder: string
  readonly keys: ServerKeys
  readonly #options: { readonly clock?: Clock; readonly historyEvents?: number }
  readonly #admin: Agent
  readonly #anonymous: Agent
  #server: ApiServer | undefined
  #port = 0

  private constructor(folder: string, keys: ServerKeys, options: TestServerOptions) {
    this.folder = folder
    this.keys = keys
    this.#options = options
    const common = { keepAlive: true, ca: keys.ca.certPem }
    this.#admin = new Agent({ ...common, cert: keys.admin.certPem, key: keys.admin.keyPem })
    this.#anonymous = new Agent(common)
  }

  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const folder = await mkdtemp(join(tmpdir(), 'spiderpool-api-'))
    const test = new TestServer(folder, await loadKeys(join(folder, 'pki'), Date.now()), options)
    await test.open()
    return test
  }

  get port(): number {
    return this.#port
  }

  async open(): Promise<void> {
    const { keys, folder } = this
    const { clock, historyEvents } = this.#options
    this.#server = await startApiServer(
      {
        storeFolder: join(folder, 'apiserver'),
        host: '127.0.0.1',
        port: 0,
        keys: { ...keys.serving, caPem: keys.ca.certPem, tokenKeyPem: keys.tokenKeyPem },
        logger: silentLogger,
        ...(clock === undefined ? {} : { clock }),
        ...(historyEvents === undefined ? {} : { history: { events: historyEvents, bytes: 1 << 26 } }),
      },
      AbortSignal.timeout(waitMs),
    )
    this.#port = this.#server.port
  }

  async stop(): Promise<void> {
    await this.#server?.close()
    this.#server = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#admin.destroy()
    this.#anonymous.destroy()
    await this.stop()
    await rm(this.folder, { recursive: true })
  }

  async call(method: string, path: string, send: Send = {}): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    const request = httpsRequest(this.#requestOptions(method, path, send), (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => {
        const isJson = String(response.headers['content-type']).startsWith('application/json')
        const parsed = isJson && text !== '' ? parseJson(text) : {}
        assert.ok(typeof parsed === 'object' && parsed !== null)
        const body: Record<string, unknown> = { ...parsed }
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body })
      })
    })
    request.on('error', reject)
    const content = Buffer.from(send.raw ?? (send.body === undefined ? '' : stringifyJson(send.body)))
    // Node frames no body of a DELETE by itself.
    if (content.byteLength > 0 || method !== 'GET') request.setHeader('Content-Length', content.byteLength)
    request.end(content)
    return promise
  }

  /** Starts a watch; resolves with its HTTP status once the headers are there. */
  async watch(path: string): Promise<{ readonly status: number } & Watching> {
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number } & Watching>()
    const request = httpsRequest(this.#requestOptions('GET', path, {}), (response) => {
      const lines = createInterface({ input: response })
      const iterator = lines[Symbol.asyncIterator]()
      const ended = Promise.withResolvers<void>()
      response.once('close', () => ended.resolve())
      response.on('error', () => ended.resolve())
      const next = async (): Promise<WatchEvent> => {
        const timer = setTimeout(() => request.destroy(), waitMs)
        const line = await iterator.next()
        clearTimeout(timer)
        assert.equal(line.done, false, `a watch of ${path} ended or gave no event in ${waitMs} ms`)
        return JSON.parse(line.value)
      }
      resolve({
        status: response.statusCode ?? 0,
        next,
        ended: ended.promise,
        close: () => request.destroy(),
      })
    })
    request.on('error', reject)
    request.end()
    return promise
  }

  #requestOptions(method: string, path: string, send: Send): RequestOptions {
    const isAdmin = send.token === undefined && send.isAnonymous !== true
    return {
      host: '127.0.0.1',
      port: this.#port,
      method,
      path,
      agent: isAdmin ? this.#admin : this.#anonymous,
      headers: {
        'Content-Type': send.contentType ?? 'application/json',
        ...(send.token === undefined ? {} : { Authorization: `Bearer ${send.token}` }),
        ...send.headers,
      },
    }
  }
}

export interface TestServerOptions {
  readonly clock?: Clock
  readonly historyEvents?: number
}

/** The value at a path such as `metadata.name` or `status.conditions.0.type`. */
export function at(value: unknown, path: string): unknown {
  let found = value
  for (const key of path.split('.')) {
    found = typeof found === 'object' && found !== null ? Reflect.get(found, key) : undefined
  }
  return found
}
