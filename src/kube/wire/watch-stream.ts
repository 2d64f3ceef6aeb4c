import { parseJson } from '../../base/index.ts'
import { failureOfStatus } from '../api-error.ts'
import { isRecord } from '../untyped.ts'
import { TransportFailure } from './transport.ts'

/** An event as it came: the object is known to have metadata with a resourceVersion, and nothing more. */
export interface RawEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  readonly object: Readonly<Record<string, unknown>>
}

// One object is at most 1.5 MiB in the store; as JSON it can grow.
export const maxLineBytes: number = 16 * 1024 * 1024

/**
 * Splits a watch into events, each given on before more is read.
 *
 * @throws {TransportFailure} for an ERROR event (status of the server), a line that is no event, and a too long line
 */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RawEvent> {
  for await (const line of splitLines(chunks)) {
    if (line.trim() !== '') yield parseEvent(line)
  }
}

async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let held: Uint8Array[] = []
  let heldBytes = 0
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      held.push(chunk.subarray(start, end))
      yield Buffer.concat(held).toString('utf8')
      held = []
      heldBytes = 0
      start = end + 1
    }
    if (start < chunk.byteLength) {
      held.push(chunk.subarray(start))
      heldBytes += chunk.byteLength - start
    }
    if (heldBytes > maxLineBytes) throw bad('TooLarge', `one event is longer than ${maxLineBytes} bytes`)
  }
  if (heldBytes > 0) throw bad('ConnectionLost', 'the watch ended in the middle of an event')
}

const newline = 10

function parseEvent(line: string): RawEvent {
  let event: unknown
  try {
    event = parseJson(line)
  } catch {
    throw bad('BadReply', `an event is not JSON: ${line.slice(0, 100)}`)
  }
  const type = isRecord(event) ? event['type'] : undefined
  const object = isRecord(event) ? event['object'] : undefined
  if (type === 'ERROR') {
    const code = isRecord(object) ? object['code'] : undefined
    throw new TransportFailure(
      failureOfStatus(typeof code === 'number' && code >= 400 && code < 600 ? code : 500, object),
    )
  }
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED' && type !== 'BOOKMARK') {
    throw bad('BadReply', `an event has no known type: ${line.slice(0, 100)}`)
  }
  const metadata = isRecord(object) ? object['metadata'] : undefined
  const version = isRecord(metadata) ? metadata['resourceVersion'] : undefined
  if (!isRecord(object) || typeof version !== 'string' || version === '') {
    throw bad('BadReply', `an event has no object with a resourceVersion: ${line.slice(0, 100)}`)
  }
  return { type, object }
}

function bad(reason: string, message: string): TransportFailure {
  return new TransportFailure({ status: 0, reason, message })
}
