import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { OperationError } from '../base/index.ts'
import { type Child, startChild } from '../netlink/index.ts'
import { type ProcessId, readProcessId, sendSignal } from './process-table.ts'

const readyTimeoutMs = 10_000
const maxComplaintChars = 1000

/** The program that holds namespaces could not do its work. */
class PauseError extends OperationError {
  override readonly code = 'LAB_PAUSE'
  override readonly retry = 'later'
  constructor(action: string, reason: string, options?: ErrorOptions) {
    super(`Cannot ${action}: ${reason}`, 'Run the lab as root; see dmesg when the kernel refuses', options)
  }
}

/** Starts `lab-pause` (native/lab-pause.c). */
export class PauseRunner {
  readonly #binary: string

  /** @param binary path of the built program */
  constructor(binary: string) {
    if (!existsSync(binary)) {
      throw new PauseError('start the lab', `${binary} is not there; build it: scripts/build-native.sh`)
    }
    this.#binary = binary
  }

  /** Makes a network namespace with lo up, held by its mount at `path` alone. */
  makeNamespace(path: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const options = { signal, timeout: readyTimeoutMs, encoding: 'utf8' } as const
      execFile(this.#binary, ['--once', path], options, (error, _stdout, stderr) => {
        if (error === null) resolve()
        else
          reject(new PauseError(`make namespace "${path}"`, stderr.trim() || error.message, { cause: error }))
      })
    })
  }

  /**
   * Makes a network namespace at `path` with a process in it that waits. It outlives us: a restarted lab finds it by the
   * process id and start time that this gives.
   */
  async startPause(path: string, signal: AbortSignal): Promise<ProcessId> {
    const child = startChild({ file: this.#binary, args: [path], env: {} })
    try {
      await waitForReady(child, path, signal)
      const id = readProcessId(child.pid)
      if (id === undefined) throw new PauseError(`make namespace "${path}"`, 'the process ended at once')
      return id
    } catch (error) {
      sendSignal([{ pid: child.pid, startTicks: readProcessId(child.pid)?.startTicks ?? 0 }], 'SIGKILL')
      throw error
    } finally {
      child.unref()
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
    }
  }

  /** Program and arguments that run a command inside the namespace at `path`. */
  commandInside(
    path: string,
    command: readonly string[],
  ): readonly [program: string, args: readonly string[]] {
    return [this.#binary, ['--exec', path, ...command]]
  }
}

function waitForReady(child: Child, path: string, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(readyTimeoutMs)])
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let said = ''
  const fail = (reason: string, cause?: unknown): void =>
    reject(new PauseError(`make namespace "${path}"`, reason, { cause }))
  child.stdout.on('data', (chunk: Buffer) => {
    if (chunk.includes('ready')) resolve()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(0, maxComplaintChars)
  })
  // What it complains comes before its output ends.
  child.stderr.once('close', () => fail(said.trim() || 'lab-pause ended at once'))
  const stop = (): void => fail('it took too long or was cancelled', deadline.reason)
  deadline.addEventListener('abort', stop, { once: true })
  return promise.finally(() => deadline.removeEventListener('abort', stop))
}
