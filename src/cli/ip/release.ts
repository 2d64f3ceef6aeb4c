import { blockOf, type IpAddress, parseIp } from '../../address/index.ts'
import {
  type BlockEntry,
  type BlockOwner,
  isMachineEntry,
  type KubeObject,
  type Node,
  type Pod,
  type Resource,
  resources,
  type SpiderIpBlock,
  virtualMachineGroup,
} from '../../api/index.ts'
import { Backoff, OperationError, systemClock, systemRandom } from '../../base/index.ts'
import { ApiError, type KubeApi } from '../../kube/index.ts'
import { attachmentsOf, blockSizes } from '../../ledger/index.ts'
import { attempts, retryMs, withoutOwner, withoutQuarantine, withSettled } from './block-edit.ts'
import { readable, readBlockOf, readPodOf, recordOf } from './read-address.ts'
import { planRelease, type ReleaseFacts, type ReleasePlan } from './release-plan.ts'

/** By it an administrator declares that nothing runs on the node any more (Kubernetes, "Non-graceful node shutdown"). */
const outOfServiceTaint = 'node.kubernetes.io/out-of-service'
const page = 50

/** The block went on changing while it was edited. */
class BlockBusyError extends OperationError {
  override readonly code = 'BLOCK_BUSY'
  override readonly retry = 'later'
}

export interface ReleaseOutcome {
  readonly plan: ReleasePlan
  readonly entry: BlockEntry | undefined
  readonly isDone: boolean
}

/**
 * Frees an address, or ends its quarantine, by one edit of its block with the version that all was decided on: when anybody
 * wrote it meanwhile, all is read and decided again. The leader hears of the edit, and reads the block.
 * @param order whether anything is written, and also what the plan refuses
 */
export async function release(
  address: IpAddress,
  order: { readonly isMeant: boolean; readonly isForced: boolean; nowMs(): number },
  api: KubeApi,
  signal: AbortSignal,
): Promise<ReleaseOutcome> {
  const backoff = new Backoff(retryMs, systemRandom)
  for (let left = attempts; left > 0; left--) {
    const block = await readBlockOf(address, api, signal)
    const facts = await gather(address, block, api, signal)
    const plan = planRelease(facts)
    const { entry, ip } = facts
    const isRefused = plan.kind === 'refuse' && !(order.isForced && plan.forced !== undefined)
    if (!order.isMeant || plan.kind === 'nothing' || isRefused || block === undefined)
      return { plan, entry, isDone: false }
    const settle = plan.kind === 'free' ? plan.settle : plan.kind === 'refuse' ? (plan.forced ?? []) : []
    const intent = entry?.intent?.id ?? ''
    const edited =
      entry === undefined
        ? withoutQuarantine(block, ip)
        : withSettled(withoutOwner(block, ip, order.nowMs()), settle, intent)
    try {
      await settleElsewhere(block, settle, intent, { api, signal })
      await api.replace<SpiderIpBlock>(resources.ipBlock, edited, signal)
      return { plan, entry, isDone: true }
    } catch (error) {
      if (!isConflict(error)) throw error
      await systemClock.sleep(backoff.nextMs(), signal)
    }
  }
  throw new BlockBusyError(
    `Cannot release: its block changed ${attempts} times while it was edited`,
    'Repeat when fewer pods come and go',
  )
}

/** Siblings of other blocks are made to stand by themselves first: a leader that starts in between must not undo them. */
async function settleElsewhere(
  block: SpiderIpBlock,
  ips: readonly string[],
  intent: string,
  { api, signal }: { readonly api: KubeApi; readonly signal: AbortSignal },
): Promise<void> {
  const names = new Set(ips.map((ip) => blockOf(parseIp(ip), blockSizes).name))
  names.delete(block.metadata.name)
  for (const name of names) {
    const other = await api.get<SpiderIpBlock>(resources.ipBlock, { name }, signal)
    const edited = other === undefined ? undefined : withSettled(other, ips, intent)
    if (edited !== undefined && edited !== other) await api.replace(resources.ipBlock, edited, signal)
  }
}

