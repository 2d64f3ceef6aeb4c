/**
 * IPAM decisions and the sequencer that carries them out: which pools may serve a request, which address comes next, and the
 * durable record of who owns which address, held in blocks behind the `BlockStore` port.
 * Types to know: `Ledger`, `AddCall`, `BlockStore`. This room must never answer what the store has not acknowledged.
 */
export type { AddAnswer, AddCall, AddPlan, NewGrant, Sharing } from './add-call.ts'
export { blockSizes, entriesOf, formatBlock, type ParsedBlock, parseBlock } from './blocks/block-codec.ts'
export type { BlockChange, BlockStore } from './blocks/block-store.ts'
export type { AddressChange, AddressListener, QuarantinedAddress } from './blocks/book.ts'
export { formatEntry, formatPastHolder } from './blocks/entry-text.ts'
export { appendHistory, endedBy } from './blocks/history.ts'
export { MemoryBlockStore } from './blocks/memory-block-store.ts'
export { readEntry, readPastHolder } from './blocks/read-entry.ts'
export { claimsOf, type FoundAddress, heirOf, isContested, isSameHolder } from './claims.ts'
export {
  attachmentsOf,
  isAttachedTo,
  isUsedBy,
  type OwnedAddress,
  openIntent,
  ownerKey,
  type SandboxNic,
  settled,
} from './entry.ts'
export {
  AddressRefusedError,
  BlockConflictError,
  BlockRefusedError,
  LedgerBusyError,
  LedgerClosedError,
  LedgerDeposedError,
  MacTakenError,
  NoPoolError,
  PoolFullError,
  QuarantineFullError,
} from './errors.ts'
export { Ledger, type LedgerOptions, type LedgerStats } from './ledger.ts'
export type { Chosen } from './pool/choose.ts'
export { offeredBy, type Reserved, reservedOf, versionOf } from './pool/offered.ts'
export { type PoolConflict, PoolConflicts, usablePools } from './pool/pool-conflicts.ts'
export { type PoolRule, poolRuleOf } from './pool/pool-rule.ts'
export type { Want } from './pool/want.ts'
export type { ConflictReport } from './quarantines.ts'
export { explainPool, formatVerdict, judgePool, type RuleResult, type Verdict } from './select/filters.ts'
export { addressText, type GrantInput, grantOf, routesOf } from './select/grant.ts'
export { hasApplicationPools } from './select/pool-index.ts'
export { type Candidates, mayKeep, requirePools, type Selection, selectPools } from './select/select-pools.ts'
export {
  type SelectionInput,
  type SelectionWorld,
  selectionInputOf,
  type Wanted,
} from './select/selection-input.ts'
export { sharedData, sharedText } from './shared-data.ts'
