import { closeSync, constants, fstatSync, open, write } from 'node:fs'
import { link, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { assert, type Logger, OperationError, toError } from '../../base/index.ts'
import { writeDurably } from '../../cni/index.ts'
import type { JournalFolder } from './journal-folder.ts'

// Lines of the log: "+NAME TEXT" sets a text, "-NAME" removes it; the last line of a name counts.

/** The log could not be written as a whole. */
class ShortWriteError extends OperationError {
  override readonly code = 'JOURNAL_SHORT_WRITE'
  override readonly retry = 'later'
}

interface Change {
  readonly name: string
  /** Absent: it is removed, and nobody waits for that. */
  readonly text?: string
  readonly done?: () => void
  readonly failed?: (error: Error) => void
}

/** So long removals may wait for a write that takes them along: a crash that brings one back does no harm. */
const removalDelayMs = 200
/** Lines that count no more, besides as many as count, until the log is written anew. */
const maxDeadLines = 2000

/** Of earlier versions: one file for each attachment, `CONTAINER:IFNAME`. */
const earlierFile = /^[^.\s:][^\s:]*:[^\s:]+$/

const openFile = promisify(open)
const writeFile = promisify(write)

/**
 * A journal in one file, to which lines are added. Each write is on disk before it returns; what is asked for while one is under way
 * goes together in the next. Anything odd, as a torn line or a write that failed, makes the next one write the file anew.
 * @param path of its folder, absolute
 */
export function journalLog(path: string, logger: Logger): JournalFolder {
  return new JournalLog(path, logger)
}

class JournalLog implements JournalFolder {
  readonly #folder: string
  readonly #path: string
  readonly #logger: Logger
  readonly #texts = new Map<string, string>()
  #fd: number | undefined
  #lines = 0
  #isDamaged = false
  #queue: Change[] = []
  #isRunning = false
  #run: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  constructor(folder: string, logger: Logger) {
    this.#folder = folder
    this.#path = join(folder, 'log')
    this.#logger = logger
  }

  async open(): Promise<readonly string[]> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const earlier: string[] = []
    for (const name of await readdir(this.#folder)) {
      const isLeftByCrash = name.startsWith('.log.') && name.endsWith('.tmp')
      if (isLeftByCrash) await rm(join(this.#folder, name), { force: true })
      if (name === 'log') this.#load(await readFile(this.#path, 'utf8'))
      if (earlierFile.test(name)) earlier.push(name)
    }
    if (earlier.length > 0) await this.#takeIn(earlier)
    return [...this.#texts.keys()]
  }

  /** Takes over what an earlier version kept in one file for each name; the files go when the log has it. */
  async #takeIn(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const text = (await readFile(join(this.#folder, name), 'utf8')).trim()
      if (!this.#texts.has(name)) this.#texts.set(name, text.replaceAll('\n', ' '))
    }
    await this.#openLog()
    for (const name of names) await rm(join(this.#folder, name), { force: true })
    this.#logger.info('journal of an earlier version taken over', { entries: names.length })
  }

  #load(content: string): void {
    const lines = content.split('\n')
    lines.pop() // nothing, or a line that a crash cut short: nobody was told that it was there
    let unreadable = 0
    for (const line of lines) {
      const [, sign, name = '', text = ''] = /^([+-])(\S+)(?: (.*))?$/s.exec(line) ?? []
      if (sign === '+') this.#texts.set(name, text)
      else if (sign === '-') this.#texts.delete(name)
      else unreadable++
    }
    if (unreadable === 0) return
    this.#isDamaged = true
    this.#logger.error('journal has unreadable lines', { file: this.#path, count: unreadable })
  }

  read(name: string): string {
    return this.#texts.get(name) ?? ''
  }

  write(name: string, text: string): Promise<void> {
    assert(!/\s/.test(name) && !text.includes('\n'), `the journal cannot hold "${name}" in one line`)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#queue.push({ name, text, done: resolve, failed: reject })
    this.#start()
    return promise
  }

  setAside(_name: string): void {
    this.#isDamaged = true
  }

  remove(name: string): void {
    this.#queue.push({ name })
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#start()
    }, removalDelayMs)
  }

  async close(): Promise<void> {
    this.#start()
    await this.#run
    this.#forgetFile()
  }

  #start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#run = this.#writeQueue()
  }

  async #writeQueue(): Promise<void> {
    while (this.#queue.length > 0) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      const changes = this.#queue
      this.#queue = []
      try {
        await this.#append(changes)
      } catch (error) {
        this.#forgetFile()
        this.#logger.warn('journal was not written', { file: this.#path, err: toError(error).message })
        for (const { name, text, failed } of changes) {
          if (text === undefined) this.#texts.delete(name)
          failed?.(toError(error))
        }
      }
    }
    this.#isRunning = false
  }

  async #append(changes: readonly Change[]): Promise<void> {
    const fd = await this.#openLog()
    const bytes = Buffer.from(changes.map(lineOf).join(''))
    const { bytesWritten } = await writeFile(fd, bytes)
    if (bytesWritten !== bytes.length)
      throw new ShortWriteError(
        `Cannot write "${this.#path}": ${bytesWritten} of ${bytes.length} bytes went in`,
        'make room on the disk',
      )
    this.#lines += changes.length
    for (const { name, text, done } of changes) {
      if (text === undefined) this.#texts.delete(name)
      else this.#texts.set(name, text)
      done?.()
    }
  }

  /** The file to add to, written anew where that is due. */
  async #openLog(): Promise<number> {
    const dead = this.#lines - this.#texts.size
    const isGone = this.#fd === undefined || fstatSync(this.#fd).nlink === 0
    if (!isGone && dead <= this.#texts.size + maxDeadLines && this.#fd !== undefined) return this.#fd
    this.#forgetFile()
    if (this.#isDamaged) await this.#keepDamaged()
    await writeDurably(this.#path, [...this.#texts].map(([name, text]) => lineOf({ name, text })).join(''))
    const { O_WRONLY, O_APPEND, O_DSYNC } = constants
    const fd = await openFile(this.#path, O_WRONLY | O_APPEND | O_DSYNC)
    this.#fd = fd
    this.#lines = this.#texts.size
    return fd
  }

  async #keepDamaged(): Promise<void> {
    const kept = join(this.#folder, 'log.bad')
    try {
      await rm(kept, { force: true })
      await link(this.#path, kept)
    } catch (error) {
      // Somebody removed it meanwhile: what could be read of it is in memory.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
    this.#isDamaged = false
  }

  #forgetFile(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }
}

const lineOf = ({ name, text }: Pick<Change, 'name' | 'text'>): string =>
  text === undefined ? `-${name}\n` : `+${name} ${text}\n`
