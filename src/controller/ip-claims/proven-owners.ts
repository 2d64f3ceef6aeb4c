import {
  type ClaimWorkload,
  controllerOf,
  groupOf,
  matchesSelector,
  type Pod,
  type TopOwner,
} from '../../api/index.ts'
import type { AllocatorWorld } from '../allocator/world.ts'

const maxSteps = 4 // a pod, a ReplicaSet, a Deployment: nothing that we read has more above it

/**
 * The pod and the workloads that it belongs to, from below. Each is read afresh: who makes a pod writes its owner references at
 * will, so one counts only when the object has that uid, and selects the pod if it has a selector: else its controller does
 * not take the pod for its own either.
 */
export async function provenOwners(
  pod: Pod,
  world: Pick<AllocatorWorld, 'readWorkload'>,
  signal: AbortSignal,
): Promise<readonly TopOwner[]> {
  const { namespace = '', name, uid = '', labels = {} } = pod.metadata
  const owners: TopOwner[] = [{ apiVersion: 'v1', kind: 'Pod', namespace, name, uid }]
  let reference = controllerOf(pod.metadata)
  for (let step = 0; step < maxSteps && reference !== undefined; step++) {
    const { apiVersion, kind, name: ownerName, uid: ownerUid } = reference
    const owner: TopOwner = { apiVersion, kind, namespace, name: ownerName, uid: ownerUid }
    const object = await world.readWorkload(owner, signal)
    if (object === undefined || object.metadata.uid !== ownerUid) break
    const { selector } = object.spec ?? {}
    if (selector !== undefined && !matchesSelector(selector, labels)) break
    owners.push(owner)
    reference = controllerOf(object.metadata)
  }
  return owners
}

/** Whether one of them is the workload that a claim is for: by kind, group and name, whatever the version of the group. */
export function isAmong(owners: readonly TopOwner[], workload: ClaimWorkload): boolean {
  return owners.some(
    ({ apiVersion, kind, name }) =>
      kind === workload.kind &&
      name === workload.name &&
      groupOf(apiVersion) === groupOf(workload.apiVersion),
  )
}
