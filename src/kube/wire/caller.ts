import { Backoff, parseJson, type Random, systemClock } from '../../base/index.ts'
import { ApiError, type ApiFailure, failureOfStatus } from '../api-error.ts'
import type { Connector } from './connector.ts'
import { Gate } from './gate.ts'
import { type Outgoing, type Reply, type StreamReply, TransportFailure } from './transport.ts'

/** One call. `action` words the error: "Cannot <action>: ...". */
export interface Call {
  readonly action: string
  readonly method: string
  readonly path: string
  readonly contentType?: string
  /** Media type of the answer, where not plain JSON. */
  readonly accept?: string
  readonly body?: string
}

/** Milliseconds that one try may take. */
export interface CallTimeouts {
  readonly readMs: number
  readonly writeMs: number
}

// A lost packet or a black-holed connection costs a read one of these; the API server itself ends a write after 60 s.
export const defaultTimeouts: CallTimeouts = { readMs: 30_000, writeMs: 65_000 }
export const foregroundCalls = 32
export const backgroundCalls = 4
const maxWaitingCalls = 20_000
const watchOpenMs = 30_000
const maxTries = 6
// A server that says when to come back is obeyed for longer than one that is silent.
const maxThrottledTries = 20
const maxRetryAfterMs = 60_000

/** Sends calls: a limited number at once, a deadline for each try, and retries where they can do no harm. */
export class Caller {
  readonly #connector: Connector
  readonly #random: Random
  readonly #timeouts: CallTimeouts
  readonly #gate: Gate

  constructor(connector: Connector, random: Random, timeouts: CallTimeouts, callsAtOnce: number) {
    this.#connector = connector
    this.#random = random
    this.#timeouts = timeouts
    this.#gate = new Gate(callsAtOnce, maxWaitingCalls)
  }

  /** Calls under way and waiting. */
  get load(): number {
    return this.#gate.held + this.#gate.waiting
  }

  /** @returns the parsed JSON, or the text of an answer that is none. @throws {ApiError}, or `signal.reason` */
  async call(call: Call, signal: AbortSignal): Promise<unknown> {
    const backoff = new Backoff({ firstMs: 100, capMs: 5000 }, this.#random)
    let last: ApiFailure | undefined
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#try(call, signal)
      } catch (error) {
        if (!(error instanceof TransportFailure)) throw explain(call, error, { signal, last })
        last = error.failure
        const limit = last.retryAfterMs === undefined ? maxTries : maxThrottledTries
        if (tries >= limit || !canRepeat(call, last)) throw new ApiError(call.action, last)
      }
      const askedMs = Math.min(last.retryAfterMs ?? 0, maxRetryAfterMs) * (1 + this.#random.next() / 10)
      try {
        await systemClock.sleep(Math.max(backoff.nextMs(), askedMs), signal)
      } catch (error) {
        throw explain(call, error, { signal, last })
      }
    }
  }

  /** Opens a watch; one try, as the cache has a back-off of its own. @throws {ApiError}, or `signal.reason` */
  async open(call: Call, signal: AbortSignal): Promise<StreamReply> {
    const opening = new AbortController()
    const timer = setTimeout(() => opening.abort(timeoutFailure(call, watchOpenMs)), watchOpenMs)
    try {
      // The stream lives on with this signal; `opening` can no longer abort once the timer is cleared.
      const reply = await this.#connector.open(outgoing(call), AbortSignal.any([signal, opening.signal]))
      if (reply.status === 200) return reply
      throw new TransportFailure(failureOfReply(await reply.text()))
    } catch (error) {
      throw explain(call, error, { signal })
    } finally {
      clearTimeout(timer)
    }
  }

  async #try(call: Call, signal: AbortSignal): Promise<unknown> {
    if (!(await this.#gate.enter(signal))) {
      const message = `${maxWaitingCalls} calls are waiting already`
      throw new ApiError(call.action, { status: 0, reason: 'Overloaded', message })
    }
    const attempt = new AbortController()
    const onAbort = () => attempt.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const limitMs = isWrite(call) ? this.#timeouts.writeMs : this.#timeouts.readMs
    const timer = setTimeout(() => attempt.abort(timeoutFailure(call, limitMs)), limitMs)
    try {
      signal.throwIfAborted()
      const reply = await this.#connector.exchange(outgoing(call), attempt.signal)
      if (reply.status < 200 || reply.status >= 300) throw new TransportFailure(failureOfReply(reply))
      return readBody(reply, call)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      this.#gate.leave()
    }
  }
}

function outgoing(call: Call): Outgoing {
  const { method, path, body } = call
  const type: Record<string, string> =
    body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }
  return {
    method,
    path,
    headers: { accept: call.accept ?? 'application/json', ...type },
    ...(body === undefined ? {} : { body }),
  }
}

function readBody(reply: Reply, call: Call): unknown {
  if (!reply.isJson) return reply.text
  try {
    return parseJson(reply.text)
  } catch (cause) {
    const message = `the answer is not JSON: ${reply.text.slice(0, 100)}`
    throw new TransportFailure({ status: 0, reason: 'BadReply', message, maybeApplied: isWrite(call), cause })
  }
}

function failureOfReply(reply: Reply): ApiFailure {
  let body: unknown = reply.text === '' ? undefined : { message: reply.text }
  try {
    if (reply.isJson) body = parseJson(reply.text)
  } catch {
    body = { message: `the refusal is not JSON: ${reply.text.slice(0, 100)}` }
  }
  return failureOfStatus(reply.status, body, reply.retryAfterMs)
}

function isWrite(call: Call): boolean {
  return call.method !== 'GET'
}

// Never a write that may have been carried out: its caller has to look first.
function canRepeat(call: Call, failure: ApiFailure): boolean {
  if (failure.reason === 'Unreachable' || failure.status === 429) return true
  if (failure.status === 503 && failure.retryAfterMs !== undefined) return true
  if (isWrite(call)) return false
  if (failure.status === 0) return failure.reason !== 'TooLarge' && failure.reason !== 'Closed'
  return failure.status >= 500 && failure.status !== 501
}

function timeoutFailure(call: Call, limitMs: number): TransportFailure {
  const message = `no complete answer within ${limitMs} ms`
  return new TransportFailure({ status: 0, reason: 'Timeout', message, maybeApplied: isWrite(call) })
}

/** The error to throw: when the caller's time is over, what stood in the way before tells more than that. */
function explain(
  call: Call,
  error: unknown,
  at: { signal: AbortSignal; last?: ApiFailure | undefined },
): unknown {
  if (error instanceof TransportFailure) return new ApiError(call.action, error.failure)
  if (!at.signal.aborted || !isTimeout(at.signal.reason)) return error
  const message = 'the time given for it is over'
  const failure = at.last ?? { status: 0, reason: 'Timeout', message, maybeApplied: isWrite(call) }
  return new ApiError(call.action, { ...failure, cause: error })
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError'
}
