import {
  annotationKeys,
  type ClaimRef,
  claimOfOwner,
  type IpClaimChoice,
  ownerOfClaim,
  type Pod,
  parseIpClaim,
  type SpiderIpClaim,
  type TopOwner,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { attachmentsOf, type Ledger } from '../../ledger/index.ts'
import type { PodNetworks } from '../../network/index.ts'
import { recordKeysOf } from '../allocator/sticky/machine.ts'
import type { AllocatorWorld } from '../allocator/world.ts'
import { isAmong, provenOwners } from './proven-owners.ts'

/** What a NIC gets its addresses from, instead of pools. */
export type ClaimChoice =
  /** The pod has it already, and keeps it to its end. */
  | { readonly kind: 'held'; readonly claim: ClaimRef }
  | { readonly kind: 'SpiderIPClaim'; readonly name: string; readonly why: string }
  | { readonly kind: 'IPAMClaim'; readonly name: string }
  /** Claims of the pod's workload: the first that nobody uses. Those that look free come first, then by name. */
  | { readonly kind: 'workload'; readonly names: readonly string[] }

/** The claims of a pod by NIC. */
export interface PodClaims {
  readonly byNic: ReadonlyMap<string, ClaimChoice>
  /** Of the pod, when they were read. */
  readonly owners: readonly TopOwner[] | undefined
}

interface FindPorts {
  readonly world: Pick<AllocatorWorld, 'readWorkload' | 'claimsForWorkloads'>
  readonly ledger: Pick<Ledger, 'ofPod' | 'ofOwner'>
}

const field = `Pod annotation '${annotationKeys.ipClaim}'`

/**
 * Which NICs of a pod have claims: by what the pod has already, its annotation, its network selections, then by its workload.
 * @param nic of the call; it counts also when the pod's networks do not show it
 * @throws {InvalidInputError} when the annotation cannot be used, or two sources name a claim for one NIC
 */
export async function findClaims(
  pod: Pod,
  { networks, nic }: { readonly networks: PodNetworks; readonly nic: string },
  { world, ledger }: FindPorts,
  signal: AbortSignal,
): Promise<PodClaims> {
  const { namespace = '', name: podName, uid = '', annotations = {} } = pod.metadata
  const nics = networks.nics.includes(nic) ? networks.nics : [...networks.nics, nic]
  const [first = nic] = nics
  const byNic = new Map<string, ClaimChoice>()
  const settled = new Set<string>()
  for (const { entry } of ledger.ofPod(`${namespace}/${podName}`)) {
    if (entry.podUid !== uid || entry.nic === '') continue
    // A pod's addresses do not change in its life, whatever becomes of its annotations.
    const claim = claimOfOwner(entry.owner)
    if (claim !== undefined) byNic.set(entry.nic, { kind: 'held', claim })
    settled.add(entry.nic)
  }
  // What a virtual machine has is recorded by its name; its pods are those of the attachments.
  for (const key of recordKeysOf(pod)) {
    for (const { entry } of ledger.ofPod(key))
      if (attachmentsOf(entry).some(({ podUid }) => podUid === uid && uid !== '')) settled.add(entry.nic)
  }
  const text = annotations[annotationKeys.ipClaim]
  const named = text === undefined ? [] : parseIpClaim(text)
  // What the pod has it keeps, whatever became of its annotation.
  if (!settled.has(nic)) requireServed(named, nics)
  for (const choice of named) {
    const target = choice.nic ?? first
    if (!settled.has(target)) byNic.set(target, { kind: 'SpiderIPClaim', name: choice.name, why: field })
  }
  for (const target of nics) {
    const name = networks.requestOf(target).ipamClaim
    if (name === undefined || settled.has(target)) continue
    if (byNic.has(target)) {
      const problem = `names a claim for NIC ${target}, and so does its network selection (ipam-claim-reference)`
      throw new InvalidInputError(field, text, problem, 'leave one of the two out')
    }
    byNic.set(target, { kind: 'IPAMClaim', name })
  }
  const candidates = world
    .claimsForWorkloads(namespace)
    .filter(({ spec }) => isOpen(spec.interface ?? first, byNic, settled))
  if (candidates.length === 0) return { byNic, owners: undefined }
  const owners = await provenOwners(pod, world, signal)
  const fit = candidates.filter((claim) => isFor(claim, owners))
  const ofNic = Map.groupBy(fit, ({ spec }) => spec.interface ?? first)
  for (const [target, claims] of ofNic)
    byNic.set(target, { kind: 'workload', names: namesOf(claims, ledger) })
  return { byNic, owners }
}

/** @throws {InvalidInputError} when a claim is named for a NIC that gets no address from here: the claim would wait for ever */
function requireServed(named: readonly IpClaimChoice[], nics: readonly string[]): void {
  const stray = named.find((choice) => choice.nic !== undefined && !nics.includes(choice.nic))
  if (stray === undefined) return
  const problem = 'is no interface of the pod that gets its address from here'
  throw new InvalidInputError(field, stray.nic, problem, `Write one of ${nics.join(', ')}`)
}

function isOpen(nic: string, byNic: ReadonlyMap<string, ClaimChoice>, settled: ReadonlySet<string>): boolean {
  return !byNic.has(nic) && !settled.has(nic)
}

function isFor({ spec }: SpiderIpClaim, owners: readonly TopOwner[]): boolean {
  return spec.workload !== undefined && isAmong(owners, spec.workload)
}

const othersTried = 16 // each costs reads of the API server, and a namespace may have thousands

/**
 * Where to look, by what the ledger says of each: free ones, then some of those in use and of those that have no address yet.
 * One whose pod is over is free as soon as the reclaimer has seen it.
 */
function namesOf(claims: readonly SpiderIpClaim[], ledger: Pick<Ledger, 'ofOwner'>): readonly string[] {
  const free: string[] = []
  const used: string[] = []
  const empty: string[] = []
  for (const { metadata } of claims) {
    const { namespace = '', name, uid = '' } = metadata
    const held = ledger.ofOwner(ownerOfClaim({ kind: 'SpiderIPClaim', namespace, name, uid }))
    if (held.length === 0) empty.push(name)
    else (held.every(({ entry }) => entry.pod === '') ? free : used).push(name)
  }
  return [...free, ...[...used, ...empty].slice(0, othersTried)]
}
