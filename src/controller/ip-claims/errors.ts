import { OperationError } from '../../base/index.ts'

/** The pod may not use the claim that its NIC is to get its addresses from. It gets no others instead. */
export class ClaimRefusedError extends OperationError {
  override readonly code = 'CLAIM_REFUSED'
  override readonly retry = 'after-change'
}

/** The claim has no addresses yet. */
export class ClaimPendingError extends OperationError {
  override readonly code = 'CLAIM_PENDING'
  override readonly retry = 'later'
}
