import type { JournalFolder } from '../../../src/agent/journal/journal-folder.ts'
import type { Scheduler } from '../scheduler.ts'

/** The disk of one node: it outlives its agents; a write counts when it is done, a removal some time later. */
export class NodeDisk {
  readonly #scheduler: Scheduler
  readonly #files = new Map<string, string>()
  /** Removed, not on disk: a crash of the machine may bring them back. */
  readonly #removed = new Map<string, string>()
  readonly #pending = new Set<() => void>()

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  has(name: string): boolean {
    return this.#files.has(name)
  }

  /** Of what a dead process had under way, some is done and some is not. */
  agentCrashed(): void {
    for (const apply of this.#pending) if (this.#scheduler.chance(0.5)) apply()
    this.#pending.clear()
  }

  machineCrashed(): void {
    this.agentCrashed()
    for (const [name, content] of this.#removed) {
      if (!this.#files.has(name) && this.#scheduler.chance(0.5)) this.#files.set(name, content)
    }
    this.#removed.clear()
  }

  /** The folder as one agent process sees it. */
  folderOf(actor: string): JournalFolder {
    const later = (apply: () => void): Promise<void> =>
      new Promise((resolve) => {
        this.#pending.add(apply)
        const run = () => {
          if (!this.#pending.delete(apply)) return
          apply()
          resolve()
        }
        this.#scheduler.at(actor, () => this.#scheduler.at(actor, run))
      })
    const removals = new Map<string, () => void>()
    return {
      open: () => Promise.resolve([...this.#files.keys()]),
      read: (name) => this.#files.get(name) ?? '',
      write: (name, content) => {
        const removal = removals.get(name)
        if (removal !== undefined) this.#pending.delete(removal) // a log keeps the order
        return later(() => void this.#files.set(name, content))
      },
      setAside: () => undefined,
      remove: (name) => {
        const removal = () => {
          const content = this.#files.get(name)
          if (content !== undefined) this.#removed.set(name, content)
          this.#files.delete(name)
        }
        removals.set(name, removal)
        void later(removal)
      },
      close: () => later(() => this.#removed.clear()),
    }
  }
}
