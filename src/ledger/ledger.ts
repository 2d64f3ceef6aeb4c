import { type BlockSizes, parseBlockName } from '../address/index.ts'
import type { BlockEntry, BlockOwner, Quarantine, SpiderIpBlock } from '../api/index.ts'
import { type Clock, type Logger, type Random, toError } from '../base/index.ts'
import type { AddAnswer, AddCall } from './add-call.ts'
import { blockSizes, type ParsedBlock, parseBlock } from './blocks/block-codec.ts'
import type { BlockStore } from './blocks/block-store.ts'
import { BlockWorker, type WorkerContext } from './blocks/block-worker.ts'
import {
  type AddressListener,
  anyIpOf,
  type BlockState,
  Book,
  type QuarantinedAddress,
} from './blocks/book.ts'
import type { Change, Decision, Outcome } from './blocks/change.ts'
import type { FoundAddress } from './claims.ts'
import { isAttachedTo, type OwnedAddress, ownerKey, type SandboxNic } from './entry.ts'
import { BlockSizeError, LedgerBusyError, LedgerClosedError, LedgerDeposedError } from './errors.ts'
import { KeyedLock } from './keyed-lock.ts'
import { PoolViews } from './pool/pool-views.ts'
import { type ConflictReport, Quarantines } from './quarantines.ts'
import { Transactions, takenBy } from './transactions.ts'

/** What a ledger is made of. */
export interface LedgerOptions {
  readonly store: BlockStore
  /** Higher than that of every earlier leader; never used twice. */
  readonly term: number
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /**
   * Other sizes than those of the product, for measuring them. Addresses are looked for in blocks of these sizes alone, so a ledger
   * that has others is refused.
   */
  readonly blockSizes?: BlockSizes
}

export interface LedgerStats {
  readonly entries: number
  readonly blocks: number
  readonly waiting: number
  readonly writes: number
  readonly reads: number
  readonly conflicts: number
  readonly unknown: number
}

const waitingLimit = 20_000 // operations at once

/**
 * Who owns which address. One sequencer, owned by the leader: it decides in memory, and answers only what the block store
 * acknowledged. Operations of one owner run one after the other; those of different owners share the writes of a block.
 */
export class Ledger {
  readonly #options: LedgerOptions
  readonly #book: Book
  readonly #views: PoolViews
  readonly #workers = new Map<string, BlockWorker>()
  readonly #locks = new KeyedLock()
  readonly #lifetime = new AbortController()
  readonly #context: WorkerContext
  readonly #running = new Set<Promise<unknown>>()
  readonly #counts = { write: 0, read: 0, conflict: 0, unknown: 0 }
  readonly #transactions: Transactions
  readonly #quarantines: Quarantines

