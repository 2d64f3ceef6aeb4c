import { type BlockEntry, type EntryGrant, holderOf } from '../api/index.ts'
import type { Clock, Random } from '../base/index.ts'
import type { AddAnswer, AddCall, AddPlan, NewGrant } from './add-call.ts'
import type { Book } from './blocks/book.ts'
import type { Change, Decision, Outcome } from './blocks/change.ts'
import { type FoundAddress, withHolders, withoutClaim } from './claims.ts'
import {
  attachmentsOf,
  isEqualData,
  isSameAllocation,
  isUnchangedSince,
  isUsedBy,
  type OwnedAddress,
  openIntent,
  ownerKey,
  type SandboxNic,
  settled,
} from './entry.ts'
import { LedgerBusyError, LedgerClosedError, LedgerDeposedError, PoolFullError } from './errors.ts'
import { Intents } from './intents.ts'
import { Leaving } from './leaving.ts'
import { MacClaims } from './mac-claims.ts'
import { type Chosen, chooseAddresses } from './pool/choose.ts'
import { poolRuleOf } from './pool/pool-rule.ts'
import type { PoolViews } from './pool/pool-views.ts'
import { attachmentOf, sharedEntry, withoutSandbox } from './sharing.ts'

/** What the operations of a ledger work with. `submit` gives the outcome of a change that is durable. */
export interface TransactionPorts {
  readonly term: number
  readonly book: Book
  readonly views: PoolViews
  readonly clock: Clock
  readonly random: Random
  readonly submit: (change: Change) => Promise<Outcome>
}

const maxWaits = 3 // times that one ADD waits for addresses that are being freed
const maxAttempts = 8 // tries of one ADD that loses races against other writers

const lost: Decision = { kind: 'lost' }
const keep: Decision = { kind: 'keep' }
const verify: Decision = { kind: 'verify' }

/** The operations on the entries of one owner. The caller sees to it that those of one owner do not overlap. */
export class Transactions {
  readonly #ports: TransactionPorts
  readonly intents: Intents
  readonly #macs: MacClaims
  readonly #leaving = new Leaving()
  #intentCount = 0

  constructor(ports: TransactionPorts) {
    this.#ports = ports
    this.intents = new Intents(ports)
    this.#macs = new MacClaims(ports.book)
  }

  async add(call: AddCall, signal: AbortSignal): Promise<AddAnswer> {
    let waits = 0
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      signal.throwIfAborted()
      try {
        const answer = await this.#tryAdd(call, signal)
        if (answer !== undefined) return answer
      } catch (error) {
        const mayWait = error instanceof PoolFullError && waits++ < maxWaits
        if (!mayWait || !(await this.#leaving.wait(error.pools))) throw error
      }
    }
    throw new LedgerBusyError(
      `failed to allocate IP to pod ${call.pod}: others took its addresses ${maxAttempts} times`,
    )
  }

  /** Takes the container's attachment off the owner's entries of the NIC. @returns the owner's entries of the NIC */
  async detach(key: string, sandbox: SandboxNic): Promise<readonly OwnedAddress[]> {
    const isMine = (entry: BlockEntry) => isUsedBy(entry, sandbox)
    const seen = this.#ports.book.ofOwner(key).filter(({ entry }) => isMine(entry))
    const outcomes = await this.#submitAll(
      seen.map(({ ip, entry }) => ({
        ip,
        decide: (current) => {
          if (current === undefined || !isSameAllocation(entry, current) || !isMine(current)) return keep
          return { kind: 'put', entry: withoutSandbox(current, sandbox) }
        },
      })),
    )
    return outcomes.flatMap((outcome, index) => {
      const ip = seen[index]?.ip
      return outcome.kind === 'done' && outcome.entry !== undefined && ip !== undefined
        ? [{ ip, entry: outcome.entry }]
        : []
    })
  }

  /** Frees each of one owner's entries that is still what was seen. @returns the addresses freed */
  async free(seen: readonly OwnedAddress[]): Promise<readonly string[]> {
    return this.#leaving.during(seen, () => this.#free(seen))
  }

