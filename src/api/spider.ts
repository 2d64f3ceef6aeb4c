import type { KubeObject, LabelSelector } from './meta.ts'

/** Group and version of our kinds. */
export const spiderGroup = 'spiderpool.spidernet.io'
/** Version of our kinds; {@link spiderGroup} is their group. */
export const spiderVersion = 'v2beta1'
/** The one finalizer that the system puts on its objects. */
export const spiderFinalizer = 'spiderpool.spidernet.io'

export type IpVersion = 4 | 6

/** Never-used addresses go first, then the longest-resting; the lowest free one; any free one. */
export type AllocationPolicy = 'leastRecentlyReleased' | 'lowest' | 'random'

/** Take another address; fail until it is legal again, to be tried again (11); fail for good (101). */
export type StickyPolicy = 'replace' | 'wait' | 'fail'

/** `dns` of a CNI result (CNI spec 1.1, section 5). */
export interface DnsSettings {
  readonly nameservers?: readonly string[]
  readonly domain?: string
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

export interface Route {
  readonly dst: string
  readonly gw: string
}

/** spec/api.md §4. */
export interface SpiderIpPool extends KubeObject {
  readonly spec: {
    readonly ipVersion?: IpVersion
    readonly subnet: string
    readonly ips?: readonly string[]
    readonly excludeIPs?: readonly string[]
    readonly gateway?: string
    readonly routes?: readonly Route[]
    readonly podAffinity?: LabelSelector
    readonly namespaceAffinity?: LabelSelector
    readonly namespaceName?: readonly string[]
    readonly nodeAffinity?: LabelSelector
    readonly nodeName?: readonly string[]
    readonly multusName?: readonly string[]
    readonly default?: boolean
    readonly disable?: boolean
    /** Which free address goes out next; leastRecentlyReleased when absent. */
    readonly allocationPolicy?: AllocationPolicy
    /** A released address rests this long as long as another one is free: 0 to 86,400; 60 when absent. */
    readonly coolDownSeconds?: number
    /** What becomes of a sticky owner's address that its pool may no longer give it; replace when absent. */
    readonly stickyPolicy?: StickyPolicy
    /** VLAN tag of the segment, 0 (none) to 4,094; travels with the allocation. */
    readonly vlanID?: number
    /** Name servers for the pods; an annotation of the pod goes before. */
    readonly dns?: DnsSettings
    /** Free-form facts that travel with the allocation. */
    readonly metadata?: Readonly<Record<string, string>>
  }
  readonly status?: {
    /** JSON text {"<ip>":{"pod":"ns/name","podUid":"uid"}}; a view of the ledger. */
    readonly allocatedIPs?: string
    readonly allocatedIPCount?: number
    readonly totalIPCount?: number | bigint
    /** By which `allocatedIPs` as the ledger's view is told from what others wrote. */
    readonly allocatedIPsView?: AllocatedIpsView
    readonly conditions?: readonly PoolCondition[]
  }
}

/** Written together with `status.allocatedIPs`. A writer that does not know the field drops it, or leaves a digest that is wrong. */
export interface AllocatedIpsView {
  /** Term of the leader that wrote. */
  readonly term: number
  /** Of the text in `allocatedIPs`; of '' when that is absent. */
  readonly sha256: string
}

/** One condition of a pool. */
export interface PoolCondition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}

/** spec/api.md §5. */
export interface SpiderSubnet extends KubeObject {
  readonly spec: {
    readonly ipVersion?: IpVersion
    readonly subnet: string
    readonly ips?: readonly string[]
    readonly excludeIPs?: readonly string[]
    readonly gateway?: string
    readonly routes?: readonly Route[]
  }
  readonly status?: {
    readonly controlledIPPools?: string
    readonly totalIPCount?: number | bigint
    readonly allocatedIPCount?: number | bigint
  }
}

/** spec/api.md §6. */
export interface SpiderReservedIp extends KubeObject {
  readonly spec: { readonly ipVersion?: IpVersion; readonly ips?: readonly string[] }
}

