import type { DnsSettings, IpVersion, Route } from './spider.ts'

// The contract between an agent and the controller: JSON bodies over HTTPS, `Authorization: Bearer <ServiceAccount token>`.
// The node of the caller comes from its token, never from the body.

/** Paths of the controller's API. All are POST with a JSON body and answer 200, or an {@link RpcFailure}. */
export const allocatorPaths = {
  allocate: '/v1/allocate',
  release: '/v1/release',
  check: '/v1/check',
  nodeReport: '/v1/node-report',
} as const

/** CNI ADD. Repeating it (same pod uid and ifName) gives the same addresses. */
export interface AllocateRequest {
  readonly containerId: string
  readonly ifName: string
  readonly netns: string
  readonly podNamespace: string
  readonly podName: string
  readonly podUid: string // '' when the runtime did not say
  /** `ipam.default_ipv4_ippool` and `ipam.default_ipv6_ippool` of the CNI configuration; names or wildcards. */
  readonly defaultIpv4Pools: readonly string[]
  readonly defaultIpv6Pools: readonly string[]
  readonly cleanGateway: boolean
  /** Milliseconds that the caller will go on waiting. */
  readonly budgetMs: number
  /**
   * When the ADD came to the agent, milliseconds since the epoch by the node's clock: an ADD of an earlier sandbox that comes late
   * must not take the addresses from the sandbox that has them now.
   */
  readonly startedMs?: number
  /** Addresses that the runtime asks for: `IP` of CNI_ARGS. */
  readonly ips?: readonly string[]
  /** `match_master_subnet`: addresses in CIDR text of the interface behind this NIC, none when it was not found. */
  readonly masterAddresses?: readonly string[]
  /** Why there are none, for the message of a refusal. */
  readonly masterProblem?: string
  /** Addresses that an earlier answer to this very ADD gave, and that another party uses: they are quarantined. */
  readonly conflicts?: readonly AddressConflict[]
}

/** An address that the agent found in use by somebody else. */
export interface AddressConflict {
  readonly ip: string
  /** Of the other party, when it is known. */
  readonly mac?: string
}

export interface AllocateResponse {
  readonly ips: readonly GrantedIp[] // IPv4 before IPv6; of this NIC alone
  readonly routes: readonly GrantedRoute[] // sorted
  readonly dns?: DnsSettings
}

export interface GrantedIp {
  readonly version: IpVersion
  readonly address: string // CIDR text with the prefix length of the pool's subnet
  readonly gateway?: string
  readonly nic: string
  readonly pool: string
  readonly vlan: number
  readonly mac?: string
  readonly metadata?: Readonly<Record<string, string>>
  /** The address is in use by the other side of a live migration: it must not be probed. */
  readonly isProbeOff?: boolean
}

export interface GrantedRoute extends Route {
  readonly ifName: string
}

/** CNI DEL, or the undo of a failed ADD. Succeeds when nothing is recorded. */
export interface ReleaseRequest {
  readonly containerId: string
  readonly ifName: string
  /** `detach`: DEL; the pod decides whether the address is freed. `undo`: the ADD of this container failed. */
  readonly reason: 'detach' | 'undo'
  /** The pod, when the runtime or the journal says it: an adopted address knows no container, but its pod. */
  readonly pod?: { readonly namespace: string; readonly name: string; readonly uid: string }
}

/** CNI CHECK: is each address still recorded for this container and NIC? */
export interface CheckRequest {
  readonly containerId: string
  readonly ifName: string
  readonly ips: readonly string[] // plain addresses of prevResult
}

/** What the node knows of its sandboxes: evidence for the reclaimer. */
export interface NodeReport {
  /** Milliseconds since the epoch at which the list was complete. */
  readonly takenAtMs: number
  /**
   * `takenAtMs` of the last report that was answered before this one was begun; 0 = none since the agent started. By it the
   * controller knows, without comparing clocks, that this list is younger than the arrival of that report.
   */
  readonly answeredMs: number
  /** Attachments whose sandbox is alive on the node. */
  readonly alive: readonly { readonly containerId: string; readonly ifName: string }[]
}

/** Answer to a {@link NodeReport}. */
export interface NodeReportAnswer {
  /** A dead pod's address waits for what this node says next: report again now. */
  readonly isAwaited: boolean
}

/** Body of every answer that is not 200. */
export interface RpcFailure {
  /** CNI error code (spec/cni.md §4): 11 = try again, 100 = pool exhausted, ... */
  readonly code: number
  readonly msg: string
  readonly details: string
  /** It waits for what only time or people bring: whoever asks again soon gets the same answer. */
  readonly isWaiting?: true
}
