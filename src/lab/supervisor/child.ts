import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { Backoff, type Logger, systemRandom } from '../../base/index.ts'
import { readProcessId } from '../process-table.ts'
import type { LabProcess } from './lab-state.ts'

/** How to start one process of the lab. */
export interface ChildSpec {
  readonly name: string
  /** Script and its arguments. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly logFile: string
}

/** Runs a program to its end; its output and exit code mean nothing. */
export async function runToEnd(
  { args, env }: Pick<ChildSpec, 'args' | 'env'>,
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const child = spawn(process.execPath, args, { env, stdio: 'ignore', signal })
  child.once('error', () => resolve())
  child.once('exit', () => resolve())
  await promise
}

const restartBackoff = { firstMs: 250, capMs: 10_000 }
const stableAfterMs = 30_000
const stopGraceMs = 10_000

/** Keeps one process running: starts it again when it ends, each time a little later, until stopped. */
export class SupervisedChild {
  readonly #spec: ChildSpec
  readonly #logger: Logger
  readonly #onChange: () => void
  readonly #backoff = new Backoff(restartBackoff, systemRandom)
  #child: ChildProcess | undefined
  #process: LabProcess | undefined
  #timer: NodeJS.Timeout | undefined
  #restartCount = 0
  #lastEnd = ''
  #isStopping = false

  constructor(spec: ChildSpec, logger: Logger, onChange: () => void) {
    this.#spec = spec
    this.#logger = logger.with({ process: spec.name })
    this.#onChange = onChange
  }

  get name(): string {
    return this.#spec.name
  }

  /** Undefined between an end and the next start. */
  get process(): LabProcess | undefined {
    return this.#process
  }

  start(): void {
    const log = openSync(this.#spec.logFile, 'a', 0o600)
    const startedMs = Date.now()
    try {
      const { args, env } = this.#spec
      this.#child = spawn(process.execPath, args, { env, stdio: ['ignore', log, log], detached: true })
    } finally {
      closeSync(log)
    }
    const child = this.#child
    const id = child.pid === undefined ? undefined : readProcessId(child.pid)
    if (id !== undefined) {
      const startedAt = new Date(startedMs).toISOString()
      const { name } = this.#spec
      this.#process = { ...id, name, startedAt, restartCount: this.#restartCount, lastEnd: this.#lastEnd }
    }
    child.once('error', (error) => this.#ended(`cannot start: ${error.message}`, startedMs))
    child.once('exit', (code, signal) => this.#ended(signal ?? `exit code ${code}`, startedMs))
    this.#onChange()
  }

  #ended(why: string, startedMs: number): void {
    this.#child = undefined
    this.#process = undefined
    if (this.#isStopping) return
    this.#lastEnd = why
    this.#restartCount++
    if (Date.now() - startedMs > stableAfterMs) this.#backoff.reset()
    const delayMs = Math.round(this.#backoff.nextMs())
    this.#logger.warn('process ended, starts again', { why, delayMs, restartCount: this.#restartCount })
    this.#timer = setTimeout(() => this.start(), delayMs)
    this.#onChange()
  }

  /** SIGTERM, then SIGKILL. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#timer)
    const child = this.#child
    if (child === undefined) return
    const { promise, resolve } = Promise.withResolvers<void>()
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), stopGraceMs)
    await promise
    clearTimeout(timer)
  }
}
