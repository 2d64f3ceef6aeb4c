import type { IpValue } from '../../address/index.ts'
import { Heap } from './heap.ts'

/** A released address. The record may be outdated: the caller checks what it takes. */
export interface Resting {
  readonly value: IpValue
  readonly sinceMs: number
}

const compactAbove = 1024 // entries

/** Released addresses, in some order. */
export class RestQueue extends Heap<Resting> {
  /** Drops outdated records when they may have piled up. @param live how many can be valid at most */
  compact(live: number, isValid: (resting: Resting) => boolean): void {
    if (this.size < compactAbove || this.size < 2 * live) return
    const seen = new Set<IpValue>()
    this.retain((resting) => {
      if (seen.has(resting.value) || !isValid(resting)) return false
      seen.add(resting.value)
      return true
    })
  }
}

/** The longest-resting first; of several the lowest. */
export function longestResting(): RestQueue {
  return new RestQueue((a, b) => a.sinceMs < b.sinceMs || (a.sinceMs === b.sinceMs && a.value < b.value))
}

/** The lowest first. */
export function lowestFirst(): RestQueue {
  return new RestQueue((a, b) => a.value < b.value)
}
