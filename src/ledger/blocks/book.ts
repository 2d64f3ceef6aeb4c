import {
  type Block,
  type BlockSizes,
  blockOf,
  formatIp,
  ipOf,
  parseBlockName,
  parseIp,
  tryParseIp,
} from '../../address/index.ts'
import type { BlockEntry, PastHolder, Quarantine } from '../../api/index.ts'
import type { Clock } from '../../base/index.ts'
import { claimsOf } from '../claims.ts'
import { attachmentsOf, isEqualData, type OwnedAddress, openIntent, ownerKey } from '../entry.ts'
import type { AddressStates } from '../pool/pool-view.ts'
import { blockSizes, type ParsedBlock } from './block-codec.ts'
import { MultiMap } from './multi-map.ts'

/** One block as the ledger knows it. */
export interface BlockState {
  readonly block: Block
  resourceVersion: string | undefined // undefined: does not exist
  term: number
  readonly entries: Map<string, BlockEntry>
  readonly released: Map<string, number>
  /** Also those that are over, until the block is written next. */
  readonly quarantine: Map<string, Quarantine>
  history: readonly PastHolder[]
  unreadable: ReadonlySet<string>
  /** Addresses chosen for a write that is not acknowledged yet. */
  readonly pending: Set<string>
  /** Addresses whose intent was seen complete: settled along with the next write. */
  readonly toSettle: Set<string>
}

/** An address that is given to nobody, and why. */
export interface QuarantinedAddress {
  readonly ip: string
  readonly record: Quarantine
}

/** What happened to one address. */
export interface AddressChange {
  readonly ip: string
  readonly before: BlockEntry | undefined
  readonly after: BlockEntry | undefined
}
export type AddressListener = (change: AddressChange) => void

/** The ledger's memory: blocks as last read or acknowledged, and indexes over their entries. */
export class Book implements AddressStates {
  readonly #blocks = new Map<string, BlockState>()
  readonly #byContainer = new MultiMap()
  readonly #byOwner = new MultiMap()
  readonly #byPod = new MultiMap()
  readonly #byPool = new MultiMap()
  readonly #byOpenIntent = new MultiMap()
  readonly #byMac = new MultiMap()
  /** Contested addresses, by the pods that claim them beside their owners. */
  readonly #byClaimant = new MultiMap()
  /** Quarantined addresses, by the nodes that met the other party. */
  readonly #byReporter = new MultiMap()
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #sizes: BlockSizes
  readonly #listeners = new Set<AddressListener>()
  #entryCount = 0
  #releasedCount = 0
  #quarantineCount = 0
  /**
   * Called when an address becomes free, or will be by itself when its quarantine is over; `sinceMs` is when it was
   * released, undefined when it is as if never used, in the future for the end of a quarantine.
   */
  onFree: (ip: string, sinceMs: number | undefined) => void = () => undefined

  constructor(clock: Pick<Clock, 'nowMs'>, sizes: BlockSizes = blockSizes) {
    this.#clock = clock
    this.#sizes = sizes
  }

  get entryCount(): number {
    return this.#entryCount
  }
  get releasedCount(): number {
    return this.#releasedCount + this.#quarantineCount
  }

  blocks(): Iterable<BlockState> {
    return this.#blocks.values()
  }

  /** The state of the block of an address; a new one stands for a block that does not exist yet. */
  blockOfIp(ip: string): BlockState {
    const block = blockOf(parseIp(ip), this.#sizes)
    return this.#blocks.get(block.name) ?? this.#add(block)
  }
  blockNamed(name: string): BlockState {
    return this.#blocks.get(name) ?? this.#add(parseBlockName(name))
  }

  /** As {@link blockOfIp}, but a question alone makes no state. */
  #find(ip: string): BlockState | undefined {
    const address = tryParseIp(ip)
    return address === undefined ? undefined : this.#blocks.get(blockOf(address, this.#sizes).name)
  }

