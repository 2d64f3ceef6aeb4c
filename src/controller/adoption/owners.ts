import { type BlockOwner, type Pod, virtualMachineGroup } from '../../api/index.ts'
import { ownerOf } from '../allocator/owner.ts'
import type { AllocatorWorld } from '../allocator/world.ts'
import type { FoundClaim } from './found-claims.ts'

type OwnerWorld = Pick<AllocatorWorld, 'readWorkload' | 'isStatefulSetSticky'>

/**
 * Finds out whose the claimed addresses are. The pods that are there say it; what a gone pod left belongs to the replica of
 * its StatefulSet, or to the virtual machine, if the endpoint says that it was of one. Reads each such StatefulSet once.
 *
 * @returns the owner of each of the claims
 */
export async function resolveOwners(
  claims: readonly FoundClaim[],
  world: OwnerWorld,
  findPod: (pod: string) => Pod | undefined,
  signal: AbortSignal,
): Promise<(claim: FoundClaim) => BlockOwner> {
  const workloads = new Map(
    claims.flatMap(({ pod, workload }) => (workload ? [[pod, workload] as const] : [])),
  )
  const replicas = new Map<string, BlockOwner>()
  const uids = new Map<string, string | undefined>()
  const uidOf = async (namespace: string, name: string): Promise<string | undefined> => {
    const key = `${namespace}/${name}`
    if (!uids.has(key)) uids.set(key, await readUid(world, namespace, name, signal))
    return uids.get(key)
  }
  const proven = new Map<string, BlockOwner>()
  for (const pod of new Set(claims.map((claim) => claim.pod))) {
    const owner = stickyOwnerOf(findPod(pod), world)
    const [namespace = ''] = pod.split('/')
    // An owner reference is only what the maker of the pod wrote.
    if (owner !== undefined && (await uidOf(namespace, owner.name)) === owner.uid) proven.set(pod, owner)
  }
  for (const [pod, { kind, name }] of workloads) {
    if (kind !== 'StatefulSet' || !world.isStatefulSetSticky || proven.has(pod)) continue
    const [namespace = '', podName = ''] = pod.split('/')
    const replica = podName.startsWith(`${name}-`) ? podName.slice(name.length + 1) : ''
    if (!/^(0|[1-9]\d{0,9})$/.test(replica)) continue
    const uid = await uidOf(namespace, name)
    if (uid === undefined) continue
    replicas.set(pod, { kind: 'sticky', group: 'apps', ownerKind: 'StatefulSet', name, uid, replica })
  }
  return ({ pod, podUid }) => {
    const found = findPod(pod)
    const provenOwner = proven.get(pod)
    if (provenOwner !== undefined) return provenOwner
    if (found !== undefined && found.metadata.uid === podUid) return { kind: 'pod', uid: podUid }
    const workload = workloads.get(pod)
    if (workload?.kind === 'VirtualMachineInstance') {
      const { kind: ownerKind, name } = workload
      // Told by its name alone: the record outlives the instance, and so its uid.
      return { kind: 'sticky', group: virtualMachineGroup, ownerKind, name, uid: '', replica: pod }
    }
    return replicas.get(pod) ?? { kind: 'pod', uid: podUid }
  }
}

function stickyOwnerOf(pod: Pod | undefined, world: OwnerWorld) {
  const owner = pod === undefined ? undefined : ownerOf(pod, world.isStatefulSetSticky)
  return owner?.kind === 'sticky' ? owner : undefined
}

async function readUid(
  world: OwnerWorld,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const reference = { apiVersion: 'apps/v1', kind: 'StatefulSet', namespace, name, uid: '' }
  return (await world.readWorkload(reference, signal))?.metadata.uid
}