/** spec/api.md §7: the payload is in `status`, and there is no status subresource. A view of the ledger. */
export interface SpiderEndpoint extends KubeObject {
  readonly status: {
    readonly current: {
      readonly uid: string
      readonly node: string
      readonly ips: readonly EndpointNic[]
    }
    readonly ownerControllerType: string
    readonly ownerControllerName: string
  }
}

export interface EndpointNic {
  readonly interface: string
  readonly ipv4?: string
  readonly ipv6?: string
  readonly ipv4Pool?: string
  readonly ipv6Pool?: string
  readonly ipv4Gateway?: string
  readonly ipv6Gateway?: string
  readonly vlan?: number
  readonly cleanGateway?: boolean
  readonly mac?: string
  readonly routes?: readonly Route[]
  readonly dns?: DnsSettings
  readonly metadata?: Readonly<Record<string, string>>
}

/** One object per aligned range of addresses: the durable truth of who owns which address (design.md, the ledger). */
export interface SpiderIpBlock extends KubeObject {
  readonly spec: {
    /** Network form, such as 10.6.168.128/25. Decides the name, never changes. */
    readonly cidr: string
    /** Term of the leader that wrote last: a leader with a lower term must not write, and steps down. */
    readonly term: number
    /** By canonical address text: as the API server has them, each a text with JSON inside; see `formatEntry`, `readEntry`. */
    readonly entries?: Readonly<Record<string, string | BlockEntry>>
    /** When each address was released last, milliseconds since the epoch: rest before reuse. */
    readonly released?: Readonly<Record<string, number>>
    /** Addresses that somebody outside uses, by canonical text: given to nobody until the time is over. */
    readonly quarantine?: Readonly<Record<string, Quarantine>>
    /** Who had the addresses before, oldest first; bounded. */
    readonly history?: readonly (string | PastHolder)[]
  }
}

/** Why an address is kept from everybody: an agent found another party using it. */
export interface Quarantine {
  /** Milliseconds since the epoch. */
  readonly since: number
  readonly until: number
  /** Of the other party, when it is known. */
  readonly mac?: string
  /** Who met it: the pod as `namespace/name`, its NIC and its node. */
  readonly pod: string
  readonly nic: string
  readonly node: string
}

/** One allocation that is over. */
export interface PastHolder {
  readonly ip: string
  readonly pod: string
  readonly podUid: string
  readonly nic: string
  readonly node: string
  /** Milliseconds since the epoch. */
  readonly since: number
  readonly until: number
}

/** Who owns one address. */
export interface BlockEntry {
  readonly pool: string
  readonly nic: string
  readonly owner: BlockOwner
  /** `namespace/name` of the pod now (or last) using the address. */
  readonly pod: string
  readonly podUid: string
  readonly node: string
  /** Set when one ADD took several addresses: the entry is held until all of them carry this id. */
  readonly intent?: { readonly id: string; readonly ips: readonly string[] }
  /** Sandboxes that use the address: none = detached; two only while a virtual machine migrates. */
  readonly attachments?: readonly Attachment[]
  /** Time of the allocation, milliseconds since the epoch. */
  readonly since: number
  /** The ADD that took the address: undoing that attempt frees it, undoing a later one only detaches it. */
  readonly createdBy?: { readonly containerId: string; readonly ifName: string }
  /** What the ADD was answered with: a repeat answers the same. */
  readonly grant: EntryGrant
  /** Where the allocation was found that another allocator made; gone when an ADD or a DEL of its pod has matched it. */
  readonly adopted?: AdoptedFrom
  /**
   * Others that are recorded as holders of the same address, by another allocator. As long as there are any the address is
   * contested: it outlives its owner, and goes to the first of them.
   */
  readonly claims?: readonly BlockEntry[]
  /** Members that a newer controller wrote beside these. */
  readonly unknown?: Readonly<Record<string, unknown>>
}

