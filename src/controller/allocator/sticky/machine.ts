import {
  type Attachment,
  type BlockEntry,
  type BlockOwner,
  controllerOf,
  directOwner,
  type Pod,
  type TopOwner,
  virtualMachineGroup,
  type Workload,
} from '../../../api/index.ts'
import { attachmentsOf } from '../../../ledger/index.ts'
import type { AllocatorWorld } from '../world.ts'

const apiVersion = `${virtualMachineGroup}/v1`

type MachineWorld = Pick<AllocatorWorld, 'readWorkload' | 'isMachineSticky'>

/** Whose a pod's addresses are, and under which name they are recorded. */
export interface PodRecord {
  readonly owner: BlockOwner
  /** `namespace/name` of the entries and of the endpoint: of the pod, or of the instance of a virtual machine. */
  readonly key: string
  /** Set for virtual machines: how another allocator's record of the machine was taken in, by its name alone. */
  readonly adoptedOwner?: BlockOwner
}

/**
 * The record of the virtual machine that a launcher pod runs; undefined when the pod runs none. Who makes a pod writes its
 * owner reference at will, and who makes an instance writes that one's: so both are read afresh, in the pod's own namespace, and
 * count only with the uid that is named. Beyond that, whoever may create pods in a namespace can take part in its machines,
 * as he can mount their disks: the namespace is the border, as it is for KubeVirt itself, whose labels and lists of pods rest
 * on the same reference.
 */
export async function provenMachineOf(
  pod: Pod,
  world: MachineWorld,
  signal: AbortSignal,
): Promise<PodRecord | undefined> {
  const reference = directOwner(pod).owner
  if (!world.isMachineSticky || !isInstance(reference)) return undefined
  const instance = await world.readWorkload(reference, signal)
  if (instance?.metadata.uid !== reference.uid) return undefined
  const machine = await machineOf(instance, reference, world, signal)
  const { namespace, name } = reference
  const of = (ownerKind: string, uid: string, replica: string): BlockOwner => {
    return { kind: 'sticky', group: virtualMachineGroup, ownerKind, name, uid, replica }
  }
  const key = `${namespace}/${name}`
  return {
    owner:
      machine === undefined
        ? of('VirtualMachineInstance', reference.uid, name)
        : of('VirtualMachine', machine.metadata.uid ?? '', name),
    key,
    adoptedOwner: of('VirtualMachineInstance', '', key),
  }
}

/** The VirtualMachine that made the instance: an instance has its machine's name. */
async function machineOf(
  instance: Workload,
  { namespace, name }: TopOwner,
  world: MachineWorld,
  signal: AbortSignal,
): Promise<Workload | undefined> {
  const above = controllerOf(instance.metadata)
  if (above?.apiVersion !== apiVersion || above.kind !== 'VirtualMachine' || above.name !== name)
    return undefined
  const { kind, uid } = above
  const machine = await world.readWorkload({ apiVersion, kind, namespace, name, uid }, signal)
  return machine?.metadata.uid === uid ? machine : undefined
}

/**
 * True while the machine may need its addresses (spec/ipam.md §12): one that is stopped keeps them, one that is deleted loses
 * them, and so does an instance without a machine. Reads it afresh; one that is recorded by its name alone is judged by it.
 */
export async function isMachineValid(
  { owner, pod }: Pick<BlockEntry, 'owner' | 'pod'>,
  world: MachineWorld,
  signal: AbortSignal,
): Promise<boolean> {
  if (owner.kind !== 'sticky' || !world.isMachineSticky) return false
  const [namespace = '', name = ''] = pod.split('/')
  const read = async (kind: 'VirtualMachineInstance' | 'VirtualMachine'): Promise<Workload | undefined> => {
    const found = await world.readWorkload({ apiVersion, kind, namespace, name, uid: '' }, signal)
    return found?.metadata.deletionTimestamp === undefined ? found : undefined
  }
  const isOwner = (uid: string | undefined): boolean => owner.uid === '' || uid === owner.uid
  const instance = await read('VirtualMachineInstance')
  const isMachine = owner.ownerKind === 'VirtualMachine'
  const instanceOwner = isMachine ? controllerOf(instance?.metadata ?? { name })?.uid : instance?.metadata.uid
  if (instance !== undefined && isOwner(instanceOwner)) return true
  if (!isMachine && owner.uid !== '') return false
  const machine = await read('VirtualMachine')
  return machine !== undefined && isOwner(machine.metadata.uid)
}

/** The names under which addresses of the pod may be recorded; nobody has proven anything. */
export function recordKeysOf(pod: Pod): readonly string[] {
  const { name, namespace = '' } = pod.metadata
  const { owner } = directOwner(pod)
  return [`${namespace}/${name}`, ...(isInstance(owner) ? [`${namespace}/${owner.name}`] : [])]
}

/** A pod that uses an address of a machine; its name is not known of one that was adopted. */
export interface MachineUser {
  readonly uid: string
  readonly name: string | undefined
}

/** The pods that the entry of a machine says use its address. */
export function usersOf(entry: BlockEntry): readonly MachineUser[] {
  const users = attachmentsOf(entry).map(userOf)
  return entry.adopted === undefined ? users : [...users, { uid: entry.podUid, name: undefined }]
}

export function userOf({ podName, podUid = '' }: Attachment): MachineUser {
  return { uid: podUid, name: podName }
}

/** Reads afresh the pod that a user was; undefined: it is gone. */
export async function readUser(
  { uid, name }: MachineUser,
  entry: Pick<BlockEntry, 'pod'>,
  world: Pick<AllocatorWorld, 'readPod' | 'readPodByUid'>,
  signal: AbortSignal,
): Promise<Pod | undefined> {
  const [namespace = ''] = entry.pod.split('/')
  if (name === undefined) return uid === '' ? undefined : world.readPodByUid(namespace, uid, signal)
  const pod = await world.readPod(namespace, name, signal)
  return pod?.metadata.uid === uid ? pod : undefined
}

function isInstance(owner: Pick<TopOwner, 'apiVersion' | 'kind'>): boolean {
  return owner.apiVersion === apiVersion && owner.kind === 'VirtualMachineInstance'
}
