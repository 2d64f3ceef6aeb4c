/** Time as a port, so that a run can be replayed from a seed. */
export interface Clock {
  /** Milliseconds since the epoch, for what is written down or compared with what others wrote: it may be set, also back. */
  nowMs(): number
  /** Milliseconds since some moment of this process, for what is compared within its life: it never goes back. */
  monotonicMs(): number
  /** Resolves after `ms`; rejects with `signal.reason` when aborted first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** A random number generator as a port. */
export interface Random {
  /** A number in [0, 1). */
  next(): number
}

export type LogFields = Readonly<Record<string, unknown>>

/** Constant lower-case message plus fields; `info` is a change of state, `debug` the reasoning, `error` needs a person. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger whose lines all carry `fields`. */
  with(fields: LogFields): Logger
}
