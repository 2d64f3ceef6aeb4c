import {
  annotationKeys,
  type BlockEntry,
  type BlockOwner,
  type ClaimRef,
  claimApiVersion,
  ownerOfClaim,
  type Pod,
  type SpiderIpClaim,
} from '../../api/index.ts'
import type { OperationError } from '../../base/index.ts'
import {
  type AddPlan,
  attachmentsOf,
  formatVerdict,
  type Ledger,
  mayKeep,
  type OwnedAddress,
  type SelectionInput,
  selectPools,
  type Want,
} from '../../ledger/index.ts'
import type { AllocatorWorld } from '../allocator/world.ts'
import { findingOf } from '../reclaim/plan-reclaim.ts'
import { ClaimPendingError, ClaimRefusedError } from './errors.ts'
import type { ClaimChoice, PodClaims } from './find-claim.ts'
import { isAmong, provenOwners } from './proven-owners.ts'

/** How the ADD of one NIC gets its addresses from a claim. */
export interface ClaimUse {
  readonly owner: BlockOwner
  /** Absent for an IPAMClaim, which has no attributes. */
  readonly claim?: SpiderIpClaim
  mayTake(entry: BlockEntry): boolean
  /** @param wants what an IPAMClaim takes at its first use. @throws {OperationError} when another pod uses the claim */
  plan(held: readonly OwnedAddress[], wants: () => readonly Want[]): AddPlan
}

/** One call that wants to use a claim. */
export interface ClaimCall {
  readonly pod: Pod
  readonly nic: string
  readonly input: SelectionInput
  readonly claims: PodClaims
}

interface UsePorts {
  readonly world: Pick<AllocatorWorld, 'readWorkload' | 'readIpClaim' | 'readPod'>
  readonly ledger: Pick<Ledger, 'ofOwner'>
}

/**
 * Makes sure by fresh reads that the pod may use the claim of its NIC, and that nobody else does. One pod at a time: another
 * one gets the claim when the first and its sandbox are seen to be over.
 * @throws {ClaimRefusedError} naming the claim and the reason. @throws {ClaimPendingError} when it has no addresses yet
 */
export async function useClaim(
  choice: ClaimChoice,
  call: ClaimCall,
  ports: UsePorts,
  signal: AbortSignal,
): Promise<ClaimUse> {
  const { namespace = '' } = call.pod.metadata
  switch (choice.kind) {
    case 'held':
      return useOf({ ref: choice.claim }, call, ports, signal)
    case 'SpiderIPClaim':
      return useNamed(choice.name, call, ports, signal)
    case 'IPAMClaim': {
      const { kind, name } = choice
      const reference = { apiVersion: claimApiVersion(kind), kind, namespace, name, uid: '' }
      const claim = await ports.world.readWorkload(reference, signal)
      const { uid = '', deletionTimestamp } = claim?.metadata ?? {}
      const ref: ClaimRef = { kind, namespace, name, uid }
      if (claim === undefined) throw missing(ref, call)
      if (deletionTimestamp !== undefined) throw deleted(ref, call)
      return useOf({ ref }, call, ports, signal)
    }
    case 'workload':
      return useFirst(choice.names, call, ports, signal)
  }
}

/** The first that is free to use; else what is in the way of the first. */
async function useFirst(
  names: readonly string[],
  call: ClaimCall,
  ports: UsePorts,
  signal: AbortSignal,
): Promise<ClaimUse> {
  let problem: unknown
  for (const name of names) {
    try {
      return await useNamed(name, call, ports, signal)
    } catch (error) {
      if (!(error instanceof ClaimRefusedError) && !(error instanceof ClaimPendingError)) throw error
      problem ??= error
    }
  }
  throw problem
}

async function useNamed(
  name: string,
  call: ClaimCall,
  ports: UsePorts,
  signal: AbortSignal,
): Promise<ClaimUse> {
  const { pod, nic, claims } = call
  const { namespace = '' } = pod.metadata
  const claim = await ports.world.readIpClaim(namespace, name, signal)
  const ref: ClaimRef = { kind: 'SpiderIPClaim', namespace, name, uid: claim?.metadata.uid ?? '' }
  if (claim === undefined) throw missing(ref, call)
  if (claim.metadata.deletionTimestamp !== undefined) throw deleted(ref, call)
  const { workload, interface: wanted } = claim.spec
  if (wanted !== undefined && wanted !== nic) {
    throw refused(ref, call, `it is for NIC ${wanted}`, `Name it for ${wanted} in ${annotationKeys.ipClaim}`)
  }
  if (workload !== undefined) {
    const owners = claims.owners ?? (await provenOwners(pod, ports.world, signal))
    if (!isAmong(owners, workload)) {
      const { apiVersion, kind } = workload
      const proven = owners.map((one) => `${one.kind} ${one.name}`).join(', ')
      const problem = `it is for ${apiVersion} ${kind} ${workload.name}, and the pod is proven to be of ${proven} alone`
      throw refused(ref, call, problem, 'Use a claim of its own, or change spec.workload')
    }
  }
  if (ports.ledger.ofOwner(ownerOfClaim(ref)).length === 0) throw pending(ref, call, claim)
  return useOf({ ref, claim }, call, ports, signal)
}

