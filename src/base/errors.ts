/** What a work queue or a caller may do after a failed operation. */
export type Retry = 'now' | 'later' | 'after-change' | 'never'

/**
 * A failed operation that somebody outside this code has to know about.
 * `message` says which action failed on what, then the state found; `hint` is the operator's next step;
 * `code` is stable and safe to decide on, `reasonCode` as stable and finer: it tells people causes of one class apart.
 */
export abstract class OperationError extends Error {
  abstract readonly code: string
  abstract readonly retry: Retry
  readonly hint: string
  constructor(message: string, hint: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.hint = hint
  }

  /** Kebab-case; that of the code unless a class knows better. */
  get reasonCode(): string {
    return this.code.toLowerCase().replaceAll('_', '-')
  }
}

/** Input from outside that was refused: names the field, the value found and the remedy. Repeating it does not help. */
export class InvalidInputError extends OperationError {
  override readonly code: string = 'INVALID_INPUT'
  override readonly retry: Retry = 'never'
  readonly field: string
  readonly value: string
  /**
   * @param field path of the field, such as `spec.ips[0]` or `CNI_IFNAME`
   * @param value what was found there; anything, shortened to 200 characters in the message
   * @param problem what is wrong with it, such as `is not an IP address`
   * @param hint the remedy, such as `write one address or a range first-last`
   */
  constructor(field: string, value: unknown, problem: string, hint: string) {
    const shown = showValue(value)
    super(`Cannot accept ${field} ${shown}: it ${problem}`, hint)
    this.field = field
    this.value = shown
  }
}

/** One line of text for any value, at most 200 characters, never throwing. */
export function showValue(value: unknown): string {
  let text: string
  try {
    text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value))
  } catch {
    text = Object.prototype.toString.call(value)
  }
  return text.length > 200 ? `${text.slice(0, 197)}...` : text
}

/** A mistake of ours, not of the input: ends the work item or the process. */
export class AssertionError extends Error {}

/** Checks what must hold by our own logic. @throws {AssertionError} when `condition` does not hold */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** For the `default` of a switch on a closed union: does not compile when a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable case ${showValue(value)}`)
}

/**
 * Runs `undo` after `error` and gives back the error to throw: `error` itself, or both joined when the undo failed too.
 * The undo never replaces the first error.
 */
export async function undone(error: unknown, undo: () => Promise<void>): Promise<Error> {
  const first = toError(error)
  try {
    await undo()
    return first
  } catch (second) {
    return new AggregateError(
      [first, toError(second)],
      `${first.message}; undoing it failed too: ${toError(second).message}`,
    )
  }
}

/** Anything thrown, as an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new AssertionError(`thrown value ${showValue(thrown)}`)
}
