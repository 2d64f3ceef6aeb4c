import type { BlockEntry, PastHolder, Quarantine, SpiderIpBlock } from '../../api/index.ts'

/** What a write changes in one block. `before` is what the version written upon holds. */
export interface BlockChange {
  readonly term: number
  readonly entries: Readonly<
    Record<string, { readonly before: BlockEntry | undefined; readonly after: BlockEntry | undefined }>
  >
  /** A time sets, null removes. */
  readonly released: Readonly<Record<string, number | null>>
  /** A record sets, null removes; absent when none changes. */
  readonly quarantine?: Readonly<Record<string, Quarantine | null>>
  /** The whole list; absent when it stays as it is. */
  readonly history?: readonly PastHolder[]
}

/**
 * The durable truth: uncached, linearizable access to the blocks.
 * Every call ends within a bounded time. An error other than BlockConflictError and BlockRefusedError leaves the outcome of a write
 * unknown: it may have taken effect, or may still do so as long as the block keeps the version it was written upon.
 */
export interface BlockStore {
  /**
   * Shows all blocks, one at a time: together they are large. Starts again when it must: a block that is shown twice is not
   * older the second time.
   */
  list(visit: (block: SpiderIpBlock) => void, signal: AbortSignal): Promise<void>
  /** @returns undefined when the block does not exist */
  read(name: string, signal: AbortSignal): Promise<SpiderIpBlock | undefined>
  /** @returns the new resourceVersion. @throws {BlockConflictError} when the block exists */
  create(block: SpiderIpBlock, signal: AbortSignal): Promise<string>
  /** @returns the new resourceVersion. @throws {BlockConflictError} when the block is of another version, or gone */
  patch(name: string, resourceVersion: string, change: BlockChange, signal: AbortSignal): Promise<string>
}
