import type { RpcFailure } from '../api/index.ts'
import { OperationError, type Retry } from '../base/index.ts'

/** CNI code "try again later". */
export const tryAgainCode = 11

/** The allocator refused a call, or could not be reached in time (code 11). */
export class AllocatorError extends OperationError {
  override readonly code = 'ALLOCATOR'
  override readonly retry: Retry
  /** The CNI error code to answer with (spec/cni.md §4). */
  readonly cniCode: number
  /** A stable slug, then the remedy. */
  readonly details: string

  constructor(failure: RpcFailure, options?: ErrorOptions) {
    super(failure.msg, failure.details, options)
    this.cniCode = failure.code
    this.details = failure.details
    this.retry = failure.code === tryAgainCode ? 'later' : 'after-change'
  }
}

/** Thrown by a handler of a replica that does not lead: the caller is told where to go. */
export class NotLeaderError extends OperationError {
  override readonly code = 'NOT_LEADER'
  override readonly retry: Retry = 'later'
  /** `https://host:port` of the leader; undefined when it is not known. */
  readonly leaderUrl: string | undefined

  constructor(leaderUrl: string | undefined, options?: ErrorOptions) {
    const place = leaderUrl === undefined ? 'no leader is known yet' : `the leader is ${leaderUrl}`
    super(
      `Cannot allocate here: this replica does not lead, ${place}`,
      'Repeat the call at the leader',
      options,
    )
    this.leaderUrl = leaderUrl
  }
}

/** Header of a 503 that names the leader. */
export const leaderHeader = 'x-spiderpool-leader'

/** Answered with 200 by the replica that leads; by others with 503, naming the leader if they know it. */
export const leadingPath = '/leading'