  private constructor(options: LedgerOptions) {
    this.#options = options
    this.#book = new Book(options.clock, options.blockSizes)
    this.#views = new PoolViews(this.#book, options)
    this.#book.onFree = (ip, sinceMs) => this.#views.noteFree(ip, sinceMs)
    this.#context = {
      ...options,
      book: this.#book,
      lifetime: this.#lifetime.signal,
      depose: (error) => this.#lifetime.abort(error),
      sizeProblem: (read) => this.#sizeProblem(read),
      count: (event) => {
        this.#counts[event]++
      },
    }
    const submit = (change: Change) => this.#submit(change)
    this.#transactions = new Transactions({ ...options, book: this.#book, views: this.#views, submit })
    const { intents } = this.#transactions
    this.#quarantines = new Quarantines({ ...options, book: this.#book, intents, submit })
  }

  /**
   * Reads all blocks, and completes or undoes what earlier leaders left half done.
   * @throws {LedgerDeposedError} when a block carries a higher term
   * @throws {BlockSizeError} when a block of another size owns addresses
   */
  static async open(options: LedgerOptions, signal: AbortSignal): Promise<Ledger> {
    const ledger = new Ledger(options)
    await options.store.list((block) => ledger.#adoptListed(block), signal)
    await ledger.#recover(signal)
    return ledger
  }

  /** Aborted when this ledger ended: closed, deposed by a newer leader, or met by a block of another size (the reason says which). */
  get ended(): AbortSignal {
    return this.#lifetime.signal
  }

  /** Gives a pod's NIC its addresses: those it has, or new ones. Answers only what is durable. */
  async add(call: AddCall, signal: AbortSignal): Promise<AddAnswer> {
    return this.#run(ownerKey(call.owner), signal, () => this.#transactions.add(call, signal))
  }

  /** CNI DEL: the sandbox no longer uses its addresses. Frees nothing. @returns the entries, as they are now */
  async detach(sandbox: SandboxNic, signal: AbortSignal): Promise<readonly OwnedAddress[]> {
    const perOwner = [...this.#ownersOf(sandbox.containerId)].map((key) =>
      this.#run(key, signal, () => this.#transactions.detach(key, sandbox)),
    )
    return (await Promise.all(perOwner)).flat()
  }

  /** Undoes one ADD: frees what it took, and only detaches what was there before. @returns the addresses freed */
  async undo(sandbox: SandboxNic, signal: AbortSignal): Promise<readonly string[]> {
    const perOwner = [...this.#ownersOf(sandbox.containerId)].map((key) =>
      this.#run(key, signal, async () => {
        const entries = this.#book.ofOwner(key)
        const freed = await this.#transactions.free(takenBy(entries, sandbox))
        await this.#transactions.detach(key, sandbox)
        return freed
      }),
    )
    return (await Promise.all(perOwner)).flat()
  }

  /**
   * Frees entries that the caller has a verdict on. Each is freed only if it still is what was seen: of the same attempt and
   * pod, with no attachment that was not there. @returns the addresses freed
   */
  async free(seen: readonly OwnedAddress[], signal: AbortSignal): Promise<readonly string[]> {
    return this.#perOwner(seen, signal, (entries) => this.#transactions.free(entries))
  }

  /** Takes the pod off entries whose owner keeps them without one, as {@link free} does. @returns the addresses */
  async vacate(seen: readonly OwnedAddress[], signal: AbortSignal): Promise<readonly string[]> {
    return this.#perOwner(seen, signal, (entries) => this.#transactions.vacate(entries))
  }

  /**
   * Takes in addresses that other allocators gave. A free one gets its holder as owner; on one that has another owner the
   * holder gets a claim: it is contested, and given to nobody new until one is left. Safe to repeat.
   */
  async takeIn(found: readonly FoundAddress[], signal: AbortSignal): Promise<void> {
    await this.#track(signal, () => this.#transactions.takeIn(found))
  }

  /** Takes a claim off a contested address: its pod is gone, or has another address. */
  async withdraw(ip: string, claim: BlockEntry, signal: AbortSignal): Promise<void> {
    await this.#track(signal, () => this.#transactions.withdraw(ip, claim))
  }

  /** A DEL of their pod came for entries that were adopted without a container: they are detached now. */
  async match(seen: readonly OwnedAddress[], signal: AbortSignal): Promise<void> {
    await this.#track(signal, () => this.#transactions.match(seen))
  }

  /**
   * Takes an address that somebody outside uses from its owner, and keeps it from everybody for an hour: in one write, and only
   * if the entry still is what was seen and the sandbox alone uses it. @returns undefined when it is not so
   * @throws {QuarantineFullError} when too many are quarantined because of the node
   */
  async quarantine(
    seen: OwnedAddress,
    report: ConflictReport,
    signal: AbortSignal,
  ): Promise<Quarantine | undefined> {
    const key = ownerKey(seen.entry.owner)
    return this.#run(key, signal, () => this.#quarantines.begin(seen, report))
  }

  /** Ends a quarantine before its time. @returns false when the address is not quarantined */
  async endQuarantine(ip: string, signal: AbortSignal): Promise<boolean> {
    return this.#track(signal, () => this.#quarantines.end(ip))
  }

  /** Lists the blocks again, reads those that memory has another version of, and finishes what is half done. */
  async resync(signal: AbortSignal): Promise<void> {
    const listed = new Map<string, string | undefined>()
    await this.#options.store.list(({ metadata }) => {
      if (this.#isBlockName(metadata.name)) listed.set(metadata.name, metadata.resourceVersion)
    }, signal)
    this.#lifetime.signal.throwIfAborted()
    for (const name of listed.keys()) this.#book.blockNamed(name)
    const outdated = [...this.#book.blocks()].filter(
      (state) => state.resourceVersion !== listed.get(state.block.name),
    )
    await Promise.all(outdated.map((state) => this.#prove(state)))
    await this.#recover(signal)
  }

  /**
   * Somebody heard that a block has this version: it is read again, in line with its writes, unless memory has it. So an
   * address that an operator freed is free here, too.
   */
  async noteVersion(name: string, resourceVersion: string, signal: AbortSignal): Promise<void> {
    if (!this.#isBlockName(name)) return
    const state = this.#book.blockNamed(name)
    const decide = (): Decision => ({
      kind: state.resourceVersion === resourceVersion ? 'keep' : 'verify',
    })
    if (state.resourceVersion === resourceVersion) return
    await this.#track(signal, () => this.#workerOf(state).submit({ ip: anyIpOf(state), decide }))
  }

  /** Ends the ledger; waits for what runs. Requests under way are refused, their writes may still take effect. */
  async close(): Promise<void> {
    this.#lifetime.abort(new LedgerClosedError())
    await Promise.allSettled([...this.#running])
  }

  entry(ip: string): BlockEntry | undefined {
    return this.#book.entry(ip)
  }
  ofContainer(containerId: string, ifName: string): readonly OwnedAddress[] {
    const entries = this.#book.ofContainer(containerId)
    return entries.filter(({ entry }) => entry.nic === ifName && isAttachedTo(entry, containerId))
  }
  ofOwner(owner: BlockOwner): readonly OwnedAddress[] {
    return this.#book.ofOwner(ownerKey(owner))
  }
  /** @param pod `namespace/name` */
  ofPod(pod: string): readonly OwnedAddress[] {
    return this.#book.ofPod(pod)
  }
  ofPool(pool: string): readonly OwnedAddress[] {
    return this.#book.ofPool(pool)
  }
  /** Addresses that are recorded for several pods. */
  contested(): readonly OwnedAddress[] {
    return this.#book.contested()
  }
  /** Contested addresses that the pod is recorded for, beside their owners. @param pod `namespace/name` */
  claimedBy(pod: string): readonly OwnedAddress[] {
    return this.#book.claimedBy(pod)
  }
  /** Why the address is given to nobody now. */
  quarantineOf(ip: string): Quarantine | undefined {
    return this.#book.quarantineOf(ip)
  }
  /** What is quarantined now because of a node. */
  quarantinedBy(node: string): readonly QuarantinedAddress[] {
    return this.#book.quarantinedBy(node)
  }
  all(): Iterable<OwnedAddress> {
    return this.#book.all()
  }
  /** Names of the pools that have an allocated address. */
  pools(): Iterable<string> {
    return this.#book.pools()
  }
  /** How many addresses of the pool are allocated. */
  poolUsage(pool: string): number {
    return this.#book.countOfPool(pool)
  }
  /** True while an intent of several addresses is not known to be complete: the entry may yet be undone. */
  isHeld(entry: BlockEntry): boolean {
    return !this.#transactions.intents.isComplete(entry)
  }
  /** Hears of every change of an address, when it is acknowledged or read. @returns the function that ends it */
  onChange(listener: AddressListener): () => void {
    return this.#book.onChange(listener)
  }
  /** True while somebody waits for an answer. */
  get isBusy(): boolean {
    return this.#running.size > 0
  }
  stats(): LedgerStats {
    const { write, read, conflict, unknown } = this.#counts
    return {
      entries: this.#book.entryCount,
      blocks: [...this.#book.blocks()].length,
      waiting: this.#running.size,
      writes: write,
      reads: read,
      conflicts: conflict,
      unknown,
    }
  }

  async #perOwner(
    seen: readonly OwnedAddress[],
    signal: AbortSignal,
    work: (entries: readonly OwnedAddress[]) => Promise<readonly string[]>,
  ): Promise<readonly string[]> {
    const byOwner = Map.groupBy(seen, ({ entry }) => ownerKey(entry.owner))
    const all = [...byOwner].map(([key, entries]) => this.#run(key, signal, () => work(entries)))
    return (await Promise.all(all)).flat()
  }

  /**
   * Runs a task when all earlier tasks of the owner are done. The task goes on when the caller gives up: what it began must
   * come to a known end, and it undoes itself what nobody waits for.
   */
  async #run<T>(key: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    this.#lifetime.signal.throwIfAborted()
    if (this.#running.size >= waitingLimit) throw new LedgerBusyError(`${waitingLimit} requests are waiting`)
    return this.#track(signal, () =>
      this.#locks.run(key, async () => {
        signal.throwIfAborted()
        this.#lifetime.signal.throwIfAborted()
        return task()
      }),
    )
  }

  /** Runs a task to its end, also when the caller gives up before. */
  async #track<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    this.#lifetime.signal.throwIfAborted()
    const running = task()
    this.#running.add(running)
    const { promise: gaveUp, reject } = Promise.withResolvers<never>()
    const giveUp = () => reject(toError(signal.reason))
    signal.addEventListener('abort', giveUp, { once: true })
    const forget = () => {
      this.#running.delete(running)
      signal.removeEventListener('abort', giveUp)
    }
    running.then(forget, forget)
    return Promise.race([running, gaveUp])
  }

  #adoptListed(object: SpiderIpBlock): void {
    const { term, logger } = this.#options
    if (!this.#isBlockName(object.metadata.name)) return
    const read = parseBlock(object)
    if (read.term > term) throw new LedgerDeposedError(term, read.term)
    for (const problem of read.problems) {
      logger.error('block is damaged', { block: read.block.name, problem })
    }
    const sizeProblem = this.#sizeProblem(read)
    if (sizeProblem !== undefined) throw sizeProblem
    this.#book.adopt(this.#book.blockNamed(read.block.name), read)
  }

  /** Addresses are looked for in blocks of our size alone: one of another must hold none, whenever it appears. */
  #sizeProblem({ block, entries, unreadable, quarantine }: ParsedBlock): BlockSizeError | undefined {
    const { version, prefixBits } = block.cidr
    const { blockSizes: sizes = blockSizes } = this.#options
    const wanted = version === 4 ? sizes.v4 : sizes.v6
    const isEmpty = entries.size + unreadable.size + quarantine.size === 0
    return prefixBits === wanted || isEmpty ? undefined : new BlockSizeError(block.name, wanted)
  }

  /** An object with another name was made by hand, and holds no address: it must not keep a leader from serving. */
  #isBlockName(name: string): boolean {
    try {
      parseBlockName(name)
      return true
    } catch (error) {
      this.#options.logger.error('object is no block and is left alone', { block: name, err: error })
      return false
    }
  }

  #ownersOf(containerId: string): ReadonlySet<string> {
    return new Set(this.#book.ofContainer(containerId).map(({ entry }) => ownerKey(entry.owner)))
  }

  /** Completes or undoes the intents that are not settled. */
  async #recover(signal: AbortSignal): Promise<void> {
    const { intents } = this.#transactions
    const resolving = this.#book.openIntents().map(async (id) => {
      const open = this.#book.withOpenIntent(id)
      const first = open[0]
      if (first === undefined) return
      if (intents.isComplete(first.entry)) intents.noteComplete(open)
      else await this.#run(ownerKey(first.entry.owner), signal, () => intents.resolve(id))
    })
    await Promise.all(resolving)
  }

  /** Reads a block again, in line with its writes. */
  async #prove(state: BlockState): Promise<void> {
    await this.#workerOf(state).submit({ ip: anyIpOf(state), decide: () => ({ kind: 'verify' }) })
  }

  #submit(change: Change): Promise<Outcome> {
    return this.#workerOf(this.#book.blockOfIp(change.ip)).submit(change)
  }

  #workerOf(state: BlockState): BlockWorker {
    const { name } = state.block
    const found = this.#workers.get(name)
    if (found !== undefined) return found
    const worker = new BlockWorker(state, this.#context)
    this.#workers.set(name, worker)
    return worker
  }
}
