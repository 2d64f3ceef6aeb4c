import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { parseJson, stringifyJson } from '../../src/base/index.ts'

/** A request as the scripted server saw it. */
export interface Seen {
  readonly method: string
  readonly url: URL
  readonly headers: http.IncomingHttpHeaders
  readonly body: unknown
  readonly atMs: number
}

type Answer = (seen: Seen, response: http.ServerResponse) => boolean

/**
 * A real HTTP server on loopback that knows one collection (`/api/v1/namespaces/ns/configmaps`), and answers
 * whatever a test scripts before that. It is no API server: it does what a test tells it to, right or wrong.
 */
export class ScriptedApi {
  readonly requests: Seen[] = []
  readonly watches = new Set<http.ServerResponse>()
  readonly objects = new Map<string, Record<string, unknown>>()
  readonly #sockets = new Set<Socket>()
  readonly #answers: Answer[] = []
  #log: { version: number; line: string }[] = []
  #server: http.Server | undefined
  #version = 100
  #port = 0

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get version(): string {
    return `v${this.#version}`
  }

  async start(): Promise<void> {
    const server = http.createServer((request, response) => void this.#serve(request, response))
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  /** Ends every connection at once, as a crash does. */
  async stop(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    server.close()
    this.dropConnections()
    await once(server, 'close')
  }

  dropConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
    this.watches.clear()
  }

  /** Asked before the built-in behaviour, the oldest first, until one returns true. Stays in place. */
  always(answer: Answer): () => void {
    this.#answers.push(answer)
    return () => {
      const at = this.#answers.indexOf(answer)
      if (at >= 0) this.#answers.splice(at, 1)
    }
  }

  /** Answers one request that `matches`, then is gone. */
  next(matches: (seen: Seen) => boolean, reply: (response: http.ServerResponse, seen: Seen) => void): void {
    const remove = this.always((seen, response) => {
      if (!matches(seen)) return false
      remove()
      reply(response, seen)
      return true
    })
  }

  put(name: string, fields: Record<string, unknown> = {}, uid: string = `uid-${name}`): void {
    const isNew = !this.objects.has(name)
    this.#version += 1
    const metadata = { name, namespace: 'ns', uid, resourceVersion: this.version }
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, ...fields }
    this.objects.set(name, object)
    this.#emit({ type: isNew ? 'ADDED' : 'MODIFIED', object })
  }

  remove(name: string): void {
    const object = this.objects.get(name)
    if (object === undefined) return
    this.objects.delete(name)
    this.#version += 1
    this.#emit({
      type: 'DELETED',
      object: { ...object, metadata: { ...(object['metadata'] as object), resourceVersion: this.version } },
    })
  }

  bookmark(): void {
    this.#version += 1
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { resourceVersion: this.version } }
    this.#emit({ type: 'BOOKMARK', object })
  }

  /** Forgets old versions: who resumes from one gets 410. */
  compact(): void {
    this.#log = []
    this.#version += 1
  }

  /** Puts a raw line into every open watch. */
  write(text: string): void {
    for (const watch of this.watches) watch.write(text)
  }

  #emit(event: object): void {
    const line = `${stringifyJson(event)}\n`
    this.#log.push({ version: this.#version, line })
    this.write(line)
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    let text = ''
    request.setEncoding('utf8')
    for await (const chunk of request) text += chunk
    const { method = '', url = '/', headers } = request
    const body = text === '' ? undefined : parseJson(text)
    const seen = { method, url: new URL(url, this.url), headers, body, atMs: performance.now() }
    this.requests.push(seen)
    for (const answer of [...this.#answers]) if (answer(seen, response)) return
    if (seen.method !== 'GET') sendStatus(response, 405, 'MethodNotAllowed')
    else if (seen.url.searchParams.get('watch') === 'true') this.#watch(seen, response)
    else this.#read(seen, response)
  }

  #read(seen: Seen, response: http.ServerResponse): void {
    const name = /\/configmaps\/(.+)$/.exec(seen.url.pathname)?.[1]
    if (name !== undefined) {
      const object = this.objects.get(decodeURIComponent(name))
      if (object === undefined) sendStatus(response, 404, 'NotFound')
      else sendJson(response, 200, object)
      return
    }
    const limit = Number(seen.url.searchParams.get('limit') ?? Infinity)
    const [token = '0', version = this.version] = (seen.url.searchParams.get('continue') ?? '').split('@')
    const start = Number(token)
    const items = [...this.objects.values()].slice(start, start + limit)
    const isMore = start + limit < this.objects.size
    const metadata = {
      resourceVersion: version,
      ...(isMore ? { continue: `${start + limit}@${version}` } : {}),
    }
    sendJson(response, 200, { apiVersion: 'v1', kind: 'ConfigMapList', metadata, items })
  }

  #watch(seen: Seen, response: http.ServerResponse): void {
    const from = Number((seen.url.searchParams.get('resourceVersion') ?? '').slice(1))
    const oldest = this.#log[0]?.version ?? this.#version + 1
    if (from < oldest - 1) {
      sendStatus(response, 410, 'Expired')
      return
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    for (const { version, line } of this.#log) if (version > from) response.write(line)
    this.watches.add(response)
    response.on('close', () => this.watches.delete(response))
  }
}

export function sendJson(response: http.ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(stringifyJson(value))
}

export function sendStatus(
  response: http.ServerResponse,
  status: number,
  reason: string,
  more: { message?: string; headers?: Record<string, string> } = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...more.headers })
  const { message = `${reason} by script` } = more
  response.end(
    JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, code: status }),
  )
}

/** Waits until `holds` does, looking every few milliseconds. @throws when it does not within `limitMs` */
export async function until(holds: () => boolean, what: string, limitMs: number = 5000): Promise<void> {
  const end = performance.now() + limitMs
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
