import { OperationError } from '../../../../base/index.ts'

/** A patch that cannot be applied; `status` and `reason` go into the answer. */
export class PatchError extends OperationError {
  override readonly code = 'PATCH'
  override readonly retry = 'after-change'
  readonly status: 400 | 409 | 415 | 422
  readonly reason: 'BadRequest' | 'Conflict' | 'UnsupportedMediaType' | 'Invalid'
  constructor(status: 400 | 409 | 415 | 422, message: string, hint: string) {
    super(message, hint)
    this.status = status
    this.reason = reasons[status]
  }
}

const reasons = { 400: 'BadRequest', 409: 'Conflict', 415: 'UnsupportedMediaType', 422: 'Invalid' } as const
