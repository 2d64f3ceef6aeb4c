import { type KubeObject, resources, type SpiderIpBlock } from '../../../api/index.ts'
import { deadlineAfter } from '../../../base/index.ts'
import { ApiError, type KubeApi } from '../../../kube/index.ts'
import {
  type BlockChange,
  BlockConflictError,
  BlockRefusedError,
  type BlockStore,
  formatEntry,
  formatPastHolder,
} from '../../../ledger/index.ts'

const callTimeoutMs = 10_000
const listTimeoutMs = 60_000
// A block with all its entries is some 25 KiB, and its history up to 14 KiB.
const listPage = 50
// Versions of own writes whose watch event may still come.
const seenLimit = 1_000
// Answers that say that the write did not take place, and never will as it is.
const refusals: readonly number[] = [400, 403, 404, 405, 406, 413, 415, 422]
// What an API server says with status 500 when its etcd, or the client of that, does not take so large an object.
const tooLarge = /request is too large|larger than max/i

/** The blocks at the API server: uncached reads, and merge patches of only what changed. */
export class KubeBlockStore implements BlockStore {
  readonly #api: KubeApi
  /** Of blocks, as our reads and writes got them; the newest of them. */
  readonly #seen = new Set<string>()
  #listedVersion: string | undefined

  constructor(api: KubeApi) {
    this.#api = api
  }

  async list(visit: (block: SpiderIpBlock) => void, signal: AbortSignal): Promise<void> {
    using deadline = deadlineAfter(listTimeoutMs, signal)
    const keep = (block: SpiderIpBlock): SpiderIpBlock => {
      visit(block)
      return { metadata: { name: block.metadata.name }, spec: { cidr: '', term: 0 } }
    }
    const listed = await this.#api.listAll<SpiderIpBlock>(
      resources.ipBlock,
      { limit: listPage, keep },
      deadline.signal,
    )
    this.#listedVersion = listed.resourceVersion
  }

  /** Version of the last complete list, to watch from; undefined before the first. */
  get listedVersion(): string | undefined {
    return this.#listedVersion
  }

  /** True when the version of a block came from here of late: nothing in it is news. */
  hasSeen(resourceVersion: string): boolean {
    return this.#seen.has(resourceVersion)
  }

  #see({ metadata }: KubeObject): void {
    this.#seen.add(metadata.resourceVersion ?? '')
    const oldest = this.#seen.keys().next()
    if (this.#seen.size > seenLimit && oldest.done !== true) this.#seen.delete(oldest.value)
  }

  async read(name: string, signal: AbortSignal): Promise<SpiderIpBlock | undefined> {
    using deadline = deadlineAfter(callTimeoutMs, signal)
    const block = await this.#api.get<SpiderIpBlock>(resources.ipBlock, { name }, deadline.signal)
    if (block !== undefined) this.#see(block)
    return block
  }

  async create(block: SpiderIpBlock, signal: AbortSignal): Promise<string> {
    const { name } = block.metadata
    using deadline = deadlineAfter(callTimeoutMs, signal)
    try {
      const created = await this.#api.create(resources.ipBlock, storedBlock(block), deadline.signal)
      this.#see(created)
      return versionOf(created)
    } catch (error) {
      throw asBlockError(name, error, [409])
    }
  }

  async patch(
    name: string,
    resourceVersion: string,
    change: BlockChange,
    signal: AbortSignal,
  ): Promise<string> {
    const entries: Record<string, string | null> = {}
    const { entries: changed, history, ...rest } = change
    for (const [ip, { after }] of Object.entries(changed)) {
      entries[ip] = after === undefined ? null : formatEntry(after)
    }
    const past = history === undefined ? {} : { history: history.map(formatPastHolder) }
    const body = { metadata: { resourceVersion }, spec: { ...rest, entries, ...past } }
    using deadline = deadlineAfter(callTimeoutMs, signal)
    try {
      const written = await this.#api.patch<KubeObject>(
        resources.ipBlock,
        { name },
        { type: 'merge', body, metadataOnly: true },
        deadline.signal,
      )
      this.#see(written)
      return versionOf(written)
    } catch (error) {
      throw asBlockError(name, error, [404, 409])
    }
  }
}

function storedBlock(block: SpiderIpBlock): SpiderIpBlock {
  const { entries = {}, ...rest } = block.spec
  const stored = Object.entries(entries).map(([ip, entry]) => [
    ip,
    typeof entry === 'string' ? entry : formatEntry(entry),
  ])
  return { ...block, spec: { ...rest, entries: Object.fromEntries(stored) } }
}

/** @throws {BlockConflictError} for an answer without version: the next write would have no precondition */
function versionOf({ metadata }: KubeObject): string {
  const { name, resourceVersion = '' } = metadata
  if (resourceVersion === '') throw new BlockConflictError(name)
  return resourceVersion
}

function asBlockError(name: string, error: unknown, conflicts: readonly number[]): unknown {
  if (!(error instanceof ApiError)) return error
  if (conflicts.includes(error.status)) return new BlockConflictError(name, { cause: error })
  const isTooLarge = error.status === 500 && tooLarge.test(error.message)
  if (isTooLarge || refusals.includes(error.status)) {
    return new BlockRefusedError(name, error.message, { cause: error })
  }
  return error
}
