import type {
  AllocateRequest,
  IpVersion,
  Labels,
  Namespace,
  Node,
  Pod,
  SpiderIpPool,
  TopOwner,
} from '../../api/index.ts'

type Texts = Readonly<Record<string, string>>

/** What addresses are wanted for: the pools of one NIC and family are judged together. */
export interface Wanted {
  readonly nic: string
  readonly version: IpVersion
}

/** All that pool selection looks at, collected beforehand. */
export interface SelectionInput {
  readonly pod: {
    readonly namespace: string
    readonly name: string
    readonly labels: Labels
    readonly annotations: Texts
    /** The workload on top, read afresh; needed only when a pool is for one application. */
    readonly owner?: TopOwner
  }
  /** Set for a claim, which has no pod and perhaps no NIC: its spec.ippools, in place of the pod's annotations. */
  readonly claimPools?: { readonly ipv4: readonly string[]; readonly ipv6: readonly string[] }
  readonly node: { readonly name: string; readonly labels: Labels }
  readonly namespace: { readonly name: string; readonly labels: Labels; readonly annotations: Texts }
  readonly request: {
    readonly nic: string
    readonly defaultIpv4Pools: readonly string[]
    readonly defaultIpv6Pools: readonly string[]
    readonly cleanGateway: boolean
    /** `match_master_subnet`: addresses of the interface behind the NIC, in CIDR text; absent: it does not matter. */
    readonly masterAddresses?: readonly string[]
    /** Why there are none. */
    readonly masterProblem?: string
  }
  /** All pools by name. A map that is another one when something changed saves work. */
  readonly pools: ReadonlyMap<string, SpiderIpPool>
  /** Pools that hand out nothing new, and why. */
  readonly blockedPools?: ReadonlyMap<string, string>
  /** Families that the cluster hands out. */
  readonly versions: readonly IpVersion[]
  /** NICs of the pod that get addresses from here, in the order of the pod's networks. */
  readonly nics: readonly string[]
  /** `namespace/name` of the NetworkAttachmentDefinition of a NIC; undefined when none can be found. */
  readonly nadOf: (nic: string) => string | undefined
  /** Namespace of the entries of spec.multusName that name none. */
  readonly installNamespace: string
}

/** What of the cluster the selection looks at, beside the objects of the pod. */
export type SelectionWorld = Pick<
  SelectionInput,
  'pools' | 'blockedPools' | 'versions' | 'nics' | 'nadOf' | 'installNamespace'
>

/** What is selected for. `owner`: the workload on top of the pod, proven; needed when a pool is for one application. */
export interface SelectionObjects {
  readonly pod: Pod
  readonly node: Node
  readonly namespace: Namespace
  readonly owner?: TopOwner | undefined
}

/** The input for one NIC of a pod: the same for the allocator, and for who asks what it would do. */
export function selectionInputOf(
  { pod, node, namespace, owner }: SelectionObjects,
  request: Pick<
    AllocateRequest,
    'ifName' | 'defaultIpv4Pools' | 'defaultIpv6Pools' | 'cleanGateway' | 'masterAddresses' | 'masterProblem'
  >,
  world: SelectionWorld,
): SelectionInput {
  const { labels = {}, annotations = {}, name } = pod.metadata
  return {
    ...world,
    pod: {
      namespace: namespace.metadata.name,
      name,
      labels,
      annotations,
      ...(owner === undefined ? {} : { owner }),
    },
    node: { name: node.metadata.name, labels: node.metadata.labels ?? {} },
    namespace: {
      name: namespace.metadata.name,
      labels: namespace.metadata.labels ?? {},
      annotations: namespace.metadata.annotations ?? {},
    },
    request: {
      nic: request.ifName,
      defaultIpv4Pools: request.defaultIpv4Pools,
      defaultIpv6Pools: request.defaultIpv6Pools,
      cleanGateway: request.cleanGateway,
      ...(request.masterAddresses === undefined ? {} : { masterAddresses: request.masterAddresses }),
      ...(request.masterProblem === undefined ? {} : { masterProblem: request.masterProblem }),
    },
  }
}
