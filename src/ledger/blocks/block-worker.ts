import type { BlockEntry } from '../../api/index.ts'
import { Backoff, type Clock, type Logger, type OperationError, type Random } from '../../base/index.ts'
import { BlockConflictError, BlockRefusedError, LedgerBusyError, LedgerDeposedError } from '../errors.ts'
import { formatBlock, type ParsedBlock, parseBlock } from './block-codec.ts'
import type { BlockChange, BlockStore } from './block-store.ts'
import type { BlockState, Book } from './book.ts'
import type { Change, Item, Outcome } from './change.ts'
import { composeRound, type Round } from './compose.ts'

/** What all workers of one ledger share. */
export interface WorkerContext {
  readonly term: number
  readonly book: Book
  readonly store: BlockStore
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Ends the ledger: closed, or a block was read that it must not go on with. Its reason is what waiting changes get. */
  readonly lifetime: AbortSignal
  readonly depose: (error: OperationError) => void
  /** Why addresses of the block would not be found; undefined when they are. */
  readonly sizeProblem: (read: ParsedBlock) => OperationError | undefined
  readonly count: (event: 'write' | 'read' | 'conflict' | 'unknown') => void
}

const maxConflicts = 20 // tries of one round
const retryMs = { firstMs: 5, capMs: 2000 }

/**
 * All access to one block, one request at a time: what arrives meanwhile rides on the next write.
 * Reads are in the same line, so that what is read is never older than what memory holds.
 */
export class BlockWorker {
  readonly #state: BlockState
  readonly #context: WorkerContext
  #queue: Item[] = []
  #isRunning = false

  constructor(state: BlockState, context: WorkerContext) {
    this.#state = state
    this.#context = context
  }

  submit(change: Change): Promise<Outcome> {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
    this.#queue.push({ change, resolve, reject })
    if (!this.#isRunning) void this.#run()
    return promise
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    await Promise.resolve() // what is asked for in the same turn goes into the same write
    while (this.#queue.length > 0) {
      const items = this.#queue
      this.#queue = []
      try {
        this.#context.lifetime.throwIfAborted()
        await this.#round(items)
      } catch (error) {
        for (const item of items) item.reject(error)
      }
    }
    this.#isRunning = false
  }

  async #round(items: readonly Item[]): Promise<void> {
    const { clock, random, lifetime } = this.#context
    const backoff = new Backoff(retryMs, random)
    let waiting = items
    let isProven = false // memory was read or written after all of the items came
    for (let conflicts = 0; conflicts < maxConflicts; ) {
      waiting = this.#dropDead(waiting)
      const atMs = clock.nowMs()
      const round = composeRound(this.#state, waiting, { term: this.#context.term, atMs })
      if (!round.needsWrite) {
        if (isProven || !round.needsProof) return finish(waiting, round)
        await this.#read()
        isProven = true
        continue
      }
      const result = await this.#write(round, waiting)
      if (result.kind === 'written') {
        this.#commit(round, result.resourceVersion)
        return finish(waiting, round)
      }
      if (result.kind === 'conflict') conflicts++
      if (result.kind === 'unknown' || conflicts > 1) await clock.sleep(backoff.nextMs(), lifetime)
      await this.#read()
      isProven = true
      if (result.kind === 'refused') return this.#oneByOne(waiting, result.error)
    }
    const problem = `SpiderIPBlock "${this.#state.block.name}" changed ${maxConflicts} times while it was written`
    for (const item of waiting) item.reject(new LedgerBusyError(problem))
  }

  /** One change that the API server refuses must not take the others of its write with it. */
  async #oneByOne(items: readonly Item[], error: unknown): Promise<void> {
    const [first, second] = items
    if (second === undefined) first?.reject(error)
    else for (const item of items) await this.#round([item])
  }

