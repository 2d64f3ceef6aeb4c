import { once } from 'node:events'
import { extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { assert, OperationError, type Retry } from '../../../base/index.ts'

export interface LoadedRow {
  readonly resource: string
  readonly key: string
  readonly version: number
  readonly value: string
}

/** One row to write; without a value it is deleted. */
export interface JournalRow {
  readonly resource: string
  readonly key: string
  readonly version: number
  readonly value: string | undefined
}

export type JournalRequest =
  | { readonly kind: 'commit'; readonly version: number; readonly rows: readonly JournalRow[] }
  | { readonly kind: 'close' }

export type JournalReply =
  | { readonly kind: 'loaded'; readonly version: number; readonly rows: readonly LoadedRow[] }
  | { readonly kind: 'committed' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'closed' }

/** The disk refused a write: full, read-only, broken, or held by another server. */
export class JournalError extends OperationError {
  override readonly code = 'STORE_UNWRITABLE'
  override readonly retry: Retry = 'later'
  constructor(path: string, problem: string) {
    super(
      `Cannot write store "${path}": ${problem}`,
      'free space, and check that no other server uses the file',
    )
  }
}

/** Where a store keeps what it may not lose. */
export interface DurableLog {
  /** The version of the last commit before this one was opened; 0 for a new one. */
  readonly loadedVersion: number
  readonly loadedRows: readonly LoadedRow[]
  /** Resolves when the rows are on disk. One call at a time. */
  commit(version: number, rows: readonly JournalRow[]): Promise<void>
  close(): Promise<void>
  /** Resolves when nothing can be written any more. */
  readonly died: Promise<JournalError>
}

/** The durable side of the store: one SQLite file, written by a thread of its own, one transaction at a time. */
export class Journal implements DurableLog {
  readonly #path: string
  readonly #worker: Worker
  #dead: JournalError | undefined
  readonly #died = Promise.withResolvers<JournalError>()
  #pending: { resolve: () => void; reject: (error: Error) => void } | undefined
  readonly loadedVersion: number
  readonly loadedRows: readonly LoadedRow[]

  private constructor(path: string, worker: Worker, loaded: Extract<JournalReply, { kind: 'loaded' }>) {
    this.#path = path
    this.#worker = worker
    this.loadedVersion = loaded.version
    this.loadedRows = loaded.rows
    worker.on('message', (reply: JournalReply) => this.#onReply(reply))
    worker.on('error', (error) => this.#die(error.message))
    worker.on('exit', () => this.#die('the writer ended'))
  }

  /** @throws {JournalError} when the file cannot be opened */
  static async open(path: string, signal: AbortSignal): Promise<Journal> {
    // Beside this file and of its kind: TypeScript here, JavaScript where types were erased.
    const script = join(import.meta.dirname, `journal-worker${extname(import.meta.filename)}`)
    const worker = new Worker(script, { workerData: path })
    try {
      const [first]: JournalReply[] = await once(worker, 'message', { signal })
      assert(first?.kind === 'loaded', 'the journal worker loads first')
      return new Journal(path, worker, first)
    } catch (error) {
      await worker.terminate()
      if (signal.aborted) throw error
      throw new JournalError(path, error instanceof Error ? error.message : String(error))
    }
  }

  commit(version: number, rows: readonly JournalRow[]): Promise<void> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead)
    assert(this.#pending === undefined, 'one commit is under way at a time')
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#post({ kind: 'commit', version, rows })
    })
  }

  /** Resolves when nothing can be written any more. */
  get died(): Promise<JournalError> {
    return this.#died.promise
  }

  async close(): Promise<void> {
    if (this.#dead !== undefined) return
    const ended = once(this.#worker, 'exit')
    this.#post({ kind: 'close' })
    await ended
  }

  #post(request: JournalRequest): void {
    this.#worker.postMessage(request)
  }

  #onReply(reply: JournalReply): void {
    if (reply.kind === 'failed') this.#fail(reply.message)
    if (reply.kind !== 'committed') return
    const pending = this.#pending
    this.#pending = undefined
    pending?.resolve()
  }

  #die(problem: string): void {
    this.#dead ??= new JournalError(this.#path, problem)
    this.#died.resolve(this.#dead)
    this.#fail(problem)
  }

  #fail(problem: string): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.reject(new JournalError(this.#path, problem))
  }
}