/** A record in `status.allocatedIPs` of a pool, or a SpiderEndpoint; the record counts when both were found. */
export type AdoptedFrom = 'record' | 'endpoint'

/** The owner: a pod by uid, or a sticky workload's replica by group, kind, uid and ordinal (or name). */
export type BlockOwner =
  | { readonly kind: 'pod'; readonly uid: string }
  | {
      readonly kind: 'sticky'
      readonly group: string
      readonly ownerKind: string
      readonly name: string
      readonly uid: string
      readonly replica: string
    }

export interface Attachment {
  readonly containerId: string
  readonly node: string
  readonly active: boolean
  /** The pod of the sandbox, when the entry's `pod` is that of a virtual machine or of a claim. */
  readonly podName?: string
  readonly podUid?: string
}

/** Snapshot of what the pool gave at allocation time (spec/ipam.md §9). */
export interface EntryGrant {
  readonly prefixBits: number
  readonly gateway?: string
  readonly routes?: readonly Route[]
  readonly cleanGateway?: boolean
  readonly vlan?: number
  readonly mac?: string
  readonly dns?: DnsSettings
  readonly metadata?: Readonly<Record<string, string>>
  /** The pod asked for this very address. */
  readonly isStatic?: true
  /** The NIC was given an address of each family: one alone is half of it. */
  readonly isDual?: true
}

/** spec/api.md §8; only the blocks that have a meaning here are typed. */
export interface SpiderMultusConfig extends KubeObject {
  readonly spec: {
    readonly cniType?: 'macvlan' | 'ipvlan' | 'vlan' | 'sriov' | 'ovs' | 'ib-sriov' | 'ipoib' | 'custom'
    readonly enableCoordinator?: boolean
    readonly disableIPAM?: boolean
    readonly chainCNIJsonData?: readonly string[]
    readonly customCNI?: string
    readonly coordinator?: SpiderCoordinator['spec']
    readonly macvlan?: MultusParentConfig
    readonly ipvlan?: MultusParentConfig
    readonly vlan?: MultusParentConfig & { readonly vlanMode?: 'manual' | 'auto' }
    readonly sriov?: Readonly<Record<string, unknown>>
    readonly ibsriov?: Readonly<Record<string, unknown>>
    readonly ipoib?: Readonly<Record<string, unknown>>
    readonly ovs?: Readonly<Record<string, unknown>>
  }
}

export interface MultusParentConfig {
  readonly master: readonly string[]
  readonly mtu?: number
  readonly vlanID?: number
  readonly bond?: { readonly name: string; readonly mode: number; readonly options?: string }
  readonly rdmaResourceName?: string
  readonly ippools?: MultusPools
}

export interface MultusPools {
  readonly ipv4?: readonly string[]
  readonly ipv6?: readonly string[]
  readonly matchMasterSubnet?: boolean
}

/** spec/api.md §9. */
export interface SpiderCoordinator extends KubeObject {
  readonly spec: {
    readonly mode?: 'auto' | 'underlay' | 'overlay' | 'disabled'
    readonly podCIDRType?: 'auto' | 'cluster' | 'calico' | 'cilium' | 'none'
    readonly hijackCIDR?: readonly string[]
    readonly policyRoutes?: readonly Route[]
    readonly podMACPrefix?: string
    readonly tunePodRoutes?: boolean
    readonly podDefaultRouteNIC?: string
    readonly hostRuleTable?: number
    readonly podRPFilter?: number
    readonly txQueueLen?: number
    readonly vethLinkAddress?: string
    readonly vethMTU?: number
  }
  readonly status?: {
    readonly phase: string
    readonly reason?: string
    readonly overlayPodCIDR?: readonly string[]
    readonly serviceCIDR?: readonly string[]
  }
}

/** NetworkAttachmentDefinition of k8s.cni.cncf.io/v1 (NPWG standard v1.3). */
export interface NetworkAttachmentDefinition extends KubeObject {
  readonly spec?: { readonly config?: string }
}
