import { OperationError, type Retry } from '../../base/index.ts'
import { type FieldFailure, renderFailures } from './schema/failure.ts'
import type { JsonObject } from './schema/record.ts'

/** What kind of object a refusal is about, for `details` of the Status object. */
export interface StatusSubject {
  readonly group: string
  /** The plural for most refusals; the kind for invalid objects, as API servers do. */
  readonly kind: string
  readonly name?: string
}

export interface StatusCause {
  readonly reason: string
  readonly message: string
  readonly field: string
}

interface StatusParts {
  readonly subject?: StatusSubject
  readonly causes?: readonly StatusCause[]
  readonly retryAfterSeconds?: number
}

const hints: Readonly<Record<string, string>> = {
  Conflict: 'read the object again and repeat the change',
  Expired: 'list again and watch from the new resourceVersion',
  Unauthorized: 'send a client certificate of this server or a token that it issued',
  NotFound: 'check the name and the namespace',
}

/** A request that is refused: becomes the Status object of meta/v1 with its HTTP code. */
export class StatusError extends OperationError {
  override readonly code: string
  override readonly retry: Retry
  readonly status: number
  readonly parts: StatusParts
  constructor(status: number, reason: string, message: string, parts: StatusParts = {}) {
    super(message, hints[reason] ?? 'correct the request and send it again')
    this.code = reason
    this.status = status
    this.retry = status >= 500 || status === 429 ? 'later' : 'never'
    this.parts = parts
  }

  /** The body of the answer. */
  toStatus(): JsonObject {
    const { subject, causes, retryAfterSeconds } = this.parts
    const details = {
      ...(subject?.name === undefined ? {} : { name: subject.name }),
      ...(subject === undefined || subject.group === '' ? {} : { group: subject.group }),
      ...(subject === undefined ? {} : { kind: subject.kind }),
      ...(causes === undefined ? {} : { causes }),
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    }
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.code,
      ...(Object.keys(details).length === 0 ? {} : { details }),
      code: this.status,
    }
  }
}

/** `plural.group`, or the plural alone in the core group: how messages name a resource. */
export function qualified(subject: StatusSubject): string {
  return subject.group === '' ? subject.kind : `${subject.kind}.${subject.group}`
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message)
}

export function unauthorized(message: string): StatusError {
  return new StatusError(401, 'Unauthorized', message)
}

export function forbiddenStatus(subject: StatusSubject, why: string, causes?: StatusCause[]): StatusError {
  const message = `${qualified(subject)} "${subject.name ?? ''}" is forbidden: ${why}`
  return new StatusError(403, 'Forbidden', message, { subject, ...(causes === undefined ? {} : { causes }) })
}

export function notFound(subject: StatusSubject): StatusError {
  return new StatusError(404, 'NotFound', `${qualified(subject)} "${subject.name ?? ''}" not found`, {
    subject,
  })
}

export function pathNotFound(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource')
}

export function methodNotAllowed(method: string): StatusError {
  const message = `the server does not allow this method on the requested resource: ${method}`
  return new StatusError(405, 'MethodNotAllowed', message)
}

export function alreadyExists(subject: StatusSubject): StatusError {
  const message = `${qualified(subject)} "${subject.name ?? ''}" already exists`
  return new StatusError(409, 'AlreadyExists', message, { subject })
}

const modified = 'the object has been modified; please apply your changes to the latest version and try again'

export function conflict(subject: StatusSubject, why: string = modified): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(subject)} "${subject.name ?? ''}": ${why}`
  return new StatusError(409, 'Conflict', message, { subject })
}

export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message)
}

/** 422 with one cause a field. `subject.kind` is the kind here. */
export function invalidObject(subject: StatusSubject, failures: readonly FieldFailure[]): StatusError {
  const message = `${qualified(subject)} "${subject.name ?? ''}" is invalid: ${renderFailures(failures)}`
  return new StatusError(422, 'Invalid', message, {
    subject,
    causes: failures.map(({ reason, message: text, field }) => ({ reason, message: text, field })),
  })
}

export function internalError(message: string): StatusError {
  return new StatusError(500, 'InternalError', `Internal error occurred: ${message}`)
}

/** The plain success that some requests answer with. */
export function successStatus(details?: JsonObject, code = 200): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(details === undefined ? {} : { details }),
    code,
  }
}
