import type { Clock, Logger } from '../../base/index.ts'
import type { Ledger } from '../../ledger/index.ts'
import type { AllocatorEvents, AllocatorWorld } from './world.ts'

/** What the allocator is made of. */
export interface AllocatorPorts {
  readonly ledger: Ledger
  readonly world: AllocatorWorld
  readonly clock: Clock
  readonly logger: Logger
  readonly events: AllocatorEvents
}
