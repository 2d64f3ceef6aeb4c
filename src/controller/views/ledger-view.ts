import type { BlockEntry } from '../../api/index.ts'
import type { HeldAddress } from './plan-endpoint.ts'

/** One address of the ledger before and after a committed write. */
export interface LedgerChange {
  readonly ip: string
  readonly before: BlockEntry | undefined
  readonly after: BlockEntry | undefined
}

/** What the views and the reclaimer read of the ledger: only committed entries. */
export interface LedgerView {
  /** All addresses that `namespace/name` holds, of any pod uid. */
  heldByPod(pod: string): readonly HeldAddress[]
  /** All addresses of a pool, in no order. */
  heldInPool(pool: string): Iterable<HeldAddress>
  /** All addresses, in no order. */
  held(): Iterable<HeldAddress>
  onChange(listener: (change: LedgerChange) => void): void
}
