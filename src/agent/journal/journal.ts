import { type Logger, OperationError } from '../../base/index.ts'
import { parseContainerId, parseIfName } from '../../cni/index.ts'
import type { JournalFolder } from './journal-folder.ts'

/** What the node knows of one attachment that asked for addresses. */
export interface JournalEntry {
  readonly containerId: string
  readonly ifName: string
  /** Name of the CNI network; '' when the file was damaged. */
  readonly network: string
  readonly netns: string
  /** Identity of the namespace; '' when unknown, and then the sandbox counts as alive. */
  readonly netnsIdentity: string
  readonly podNamespace: string
  readonly podName: string
  readonly podUid: string
  readonly atMs: number
  readonly state: JournalState
}

/** `held`: addresses may be recorded for it. `releasing`: DEL was answered, the controller has yet to be told. */
export type JournalState = 'held' | { readonly releasing: 'detach' | 'undo' }

/** The journal has no room. */
export class JournalFullError extends OperationError {
  override readonly code = 'JOURNAL_FULL'
  override readonly retry = 'later'
}

const maxEntries = 20_000

/**
 * The durable list of attachments of this node, each named by container and interface, so that DEL needs nothing else.
 * Read whole at start, then kept in memory.
 */
export class Journal {
  readonly #folder: JournalFolder
  readonly #logger: Logger
  readonly #entries = new Map<string, JournalEntry>()

  private constructor(folder: JournalFolder, logger: Logger) {
    this.#folder = folder
    this.#logger = logger
  }

  static async open(folder: JournalFolder, logger: Logger): Promise<Journal> {
    const journal = new Journal(folder, logger)
    for (const name of await folder.open()) await journal.#load(name)
    return journal
  }

  async #load(name: string): Promise<void> {
    const id = parseName(name)
    if (id === undefined) return
    const entry = parseEntry(id, this.#folder.read(name))
    if (entry !== undefined) this.#entries.set(keyOf(id), entry)
    else {
      // Its name still says what DEL needs. Until then the sandbox counts as alive.
      this.#logger.error('journal entry is damaged', { name, containerId: id.containerId })
      this.#folder.setAside(name)
      await this.write(unknownEntry(id))
    }
  }

  get size(): number {
    return this.#entries.size
  }

  find(id: { containerId: string; ifName: string }): JournalEntry | undefined {
    return this.#entries.get(keyOf(id))
  }

  entries(): readonly JournalEntry[] {
    return [...this.#entries.values()]
  }

  /** Returns when the entry is on disk. */
  async write(entry: JournalEntry): Promise<void> {
    const key = keyOf(entry)
    if (!this.#entries.has(key) && this.#entries.size >= maxEntries)
      throw new JournalFullError(
        `Cannot note attachment ${key} in the journal: it holds ${maxEntries} entries`,
        'see why attachments of this node are not removed: the controller may be away',
      )
    await this.#folder.write(key, JSON.stringify(entry))
    this.#entries.set(key, entry)
  }

  /** Takes the entry out. After a crash it may be back: releasing twice is harmless. */
  delete(id: { containerId: string; ifName: string }): void {
    const key = keyOf(id)
    if (this.#entries.delete(key)) this.#folder.remove(key)
  }

  async close(): Promise<void> {
    await this.#folder.close()
  }
}

// Neither a container id nor an interface name may hold a colon.
function keyOf(id: { containerId: string; ifName: string }): string {
  return `${id.containerId}:${id.ifName}`
}

function parseName(name: string): { containerId: string; ifName: string } | undefined {
  const [containerId, ifName, ...more] = name.split(':')
  if (containerId === undefined || ifName === undefined || more.length > 0) return undefined
  try {
    return { containerId: parseContainerId(containerId), ifName: parseIfName('ifName', ifName) }
  } catch (error) {
    if (error instanceof OperationError) return undefined // not ours
    throw error
  }
}

function parseEntry(id: { containerId: string; ifName: string }, content: string): JournalEntry | undefined {
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch {
    return undefined // the caller sets the file aside and says so
  }
  if (typeof value !== 'object' || value === null) return undefined
  const given = value as Readonly<Record<string, unknown>>
  const text = (key: string): string => (typeof given[key] === 'string' ? given[key] : '')
  const state = given['state']
  const reason: unknown =
    typeof state === 'object' && state !== null && 'releasing' in state ? state.releasing : ''
  if (state !== 'held' && reason !== 'detach' && reason !== 'undo') return undefined
  return {
    ...id,
    network: text('network'),
    netns: text('netns'),
    netnsIdentity: text('netnsIdentity'),
    podNamespace: text('podNamespace'),
    podName: text('podName'),
    podUid: text('podUid'),
    atMs: typeof given['atMs'] === 'number' ? given['atMs'] : 0,
    state: reason === 'detach' || reason === 'undo' ? { releasing: reason } : 'held',
  }
}

function unknownEntry(id: { containerId: string; ifName: string }): JournalEntry {
  const unknown = { network: '', netns: '', netnsIdentity: '', podNamespace: '', podName: '', podUid: '' }
  return { ...id, ...unknown, atMs: 0, state: 'held' }
}
