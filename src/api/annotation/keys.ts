/** Names of annotations and labels (spec/api.md §10). */
export const annotationKeys = {
  subnets: 'ipam.spidernet.io/subnets',
  subnet: 'ipam.spidernet.io/subnet',
  ippools: 'ipam.spidernet.io/ippools',
  ippool: 'ipam.spidernet.io/ippool',
  routes: 'ipam.spidernet.io/routes',
  /** Addresses that the pod, or the replicas of its workload, shall have. */
  ips: 'ipam.spidernet.io/ips',
  mac: 'ipam.spidernet.io/mac',
  dns: 'ipam.spidernet.io/dns',
  metadata: 'ipam.spidernet.io/metadata',
  /** `"true"`: the new pod of a sticky owner gets gateway, routes and attributes as its pools have them now. */
  refreshAttributes: 'ipam.spidernet.io/refresh-attributes',
  /** SpiderIPClaim that the pod's addresses come from. */
  ipClaim: 'ipam.spidernet.io/ip-claim',
  defaultRouteNic: 'ipam.spidernet.io/default-route-nic',
  namespaceIpv4Pools: 'ipam.spidernet.io/default-ipv4-ippool',
  namespaceIpv6Pools: 'ipam.spidernet.io/default-ipv6-ippool',
  /** On a namespace: the only pools that its pods may use. */
  namespaceConfinement: 'ipam.spidernet.io/confined-to-ippools',
  multusDefaultNetwork: 'v1.multus-cni.io/default-network',
  multusNetworks: 'k8s.v1.cni.cncf.io/networks',
  multusNetworkStatus: 'k8s.v1.cni.cncf.io/network-status',
  multusResourceName: 'k8s.v1.cni.cncf.io/resourceName',
  multusCrName: 'multus.spidernet.io/cr-name',
  multusCniVersion: 'multus.spidernet.io/cni-version',
  multusConfigName: 'cni.spidernet.io/cniconfig-name',
  /** On a launcher pod of KubeVirt: the migration that it is the target of. */
  kubevirtMigration: 'kubevirt.io/migrationJobName',
  rdmaResourceInject: 'cni.spidernet.io/rdma-resource-inject',
  networkResourceInject: 'cni.spidernet.io/network-resource-inject',
  /** On a SpiderEndpoint that we wrote: digest of the addresses it shows. */
  endpointView: 'spiderpool.spidernet.io/endpoint-view',
  /** On a pool: digest of an unreadable `status.allocatedIPs` that may be overwritten. */
  discardAllocatedIps: 'spiderpool.spidernet.io/discard-allocated-ips',
} as const

/** What pods of our own agent and controller carry: those of the reference have the same other labels, and lack this. */
export const implementationLabel = {
  key: 'spiderpool.spidernet.io/implementation',
  value: 'typescript',
} as const

/** Labels that the system writes on pools and subnets. */
export const labelKeys = {
  poolCidr: 'ipam.spidernet.io/ippool-cidr',
  subnetCidr: 'ipam.spidernet.io/subnet-cidr',
  /** On a launcher pod of KubeVirt: uid of the migration that it is the target of. */
  kubevirtMigrationUid: 'kubevirt.io/migrationJobUID',
  ownerSubnet: 'ipam.spidernet.io/owner-spider-subnet',
  ownerApplicationGv: 'ipam.spidernet.io/owner-application-gv',
  ownerApplicationKind: 'ipam.spidernet.io/owner-application-kind',
  ownerApplicationNamespace: 'ipam.spidernet.io/owner-application-namespace',
  /** Its presence makes a pool an auto-created one. */
  ownerApplicationName: 'ipam.spidernet.io/owner-application-name',
  ownerApplicationUid: 'ipam.spidernet.io/owner-application-uid',
} as const

/** Match labels in the pod affinity of an auto-created pool; compared with the pod's top owner, not with its labels. */
export const applicationKeys = {
  group: 'ipam.spidernet.io/app-api-group',
  version: 'ipam.spidernet.io/app-api-version',
  kind: 'ipam.spidernet.io/app-kind',
  namespace: 'ipam.spidernet.io/app-namespace',
  name: 'ipam.spidernet.io/app-name',
} as const