  async #free(seen: readonly OwnedAddress[]): Promise<readonly string[]> {
    const { book } = this.#ports
    const isStill = ({ ip, entry }: OwnedAddress) => {
      const now = book.entry(ip)
      return now !== undefined && isUnchangedSince(entry, now)
    }
    for (const id of new Set(seen.filter(isStill).map(({ entry }) => entry.intent?.id))) {
      if (id !== undefined) await this.intents.resolve(id)
    }
    const targets = seen.filter(isStill)
    await this.intents.settleBeforeFree(targets)
    const outcomes = await this.#submitAll(
      targets.map(({ ip, entry }) => ({
        ip,
        decide: (current) => {
          if (current === undefined) return keep
          return isUnchangedSince(entry, current) ? { kind: 'free' } : lost
        },
      })),
    )
    return targets.filter((_, index) => outcomes[index]?.kind === 'done').map(({ ip }) => ip)
  }

  /**
   * The pods that used the entries are over, and their owner keeps them for whoever comes next. Each that is still what was seen
   * names no pod any more. @returns the addresses
   */
  async vacate(seen: readonly OwnedAddress[]): Promise<readonly string[]> {
    const outcomes = await this.#submitAll(
      seen.map(({ ip, entry }) => ({
        ip,
        decide: (current) => {
          if (current === undefined || !isUnchangedSince(entry, current)) return lost
          const { attachments: _, createdBy: __, ...rest } = current
          return { kind: 'put', entry: { ...rest, pod: '', podUid: '', node: '' } }
        },
      })),
    )
    return seen.filter((_, index) => outcomes[index]?.kind === 'done').map(({ ip }) => ip)
  }

  /** Takes in what other allocators gave: entries of their own, or claims on what has an owner. Safe to repeat. */
  async takeIn(found: readonly FoundAddress[]): Promise<void> {
    await this.#submitAll(
      found.map(({ ip, holders }) => ({
        ip,
        decide: (current) => {
          const entry = withHolders(current, holders)
          return entry === undefined || entry === current ? keep : { kind: 'put', entry }
        },
      })),
    )
  }

  /** Takes a claim off a contested address. */
  async withdraw(ip: string, claim: BlockEntry): Promise<void> {
    const decide = (current: BlockEntry | undefined): Decision => {
      const entry = current === undefined ? undefined : withoutClaim(current, claim)
      return entry === undefined || entry === current ? keep : { kind: 'put', entry }
    }
    await this.#submitAll([{ ip, decide }])
  }

  /** An adopted entry's pod was seen to end its sandbox: from now on it is as one that was detached. */
  async match(seen: readonly OwnedAddress[]): Promise<void> {
    await this.#submitAll(
      seen.map(({ ip, entry }) => ({
        ip,
        decide: (current) => {
          if (current?.adopted === undefined || !isSameAllocation(entry, current)) return keep
          const { adopted: _, ...rest } = current
          return { kind: 'put', entry: rest }
        },
      })),
    )
  }

  /** @returns undefined when a race was lost and nothing of this try is left */
  async #tryAdd(call: AddCall, signal: AbortSignal): Promise<AddAnswer | undefined> {
    const { book, views } = this.#ports
    const keys = [call.owner, ...(call.adoptedOwner === undefined ? [] : [call.adoptedOwner])].map(ownerKey)
    const owned = await this.intents.resolveAllOf(() => keys.flatMap((key) => book.ofOwner(key)))
    // What bears the name of another pod may be in use there, whoever said that both are of one owner: only proof moves it.
    const existing = owned.filter(({ entry }) => call.mayTake?.(entry) ?? entry.pod === call.pod)
    const plan = call.plan(existing)
    const kept = existing.filter(({ ip }) => !plan.drop.includes(ip))
    const [namespace = ''] = holderOf(call).pod.split('/')
    const chosen = chooseAddresses(plan.wants, { reserved: call.reserved, views, book, namespace })
    let created: readonly OwnedAddress[] = []
    const done: OwnedAddress[] = []
    const macs = new DisposableStack()
    try {
      created = this.#newEntries(call, chosen, kept)
      macs.use(this.#macs.claim([...created, ...renewedOf(kept, plan)]))
      const creating = created.map(async (address) => {
        const outcome = await this.#ports.submit(createChange(address, signal))
        if (outcome.kind === 'done') done.push(address)
        return outcome
      })
      const keeping = kept.flatMap((address) => {
        const nic = plan.named?.includes(address.ip) === true ? call.nic : address.entry.nic
        const change = attachChange(call, address, nic, signal)
        return change === undefined
          ? []
          : [this.#ports.submit(renewing(change, plan.renewed?.get(address.ip)))]
      })
      const outcomes = await allDone([...creating, ...keeping])
      const isDone = outcomes.every(({ kind }) => kind === 'done') && (await this.intents.isProven(created))
      if (isDone && !signal.aborted) {
        this.intents.noteComplete(created)
        await this.free(existing.filter(({ ip }) => plan.drop.includes(ip)))
        return this.#answer(call, chosen, { kept, created })
      }
    } catch (error) {
      await this.#undoAfter(error, done)
      throw error
    } finally {
      for (const { ip } of chosen) book.unreserve(ip)
      macs.dispose()
    }
    await this.#freeOwn(done)
    signal.throwIfAborted()
    return undefined
  }

  /** Exactly what was proven: an entry that appeared meanwhile, by a late write of an old leader, is no part of it. */
  #answer(
    { nic }: AddCall,
    chosen: readonly Chosen[],
    { kept, created }: { readonly kept: readonly OwnedAddress[]; readonly created: readonly OwnedAddress[] },
  ): AddAnswer {
    const { book, clock } = this.#ports
    const now = clock.nowMs()
    const hurried = chosen.flatMap(({ ip, sinceMs, pool, want }) => {
      const restedMs = sinceMs === undefined ? undefined : Math.max(0, now - sinceMs)
      const isHurried = restedMs !== undefined && restedMs < poolRuleOf(pool).coolDownMs
      return isHurried ? [{ ip, restedMs, isNamed: want.ips !== undefined }] : []
    })
    const addresses = book
      .owned([...kept, ...created].map(({ ip }) => ip))
      .filter(({ entry }) => entry.nic === nic)
    const isV6 = ({ ip }: OwnedAddress) => Number(ip.includes(':'))
    return { addresses: [...addresses].sort((a, b) => isV6(a) - isV6(b)), created, hurried }
  }

  #newEntries(
    call: AddCall,
    chosen: readonly Chosen[],
    kept: readonly OwnedAddress[],
  ): readonly OwnedAddress[] {
    const { clock, random, term } = this.#ports
    const ips = chosen.map(({ ip }) => ip)
    const nonce = Math.floor(random.next() * 2 ** 32).toString(16)
    const intent = ips.length > 1 ? { id: `${term}-${++this.#intentCount}-${nonce}`, ips } : undefined
    const since = clock.nowMs()
    const isReservation = call.isReservation === true
    const earlier: NewGrant[] = []
    const all = [
      ...chosen.map(({ ip, want }) => ({ ip, nic: want.nic })),
      ...kept.map(({ ip, entry }) => ({ ip, nic: entry.nic })),
    ]
    const isDual = ({ ip, want }: Chosen) =>
      all.some((other) => other.nic === want.nic && other.ip.includes(':') !== ip.includes(':'))
    return chosen.map((choice) => {
      const grant = call.grant(choice, earlier)
      earlier.push({ chosen: choice, grant })
      const { nic } = choice.want
      const entry: BlockEntry = {
        pool: choice.pool.metadata.name,
        nic,
        owner: call.owner,
        pod: call.pod,
        podUid: call.podUid,
        node: call.node,
        ...(intent === undefined ? {} : { intent }),
        ...(nic === call.nic && !isReservation ? { attachments: [attachmentOf(call)] } : {}),
        since,
        ...(isReservation ? {} : { createdBy: { containerId: call.containerId, ifName: call.nic } }),
        grant: isDual(choice) ? { ...grant, isDual: true } : grant,
      }
      return { ip: choice.ip, entry }
    })
  }

  /** Frees what a try of ours took and nobody was told of. */
  async #freeOwn(created: readonly OwnedAddress[]): Promise<void> {
    await this.#submitAll(
      created.map(({ ip, entry }) => ({
        ip,
        decide: (current) =>
          current !== undefined && isSameAllocation(entry, current) ? { kind: 'free' } : keep,
      })),
    )
  }

  /** As {@link #freeOwn}, after an error that is thrown on. What cannot be undone now is undone by the next leader. */
  async #undoAfter(error: unknown, created: readonly OwnedAddress[]): Promise<void> {
    try {
      await this.#freeOwn(created)
    } catch (second) {
      const hasEnded = second instanceof LedgerDeposedError || second instanceof LedgerClosedError
      if (hasEnded) return
      throw new AggregateError([error, second], 'undoing a failed ADD failed too')
    }
  }

  async #submitAll(changes: readonly Change[]): Promise<readonly Outcome[]> {
    return allDone(changes.map((change) => this.#ports.submit(change)))
  }
}

