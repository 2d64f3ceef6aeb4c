import type { BlockEntry } from '../../api/index.ts'
import { unreachable } from '../../base/index.ts'
import { heirOf } from '../claims.ts'
import { openIntent, settled } from '../entry.ts'
import type { BlockState } from './book.ts'
import type { Item, Outcome } from './change.ts'

/** One write: what it changes, and what each change gets when it is acknowledged. */
export interface Round {
  readonly writes: ReadonlyMap<
    string,
    { readonly before: BlockEntry | undefined; readonly after: BlockEntry | undefined }
  >
  readonly outcomes: readonly Outcome[]
  readonly needsWrite: boolean
  /** Nothing is written, but what memory says must be proven by a read. */
  readonly needsProof: boolean
}

/** Decides all changes one after the other, each on what the earlier ones leave. */
export function composeRound(state: BlockState, items: readonly Item[], term: number): Round {
  const after = new Map<string, BlockEntry | undefined>()
  let needsFence = false
  let needsProof = false
  const outcomes = items.map(({ change }): Outcome => {
    const { ip } = change
    const current = after.has(ip) ? after.get(ip) : state.entries.get(ip)
    const decision = change.decide(current)
    switch (decision.kind) {
      case 'put':
        if (state.unreadable.has(ip)) return { kind: 'lost', entry: current }
        after.set(ip, decision.entry)
        return { kind: 'done', entry: decision.entry }
      case 'free': {
        // What is contested goes to the next who is recorded as its holder, never to somebody new.
        const heir = current === undefined ? undefined : heirOf(current)
        after.set(ip, heir)
        return { kind: 'done', entry: heir }
      }
      case 'fence':
        needsFence ||= state.term < term || state.resourceVersion === undefined
        return { kind: 'done', entry: current }
      case 'keep':
        return { kind: 'done', entry: current }
      case 'verify':
        needsProof = true
        // A read does not stop an older leader: what it has under way could still undo what we confirm. A write does.
        needsFence ||= state.resourceVersion !== undefined && state.term < term
        return { kind: 'done', entry: current }
      case 'lost':
        return { kind: 'lost', entry: current }
      default:
        return unreachable(decision)
    }
  })
  const needsWrite = after.size > 0 || needsFence
  if (needsWrite) settleAlong(state, after)
  const writes = new Map(
    [...after].map(([ip, entry]) => [ip, { before: state.entries.get(ip), after: entry }]),
  )
  return { writes, outcomes, needsWrite, needsProof }
}

/** A write that happens anyway also settles what was seen complete, so that freeing needs no write before it. */
function settleAlong(state: BlockState, after: Map<string, BlockEntry | undefined>): void {
  for (const ip of state.toSettle) {
    const entry = after.has(ip) ? after.get(ip) : state.entries.get(ip)
    if (entry !== undefined && openIntent(entry) !== undefined) after.set(ip, settled(entry))
  }
}