  /** Takes out what nobody waits for, unless a write that held it may have taken effect: its owner undoes that. */
  #dropDead(items: readonly Item[]): readonly Item[] {
    return items.filter((item) => {
      if (item.change.signal?.aborted !== true || item.isUncertain === true) return true
      item.resolve({ kind: 'dropped' })
      return false
    })
  }

  async #write(round: Round, items: readonly Item[]): Promise<WriteResult> {
    const { store, term, lifetime, logger, count } = this.#context
    const { block, resourceVersion } = this.#state
    count('write')
    try {
      if (resourceVersion === undefined) {
        const entries: Record<string, BlockEntry> = {}
        for (const [ip, { after }] of round.writes) if (after !== undefined) entries[ip] = after
        const created = await store.create(formatBlock(block, { term, entries }), lifetime)
        return { kind: 'written', resourceVersion: created }
      }
      const patched = await store.patch(block.name, resourceVersion, changeOf(round, term), lifetime)
      return { kind: 'written', resourceVersion: patched }
    } catch (error) {
      lifetime.throwIfAborted()
      if (error instanceof BlockConflictError) {
        count('conflict')
        return { kind: 'conflict' }
      }
      if (error instanceof BlockRefusedError) {
        logger.error('block write refused', { block: block.name, err: error })
        return { kind: 'refused', error }
      }
      count('unknown')
      logger.warn('block write failed, its outcome is unknown', { block: block.name, err: error })
      for (const item of items) item.isUncertain = true
      return { kind: 'unknown' }
    }
  }

  #commit(round: Round, resourceVersion: string): void {
    const { book, term } = this.#context
    const state = this.#state
    const isNew = state.resourceVersion === undefined // then only entries were written
    state.resourceVersion = resourceVersion
    state.term = term
    // What an address has to rest first: it becomes free with it, not as one that was never used.
    if (!isNew) {
      for (const [ip, record] of round.quarantine) book.setQuarantine(state, ip, record)
      for (const [ip, sinceMs] of round.released) book.setReleased(state, ip, sinceMs)
      state.history = round.history ?? state.history
    }
    for (const [ip, { after }] of round.writes) {
      state.toSettle.delete(ip)
      book.set(state, ip, after)
    }
  }

  /** Reads the block and takes over what it holds; tries until it can, for as long as the ledger lives. */
  async #read(): Promise<void> {
    const { book, store, clock, random, lifetime, logger, count } = this.#context
    const { name } = this.#state.block
    const backoff = new Backoff(retryMs, random)
    for (;;) {
      count('read')
      try {
        const object = await store.read(name, lifetime)
        const read = object === undefined ? undefined : parseBlock(object)
        for (const problem of read?.problems ?? []) logger.error('block is damaged', { block: name, problem })
        const end = read === undefined ? undefined : this.#endBy(read)
        if (end !== undefined) {
          this.#context.depose(end)
          throw end
        }
        book.adopt(this.#state, read)
        return
      } catch (error) {
        lifetime.throwIfAborted()
        logger.warn('block cannot be read', { block: name, err: error })
        await clock.sleep(backoff.nextMs(), lifetime)
      }
    }
  }

  /** Why the ledger must not go on with a block as it is now. */
  #endBy(read: ParsedBlock): OperationError | undefined {
    const { term, sizeProblem } = this.#context
    return read.term > term ? new LedgerDeposedError(term, read.term) : sizeProblem(read)
  }
}

interface Written {
  readonly kind: 'written'
  readonly resourceVersion: string
}
type WriteResult =
  | Written
  | { readonly kind: 'conflict' }
  | { readonly kind: 'refused'; readonly error: BlockRefusedError }
  | { readonly kind: 'unknown' }

function finish(items: readonly Item[], round: Round): void {
  for (const [index, item] of items.entries()) {
    const outcome = round.outcomes[index]
    if (outcome !== undefined) item.resolve(outcome)
  }
}

function changeOf({ writes, released, quarantine, history }: Round, term: number): BlockChange {
  return {
    term,
    entries: Object.fromEntries(writes),
    released: orNull(released),
    ...(quarantine.size === 0 ? {} : { quarantine: orNull(quarantine) }),
    ...(history === undefined ? {} : { history }),
  }
}

function orNull<T>(changes: ReadonlyMap<string, T | undefined>): Record<string, T | null> {
  return Object.fromEntries([...changes].map(([key, value]) => [key, value ?? null]))
}
