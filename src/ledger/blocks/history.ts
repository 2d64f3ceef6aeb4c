import type { BlockEntry, PastHolder } from '../../api/index.ts'
import { ownerKey } from '../entry.ts'

const perAddress = 3 // past holders
const perBlock = 64 // past holders: some 14 KiB, beside 22 KiB of a block with all its entries

/** The allocation that ends when `before` becomes `after`; undefined when it goes on, or there was none. */
export function endedBy(
  ip: string,
  { before, after }: { readonly before: BlockEntry | undefined; readonly after: BlockEntry | undefined },
  untilMs: number,
): PastHolder | undefined {
  if (before === undefined) return undefined
  // The NIC of an adopted address may get its name later: that ends nothing.
  const goesOn = after?.since === before.since && ownerKey(after.owner) === ownerKey(before.owner)
  if (goesOn) return undefined
  const { pod, podUid, nic, node, since } = before
  return { ip, pod, podUid, nic, node, since, until: untilMs }
}

/** The history with what ended now. Of one address, and of the whole block, only the newest stay. */
export function appendHistory(
  history: readonly PastHolder[],
  ended: readonly PastHolder[],
): readonly PastHolder[] {
  const seen = new Map<string, number>()
  const newestFirst = [...history, ...ended].reverse().filter(({ ip }) => {
    const count = (seen.get(ip) ?? 0) + 1
    seen.set(ip, count)
    return count <= perAddress
  })
  return newestFirst.slice(0, perBlock).reverse()
}
