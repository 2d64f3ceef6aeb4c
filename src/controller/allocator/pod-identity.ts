import { type AllocateRequest, isAlive, type Pod } from '../../api/index.ts'
import type { Clock } from '../../base/index.ts'
import { attachmentsOf, type OwnedAddress } from '../../ledger/index.ts'
import { CallerRefusedError } from '../../rpc/index.ts'
import { isKnownWell } from '../known-pod.ts'
import { OvertakenError, PodIdentityError } from './errors.ts'
import type { AllocatorWorld } from './world.ts'

const podReadRetryMs = 200

type PodWorld = Pick<AllocatorWorld, 'knownPod' | 'readPod' | 'claimsForWorkloads'>

/**
 * The pod as the cache has it when that is enough, else read afresh; made sure that it is the one that the runtime means, alive and
 * on the caller's node.
 */
export async function findOwnPod(
  node: string,
  request: AllocateRequest,
  { world, clock }: { readonly world: PodWorld; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Pod> {
  const { podNamespace, podName, podUid } = request
  const key = `${podNamespace}/${podName}`
  const known = world.knownPod(podNamespace, podName)
  // A claim may be meant for the pod's workload: who may use one is never told from a cache.
  const hasClaims = world.claimsForWorkloads(podNamespace).length > 0
  if (!hasClaims && isKnownWell(known, { uid: podUid, node })) return known
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

/** Longer than any ADD goes on: what is further apart is a clock that was set. */
const overtakingMs = 110_000
const maxRemembered = 20_000

interface PodState {
  readonly uid: string
  readonly resourceVersion: string
}

/**
 * In which order the ADDs of one pod and NIC began, and the pods of one name. The network, an agent that died or an API server that
 * is away may hold one back until a later sandbox, or the next pod of a StatefulSet's replica, has been answered. Memory is enough: a
 * request that an earlier leader got ends with it.
 */
export class CallOrder {
  readonly #newest = new Map<string, { readonly containerId: string; readonly startedMs: number }>()
  /** By name, the last pod that was read. */
  readonly #pods = new Map<string, PodState>()

  /** Notes a request as it comes, with its pod as it was read then. */
  note(pod: Pod, { ifName, containerId, startedMs }: AllocateRequest): void {
    const { uid = '', resourceVersion = '' } = pod.metadata
    const state = { uid, resourceVersion }
    const last = this.#pods.get(nameOf(pod))
    if (last === undefined || !isReadBefore(state, last)) remember(this.#pods, nameOf(pod), state)
    const key = `${uid} ${ifName}`
    const known = this.#newest.get(key)
    if (startedMs === undefined || isOvertaken(startedMs, known?.startedMs)) return
    remember(this.#newest, key, { containerId, startedMs })
  }

  /** @throws {OvertakenError} when the pod has a later sandbox, or there is a later pod of its name */
  requireNewest(pod: Pod, { ifName, containerId, startedMs }: AllocateRequest): void {
    const lastUid = this.#pods.get(nameOf(pod))?.uid
    if (lastUid !== undefined && lastUid !== (pod.metadata.uid ?? '')) {
      throw new OvertakenError(
        `Cannot allocate for sandbox ${containerId} of pod "${pod.metadata.name}": a later pod has its name, with uid ${lastUid}`,
        'Nothing: the sandbox is of an earlier pod of that name',
      )
    }
    const newest = this.#newest.get(`${pod.metadata.uid ?? ''} ${ifName}`)
    if (newest === undefined || newest.containerId === containerId || startedMs === undefined) return
    if (!isOvertaken(startedMs, newest.startedMs)) return
    const seconds = Math.ceil((newest.startedMs - startedMs) / 1_000)
    throw new OvertakenError(
      `Cannot allocate for sandbox ${containerId} of pod "${pod.metadata.name}": sandbox ${newest.containerId} was begun ${seconds} s after it`,
      `Nothing; if the clock of the node was set back, sandboxes that begin from ${seconds} s after this one on are served`,
    )
  }
}

const nameOf = ({ metadata: { namespace = '', name } }: Pod): string => `${namespace}/${name}`

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.keys().next()
  if (map.size > maxRemembered && oldest.done !== true) map.delete(oldest.value)
}

/** Whether the state of a pod is from before that of another one of its name. Answers of the API server may overtake one another. */
function isReadBefore({ resourceVersion: of }: PodState, { resourceVersion: other }: PodState): boolean {
  // Revisions of etcd. Where something else is behind the API server, the last answer counts.
  return /^\d+$/.test(of) && /^\d+$/.test(other) && BigInt(of) < BigInt(other)
}

function isOvertaken(startedMs: number, newestMs: number | undefined): boolean {
  return newestMs !== undefined && newestMs > startedMs && newestMs - startedMs < overtakingMs
}
