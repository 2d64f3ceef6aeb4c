import type { RpcFailure } from '../../api/index.ts'
import { OperationError, toError } from '../../base/index.ts'

/** The pod is not there, is another one, or is dead: the request is not from its sandbox. */
export class PodIdentityError extends OperationError {
  override readonly code = 'POD_IDENTITY'
  override readonly retry = 'never'
}

/** An address that CHECK expects is not recorded for the container. */
export class NotRecordedError extends OperationError {
  override readonly code = 'NOT_RECORDED'
  override readonly retry = 'never'
}

/** Something that the decision needs is not known yet. */
export class NotReadyError extends OperationError {
  override readonly code = 'NOT_READY'
  override readonly retry = 'now'
}

/** The pod has a sandbox that was begun later, by the clock of its node. */
export class OvertakenError extends OperationError {
  override readonly code = 'OVERTAKEN'
  override readonly retry = 'now'
}

// CNI error codes (spec/cni.md §4) and the stable first word of `details`.
interface FailureKind {
  readonly code: number
  readonly prefix: string
  readonly isWaiting?: true
}
const failures: Readonly<Record<string, FailureKind>> = {
  POOL_FULL: { code: 100, prefix: 'pool-exhausted' },
  STICKY_FAIL: { code: 101, prefix: 'sticky-address' },
  STICKY_WAIT: { code: 11, prefix: 'sticky-address', isWaiting: true },
  MACHINE_IN_USE: { code: 11, prefix: 'in-use', isWaiting: true },
  NO_POOL: { code: 101, prefix: 'no-candidate-pool' },
  ADDRESS_REFUSED: { code: 102, prefix: 'address-refused' },
  MAC_TAKEN: { code: 102, prefix: 'mac-taken' },
  NOT_RECORDED: { code: 102, prefix: 'address-not-recorded' },
  CLAIM_REFUSED: { code: 102, prefix: 'ip-claim' },
  CLAIM_PENDING: { code: 11, prefix: 'ip-claim-pending', isWaiting: true },
  POD_IDENTITY: { code: 105, prefix: 'pod-identity' },
  CALLER_REFUSED: { code: 105, prefix: 'pod-identity' },
  INVALID_INPUT: { code: 7, prefix: 'wrong-input' },
  LEDGER_DEPOSED: { code: 11, prefix: 'leader-changed' },
  LEDGER_CLOSED: { code: 11, prefix: 'leader-changed' },
  LEDGER_BUSY: { code: 11, prefix: 'retries-exhausted' },
  QUARANTINE_FULL: { code: 11, prefix: 'quarantine-full' },
  BLOCK_REFUSED: { code: 11, prefix: 'store-refused' },
  ALLOCATION_HALTED: { code: 11, prefix: 'not-allocating' },
  OVERTAKEN: { code: 11, prefix: 'later-sandbox' },
  NOT_READY: { code: 11, prefix: 'not-ready' },
  API_UNAVAILABLE: { code: 11, prefix: 'api-server' },
  API_REFUSED: { code: 11, prefix: 'api-server' },
}

/** Any failure as the agent gets it. What is not known here may be tried again: it took nothing. */
export function toRpcFailure(thrown: unknown): RpcFailure {
  const error = thrown instanceof AggregateError ? toError(thrown.errors[0]) : toError(thrown)
  if (error.name === 'TimeoutError' || error.name === 'AbortError') {
    return { code: 11, msg: 'the request ran out of time', details: 'deadline: repeat the request' }
  }
  if (!(error instanceof OperationError))
    return { code: 999, msg: error.message, details: 'internal: see the log' }
  const known: FailureKind = failures[error.code] ?? { code: 999, prefix: error.code.toLowerCase() }
  const { code, prefix, isWaiting } = known
  const details = `${prefix}: ${error.hint} (reason: ${error.reasonCode})`
  return { code, msg: error.message, details, ...(isWaiting === undefined ? {} : { isWaiting }) }
}
