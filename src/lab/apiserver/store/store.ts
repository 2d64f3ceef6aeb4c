import { assert, parseJson, stringifyJson, toError } from '../../../base/index.ts'
import type { ApiObject } from '../object.ts'
import { Collection } from './collection.ts'
import { History, type HistoryLimits } from './history.ts'
import { type DurableLog, Journal, type JournalError, type JournalRow } from './journal.ts'
import { type EventType, recordKey, type StoredRecord, type StoreEvent } from './record.ts'

/** Called for each committed change, in the order of versions. */
export type Listener = (event: StoreEvent) => void

interface Waiter {
  readonly version: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

// Versions start above what anybody would guess, so that a watch from "1" is always before the history.
const firstVersion = 100
export const defaultHistory: HistoryLimits = { events: 20_000, bytes: 48 * 1024 * 1024 }

/**
 * All objects in memory and on disk. A write changes memory at once and takes part in the next transaction: all writes of
 * one turn of the event loop, and those that come while the disk is busy, share one. Whoever answers from what he read or
 * wrote first awaits `durable`: nothing is told to anybody that a crash could take back.
 */
export class Store {
  readonly #journal: DurableLog
  readonly #collections = new Map<string, Collection>()
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #history: History
  #head: number
  #committed: number
  #queue: StoreEvent[] = []
  #waiters: Waiter[] = []
  #flushing: Promise<void> | undefined

  constructor(journal: DurableLog, limits: HistoryLimits = defaultHistory) {
    this.#journal = journal
    this.#head = Math.max(firstVersion, journal.loadedVersion)
    this.#committed = this.#head
    this.#history = new History(limits, this.#head)
    for (const row of journal.loadedRows) this.#collection(row.resource).set(toRecord(row))
  }

  static async open(
    path: string,
    signal: AbortSignal,
    limits: HistoryLimits = defaultHistory,
  ): Promise<Store> {
    return new Store(await Journal.open(path, signal), limits)
  }

  /** The version of the newest write, perhaps not durable yet. */
  get head(): number {
    return this.#head
  }

  get committed(): number {
    return this.#committed
  }

  get(resource: string, key: string): StoredRecord | undefined {
    return this.#collections.get(resource)?.get(key)
  }

  count(resource: string): number {
    return this.#collections.get(resource)?.size ?? 0
  }

  /** Records of now, ascending by key. */
  list(resource: string, namespace = ''): StoredRecord[] {
    return this.#collections.get(resource)?.list(namespace) ?? []
  }

  /** Records as they were at `version`; undefined when that was compacted. */
  listAt(resource: string, version: number, namespace = ''): StoredRecord[] | undefined {
    return this.#history.rewind(resource, version, this.list(resource, namespace), namespace)
  }

  /** Committed changes after `version`; undefined when some were compacted. */
  changesSince(resource: string, version: number): readonly StoreEvent[] | undefined {
    const events = this.#history.since(resource, version)
    return events?.filter((event) => event.version <= this.#committed)
  }

  compactedVersion(resource: string): number {
    return this.#history.compactedVersion(resource)
  }

  /**
   * Writes `object` if the stored version still is `expected` (0: there is none).
   * @returns undefined when it is not: nothing was written
   */
  put(resource: string, object: ApiObject, expected: number): StoredRecord | undefined {
    const { namespace = '', name = '' } = object.metadata
    const key = recordKey(namespace, name)
    const previous = this.get(resource, key)
    if ((previous?.version ?? 0) !== expected) return undefined
    const record = newRecord(resource, object, ++this.#head)
    this.#collection(resource).set(record)
    this.#change(previous === undefined ? 'ADDED' : 'MODIFIED', record, previous)
    return record
  }

  /** Removes an object if its version still is `expected`; gives its last state, at the version of the deletion. */
  remove(resource: string, key: string, expected: number): StoredRecord | undefined {
    const previous = this.get(resource, key)
    if (previous === undefined || previous.version !== expected) return undefined
    const record = newRecord(resource, previous.object, ++this.#head)
    this.#collection(resource).delete(key)
    this.#change('DELETED', record, previous)
    return record
  }

  /** Resolves when everything up to `version` is on disk. @throws {JournalError} when it could not be written */
  durable(version: number): Promise<void> {
    if (version <= this.#committed) return Promise.resolve()
    return new Promise((resolve, reject) => this.#waiters.push({ version, resolve, reject }))
  }

  /** @returns a function that ends the subscription */
  subscribe(resource: string, listener: Listener): () => void {
    let listeners = this.#listeners.get(resource)
    if (listeners === undefined) {
      listeners = new Set()
      this.#listeners.set(resource, listeners)
    }
    const set = listeners
    set.add(listener)
    return () => void set.delete(listener)
  }

  /** Resolves when nothing can be written any more: the server has to start again. */
  get died(): Promise<JournalError> {
    return this.#journal.died
  }

  async close(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing
    await this.#journal.close()
  }

  #collection(resource: string): Collection {
    const found = this.#collections.get(resource)
    if (found !== undefined) return found
    const made = new Collection()
    this.#collections.set(resource, made)
    return made
  }

  #change(type: EventType, record: StoredRecord, previous: StoredRecord | undefined): void {
    const event = { type, version: record.version, record, previous }
    this.#history.push(event)
    this.#queue.push(event)
    this.#flushing ??= this.#flush()
  }

  async #flush(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0) {
      const batch = this.#queue
      this.#queue = []
      const commit = this.#journal.commit(batch.at(-1)?.version ?? this.#head, batch.map(toRow))
      const failure = await commit.then(() => undefined, toError)
      if (failure === undefined) this.#committedBatch(batch)
      else this.#undo([...batch, ...this.#queue], failure)
    }
    this.#flushing = undefined
  }

  #committedBatch(batch: readonly StoreEvent[]): void {
    const last = batch.at(-1)
    assert(last !== undefined, 'a batch is not empty')
    this.#committed = last.version
    for (const event of batch) {
      for (const listener of this.#listeners.get(event.record.resource) ?? []) listener(event)
    }
    const ready = this.#waiters.filter(({ version }) => version <= this.#committed)
    this.#waiters = this.#waiters.filter(({ version }) => version > this.#committed)
    for (const { resolve } of ready) resolve()
  }

  // The disk has none of these writes: memory goes back to what the disk has, and all who wait are told.
  #undo(events: readonly StoreEvent[], error: Error): void {
    this.#queue = []
    for (const { record, previous } of events.toReversed()) {
      this.#history.pop()
      if (previous === undefined) this.#collection(record.resource).delete(record.key)
      else this.#collection(record.resource).set(previous)
    }
    this.#committed = this.#head
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(error)
  }
}

function newRecord(resource: string, object: ApiObject, version: number): StoredRecord {
  const { namespace = '', name = '' } = object.metadata
  const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } }
  const text = stringifyJson(stored)
  return { resource, key: recordKey(namespace, name), namespace, name, version, object: stored, text }
}

function toRow({ type, record }: StoreEvent): JournalRow {
  const { resource, key, version, text } = record
  return { resource, key, version, value: type === 'DELETED' ? undefined : text }
}

function toRecord(row: { resource: string; key: string; version: number; value: string }): StoredRecord {
  // What is on disk was an ApiObject when `toRow` wrote it.
  const object = parseJson(row.value) as ApiObject
  const { namespace = '', name = '' } = object.metadata
  return {
    resource: row.resource,
    key: row.key,
    namespace,
    name,
    version: row.version,
    object,
    text: row.value,
  }
}