  entry(ip: string): BlockEntry | undefined {
    return this.#find(ip)?.entries.get(ip)
  }
  owned(ips: Iterable<string>): readonly OwnedAddress[] {
    const found: OwnedAddress[] = []
    let state: BlockState | undefined
    for (const ip of ips) {
      // Neighbours come together: most are in the block of the one before, and their texts need not be parsed.
      if (state?.entries.has(ip) !== true) state = this.#find(ip)
      const entry = state?.entries.get(ip)
      if (entry !== undefined) found.push({ ip, entry })
    }
    return found
  }
  ofContainer(containerId: string): readonly OwnedAddress[] {
    return this.owned(this.#byContainer.get(containerId))
  }
  ofOwner(key: string): readonly OwnedAddress[] {
    return this.owned(this.#byOwner.get(key))
  }
  ofPod(pod: string): readonly OwnedAddress[] {
    return this.owned(this.#byPod.get(pod))
  }
  ofPool(pool: string): readonly OwnedAddress[] {
    return this.owned(this.#byPool.get(pool))
  }
  /** Addresses of the NICs that were given the MAC address. */
  ofMac(mac: string): readonly OwnedAddress[] {
    return this.owned(this.#byMac.get(mac))
  }
  countOfPool(pool: string): number {
    return this.#byPool.count(pool)
  }
  pools(): Iterable<string> {
    return this.#byPool.keys()
  }
  /** Entries of the intent that still list their siblings. */
  withOpenIntent(id: string): readonly OwnedAddress[] {
    return this.owned(this.#byOpenIntent.get(id))
  }
  openIntents(): readonly string[] {
    return [...this.#byOpenIntent.keys()]
  }
  /** Contested addresses that the pod is recorded for beside their owners. */
  claimedBy(pod: string): readonly OwnedAddress[] {
    return this.owned(this.#byClaimant.get(pod))
  }
  contested(): readonly OwnedAddress[] {
    return this.owned(new Set([...this.#byClaimant.keys()].flatMap((pod) => this.#byClaimant.get(pod))))
  }
  *all(): Generator<OwnedAddress> {
    for (const { entries } of this.#blocks.values()) for (const [ip, entry] of entries) yield { ip, entry }
  }

  /** Addresses whose write is under way, and that nobody is recorded for yet. */
  *beingWritten(): Generator<string> {
    for (const { pending, entries } of this.#blocks.values())
      for (const ip of pending) if (!entries.has(ip)) yield ip
  }

  isFree(ip: string): boolean {
    const state = this.#find(ip)
    return state === undefined || (!isTaken(state, ip) && this.#activeIn(state, ip) === undefined)
  }
  isWaiting(ip: string): boolean {
    const state = this.#find(ip)
    return state !== undefined && !isTaken(state, ip) && this.#activeIn(state, ip) !== undefined
  }
  isTouched(ip: string): boolean {
    const state = this.#find(ip)
    if (state === undefined) return false
    return isTaken(state, ip) || state.released.has(ip) || state.quarantine.has(ip)
  }
  /** Somebody has the address, but nobody can read who. */
  isUnreadable(ip: string): boolean {
    return this.#find(ip)?.unreadable.has(ip) === true
  }
  releasedAt(ip: string): number | undefined {
    const state = this.#find(ip)
    return state === undefined ? undefined : restsSince(state, ip)
  }
  *released(): Generator<readonly [ip: string, sinceMs: number]> {
    for (const state of this.#blocks.values()) {
      if (state.quarantine.size === 0) yield* state.released
      else yield* restingIn(state)
    }
  }

  /** Why the address is given to nobody now. */
  quarantineOf(ip: string): Quarantine | undefined {
    const state = this.#find(ip)
    return state === undefined ? undefined : this.#activeIn(state, ip)
  }
  /** All that is quarantined now because of a node. */
  quarantinedBy(node: string): readonly QuarantinedAddress[] {
    return this.#byReporter.get(node).flatMap((ip) => {
      const record = this.quarantineOf(ip)
      return record === undefined ? [] : [{ ip, record }]
    })
  }
  /** All that is quarantined now. */
  quarantined(): readonly QuarantinedAddress[] {
    return [...this.#byReporter.keys()].flatMap((node) => this.quarantinedBy(node))
  }
  #activeIn(state: BlockState, ip: string): Quarantine | undefined {
    const record = state.quarantine.get(ip)
    return record !== undefined && record.until > this.#clock.nowMs() ? record : undefined
  }

  /** Keeps others from choosing an address while its write is under way. */
  reserve(ip: string): void {
    this.blockOfIp(ip).pending.add(ip)
  }
  unreserve(ip: string): void {
    const state = this.blockOfIp(ip)
    if (state.pending.delete(ip)) this.#noteIfFree(state, ip)
  }

  onChange(listener: AddressListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Takes over what was acknowledged for single addresses. */
  set(state: BlockState, ip: string, after: BlockEntry | undefined): void {
    const before = state.entries.get(ip)
    if (before === after) return
    if (before !== undefined) this.#index(ip, before, 'delete')
    if (after === undefined) state.entries.delete(ip)
    else state.entries.set(ip, after)
    if (after !== undefined) this.#index(ip, after, 'add')
    this.#entryCount += (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1)
    if (after === undefined) this.#noteIfFree(state, ip)
    for (const listener of this.#listeners) listener({ ip, before, after })
  }
  setReleased(state: BlockState, ip: string, sinceMs: number | undefined): void {
    if (state.released.get(ip) === sinceMs) return
    const had = state.released.delete(ip)
    if (sinceMs !== undefined) state.released.set(ip, sinceMs)
    this.#releasedCount += (sinceMs === undefined ? 0 : 1) - (had ? 1 : 0)
    this.#noteIfFree(state, ip)
  }

  setQuarantine(state: BlockState, ip: string, record: Quarantine | undefined): void {
    const before = state.quarantine.get(ip)
    if (isEqualData(before, record)) return
    if (before !== undefined) this.#byReporter.delete(before.node, ip)
    state.quarantine.delete(ip)
    if (record !== undefined) {
      state.quarantine.set(ip, record)
      this.#byReporter.add(record.node, ip)
    }
    this.#quarantineCount += (record === undefined ? 0 : 1) - (before === undefined ? 0 : 1)
    this.#noteIfFree(state, ip)
  }

  /** Replaces what is known of a block by what was read; undefined: it does not exist. */
  adopt(state: BlockState, read: ParsedBlock | undefined): void {
    state.resourceVersion = read?.resourceVersion
    state.term = read?.term ?? 0
    const unreadableBefore = state.unreadable
    state.unreadable = read?.unreadable ?? new Set()
    state.history = read?.history ?? []
    for (const ip of [...state.quarantine.keys()]) {
      if (read?.quarantine.has(ip) !== true) this.setQuarantine(state, ip, undefined)
    }
    for (const [ip, record] of read?.quarantine ?? []) this.setQuarantine(state, ip, record)
    for (const ip of [...state.released.keys()]) {
      if (read?.released.has(ip) !== true) this.setReleased(state, ip, undefined)
    }
    for (const [ip, sinceMs] of read?.released ?? []) this.setReleased(state, ip, sinceMs)
    for (const ip of [...state.entries.keys()]) {
      if (read?.entries.has(ip) !== true) this.set(state, ip, undefined)
    }
    for (const [ip, entry] of read?.entries ?? []) {
      if (!isEqualData(state.entries.get(ip), entry)) this.set(state, ip, entry)
    }
    for (const ip of unreadableBefore) this.#noteIfFree(state, ip)
  }

  #add(block: Block): BlockState {
    const state: BlockState = {
      block,
      resourceVersion: undefined,
      term: 0,
      entries: new Map(),
      released: new Map(),
      quarantine: new Map(),
      history: [],
      unreadable: new Set(),
      pending: new Set(),
      toSettle: new Set(),
    }
    this.#blocks.set(block.name, state)
    return state
  }

  #noteIfFree(state: BlockState, ip: string): void {
    if (!isTaken(state, ip)) this.onFree(ip, restsSince(state, ip))
  }

  #index(ip: string, entry: BlockEntry, change: 'add' | 'delete'): void {
    for (const { containerId } of attachmentsOf(entry)) this.#byContainer[change](containerId, ip)
    const creator = entry.createdBy?.containerId
    if (creator !== undefined) this.#byContainer[change](creator, ip)
    this.#byOwner[change](ownerKey(entry.owner), ip)
    this.#byPod[change](entry.pod, ip)
    this.#byPool[change](entry.pool, ip)
    const { mac } = entry.grant
    if (mac !== undefined) this.#byMac[change](mac, ip)
    for (const claim of claimsOf(entry)) this.#byClaimant[change](claim.pod, ip)
    if (entry.intent !== undefined && openIntent(entry) !== undefined) {
      this.#byOpenIntent[change](entry.intent.id, ip)
    }
  }
}

function isTaken({ entries, pending, unreadable }: BlockState, ip: string): boolean {
  return entries.has(ip) || pending.has(ip) || unreadable.has(ip)
}

/** Since when an address rests: it was released, or will be free by itself; undefined: never used. */
function restsSince({ released, quarantine }: BlockState, ip: string): number | undefined {
  const since = released.get(ip)
  const until = quarantine.get(ip)?.until
  return since === undefined || (until !== undefined && until > since) ? (until ?? since) : since
}

function* restingIn(state: BlockState): Generator<readonly [ip: string, sinceMs: number]> {
  for (const ip of new Set([...state.released.keys(), ...state.quarantine.keys()])) {
    yield [ip, restsSince(state, ip) ?? 0]
  }
}

/** Some address of a block, to name it by. */
export function anyIpOf(state: BlockState): string {
  return formatIp(ipOf(state.block.cidr.first))
}
