import type { IncomingMessage } from 'node:http'
import { parseJson } from '../../../base/index.ts'
import { badRequest, StatusError } from '../status.ts'
import { decodeProtobuf } from './protobuf/decode.ts'

/** Longest body that is read. */
export const maxBodyBytes: number = 3 * 1024 * 1024

/** Bytes of bodies that all requests under way may hold together. */
const maxHeldBytes = 256 * 1024 * 1024

/** Counts the bytes of bodies in memory. */
export interface HeldBytes {
  count: number
}

/**
 * Reads a body and counts it as held; who calls takes it off the count again.
 * @throws {StatusError} 413 when the body is too long, 429 when all bodies are too much, 400 when it breaks off
 */
export async function readBody(request: IncomingMessage, held: HeldBytes): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge()
  try {
    for await (const chunk of request) {
      const piece: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
      bytes += piece.byteLength
      if (bytes > maxBodyBytes) throw tooLarge()
      if (held.count + bytes > maxHeldBytes) throw tooBusy()
      chunks.push(piece)
    }
  } catch (error) {
    if (error instanceof StatusError) throw error
    throw badRequest('the request body broke off before its end; send it again')
  }
  held.count += bytes
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
}

function tooBusy(): StatusError {
  const message = `requests under way hold over ${maxHeldBytes} bytes; wait and send this one again`
  return new StatusError(429, 'TooManyRequests', message, { retryAfterSeconds: 1 })
}

function tooLarge(): StatusError {
  return new StatusError(
    413,
    'RequestEntityTooLarge',
    `Request entity too large: limit is ${maxBodyBytes} bytes`,
  )
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** JSON of a body. @throws {StatusError} 400 that says where the text is wrong */
export function parseBody(body: Buffer): unknown {
  if (body.byteLength === 0) throw badRequest('the request has no body; send a JSON object')
  let text: string
  try {
    text = utf8.decode(body)
  } catch {
    throw badRequest('the request body is not UTF-8 text; send JSON in UTF-8')
  }
  try {
    return parseJson(text)
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw badRequest(`couldn't get version/kind; json parse error: ${problem}; send one JSON value`)
  }
}

const jsonTypes = ['application/json', 'application/yaml', 'text/plain', '']

/**
 * The object in a body, by its content type: JSON, or Kubernetes' protobuf.
 * @throws {StatusError} 415 for another content type, 400 for a body that cannot be read
 */
export function parseContent(body: Buffer, header: string | undefined): unknown {
  const type = (header ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  if (type === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(body)
  // curl's own default: its users mean JSON here.
  if (jsonTypes.includes(type) || type === 'application/x-www-form-urlencoded') return parseBody(body)
  throw unsupportedMediaType(type, ['application/json', 'application/vnd.kubernetes.protobuf'])
}

export function unsupportedMediaType(type: string, accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format (${type}) - accepted media types include: ${accepted.join(', ')}`
  return new StatusError(415, 'UnsupportedMediaType', message)
}
