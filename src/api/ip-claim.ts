import type { KubeObject } from './meta.ts'
import {
  type BlockEntry,
  type BlockOwner,
  type DnsSettings,
  type IpVersion,
  type PoolCondition,
  spiderGroup,
  spiderVersion,
} from './spider.ts'

/** Who alone may use a claim: the workload on top of a pod, or a pod by its name. */
export interface ClaimWorkload {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
}

/** What a claim may be for, by kind and group: what the owners of a pod are proven by. */
export const claimWorkloads: readonly (readonly [kind: string, group: string])[] = [
  ['Deployment', 'apps'],
  ['ReplicaSet', 'apps'],
  ['StatefulSet', 'apps'],
  ['DaemonSet', 'apps'],
  ['Job', 'batch'],
  ['VirtualMachine', 'kubevirt.io'],
  ['VirtualMachineInstance', 'kubevirt.io'],
  ['Pod', ''],
]

/**
 * Addresses, MAC and attributes that are reserved ahead of time, for a pod that may not exist yet. They outlive the pod, and are
 * freed with the claim (docs/claims.md).
 */
export interface SpiderIpClaim extends KubeObject {
  readonly spec: {
    /** Addresses asked for by name, at most one of a family. */
    readonly ips?: readonly string[]
    /** Names or wildcards; absent: the pools of the namespace, else those of the cluster. */
    readonly ippools?: { readonly ipv4?: readonly string[]; readonly ipv6?: readonly string[] }
    readonly mac?: string
    readonly dns?: DnsSettings
    readonly metadata?: Readonly<Record<string, string>>
    /** When given, no other pod may use the claim, and its pods use it without an annotation. */
    readonly workload?: ClaimWorkload
    /** NIC of the pod; absent: its first one that gets addresses from here. */
    readonly interface?: string
  }
  readonly status?: SpiderIpClaimStatus
}

/** Waits for addresses; has them; a pod uses them; what it had is somebody else's. */
export type ClaimPhase = 'Pending' | 'Reserved' | 'InUse' | 'Lost'

export interface SpiderIpClaimStatus {
  readonly phase: ClaimPhase
  /** IPv4 before IPv6. */
  readonly ips: readonly ClaimedIp[]
  /** The same in CIDR text, one of a family, for columns. */
  readonly ipv4?: string
  readonly ipv6?: string
  readonly mac?: string
  /** Name of the pod that uses the addresses. */
  readonly pod?: string
  readonly conditions?: readonly PoolCondition[]
}

export interface ClaimedIp {
  /** CIDR text. */
  readonly ip: string
  readonly pool: string
  readonly version: IpVersion
}

/**
 * IPAMClaim of k8s.cni.cncf.io/v1alpha1 (NPWG standard v1.3, chapter 8): a NIC whose network selection names one has addresses
 * that outlive the pod. Whoever runs virtual machines creates it; the allocator writes its status.
 */
export interface IpamClaim extends KubeObject {
  readonly spec: { readonly network: string; readonly interface: string }
  readonly status?: {
    /** CIDR text. */
    readonly ips?: readonly string[]
    readonly ownerPod?: { readonly name: string }
  }
}

/** Kinds whose objects own addresses by themselves, whatever pod uses them. */
export type ClaimKind = 'SpiderIPClaim' | 'IPAMClaim'

const claimGroups: Readonly<Record<ClaimKind, string>> = {
  SpiderIPClaim: spiderGroup,
  IPAMClaim: 'k8s.cni.cncf.io',
}

/** `apiVersion` of the claims of a kind. */
export function claimApiVersion(kind: ClaimKind): string {
  return kind === 'IPAMClaim' ? `${claimGroups.IPAMClaim}/v1alpha1` : `${spiderGroup}/${spiderVersion}`
}

/** One claim of either kind. */
export interface ClaimRef {
  readonly kind: ClaimKind
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

/** The owner of a claim's addresses. Its name has the namespace in it: nothing else of an unused entry says that. */
export function ownerOfClaim({ kind, namespace, name, uid }: ClaimRef): BlockOwner {
  const group = claimGroups[kind]
  return { kind: 'sticky', group, ownerKind: kind, name: `${namespace}/${name}`, uid, replica: '' }
}

/** The claim that owns an address; undefined when the owner is none. */
export function claimOfOwner(owner: BlockOwner): ClaimRef | undefined {
  if (owner.kind !== 'sticky') return undefined
  const { group, ownerKind, uid } = owner
  const isClaim =
    (ownerKind === 'SpiderIPClaim' || ownerKind === 'IPAMClaim') && group === claimGroups[ownerKind]
  if (!isClaim) return undefined
  const [namespace = '', name = ''] = owner.name.split('/')
  return { kind: ownerKind, namespace, name, uid }
}

/** Whether a holder is one of a namespace; nobody is of none. @param holder `namespace/name` */
export function isOfNamespace(holder: string, namespace: string): boolean {
  return namespace !== '' && holder.startsWith(`${namespace}/`)
}

/** Whom people are told of as the holder of an address: the pod that uses it, else the claim that keeps it. */
export function holderOf({ pod, podUid, owner }: Pick<BlockEntry, 'pod' | 'podUid' | 'owner'>): {
  readonly pod: string
  readonly podUid: string
} {
  const claim = pod === '' ? claimOfOwner(owner) : undefined
  return claim === undefined
    ? { pod, podUid }
    : { pod: `${claim.namespace}/${claim.name}`, podUid: claim.uid }
}
