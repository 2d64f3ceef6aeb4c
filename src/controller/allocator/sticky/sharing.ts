import { annotationKeys, labelKeys, type Pod } from '../../../api/index.ts'
import { OperationError } from '../../../base/index.ts'
import { attachmentsOf, type OwnedAddress, type Sharing } from '../../../ledger/index.ts'
import { NotReadyError } from '../errors.ts'
import type { AllocatorPorts } from '../ports.ts'
import type { AllocatorWorld } from '../world.ts'
import { type MachineUser, type PodRecord, readUser, userOf, usersOf } from './machine.ts'

/** The addresses of a virtual machine are in use by another pod of it, and no migration says that this one may have them, too. */
export class MachineInUseError extends OperationError {
  override readonly code = 'MACHINE_IN_USE'
  override readonly retry = 'later'
}

/** What fresh reads say of the other pods that use the addresses of a virtual machine. */
export interface MachineSharing {
  /** For the ledger: who goes on to use an address; undefined: the entry names a pod that was not looked at. */
  readonly of: (entry: OwnedAddress['entry']) => Sharing | undefined
  /** True when another pod goes on to use the address. @throws {NotReadyError} when the entry names one that was not looked at */
  readonly isShared: (address: OwnedAddress) => boolean
}

/**
 * Finds out who else uses the machine's addresses, and whether the pod may use them beside: only the target of a live
 * migration may, and nobody beside two. A pod that is attached already repeats its ADD, or has a new sandbox.
 *
 * @returns undefined for a pod of no machine
 * @throws {MachineInUseError} when it may not
 */
export async function observeSharing(
  pod: Pod,
  record: PodRecord,
  { ledger, world }: Pick<AllocatorPorts, 'ledger' | 'world'>,
  signal: AbortSignal,
): Promise<MachineSharing | undefined> {
  if (record.adoptedOwner === undefined) return undefined
  const { uid = '' } = pod.metadata
  const owners = [record.owner, record.adoptedOwner]
  const entries = owners.flatMap((owner) => ledger.ofOwner(owner)).map(({ entry }) => entry)
  const users = new Map<string, MachineUser>()
  for (const entry of entries) for (const user of usersOf(entry)) users.set(user.uid, user)
  const isAttached = entries.some((entry) => attachmentsOf(entry).some((one) => one.podUid === uid))
  users.delete(uid)
  const running = new Map<string, Pod>()
  for (const user of users.values()) {
    const found = await readUser(user, { pod: record.key }, world, signal)
    if (found !== undefined && !hasFinished(found)) running.set(user.uid, found)
  }
  if (running.size > 0 && !isAttached)
    await requireMigration(pod, { machine: record.key, running: [...running.values()] }, world, signal)
  const of = (entry: OwnedAddress['entry']): Sharing | undefined => {
    const others = attachmentsOf(entry).filter((one) => one.podUid !== uid)
    const known = usersOf(entry).filter((user) => user.uid !== uid)
    if (known.some((user) => !users.has(user.uid))) return undefined
    return {
      others: others.filter((one) => running.has(userOf(one).uid)),
      isPodUnseen: entry.adopted !== undefined && entry.podUid !== uid && running.has(entry.podUid),
    }
  }
  const isShared = ({ entry }: OwnedAddress): boolean => {
    const found = of(entry)
    if (found !== undefined) return found.others.length > 0 || found.isPodUnseen
    throw new NotReadyError(
      `Cannot allocate for ${record.key}: another pod of it came meanwhile`,
      'Repeat the request',
    )
  }
  return { of, isShared }
}

/** A pod that still ends may still run the machine. */
function hasFinished({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

async function requireMigration(
  pod: Pod,
  { machine, running }: { readonly machine: string; readonly running: readonly Pod[] },
  world: Pick<AllocatorWorld, 'readMigration'>,
  signal: AbortSignal,
): Promise<void> {
  const names = running.map(({ metadata }) => metadata.name).join(' and pod ')
  const refuse = (why: string): never => {
    throw new MachineInUseError(
      `Cannot give pod "${machine.split('/')[0] ?? ''}/${pod.metadata.name}" the addresses of virtual machine "${machine}": ` +
        `pod ${names} use${running.length === 1 ? 's' : ''} them, and ${why}`,
      `Wait until pod ${names} is gone, or migrate the machine by a VirtualMachineInstanceMigration`,
    )
  }
  if (running.length > 1) return refuse('a machine migrates between two pods only')
  const { annotations = {}, labels = {} } = pod.metadata
  const name = annotations[annotationKeys.kubevirtMigration] ?? ''
  if (name === '') return refuse(`the pod has no annotation ${annotationKeys.kubevirtMigration}`)
  const [namespace = '', instance] = machine.split('/')
  const migration = await world.readMigration(namespace, name, signal)
  if (migration === undefined) return refuse(`VirtualMachineInstanceMigration "${name}" does not exist`)
  const { metadata, spec, status } = migration
  if (spec?.vmiName !== instance) return refuse(`migration "${name}" is of "${spec?.vmiName ?? ''}"`)
  const labelled = labels[labelKeys.kubevirtMigrationUid]
  if (labelled !== undefined && labelled !== metadata.uid)
    return refuse(`the pod is of an earlier migration "${name}"`)
  const phase = status?.phase ?? ''
  if (metadata.deletionTimestamp !== undefined || phase === 'Succeeded' || phase === 'Failed')
    return refuse(`migration "${name}" is over`)
}
