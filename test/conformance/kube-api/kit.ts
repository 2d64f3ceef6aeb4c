import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import type { TestContext } from 'node:test'
import { parseJson, stringifyJson } from '../../../src/base/index.ts'
import { type KubeAccess, KubeClient } from '../../../src/kube/index.ts'

/** A Kubernetes API server that the suite may write to. */
export interface ApiUnderTest {
  /** An administrator. */
  readonly access: KubeAccess
  /** It forgets a version after so many later changes; absent where that is not known. */
  readonly changesKept?: number
  readonly close: () => Promise<void>
}

/** Defines one case of the suite. */
export type Check = (name: string, body: (t: TestContext) => Promise<void>) => void

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: unknown
}

export interface Sent {
  readonly body?: unknown
  readonly type?: string
  readonly accept?: string
  /** Instead of the administrator's credentials; '' for none. */
  readonly token?: string
}

/** One event as it came over a watch. */
export interface Event {
  readonly type: string
  readonly object: unknown
}

export const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const

/** What the cases of the suite work with. */
export class Kit {
  readonly client: KubeClient
  readonly api: ApiUnderTest
  readonly #namespaces: string[] = []

  constructor(api: ApiUnderTest) {
    this.api = api
    this.client = new KubeClient(api.access, { userAgent: 'conformance' })
  }

  unique(prefix: string): string {
    return `${prefix}-${randomBytes(4).toString('hex')}`
  }

  /** A new namespace; removed at the end. */
  async namespace(): Promise<string> {
    const name = this.unique('conformance')
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
    expect(await this.send('POST', '/api/v1/namespaces', { body }), 201)
    this.#namespaces.push(name)
    // The default ServiceAccount may come a moment later.
    return name
  }

  async send(method: string, path: string, sent: Sent = {}): Promise<Answer> {
    const { response, end } = await this.#request(method, path, sent, AbortSignal.timeout(20_000))
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk
    end()
    // A real server calls the index of its OpenAPI documents plain text.
    const isJson = /json|text\/plain/.test(response.headers['content-type'] ?? '') && /^[[{]/.test(text)
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: isJson ? parseJson(text) : text,
    }
  }

  async patch(path: string, type: keyof typeof patchTypes, body: unknown): Promise<Answer> {
    return this.send('PATCH', path, { type: patchTypes[type], body })
  }

  /** Collects the events of a watch until `enough`, its end, or `limitMs`. */
  async watch(
    path: string,
    enough: (events: readonly Event[]) => boolean,
    limitMs = 10_000,
  ): Promise<Event[]> {
    const events: Event[] = []
    const { response, end } = await this.#request('GET', path, {}, AbortSignal.timeout(limitMs))
    try {
      if (response.statusCode !== 200) {
        return [{ type: 'STATUS', object: { code: response.statusCode } }]
      }
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) {
        text += chunk
        const lines = text.split('\n')
        text = lines.pop() ?? ''
        for (const line of lines) if (line !== '') events.push(parseJson(line) as Event)
        if (enough(events)) break
      }
    } catch (error) {
      if (!(error instanceof Error && error.name === 'AbortError')) throw error
    } finally {
      end()
    }
    return events
  }

  async close(): Promise<void> {
    for (const name of this.#namespaces) await this.send('DELETE', `/api/v1/namespaces/${name}`)
    await this.client.close()
    await this.api.close()
  }

  async #request(method: string, path: string, sent: Sent, signal: AbortSignal) {
    const { server, tls, authorization } = await this.api.access.current(signal)
    const body = sent.body === undefined ? undefined : bodyText(sent.body)
    const isOther = sent.token !== undefined
    const { cert, key, ...trust } = tls
    const own = sent.token === undefined || sent.token === '' ? undefined : `Bearer ${sent.token}`
    const auth = isOther ? own : authorization
    const options = {
      method,
      signal,
      ...trust,
      ...(isOther || cert === undefined ? {} : { cert, key }),
      rejectUnauthorized: tls.insecure !== true,
      agent: false,
      headers: {
        accept: sent.accept ?? 'application/json',
        ...(body === undefined ? {} : framing(body, sent.type)),
        ...(auth === undefined ? {} : { authorization: auth }),
      },
    } as const
    const url = `${server}${path}`
    const request = url.startsWith('https:') ? https.request(url, options) : http.request(url, options)
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
    request.on('error', reject)
    request.once('response', resolve)
    request.end(body)
    return { response: await promise, end: () => request.destroy() }
  }
}

/** Asserts status and, for a refusal, the reason. @returns the body */
export function expect(answer: Answer, status: number | readonly number[], reason?: string): unknown {
  const wanted = typeof status === 'number' ? [status] : status
  const shown = `status ${answer.status}, wanted ${wanted.join(' or ')}: ${JSON.stringify(loggable(answer.body)).slice(0, 500)}`
  assert.ok(wanted.includes(answer.status), shown)
  if (answer.status >= 400) assert.equal(at(answer.body, 'kind'), 'Status', shown)
  if (reason !== undefined) assert.equal(at(answer.body, 'reason'), reason, shown)
  return answer.body
}

const eventuallyMs = 30_000

/** Asks again, for half a minute at most, until there is an answer. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const untilMs = performance.now() + eventuallyMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    assert.ok(performance.now() < untilMs, `${what}: not within ${eventuallyMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

/** The member at a dotted path; undefined when there is none. */
export function at(value: unknown, path: string): unknown {
  let found = value
  for (const name of path.split('.')) {
    if (typeof found !== 'object' || found === null) return undefined
    found = (found as Record<string, unknown>)[name]
  }
  return found
}

export function textAt(value: unknown, path: string): string {
  const found = at(value, path)
  assert.equal(typeof found, 'string', `${path} is no text`)
  return found as string
}

export function listAt(value: unknown, path: string): readonly unknown[] {
  const found = at(value, path)
  assert.ok(Array.isArray(found), `${path} is no list`)
  return found
}

export const versionOf = (object: unknown): string => textAt(object, 'metadata.resourceVersion')
export const nameOf = (object: unknown): string => textAt(object, 'metadata.name')

export function configMap(
  name: string,
  more: Record<string, unknown> = {},
  metadata: Record<string, unknown> = {},
) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, ...more }
}

// Node frames the body of a DELETE by itself only when told its length.
function framing(body: string, type = 'application/json'): http.OutgoingHttpHeaders {
  return { 'content-type': type, 'content-length': Buffer.byteLength(body) }
}

function bodyText(body: unknown): string {
  return typeof body === 'string' ? body : stringifyJson(body)
}

function loggable(value: unknown): unknown {
  return parseJson(stringifyJson(value ?? null).replace(/:(\d{16,})/g, ':"$1"'))
}
