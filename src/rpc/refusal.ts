import { OperationError, type Retry } from '../base/index.ts'

/** Why a caller, a request or a connection was turned away: the closed set that is counted. */
export const refusalReasons = [
  'no-token',
  'unknown-token',
  'expired-token',
  'wrong-audience',
  'wrong-account',
  'no-node',
  'other-node',
  'too-large',
  'too-slow',
  'too-many-connections',
  'too-many-requests',
] as const

export type RefusalReason = (typeof refusalReasons)[number]

const statuses: Partial<Readonly<Record<RefusalReason, number>>> = {
  'wrong-account': 403,
  'no-node': 403,
  'other-node': 403,
  'too-many-requests': 503,
}

/** The caller is not who may ask for this, or cannot be asked about now. */
export class CallerRefusedError extends OperationError {
  override readonly code = 'CALLER_REFUSED'
  override readonly retry: Retry = 'later'
  readonly reason: RefusalReason
  /** 401: who is it; 403: not this one; 503: later. */
  readonly status: number

  constructor(reason: RefusalReason, message: string, hint: string, options?: ErrorOptions) {
    super(message, hint, options)
    this.reason = reason
    this.status = statuses[reason] ?? 401
  }
}
