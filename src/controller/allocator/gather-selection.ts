import type { AllocateRequest, Pod } from '../../api/index.ts'
import {
  hasApplicationPools,
  type Reserved,
  reservedOf,
  type SelectionInput,
  selectionInputOf,
} from '../../ledger/index.ts'
import { NotReadyError } from './errors.ts'
import { provenTopOwnerOf } from './top-owner.ts'
import type { AllocatorWorld } from './world.ts'

/** Pools and reservations of one moment: an address that moves from one to the other must not look free in between. */
export interface GatheredSelection extends SelectionInput {
  readonly reserved: Reserved
}

/** All that the selection of pools looks at. @throws {NotReadyError} when the node or the namespace is not there */
export async function gatherSelection(
  world: AllocatorWorld,
  { pod, node: nodeName }: { readonly pod: Pod; readonly node: string },
  request: AllocateRequest,
  signal: AbortSignal,
): Promise<GatheredSelection> {
  const namespaceName = pod.metadata.namespace ?? ''
  const [namespace, node] = await Promise.all([
    world.namespace(namespaceName, signal),
    world.node(nodeName, signal),
  ])
  if (namespace === undefined || node === undefined) {
    const missing = namespace === undefined ? `Namespace "${namespaceName}"` : `Node "${nodeName}"`
    throw new NotReadyError(
      `Cannot allocate for pod "${pod.metadata.name}": ${missing} is not there`,
      'Repeat the request',
    )
  }
  const { blockedPools, versions, installNamespace } = world
  const pools = world.pools()
  const reserved = reservedOf(world.reservedIps())
  const owner = hasApplicationPools(pools) ? await provenTopOwnerOf(pod, world, signal) : undefined
  const networks = world.networksOf(pod)
  const input = selectionInputOf({ pod, node, namespace, owner }, request, {
    pools,
    blockedPools,
    versions,
    nics: networks.nics,
    nadOf: (nic) => networks.nadOf(nic),
    installNamespace,
  })
  return { ...input, reserved }
}
