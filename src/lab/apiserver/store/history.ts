import type { StoredRecord, StoreEvent } from './record.ts'

export interface HistoryLimits {
  readonly events: number
  readonly bytes: number
}

/** The newest changes, in memory, for watches and consistent pages. What fell out of the window is compacted. */
export class History {
  readonly #limits: HistoryLimits
  readonly #byResource = new Map<string, Queue>()
  readonly #all = new Queue()
  readonly #compacted = new Map<string, number>()
  readonly #startVersion: number
  #bytes = 0

  constructor(limits: HistoryLimits, startVersion: number) {
    this.#limits = limits
    this.#startVersion = startVersion
  }

  push(event: StoreEvent): void {
    const { resource } = event.record
    let queue = this.#byResource.get(resource)
    if (queue === undefined) {
      queue = new Queue()
      this.#byResource.set(resource, queue)
    }
    queue.push(event)
    this.#all.push(event)
    this.#bytes += event.record.text.length
    while (this.#all.length > this.#limits.events || this.#bytes > this.#limits.bytes) this.#dropOldest()
  }

  /** Takes back the newest event: its write failed. */
  pop(): void {
    const event = this.#all.pop()
    if (event === undefined) return
    this.#byResource.get(event.record.resource)?.pop()
    this.#bytes -= event.record.text.length
  }

  /** Changes of a resource after `version`, oldest first; undefined when some of them were compacted. */
  since(resource: string, version: number): readonly StoreEvent[] | undefined {
    if (version < this.compactedVersion(resource)) return undefined
    return this.#byResource.get(resource)?.after(version) ?? []
  }

  /** The version before which nothing is known about `resource`. */
  compactedVersion(resource: string): number {
    return this.#compacted.get(resource) ?? this.#startVersion
  }

  /** Brings records of now back to what they were at `version`; undefined when that was compacted. */
  rewind(
    resource: string,
    version: number,
    records: readonly StoredRecord[],
    namespace: string,
  ): StoredRecord[] | undefined {
    const events = this.since(resource, version)
    if (events === undefined) return undefined
    if (events.length === 0) return [...records]
    const byKey = new Map(records.map((record) => [record.key, record]))
    for (const { record, previous } of events.toReversed()) {
      if (namespace !== '' && record.namespace !== namespace) continue
      if (previous === undefined) byKey.delete(record.key)
      else byKey.set(record.key, previous)
    }
    return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  #dropOldest(): void {
    const event = this.#all.shift()
    if (event === undefined) return
    this.#byResource.get(event.record.resource)?.shift()
    this.#compacted.set(event.record.resource, event.version)
    this.#bytes -= event.record.text.length
  }
}

const slackItems = 1024

/** First in, first out, without moving all items at each `shift`. */
class Queue {
  #items: StoreEvent[] = []
  #start = 0

  get length(): number {
    return this.#items.length - this.#start
  }

  push(event: StoreEvent): void {
    this.#items.push(event)
  }

  pop(): StoreEvent | undefined {
    return this.length === 0 ? undefined : this.#items.pop()
  }

  shift(): StoreEvent | undefined {
    if (this.length === 0) return undefined
    const event = this.#items[this.#start]
    this.#start++
    if (this.#start > slackItems && this.#start * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#start)
      this.#start = 0
    }
    return event
  }

  after(version: number): readonly StoreEvent[] {
    let low = this.#start
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#items[middle]?.version ?? 0) <= version) low = middle + 1
      else high = middle
    }
    return this.#items.slice(low)
  }
}
