import type { Quarantine } from '../api/index.ts'
import type { Clock } from '../base/index.ts'
import type { Book } from './blocks/book.ts'
import type { Change, Outcome } from './blocks/change.ts'
import { isContested } from './claims.ts'
import { attachmentsOf, isUnchangedSince, isUsedBy, type OwnedAddress, type SandboxNic } from './entry.ts'
import { QuarantineFullError } from './errors.ts'
import type { Intents } from './intents.ts'

/** What a node says of an address that its sandbox holds: somebody else uses it. */
export interface ConflictReport {
  readonly sandbox: SandboxNic
  /** `namespace/name` of the sandbox's pod. */
  readonly pod: string
  /** Of the other party, when it is known. */
  readonly mac?: string
}

export interface QuarantinePorts {
  readonly book: Book
  readonly clock: Clock
  readonly intents: Intents
  readonly submit: (change: Change) => Promise<Outcome>
}

const quarantineMs = 3_600_000
// A node that reports every address it is given must not take a pool from all others.
const maxPerNode = 64 // addresses quarantined at a time because of one node

/** Takes addresses that somebody outside uses from their owners, and keeps them from everybody for a time. */
export class Quarantines {
  readonly #ports: QuarantinePorts
  /** Quarantines that are not acknowledged yet, by node. */
  readonly #underWay = new Map<string, number>()

  constructor(ports: QuarantinePorts) {
    this.#ports = ports
  }

  /**
   * Quarantines an address if its entry still is what was seen, and the sandbox of the report alone uses it.
   * The caller holds the lock of the owner. @returns undefined when it is not so: nothing is changed
   * @throws {QuarantineFullError} when the node has too many
   */
  async begin(seen: OwnedAddress, { sandbox, pod, mac }: ConflictReport): Promise<Quarantine | undefined> {
    const { book, clock, intents, submit } = this.#ports
    const { ip, entry } = seen
    const { node } = sandbox
    const isStill = () => {
      const now = book.entry(ip)
      return now !== undefined && isUnchangedSince(entry, now) && isUsedAloneBy(now, sandbox)
    }
    if (entry.intent !== undefined && isStill()) await intents.resolve(entry.intent.id)
    if (!isStill()) return undefined
    const waiting = this.#underWay.get(node) ?? 0
    if (book.quarantinedBy(node).length + waiting >= maxPerNode)
      throw new QuarantineFullError(node, maxPerNode)
    this.#underWay.set(node, waiting + 1)
    try {
      await intents.settleBeforeFree([seen])
      const since = clock.nowMs()
      const met = { ...(mac === undefined ? {} : { mac }), pod, nic: entry.nic, node }
      const record: Quarantine = { since, until: since + quarantineMs, ...met }
      const outcome = await submit({
        ip,
        decide: (current) =>
          current !== undefined && isUnchangedSince(entry, current) && isUsedAloneBy(current, sandbox)
            ? { kind: 'quarantine', record }
            : { kind: 'lost' },
      })
      return outcome.kind === 'done' ? record : undefined
    } finally {
      const left = (this.#underWay.get(node) ?? 1) - 1
      if (left === 0) this.#underWay.delete(node)
      else this.#underWay.set(node, left)
    }
  }

  /** Ends a quarantine before its time. @returns false when the address is not quarantined */
  async end(ip: string): Promise<boolean> {
    const { book, submit } = this.#ports
    if (book.quarantineOf(ip) === undefined) return false
    await submit({ ip, decide: () => ({ kind: 'endQuarantine' }) })
    return true
  }
}

/**
 * The other party is no sandbox of ours: with another attachment, as in a live migration, or another recorded holder, that one
 * may be who answers, and nothing is wrong.
 */
function isUsedAloneBy(entry: OwnedAddress['entry'], sandbox: SandboxNic): boolean {
  return isUsedBy(entry, sandbox) && attachmentsOf(entry).length === 1 && !isContested(entry)
}
