import type { BlockEntry, PastHolder, Quarantine, SpiderIpBlock } from '../../api/index.ts'
import { BlockConflictError } from '../errors.ts'
import { entriesOf } from './block-codec.ts'
import type { BlockChange, BlockStore } from './block-store.ts'

interface Stored {
  readonly name: string
  readonly cidr: string
  resourceVersion: string
  term: number
  readonly entries: Map<string, string | BlockEntry>
  readonly released: Map<string, number>
  readonly quarantine: Map<string, Quarantine>
  history: readonly (string | PastHolder)[]
}

/** Blocks in memory, with the promises of the real store: for tests, simulations and measurements. */
export class MemoryBlockStore implements BlockStore {
  readonly #blocks = new Map<string, Stored>()
  #version = 0
  /** How many calls each method got. */
  readonly calls = { list: 0, read: 0, create: 0, patch: 0 }

  async list(visit: (block: SpiderIpBlock) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.calls.list++
    for (const block of [...this.#blocks.values()].map(toObject)) visit(block)
    return Promise.resolve()
  }

  async read(name: string, signal: AbortSignal): Promise<SpiderIpBlock | undefined> {
    signal.throwIfAborted()
    this.calls.read++
    const stored = this.#blocks.get(name)
    return Promise.resolve(stored === undefined ? undefined : toObject(stored))
  }

  async create(block: SpiderIpBlock, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    this.calls.create++
    const { name } = block.metadata
    if (this.#blocks.has(name)) throw new BlockConflictError(name)
    const { cidr, term, entries = {}, released = {}, quarantine = {}, history = [] } = block.spec
    const resourceVersion = String(++this.#version)
    this.#blocks.set(name, {
      name,
      cidr,
      resourceVersion,
      term,
      entries: new Map(Object.entries(entries)),
      released: new Map(Object.entries(released)),
      quarantine: new Map(Object.entries(quarantine)),
      history,
    })
    return Promise.resolve(resourceVersion)
  }

  async patch(
    name: string,
    resourceVersion: string,
    change: BlockChange,
    signal: AbortSignal,
  ): Promise<string> {
    signal.throwIfAborted()
    this.calls.patch++
    const stored = this.#blocks.get(name)
    if (stored?.resourceVersion !== resourceVersion) throw new BlockConflictError(name)
    stored.term = change.term
    for (const [ip, { after }] of Object.entries(change.entries)) {
      if (after === undefined) stored.entries.delete(ip)
      else stored.entries.set(ip, after)
    }
    for (const [ip, sinceMs] of Object.entries(change.released)) {
      if (sinceMs === null) stored.released.delete(ip)
      else stored.released.set(ip, sinceMs)
    }
    for (const [ip, record] of Object.entries(change.quarantine ?? {})) {
      if (record === null) stored.quarantine.delete(ip)
      else stored.quarantine.set(ip, record)
    }
    stored.history = change.history ?? stored.history
    stored.resourceVersion = String(++this.#version)
    return Promise.resolve(stored.resourceVersion)
  }

  /** All entries, as an observer sees them who is none of the writers. */
  entries(): ReadonlyMap<string, BlockEntry> {
    return new Map([...this.#blocks.values()].flatMap((one) => Object.entries(entriesOf(toObject(one)))))
  }

  /** All quarantines, as {@link entries} shows all entries. */
  quarantines(): ReadonlyMap<string, Quarantine> {
    return new Map([...this.#blocks.values()].flatMap(({ quarantine }) => [...quarantine]))
  }

  /** Removes a block, as an administrator can. */
  remove(name: string): void {
    this.#blocks.delete(name)
  }
}

function toObject(stored: Stored): SpiderIpBlock {
  const { name, cidr, resourceVersion, term, entries, released, quarantine, history } = stored
  return {
    metadata: { name, resourceVersion },
    spec: {
      cidr,
      term,
      entries: Object.fromEntries(entries),
      released: Object.fromEntries(released),
      quarantine: Object.fromEntries(quarantine),
      history,
    },
  }
}
