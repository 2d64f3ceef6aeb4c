import { climbOwner, controllerOf, directOwner, type Pod, type TopOwner } from '../../api/index.ts'
import type { AllocatorWorld } from './world.ts'

// What the controller may read. What is above them is believed: they say it themselves, and pods do not write them.
const readableOwners: readonly string[] = [
  'apps/v1 ReplicaSet',
  'apps/v1 StatefulSet',
  'apps/v1 DaemonSet',
  'batch/v1 Job',
]

/**
 * The workload on top of a pod (spec/ipam.md §3), if what the pod refers to is there with that very uid: what a pod says of its
 * owners is not believed. undefined when it is not, or is of a kind that cannot be read.
 */
export async function provenTopOwnerOf(
  pod: Pod,
  world: Pick<AllocatorWorld, 'readWorkload'>,
  signal: AbortSignal,
): Promise<TopOwner | undefined> {
  const { owner, mayClimb } = directOwner(pod)
  if (controllerOf(pod.metadata) === undefined) return owner // the pod itself
  if (!readableOwners.includes(`${owner.apiVersion} ${owner.kind}`)) return undefined
  const object = await world.readWorkload(owner, signal)
  if (object === undefined || object.metadata.uid !== owner.uid) return undefined
  return mayClimb ? climbOwner(owner, object) : owner
}
