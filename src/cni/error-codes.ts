import { InvalidInputError, OperationError, toError } from '../base/index.ts'
import { CniError, type CniErrorObject } from './cni-error.ts'

// The one place that says which failure is which CNI error code (CNI spec, "Error"; ours start at 100).

/** CNI error codes by name. */
export const cniCodes = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  environment: 4,
  io: 5,
  decoding: 6,
  config: 7,
  netns: 8,
  tryAgain: 11,
  notAvailable: 50,
  poolExhausted: 100,
  noCandidatePool: 101,
  addressNotAvailable: 102,
  addressConflict: 103,
  gatewayUnreachable: 104,
  podMismatch: 105,
  provider: 106,
  delegate: 110,
  internal: 999,
} as const

const byOperationCode: Readonly<Record<string, readonly [number, string]>> = {
  INVALID_INPUT: [cniCodes.config, 'network-config'],
  POOL_FULL: [cniCodes.poolExhausted, 'pool-exhausted'],
  NO_POOL: [cniCodes.noCandidatePool, 'no-candidate-pool'],
  WRONG_INPUT: [cniCodes.config, 'wrong-input'],
  POD_NOT_FOUND: [cniCodes.podMismatch, 'pod-not-found'],
}

/** What a plugin prints for `thrown`. Anything may be thrown; an error without its own code becomes 11, 999 or an abort. */
export function cniErrorObject(thrown: unknown): CniErrorObject {
  const error = toError(thrown)
  if (error instanceof CniError) return { code: error.cniCode, msg: error.message, details: error.details }
  if (error instanceof AggregateError) {
    const first = error.errors[0] === undefined ? undefined : cniErrorObject(error.errors[0])
    if (first !== undefined) return { ...first, msg: error.message }
  }
  if (error.name === 'TimeoutError' || error.name === 'AbortError')
    return { code: cniCodes.tryAgain, msg: error.message, details: 'deadline: try again later' }
  if (!(error instanceof OperationError))
    return { code: cniCodes.internal, msg: error.message, details: 'internal: see the log of the agent' }
  const carried = carriedCode(error)
  if (carried !== undefined) return { code: carried.code, msg: error.message, details: carried.details }
  const fallback: readonly [number, string] =
    error.retry === 'now' || error.retry === 'later'
      ? [cniCodes.tryAgain, 'try-again']
      : [cniCodes.internal, 'internal']
  const [code, slug] = byOperationCode[error.code] ?? fallback
  return { code, msg: error.message, details: `${slug}: ${error.hint}` }
}

/** Runs `parse` and gives bad input in it the CNI code of the place it came from. */
export function asCniCode<T>(cniCode: number, slug: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    if (!(cause instanceof InvalidInputError)) throw cause
    throw new CniError({ cniCode, slug, message: cause.message, hint: cause.hint }, { cause })
  }
}

// An answer of the controller carries its CNI code itself (RpcFailure).
function carriedCode(error: OperationError): { code: number; details: string } | undefined {
  const code: unknown = 'cniCode' in error ? error.cniCode : undefined
  const details: unknown = 'details' in error ? error.details : undefined
  if (typeof code !== 'number' || !Number.isSafeInteger(code)) return undefined
  return { code, details: typeof details === 'string' ? details : error.hint }
}