/** Waits for all, also when one fails: only then is it known what took effect. */
async function allDone<T>(promises: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

function createChange({ ip, entry }: OwnedAddress, signal: AbortSignal): Change {
  return {
    ip,
    signal,
    decide: (current) => {
      if (current === undefined) return { kind: 'put', entry }
      return isSameAllocation(entry, current) ? keep : lost // there already: a write whose answer was lost
    },
  }
}

/** Kept addresses as they will be. */
function renewedOf(kept: readonly OwnedAddress[], { renewed }: AddPlan): readonly OwnedAddress[] {
  return kept.flatMap(({ ip, entry }) => {
    const grant = renewed?.get(ip)
    return grant === undefined ? [] : [{ ip, entry: { ...entry, grant } }]
  })
}

/** The change, and another grant with it. */
function renewing(change: Change, grant: EntryGrant | undefined): Change {
  if (grant === undefined) return change
  const decide = (current: BlockEntry | undefined): Decision => {
    const decision = change.decide(current)
    if (decision.kind === 'put') return { kind: 'put', entry: { ...decision.entry, grant } }
    const isSame = current === undefined || isEqualData(current.grant, grant)
    return decision.kind === 'verify' && !isSame
      ? { kind: 'put', entry: { ...settled(current), grant } }
      : decision
  }
  return { ...change, decide }
}

/**
 * Gives a kept entry to the container (its NIC), or at least to the new pod (the other NICs of a sticky owner).
 * @param nic the NIC that the entry is of from now on
 */
function attachChange(
  call: AddCall,
  { ip, entry }: OwnedAddress,
  nic: string,
  signal: AbortSignal,
): Change | undefined {
  if (call.isReservation === true) return undefined
  const isOfCall = nic === call.nic
  if (call.sharing !== undefined) return isOfCall ? shareChange(call, { ip, entry }, signal) : undefined
  if (!isOfCall && entry.podUid === call.podUid) return undefined
  const decide = (current: BlockEntry | undefined): Decision => {
    if (current === undefined || !isSameAllocation(entry, current)) return lost
    const isOfPod = current.podUid === call.podUid && current.node === call.node && current.pod === call.pod
    const isSettled = openIntent(current) === undefined
    const isMatched = current.nic === nic && current.adopted === undefined
    if (isSettled && isOfPod && isMatched && (!isOfCall || isAttachedAlone(current, call))) return verify
    // What is confirmed must stand by itself: its siblings may be in blocks that an older leader can still write.
    const { attachments: _, adopted: __, createdBy, ...rest } = settled(current)
    // Another sandbox uses it from now on: the undo of the one that took it, should it come late, frees it no more.
    const creator = createdBy?.containerId === call.containerId ? { createdBy } : {}
    const attachments = isOfCall ? { attachments: [attachmentOf(call)] } : {}
    const { pod, podUid, node } = call
    return { kind: 'put', entry: { ...rest, nic, pod, podUid, node, ...creator, ...attachments } }
  }
  return { ip, signal, decide }
}

/** Gives a kept entry of the call's NIC to the container, beside those of other pods that go on. */
function shareChange(call: AddCall, { ip, entry }: OwnedAddress, signal: AbortSignal): Change {
  const decide = (current: BlockEntry | undefined): Decision => {
    if (current === undefined || !isSameAllocation(entry, current)) return lost
    const sharing = call.sharing?.(current)
    if (sharing === undefined) return lost
    const wanted = sharedEntry(call, current, sharing)
    return isEqualData(current, wanted) ? verify : { kind: 'put', entry: wanted }
  }
  return { ip, signal, decide }
}

function isAttachedAlone(entry: BlockEntry, { containerId, node }: AddCall): boolean {
  const [first, second] = attachmentsOf(entry)
  return second === undefined && first?.containerId === containerId && first.node === node
}

/**
 * Of one owner's entries those that the ADD of this container and NIC took, and that no other ADD has used since. When another has
 * used a part of an intent, it counts on the rest, too: that of NICs which it has not come to yet.
 */
export function takenBy(entries: readonly OwnedAddress[], sandbox: SandboxNic): readonly OwnedAddress[] {
  const others = entries.filter(({ entry }) => !isTakenBy(entry, sandbox))
  const passedOn = new Set(others.flatMap(({ entry }) => entry.intent?.id ?? []))
  const isItsOwn = ({ intent }: BlockEntry) => intent === undefined || !passedOn.has(intent.id)
  return entries.filter(({ entry }) => isTakenBy(entry, sandbox) && isItsOwn(entry))
}

function isTakenBy(entry: BlockEntry, sandbox: SandboxNic): boolean {
  const { createdBy, node } = entry
  const { containerId, ifName } = sandbox
  // The node of the entry is that of the last ADD: another node's agent undoes nothing of it.
  if (node !== sandbox.node) return false
  if (createdBy?.containerId !== containerId || createdBy.ifName !== ifName) return false
  const isOwnNic = entry.nic === ifName
  return attachmentsOf(entry).every((one) => isOwnNic && one.containerId === containerId && one.node === node)
}
