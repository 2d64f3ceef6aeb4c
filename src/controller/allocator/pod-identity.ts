import { type AllocateRequest, isAlive, type Pod } from '../../api/index.ts'
import type { Clock } from '../../base/index.ts'
import { attachmentsOf, type OwnedAddress } from '../../ledger/index.ts'
import { CallerRefusedError } from '../../rpc/index.ts'
import { PodIdentityError } from './errors.ts'
import type { AllocatorWorld } from './world.ts'

const podReadRetryMs = 200

/** Reads the pod afresh, and makes sure that it is the one that the runtime means, alive and on the caller's node. */
export async function readOwnPod(
  node: string,
  request: AllocateRequest,
  { world, clock }: { readonly world: Pick<AllocatorWorld, 'readPod'>; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Pod> {
  const { podNamespace, podName, podUid } = request
  const key = `${podNamespace}/${podName}`
  let pod = await world.readPod(podNamespace, podName, signal)
  if (podUid !== '' && pod?.metadata.uid !== podUid) {
    await clock.sleep(podReadRetryMs, signal)
    pod = await world.readPod(podNamespace, podName, signal)
  }
  if (pod === undefined) {
    throw new PodIdentityError(
      `Cannot allocate for pod "${key}": it does not exist`,
      'Nothing: the runtime will stop',
    )
  }
  if (podUid !== '' && pod.metadata.uid !== podUid) {
    throw new PodIdentityError(
      `Cannot allocate for pod "${key}": its uid is ${pod.metadata.uid ?? ''}, K8S_POD_UID is ${podUid}`,
      'Nothing: the sandbox is of an earlier pod of that name',
    )
  }
  if (!isAlive(pod)) {
    throw new PodIdentityError(
      `dead Pod "${key}", we cannot allocate IP addresses to it`,
      'Nothing: it is being deleted, or has finished',
    )
  }
  requireNode(node, pod.spec?.nodeName ?? '', `pod "${key}"`)
  return pod
}

/** The node of the sandbox; of the entry, when the sandbox is not attached. */
export function entryNode(entry: OwnedAddress['entry'], containerId: string): string {
  return attachmentsOf(entry).find((one) => one.containerId === containerId)?.node ?? entry.node
}

/** @throws {CallerRefusedError} when the caller is another node's agent */
export function requireNode(caller: string, node: string, what: string): void {
  if (node === caller) return
  throw new CallerRefusedError(
    'other-node',
    `Cannot serve node "${caller}" for ${what}: it is on node "${node}"`,
    'Check the token of the agent: it must be bound to the agent pod of its own node',
  )
}