async function useOf(
  { ref, claim }: { readonly ref: ClaimRef; readonly claim?: SpiderIpClaim },
  call: ClaimCall,
  ports: UsePorts,
  signal: AbortSignal,
): Promise<ClaimUse> {
  const { ledger } = ports
  const owner = ownerOfClaim(ref)
  const { uid = '' } = call.pod.metadata
  const seen = ledger.ofOwner(owner)
  const over = await podsThatAreOver(seen, call.pod, ports, signal)
  const mayTake = (entry: BlockEntry): boolean => {
    if (entry.podUid === uid) return entry.nic === call.nic || attachmentsOf(entry).length === 0
    return entry.pod === '' || over.has(markOf(entry))
  }
  const requireFree = (): void => {
    const other = ledger.ofOwner(owner).find(({ entry }) => !mayTake(entry))
    if (other === undefined) return
    const { pod, podUid, nic } = other.entry
    const holder = podUid === uid ? `NIC ${nic} of the same pod` : `pod ${pod} (uid ${podUid}, NIC ${nic})`
    throw refused(ref, call, `${holder} uses it`, 'Wait until that pod is gone, or use another claim')
  }
  requireFree()
  requireRules(ref, seen, call)
  return {
    owner,
    ...(claim === undefined ? {} : { claim }),
    mayTake,
    plan(held, wants) {
      requireFree() // again: others may have come since
      if (held.length > 0) return { drop: [], wants: [], named: held.map(({ ip }) => ip) }
      if (ref.kind === 'IPAMClaim') return { drop: [], wants: wants() }
      throw pending(ref, call, claim)
    },
  }
}

/**
 * Which of the pods that used the entries are over. A pod object that is gone proves nothing of its sandbox: it may have been
 * deleted by force while its node was cut off. Only an attachment that has ended frees the claim for another pod, which DEL or the
 * reclaimer tell by taking it off. A pod that has finished sends nothing more; one of the same name is the next life of the first.
 */
async function podsThatAreOver(
  seen: readonly OwnedAddress[],
  pod: Pod,
  { world }: Pick<UsePorts, 'world'>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const over = new Set<string>()
  const { namespace: mine = '', name: myName, uid } = pod.metadata
  const others = seen.filter(({ entry }) => entry.pod !== '' && entry.podUid !== uid)
  for (const { entry } of others) {
    const [namespace = '', name = ''] = entry.pod.split('/')
    const finding = findingOf(await world.readPod(namespace, name, signal))
    const isThere = finding.kind !== 'gone' && finding.uid === entry.podUid
    const hasEnded = attachmentsOf(entry).length === 0 && !(isThere && finding.kind === 'alive')
    const isNextLife = !isThere && namespace === mine && name === myName
    const hasFinished = isThere && finding.kind === 'dead' && finding.hasFinished
    if (hasEnded || isNextLife || hasFinished) over.add(markOf(entry))
  }
  return over
}

/** A verdict is on a pod and the sandboxes it was seen with. */
function markOf(entry: BlockEntry): string {
  return [entry.podUid, ...attachmentsOf(entry).map(({ containerId }) => containerId)].join(' ')
}

/** The pools were chosen without a pod: what they ask of pod, node and network is looked at now. */
function requireRules(ref: ClaimRef, seen: readonly OwnedAddress[], call: ClaimCall): void {
  const { input, nic, pod } = call
  const added = seen.filter(({ entry }) => entry.podUid !== pod.metadata.uid && input.pools.has(entry.pool))
  if (added.length === 0) return
  const poolsOf = (isV6: boolean) =>
    added.filter(({ ip }) => ip.includes(':') === isV6).map(({ entry }) => entry.pool)
  const annotations = {
    [annotationKeys.ippool]: JSON.stringify({ ipv4: poolsOf(false), ipv6: poolsOf(true) }),
  }
  const { candidates } = selectPools({ ...input, pod: { ...input.pod, annotations } })
  for (const { ip, entry } of added) {
    const version = ip.includes(':') ? 6 : 4
    const mine = candidates.find((one) => one.nic === nic && one.version === version)
    if (mine === undefined || mayKeep(mine, entry.pool)) continue
    const verdict = mine.verdicts.find((one) => one.pool === entry.pool)
    const problem = `its address ${ip} is of IPPool ${verdict === undefined ? entry.pool : formatVerdict(verdict)}`
    throw refused(ref, call, problem, 'Let the pod run where that pool may be used, or use another claim')
  }
}

const nameOf = ({ kind, namespace, name }: ClaimRef): string => `${kind} "${namespace}/${name}"`

function refused(ref: ClaimRef, { pod, nic }: ClaimCall, problem: string, hint: string): OperationError {
  const { namespace = '', name } = pod.metadata
  return new ClaimRefusedError(
    `Cannot give NIC ${nic} of pod "${namespace}/${name}" the addresses of ${nameOf(ref)}: ${problem}`,
    hint,
  )
}

function missing(ref: ClaimRef, call: ClaimCall): OperationError {
  return refused(ref, call, 'it does not exist', 'Create it in the namespace of the pod')
}

function deleted(ref: ClaimRef, call: ClaimCall): OperationError {
  return refused(ref, call, 'it is being deleted', 'Create it again when it is gone')
}

function pending(ref: ClaimRef, { pod, nic }: ClaimCall, claim: SpiderIpClaim | undefined): OperationError {
  const { namespace = '', name } = pod.metadata
  const { phase = 'Pending', conditions = [] } = claim?.status ?? {}
  const why = conditions.map(({ message }) => message).join('; ') || 'its addresses are being reserved'
  return new ClaimPendingError(
    `Cannot give NIC ${nic} of pod "${namespace}/${name}" the addresses of ${nameOf(ref)}: it is ${phase}: ${why}`,
    'Nothing: the call is repeated. See the conditions of the claim',
  )
}
