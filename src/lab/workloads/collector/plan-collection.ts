import type { KubeObject, OwnerReference } from '../../../api/index.ts'

export const foregroundFinalizer = 'foregroundDeletion'
export const orphanFinalizer = 'orphan'

/** What is known of an owner: `going` is one that waits for its dependents; `unknown` cannot be told, and is kept. */
export type OwnerState = 'there' | 'going' | 'absent' | 'unknown'

export type CollectStep =
  | { readonly kind: 'keep' }
  /** Remove the references to owners that are gone or going; another owner is there. */
  | { readonly kind: 'unlink'; readonly keep: readonly OwnerReference[] }
  | { readonly kind: 'delete'; readonly propagation: 'Background' | 'Foreground' | 'Orphan' }

/**
 * What becomes of an object whose owners are in these states.
 * (Kubernetes documentation, "Garbage Collection", "Owners and dependents")
 *
 * @param hasDependents whether other objects name it as their owner
 */
export function planCollection(
  object: KubeObject,
  stateOf: (owner: OwnerReference) => OwnerState,
  hasDependents: boolean,
): CollectStep {
  const owners = object.metadata.ownerReferences ?? []
  if (owners.length === 0 || object.metadata.deletionTimestamp !== undefined) return { kind: 'keep' }
  const states = owners.map((owner) => ({ owner, state: stateOf(owner) }))
  const solid = states.filter(({ state }) => state === 'there' || state === 'unknown')
  if (solid.length === owners.length) return { kind: 'keep' }
  if (solid.length > 0) return { kind: 'unlink', keep: solid.map(({ owner }) => owner) }
  const isWaitedFor = states.some(({ state }) => state === 'going')
  return { kind: 'delete', propagation: propagationOf(object, isWaitedFor && hasDependents) }
}

function propagationOf(object: KubeObject, isChain: boolean): 'Background' | 'Foreground' | 'Orphan' {
  const { finalizers = [] } = object.metadata
  if (finalizers.includes(orphanFinalizer)) return 'Orphan'
  return isChain || finalizers.includes(foregroundFinalizer) ? 'Foreground' : 'Background'
}

/** Dependents that an owner in foreground deletion waits for. */
export function blockersOf(owner: KubeObject, dependents: readonly KubeObject[]): readonly KubeObject[] {
  return dependents.filter((dependent) =>
    dependent.metadata.ownerReferences?.some(
      ({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion === true,
    ),
  )
}
