import {
  type BlockEntry,
  type BlockOwner,
  type ClaimRef,
  claimApiVersion,
  claimOfOwner,
  directOwner,
  groupOf,
  isMachineEntry,
  type Pod,
  type TopOwner,
} from '../../api/index.ts'
import { isMachineValid, type PodRecord, provenMachineOf } from './sticky/machine.ts'
import type { AllocatorWorld } from './world.ts'

/**
 * Who owns the pod's addresses: the replica of a StatefulSet, which keeps them when its pod is replaced, or the pod.
 * The workload is told by group, kind and uid: another group's "StatefulSet", or a re-created one, is another owner.
 */
export function ownerOf(pod: Pod, isStatefulSetSticky: boolean): BlockOwner {
  const uid = pod.metadata.uid ?? ''
  const { owner } = directOwner(pod)
  const isStatefulSet = owner.apiVersion === 'apps/v1' && owner.kind === 'StatefulSet'
  const replica = isStatefulSet ? ordinalOf(pod.metadata.name, owner.name) : undefined
  if (!isStatefulSetSticky || replica === undefined) return { kind: 'pod', uid }
  const { kind: ownerKind, name } = owner
  return { kind: 'sticky', group: groupOf(owner.apiVersion), ownerKind, name, uid: owner.uid, replica }
}

/**
 * As {@link ownerOf}, but the workload is read afresh: who makes a pod writes its owner references at will, and one that
 * names a uid of another workload, or of another namespace, must not lead to that one's addresses.
 */
async function provenOwnerOf(
  pod: Pod,
  world: Pick<AllocatorWorld, 'readWorkload' | 'isStatefulSetSticky'>,
  signal: AbortSignal,
): Promise<BlockOwner> {
  const owner = ownerOf(pod, world.isStatefulSetSticky)
  if (owner.kind === 'pod') return owner
  const workload = await world.readWorkload(directOwner(pod).owner, signal)
  return workload?.metadata.uid === owner.uid ? owner : { kind: 'pod', uid: pod.metadata.uid ?? '' }
}

/** As {@link provenOwnerOf}, of the launcher pods of virtual machines too, and under which name the addresses are recorded. */
export async function provenRecordOf(
  pod: Pod,
  world: Pick<AllocatorWorld, 'readWorkload' | 'isStatefulSetSticky' | 'isMachineSticky'>,
  signal: AbortSignal,
): Promise<PodRecord> {
  const machine = await provenMachineOf(pod, world, signal)
  if (machine !== undefined) return machine
  const { namespace = '', name } = pod.metadata
  return { owner: await provenOwnerOf(pod, world, signal), key: `${namespace}/${name}` }
}

/** The ordinal in a replica's name, `web-3`; undefined when it is no replica of that workload. */
function ordinalOf(pod: string, workload: string): string | undefined {
  if (!pod.startsWith(`${workload}-`)) return undefined
  const ordinal = pod.slice(workload.length + 1)
  return /^(0|[1-9]\d{0,9})$/.test(ordinal) ? ordinal : undefined
}

/**
 * True while the replica belongs to its workload, which then keeps the addresses for the next pod: the StatefulSet exists
 * with the same uid, and the ordinal is one of those it runs (spec/ipam.md §11); of a machine see {@link isMachineValid}.
 * Reads the workload afresh.
 */
export async function isReplicaValid(
  entry: BlockEntry,
  world: Pick<AllocatorWorld, 'readWorkload' | 'isStatefulSetSticky' | 'isMachineSticky'>,
  signal: AbortSignal,
): Promise<boolean> {
  const { owner, pod } = entry
  const claim = claimOfOwner(owner)
  if (claim !== undefined) return isClaimValid(claim, world, signal)
  if (isMachineEntry(entry)) return isMachineValid(entry, world, signal)
  if (owner.kind !== 'sticky' || !world.isStatefulSetSticky) return false
  if (owner.group !== 'apps' || owner.ownerKind !== 'StatefulSet') return false
  const [namespace = ''] = pod.split('/')
  const { name, uid } = owner
  const reference: TopOwner = { apiVersion: 'apps/v1', kind: 'StatefulSet', namespace, name, uid }
  const workload = await world.readWorkload(reference, signal)
  if (workload === undefined || workload.metadata.uid !== uid) return false
  const first = workload.spec?.ordinals?.start ?? 0
  const ordinal = Number(owner.replica)
  return first <= ordinal && ordinal < first + (workload.spec?.replicas ?? 1)
}

/** A claim keeps its addresses until it is deleted, also while it is being deleted and a pod uses them: then they go with that pod. */
async function isClaimValid(
  { kind, namespace, name, uid }: ClaimRef,
  world: Pick<AllocatorWorld, 'readWorkload'>,
  signal: AbortSignal,
): Promise<boolean> {
  const reference: TopOwner = { apiVersion: claimApiVersion(kind), kind, namespace, name, uid }
  const claim = await world.readWorkload(reference, signal)
  return claim?.metadata.uid === uid && claim.metadata.deletionTimestamp === undefined
}
