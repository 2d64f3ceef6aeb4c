import { isAlive, type Pod } from '../../api/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import type { OwnedAddress } from '../../ledger/index.ts'
import { readUser, usersOf } from '../allocator/sticky/machine.ts'
import { podReaders } from '../allocator/sticky/pod-readers.ts'
import { findingOf, type PodFinding } from './plan-reclaim.ts'

/**
 * What fresh reads say of the pods that use an address of a virtual machine, as of one pod: it is alive while one of them is.
 * The entry bears the machine's name, which is no pod's.
 */
export async function machineFinding(
  entry: OwnedAddress['entry'],
  api: Pick<KubeApi, 'get' | 'listAll'>,
  signal: AbortSignal,
): Promise<PodFinding> {
  const world = podReaders(api)
  let found: PodFinding = { kind: 'gone' }
  for (const user of usersOf(entry)) {
    const pod = await readUser(user, entry, world, signal)
    if (pod === undefined) continue
    const one = { ...findingOf(pod), uid: entry.podUid }
    if (one.kind === 'alive') return one
    if (found.kind === 'gone' || (found.kind === 'dead' && found.hasFinished)) found = one
  }
  return found
}

/** True when the pod that was found ends or has ended, or none was. */
export function isOver(pod: Pod | undefined): boolean {
  return pod === undefined || !isAlive(pod)
}
