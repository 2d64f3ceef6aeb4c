import type https from 'node:https'
import { nodeHttps } from '../base/index.ts'
import { readBody } from './read-body.ts'
import type { Place } from './replicas.ts'

export interface HttpsCall {
  readonly method: 'GET' | 'POST'
  readonly place: Place
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly agent: https.Agent
  readonly maxReplyBytes: number
}

export interface HttpsReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** 'too-long' when it exceeds the limit. */
  readonly body: Buffer | 'too-long'
}

/** Sends one request and reads the answer. Rejects with the socket's error, or with `signal.reason`. */
export async function callHttps(call: HttpsCall, signal: AbortSignal): Promise<HttpsReply> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<HttpsReply>()
  const { method, path, agent, body = '', place } = call
  const { host, port, servername } = place
  const content = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const request = nodeHttps().request({
    ...{ method, path, agent, host, port },
    headers: { ...call.headers, host: place.authority, ...(body === '' ? {} : content) },
    ...(servername === undefined ? {} : { servername }),
  })
  const onAbort = () => request.destroy(new DOMException('the call was given up', 'AbortError'))
  signal.addEventListener('abort', onAbort, { once: true })
  request.once('error', reject)
  request.once('response', (response) => {
    const { statusCode: status = 0, headers } = response
    readBody(response, call.maxReplyBytes).then((body) => {
      if (typeof body !== 'string') return resolve({ status, headers, body })
      request.destroy()
      resolve({ status, headers, body: 'too-long' })
    }, reject)
  })
  request.end(body)
  try {
    return await promise
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
