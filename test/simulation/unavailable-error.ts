import { OperationError } from '../../src/base/index.ts'

/** The store could not be reached, or did not answer: the outcome of a write is unknown. */
export class UnavailableError extends OperationError {
  override readonly code = 'STORE_UNAVAILABLE'
  override readonly retry = 'later'
  constructor() {
    super('Cannot reach the store: the connection broke', 'Try again')
  }
}
