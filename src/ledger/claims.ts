import { type BlockEntry, crdLimits } from '../api/index.ts'
import { ownerKey } from './entry.ts'

/** An address that another allocator gave, and all who are recorded as its holders: one, unless something went wrong. */
export interface FoundAddress {
  readonly ip: string
  readonly holders: readonly BlockEntry[]
}

const none: readonly BlockEntry[] = []

/** Those who are recorded as holders of the address beside its owner. */
export function claimsOf(entry: BlockEntry): readonly BlockEntry[] {
  return entry.claims ?? none
}

/** True when others are recorded as holders of the address, too. */
export function isContested(entry: BlockEntry): boolean {
  return claimsOf(entry).length > 0
}

/** True when both are of one owner: the same pod, or the same replica of a sticky workload. */
export function isSameHolder(a: BlockEntry, b: BlockEntry): boolean {
  // Records of old releases name a pod without uid, and such a pod may be gone: then only its name tells it from others.
  const isNameless = a.owner.kind === 'pod' && a.owner.uid === ''
  if (isNameless && ownerKey(b.owner) === '') return a.pod === b.pod
  return ownerKey(a.owner) === ownerKey(b.owner) || (a.podUid !== '' && a.podUid === b.podUid)
}

/** The entry with the holders that it lacks as claims; the same object when it has all. Its owner stays. */
export function withHolders(
  current: BlockEntry | undefined,
  holders: readonly BlockEntry[],
): BlockEntry | undefined {
  const all = current === undefined ? [] : [current, ...claimsOf(current)]
  const known = all.length
  for (const holder of holders) {
    if (all.length > crdLimits.blockClaims) break // enough to keep the address from everybody
    if (!all.some((one) => isSameHolder(one, holder))) all.push(holder)
  }
  return all.length === known ? current : compose(all)
}

/** The entry without one of its claims; the same object when it has no such claim. */
export function withoutClaim(entry: BlockEntry, claim: BlockEntry): BlockEntry {
  const left = claimsOf(entry).filter((one) => !isSameHolder(one, claim))
  if (left.length === claimsOf(entry).length) return entry
  return compose([entry, ...left]) ?? entry
}

/** Who has the address when its owner goes; undefined: nobody, it is free. */
export function heirOf(entry: BlockEntry): BlockEntry | undefined {
  return compose(claimsOf(entry))
}

function compose([first, ...others]: readonly BlockEntry[]): BlockEntry | undefined {
  if (first === undefined) return undefined
  const { claims: _, ...owner } = first
  return others.length === 0 ? owner : { ...owner, claims: others }
}
