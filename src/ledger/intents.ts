import type { BlockEntry } from '../api/index.ts'
import type { Book } from './blocks/book.ts'
import type { Change, Outcome } from './blocks/change.ts'
import { isSameAllocation, type OwnedAddress, openIntent, settled } from './entry.ts'

export interface IntentPorts {
  readonly book: Book
  readonly submit: (change: Change) => Promise<Outcome>
}

/**
 * Several addresses of one ADD, all or nothing, over blocks that are written one by one.
 * - Each entry lists all addresses of its intent. The intent is complete when each of them carries its id.
 * - Before an incomplete one is undone, the blocks of what is missing are fenced with our term: its writer, should it wake,
 *   can no longer add them, so nobody can answer what we undo.
 * - Before a part of a complete one is freed, the rest is settled: drops its list, so that it does not look incomplete.
 * The caller holds the lock of the intent's owner.
 */
export class Intents {
  readonly #book: Book
  readonly #submit: (change: Change) => Promise<Outcome>

  constructor({ book, submit }: IntentPorts) {
    this.#book = book
    this.#submit = submit
  }

  /** True when all addresses of the entry's intent carry it, or when that was seen before. */
  isComplete(entry: BlockEntry): boolean {
    return this.#missing(entry).length === 0
  }

  /** Notes that the entries were seen complete: the next write of each block settles them. */
  noteComplete(addresses: readonly OwnedAddress[]): void {
    for (const { ip, entry } of addresses) {
      if (openIntent(entry) !== undefined) this.#book.blockOfIp(ip).toSettle.add(ip)
    }
  }

  /** Resolves until nothing is incomplete: while one is resolved, a late write of an old leader may show another. */
  async resolveAllOf(read: () => readonly OwnedAddress[]): Promise<readonly OwnedAddress[]> {
    for (;;) {
      const addresses = read()
      const id = addresses.find(({ entry }) => !this.isComplete(entry))?.entry.intent?.id
      if (id === undefined) return addresses
      await this.resolve(id)
    }
  }

  /** Keeps the intent if it is complete, else undoes it. */
  async resolve(id: string): Promise<void> {
    const entry = this.#book.withOpenIntent(id)[0]?.entry
    if (entry === undefined || this.isComplete(entry)) return
    // A write that fails now means that the address came after all, or a newer leader: the worker finds out.
    await this.#all(
      this.#missing(entry).map((ip) => ({
        ip,
        decide: (current) => (carries(current, id) ? { kind: 'keep' } : { kind: 'fence' }),
      })),
    )
    const open = this.#book.withOpenIntent(id)
    const first = open[0]?.entry
    if (first === undefined || this.isComplete(first)) return
    const ips = openIntent(first) ?? []
    // A settled sibling proves that all were there once: what misses was freed by hand, the rest is in use.
    const wasComplete = this.#book.owned(ips).some(({ entry }) => carries(entry, id) && !openIntent(entry))
    if (wasComplete) await this.#settle(open)
    else await this.#all(open.map((address) => freeChange(address)))
  }

  /** Settles what must not look incomplete when `targets` are gone, or when only some of them are. */
  async settleBeforeFree(targets: readonly OwnedAddress[]): Promise<void> {
    const ids = new Set(targets.flatMap(({ entry }) => entry.intent?.id ?? []))
    const freed = new Set(targets.map(({ ip }) => ip))
    for (const id of ids) {
      const open = this.#book.withOpenIntent(id)
      const blocks = new Set(open.map(({ ip }) => this.#book.blockOfIp(ip)))
      const isOneWrite = blocks.size === 1 && open.every(({ ip }) => freed.has(ip))
      if (!isOneWrite) await this.#settle(open)
    }
  }

  /**
   * True when all of the entries are still there, by reads that begin now if they are in several blocks: those were
   * acknowledged one after the other, and an old leader may have slept between.
   */
  async isProven(created: readonly OwnedAddress[]): Promise<boolean> {
    const blocks = new Set(created.map(({ ip }) => this.#book.blockOfIp(ip)))
    if (blocks.size < 2) return true
    const outcomes = await this.#all(
      created.map(({ ip, entry }) => ({
        ip,
        decide: (current) =>
          current !== undefined && isSameAllocation(entry, current) ? { kind: 'verify' } : { kind: 'lost' },
      })),
    )
    return outcomes.every(({ kind }) => kind === 'done')
  }

  async #settle(open: readonly OwnedAddress[]): Promise<void> {
    await this.#all(
      open.map(({ ip, entry }) => ({
        ip,
        decide: (current) => {
          const isOpen = current !== undefined && isSameAllocation(entry, current) && openIntent(current)
          return isOpen ? { kind: 'put', entry: settled(current) } : { kind: 'keep' }
        },
      })),
    )
  }

  /** Addresses of the entry's intent that do not carry it. An unreadable entry may, so it is not counted. */
  #missing(entry: BlockEntry): readonly string[] {
    const id = entry.intent?.id
    if (id === undefined) return []
    return (openIntent(entry) ?? []).filter((ip) => {
      const isUnreadable = this.#book.blockOfIp(ip).unreadable.has(ip)
      return !isUnreadable && !carries(this.#book.entry(ip), id)
    })
  }

  async #all(changes: readonly Change[]): Promise<readonly Outcome[]> {
    const outcomes = changes.map((change) => this.#submit(change))
    await Promise.allSettled(outcomes)
    return Promise.all(outcomes)
  }
}

function carries(entry: BlockEntry | undefined, id: string): boolean {
  return entry?.intent?.id === id
}

function freeChange({ ip, entry }: OwnedAddress): Change {
  return {
    ip,
    decide: (current) =>
      current !== undefined && isSameAllocation(entry, current) ? { kind: 'free' } : { kind: 'keep' },
  }
}