/** Everything is read after the block. */
async function gather(
  address: IpAddress,
  block: SpiderIpBlock | undefined,
  api: KubeApi,
  signal: AbortSignal,
): Promise<ReleaseFacts> {
  const recorded = recordOf(address, block)
  const { entry } = recorded
  if (entry === undefined) {
    return { ...recorded, pod: undefined, workload: 'unknown', deadNodes: new Set(), siblings: [] }
  }
  return {
    ...recorded,
    pod: await (isMachineEntry(entry) ? readMachinePod : readPodOf)(entry, api, signal),
    workload: await workloadOf(entry, api, signal),
    deadNodes: await deadNodesOf(entry, api, signal),
    siblings: await siblingsOf(entry, api, signal),
  }
}

async function workloadOf(
  { owner, pod }: BlockEntry,
  api: KubeApi,
  signal: AbortSignal,
): Promise<ReleaseFacts['workload']> {
  if (owner.kind === 'pod') return 'unknown'
  if (owner.group === virtualMachineGroup) return machineOf(owner.uid, pod, api, signal)
  const resource = resourceOf(owner)
  if (resource === undefined) return 'unknown'
  // A claim has its namespace in its name: it may own addresses that no pod uses.
  const [namespace = '', name = ''] = owner.name.includes('/')
    ? owner.name.split('/')
    : [pod.split('/')[0], owner.name]
  const found = await api.get<KubeObject>(resource, { namespace, name }, signal)
  return found?.metadata.uid === owner.uid ? 'exists' : 'gone'
}

/** Another allocator's record has no uid: then a machine or an instance of that name has the address. */
async function machineOf(
  uid: string,
  pod: string,
  api: KubeApi,
  signal: AbortSignal,
): Promise<ReleaseFacts['workload']> {
  const [namespace = '', name = ''] = pod.split('/')
  for (const resource of [resources.virtualMachineInstance, resources.virtualMachine]) {
    const found = await api.get<KubeObject>(resource, { namespace, name }, signal)
    const uids = [found?.metadata.uid, ...(found?.metadata.ownerReferences ?? []).map((one) => one.uid)]
    if (found !== undefined && (uid === '' || uids.includes(uid))) return 'exists'
  }
  return 'gone'
}

/** The pod of a machine has a name of its own: it is found by its uid. */
async function readMachinePod(
  entry: BlockEntry,
  api: KubeApi,
  signal: AbortSignal,
): Promise<Pod | undefined> {
  const [namespace = ''] = entry.pod.split('/')
  const uids = new Set([entry.podUid, ...attachmentsOf(entry).map(({ podUid }) => podUid)])
  const { items } = await api.listAll<Pod>(resources.pod, { namespace, limit: page }, signal)
  return items.find(({ metadata }) => uids.has(metadata.uid ?? ''))
}

function resourceOf(owner: Extract<BlockOwner, { readonly kind: 'sticky' }>): Resource | undefined {
  return Object.values(resources).find(({ group, kind }) => group === owner.group && kind === owner.ownerKind)
}

async function deadNodesOf(
  entry: BlockEntry,
  api: KubeApi,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const dead = new Set<string>()
  for (const name of new Set(attachmentsOf(entry).map(({ node }) => node))) {
    const node = await api.get<Node>(resources.node, { name }, signal)
    const isOut = node?.spec?.taints?.some(({ key }) => key === outOfServiceTaint) ?? node === undefined
    if (isOut) dead.add(name)
  }
  return dead
}

/** All entries of the request that made this one: they may be in any block. */
async function siblingsOf(
  { intent }: BlockEntry,
  api: KubeApi,
  signal: AbortSignal,
): Promise<ReleaseFacts['siblings']> {
  if (intent === undefined) return []
  const found = new Map<string, BlockEntry>()
  const keep = (block: SpiderIpBlock): SpiderIpBlock => {
    for (const [ip, entry] of readable(block)?.entries ?? [])
      if (entry.intent?.id === intent.id) found.set(ip, entry)
    return { metadata: block.metadata, spec: { cidr: '', term: 0 } }
  }
  await api.listAll<SpiderIpBlock>(resources.ipBlock, { limit: page, keep }, signal)
  return [...found].map(([ip, entry]) => ({ ip, entry }))
}

/** Somebody wrote it, removed it or made it in between. */
export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 409 || error.status === 404)
}
