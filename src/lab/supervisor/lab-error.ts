import { OperationError, type Retry } from '../../base/index.ts'

/** The lab cannot do what was asked, and says what to do instead. */
export class LabError extends OperationError {
  override readonly code = 'LAB'
  override readonly retry: Retry = 'after-change'
}
