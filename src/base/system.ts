import { setTimeout as timerSleep } from 'node:timers/promises'
import type { Clock, LogFields, Logger, Random } from './ports.ts'

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => timerSleep(ms, undefined, { signal }),
}

/** The runtime's generator; not for secrets. */
export const systemRandom: Random = { next: () => Math.random() }

const levels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof levels)[number]

/** JSON lines `{"time","level","msg",...fields}`, written through `write` (standard error by default). */
export function jsonLogger(
  level: LogLevel,
  fields: LogFields = {},
  write: (line: string) => void = (line) => void process.stderr.write(line),
): Logger {
  const lowest = levels.indexOf(level)
  const line =
    (at: LogLevel) =>
    (message: string, more: LogFields = {}) => {
      if (levels.indexOf(at) < lowest) return
      const entry = { time: new Date().toISOString(), level: at, msg: message, ...fields, ...more }
      write(`${JSON.stringify(entry, loggable)}\n`)
    }
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    with: (more) => jsonLogger(level, { ...fields, ...more }, write),
  }
}

function loggable(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Error) {
    const { name, message, stack, cause } = value
    return { name, message, stack: stack?.split('\n').slice(1, 4), cause }
  }
  return value
}

/** Drops everything; for tests. */
export const silentLogger: Logger = jsonLogger('error', {}, () => undefined)
