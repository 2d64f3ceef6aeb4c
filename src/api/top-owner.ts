import type { Pod } from './core.ts'
import type { KubeObject, ObjectMeta, OwnerReference } from './meta.ts'
import { resources } from './resources.ts'
import type { BlockEntry } from './spider.ts'

/** The workload on top of a pod, or the pod itself (spec/ipam.md §3, top-owner table). */
export interface TopOwner {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

/** The owner next above a pod. `mayClimb`: read that object and ask {@link climbOwner} for what is above it. */
export interface DirectOwner {
  readonly owner: TopOwner
  readonly mayClimb: boolean
}

const climbs: readonly { readonly from: string; readonly to: string }[] = [
  { from: 'apps/v1 ReplicaSet', to: 'apps/v1 Deployment' },
  { from: 'batch/v1 Job', to: 'batch/v1 CronJob' },
]

const idOf = ({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): string =>
  `${apiVersion} ${kind}`

/** The owner reference that has `controller: true`, or undefined. */
export function controllerOf(metadata: ObjectMeta): OwnerReference | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller === true)
}

/** What controls a pod directly; the pod itself when nothing does. */
export function directOwner(pod: Pod): DirectOwner {
  const namespace = pod.metadata.namespace ?? ''
  const reference = controllerOf(pod.metadata)
  if (reference === undefined) {
    const { name, uid = '' } = pod.metadata
    return { owner: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid }, mayClimb: false }
  }
  const owner = ownerOf(reference, namespace)
  return { owner, mayClimb: climbs.some(({ from }) => from === idOf(owner)) }
}

/** The owner above a ReplicaSet or Job if it is a Deployment or CronJob, else the owner itself. */
export function climbOwner(owner: TopOwner, object: KubeObject): TopOwner {
  const reference = controllerOf(object.metadata)
  if (reference === undefined) return owner
  const isUp = climbs.some(({ from, to }) => from === idOf(owner) && to === idOf(reference))
  return isUp ? ownerOf(reference, owner.namespace) : owner
}

function ownerOf({ apiVersion, kind, name, uid }: OwnerReference, namespace: string): TopOwner {
  return { apiVersion, kind, namespace, name, uid }
}

/** The API group of an apiVersion; '' for the core group. */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/')
  return slash < 0 ? '' : apiVersion.slice(0, slash)
}

/** Group of virtual machines (KubeVirt). */
export const virtualMachineGroup: string = resources.virtualMachine.group

/** True for the entry of a virtual machine: it bears the machine's name, and its pods are those of its attachments. */
export function isMachineEntry({ owner }: Pick<BlockEntry, 'owner'>): boolean {
  return owner.kind === 'sticky' && owner.group === virtualMachineGroup
}
