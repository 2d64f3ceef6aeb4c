import type { BlockEntry, PastHolder, Quarantine } from '../../api/index.ts'
import { unreachable } from '../../base/index.ts'
import { heirOf } from '../claims.ts'
import { openIntent, settled } from '../entry.ts'
import type { BlockState } from './book.ts'
import type { Decision, Item, Outcome } from './change.ts'
import { appendHistory, endedBy } from './history.ts'

/** One write: what it changes, and what each change gets when it is acknowledged. */
export interface Round {
  readonly writes: ReadonlyMap<
    string,
    { readonly before: BlockEntry | undefined; readonly after: BlockEntry | undefined }
  >
  /** Release times that change; undefined removes. */
  readonly released: ReadonlyMap<string, number | undefined>
  /** Quarantines that change; undefined removes. */
  readonly quarantine: ReadonlyMap<string, Quarantine | undefined>
  /** The whole list, when it changes. */
  readonly history: readonly PastHolder[] | undefined
  readonly outcomes: readonly Outcome[]
  readonly needsWrite: boolean
  /** Nothing is written, but what memory says must be proven by a read. */
  readonly needsProof: boolean
}

/** What the changes decided so far leave. */
interface Draft {
  readonly state: BlockState
  readonly atMs: number
  readonly after: Map<string, BlockEntry | undefined>
  readonly quarantine: Map<string, Quarantine | undefined>
  needsFence: boolean
  needsProof: boolean
}

/**
 * Decides all changes one after the other, each on what the earlier ones leave.
 * @param atMs the time of the write: addresses that it frees rest from then on
 */
export function composeRound(
  state: BlockState,
  items: readonly Item[],
  { term, atMs }: { readonly term: number; readonly atMs: number },
): Round {
  const after = new Map<string, BlockEntry | undefined>()
  const draft: Draft = { state, atMs, after, quarantine: new Map(), needsFence: false, needsProof: false }
  const outcomes = items.map(({ change }) => {
    const { ip } = change
    const current = after.has(ip) ? after.get(ip) : state.entries.get(ip)
    return apply(draft, ip, { current, decision: change.decide(current), term })
  })
  const needsWrite = after.size > 0 || draft.quarantine.size > 0 || draft.needsFence
  if (needsWrite) tidyAlong(draft)
  const writes = new Map(
    [...after].map(([ip, entry]) => [ip, { before: state.entries.get(ip), after: entry }]),
  )
  const ended = [...writes].flatMap(([ip, write]) => endedBy(ip, write, atMs) ?? [])
  const { quarantine, needsProof } = draft
  return {
    writes,
    released: releaseTimes(draft),
    quarantine,
    history: ended.length === 0 ? undefined : appendHistory(state.history, ended),
    outcomes,
    needsWrite,
    needsProof,
  }
}

function apply(
  draft: Draft,
  ip: string,
  asked: {
    readonly current: BlockEntry | undefined
    readonly decision: Decision
    readonly term: number
  },
): Outcome {
  const { state, after } = draft
  const { current, decision, term } = asked
  switch (decision.kind) {
    case 'put':
      if (current === undefined && !mayTake(draft, ip, decision.entry))
        return { kind: 'lost', entry: current }
      after.set(ip, decision.entry)
      return { kind: 'done', entry: decision.entry }
    case 'free':
    case 'quarantine': {
      // What is contested goes to the next who is recorded as its holder, never to somebody new.
      const heir = current === undefined ? undefined : heirOf(current)
      after.set(ip, heir)
      if (decision.kind === 'quarantine' && heir === undefined) draft.quarantine.set(ip, decision.record)
      return { kind: 'done', entry: heir }
    }
    case 'endQuarantine':
      if (state.quarantine.has(ip)) draft.quarantine.set(ip, undefined)
      return { kind: 'done', entry: current }
    case 'fence':
      draft.needsFence ||= state.term < term || state.resourceVersion === undefined
      return { kind: 'done', entry: current }
    case 'keep':
      return { kind: 'done', entry: current }
    case 'verify':
      draft.needsProof = true
      // A read does not stop an older leader: what it has under way could still undo what we confirm. A write does.
      draft.needsFence ||= state.resourceVersion !== undefined && state.term < term
      return { kind: 'done', entry: current }
    case 'lost':
      return { kind: 'lost', entry: current }
    default:
      return unreachable(decision)
  }
}

/** Nobody new gets what cannot be read or is quarantined; but who was found to use it, is recorded. */
function mayTake({ state, quarantine, atMs }: Draft, ip: string, entry: BlockEntry): boolean {
  if (state.unreadable.has(ip)) return false
  const record = quarantine.has(ip) ? quarantine.get(ip) : state.quarantine.get(ip)
  return record === undefined || record.until <= atMs || entry.adopted !== undefined
}

/**
 * A write that happens anyway also settles what was seen complete, so that freeing needs no write before it, and drops
 * quarantines that are over.
 */
function tidyAlong({ state, after, quarantine, atMs }: Draft): void {
  for (const ip of state.toSettle) {
    const entry = after.has(ip) ? after.get(ip) : state.entries.get(ip)
    if (entry !== undefined && openIntent(entry) !== undefined) after.set(ip, settled(entry))
  }
  for (const [ip, { until }] of state.quarantine) {
    if (until <= atMs && !quarantine.has(ip)) quarantine.set(ip, undefined)
  }
}

/** An address rests since it was freed; one that was quarantined, since that was over. */
function releaseTimes({ state, after, quarantine, atMs }: Draft): ReadonlyMap<string, number | undefined> {
  const times = new Map<string, number | undefined>()
  for (const [ip, record] of quarantine) {
    const until = state.quarantine.get(ip)?.until
    const isOver = record === undefined && until !== undefined && until <= atMs
    if (isOver && !state.entries.has(ip)) times.set(ip, Math.max(until, state.released.get(ip) ?? 0))
  }
  for (const [ip, entry] of after) {
    if (entry === undefined) times.set(ip, atMs)
    else {
      times.delete(ip)
      if (state.released.has(ip)) times.set(ip, undefined)
    }
  }
  return times
}
