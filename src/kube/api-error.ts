import { OperationError, type Retry } from '../base/index.ts'

/**
 * Why a call failed. Next to the API server's own reasons (`Conflict`, `AlreadyExists`, `Expired`, ...) with status 0:
 * `Unreachable` (nothing was sent), `ConnectionLost`, `Timeout`, `BadReply`, `TooLarge`, `Overloaded` (our own limit).
 */
export type ApiReason = string

export interface ApiFailure {
  readonly status: number
  readonly reason: ApiReason
  readonly message: string
  readonly details?: unknown
  readonly retryAfterMs?: number
  readonly maybeApplied?: boolean
  readonly cause?: unknown
}

/** The API server refused a call, or could not be asked. */
export class ApiError extends OperationError {
  override readonly code: string
  override readonly retry: Retry
  /** HTTP status; 0 when there was no complete answer. */
  readonly status: number
  readonly reason: ApiReason
  /** `details` of the Status object that the server sent. */
  readonly details: unknown
  readonly retryAfterMs: number | undefined
  /** The server may have carried out the write although the answer was lost. */
  readonly maybeApplied: boolean

  constructor(action: string, failure: ApiFailure) {
    const { status, reason } = failure
    const state = status === 0 ? reason : `${status} ${reason}`
    super(`Cannot ${action}: ${failure.message} (${state})`, hintFor(status, reason), {
      cause: failure.cause,
    })
    this.code = status === 0 ? 'API_UNAVAILABLE' : 'API_REFUSED'
    this.status = status
    this.reason = reason
    this.retry = retryFor(status)
    this.details = failure.details
    this.retryAfterMs = failure.retryAfterMs
    this.maybeApplied = failure.maybeApplied ?? false
  }
}

/** Reads the `Status` object (meta/v1) of a refusal; anything else gives a failure worded from the status alone. */
export function failureOfStatus(status: number, body: unknown, retryAfterMs?: number): ApiFailure {
  const fields: Record<string, unknown> = typeof body === 'object' && body !== null ? { ...body } : {}
  const { reason, message, details } = fields
  const inDetails = retryAfterSecondsOf(details)
  const wait = retryAfterMs ?? (inDetails === undefined ? undefined : inDetails * 1000)
  return {
    status,
    reason: typeof reason === 'string' && reason !== '' ? reason : (reasons.get(status) ?? 'Unknown'),
    message: typeof message === 'string' && message !== '' ? message.slice(0, maxMessageChars) : 'no message',
    details,
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
  }
}

/** `Retry-After` in milliseconds: seconds or an HTTP date (RFC 9110 10.2.3). @returns undefined when it is neither */
export function parseRetryAfter(header: unknown, nowMs: number): number | undefined {
  if (typeof header !== 'string') return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}

const maxMessageChars = 4096

const reasons: ReadonlyMap<number, string> = new Map([
  [400, 'BadRequest'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'NotFound'],
  [405, 'MethodNotAllowed'],
  [409, 'Conflict'],
  [410, 'Expired'],
  [413, 'RequestEntityTooLarge'],
  [415, 'UnsupportedMediaType'],
  [422, 'Invalid'],
  [429, 'TooManyRequests'],
  [500, 'InternalError'],
  [503, 'ServiceUnavailable'],
  [504, 'Timeout'],
])

function retryAfterSecondsOf(details: unknown): number | undefined {
  if (typeof details !== 'object' || details === null || !('retryAfterSeconds' in details)) return undefined
  const seconds = details.retryAfterSeconds
  return typeof seconds === 'number' && seconds > 0 && seconds < 1e6 ? seconds : undefined
}

function retryFor(status: number): Retry {
  if (status === 409 || status === 410) return 'now'
  if (status === 0 || status === 401 || status === 429 || status >= 500) return 'later'
  return 'after-change'
}

function hintFor(status: number, reason: ApiReason): string {
  if (status === 401) return 'Check the token or client certificate of the kubeconfig or ServiceAccount'
  if (status === 403)
    return 'Grant the right with a Role or ClusterRole, or look at the admission policy named above'
  if (status === 404) return 'Check that the object, its namespace and its CustomResourceDefinition exist'
  if (status === 409) return 'Read the object again and repeat the change on what is there now'
  if (status === 410) return 'List again: the version asked for is no longer kept'
  if (status === 429) return 'Wait, and repeat: the API server is limiting its load'
  if (status >= 400 && status < 500) return 'Correct the object or request as the message says'
  if (reason === 'Overloaded') return 'Wait: more calls are queued than this process may have'
  if (status >= 500) return 'Repeat later; if it stays, look at the log of the API server'
  return 'Check that the API server runs and that its address, certificate authority and network path are right'
}
