/**
 * Resource types, validation and RPC contracts, and the one source of the CRD manifests. Pure: text and data in, data out.
 * Types to know: `SpiderIpPool`, `SpiderIpBlock`, `AllocateRequest`. This room does no I/O.
 */

export {
  type AccessRights,
  type AccessRule,
  type AccountName,
  accessRights,
  accountOf,
  leaderLeaseName,
  webhookConfigurationName,
  webhookConfigurationResources,
} from './access-rights.ts'
export {
  type AllocationRecord,
  type AllocationRecords,
  foreignText,
  readAllocationRecords,
} from './allocation-records.ts'
export * from './allocator-rpc.ts'
export { AnnotationError } from './annotation/annotation-error.ts'
export { type IpClaimChoice, parseIpClaim } from './annotation/ip-claim-choice.ts'
export { annotationKeys, applicationKeys, implementationLabel, labelKeys } from './annotation/keys.ts'
export { nicNameProblem } from './annotation/nic-name.ts'
export {
  type AskedIp,
  type ByNic,
  parseAskedIp,
  parsePodIps,
  parsePodMac,
  unicastMac,
} from './annotation/pod-addresses.ts'
export {
  type Attributes,
  joinDns,
  joinMetadata,
  type Metadata,
  mergeAttributes,
  parsePodDns,
  parsePodMetadata,
  parseRefreshAttributes,
  requirePoolAttributes,
} from './annotation/pod-attributes.ts'
export { type PodRoute, parsePodRoutes } from './annotation/pod-routes.ts'
export {
  type NicPoolChoice,
  type PoolChoice,
  parseDefaultRouteNic,
  parseIppool,
  parseIppools,
  parseNamespaceConfinement,
  parseNamespacePools,
  parseSubnetChoice,
  parseSubnetsChoice,
  requireNicChoice,
  unknownPoolKeys,
} from './annotation/pool-choice.ts'
export * from './core.ts'
export { crdManifests } from './crd/crd-manifests.ts'
export { crdLimits } from './crd/limits.ts'
export type { CrdManifest } from './crd/manifest.ts'
export { blockOfCniType } from './crd/multus-kind.ts'
export { shapeErrors } from './crd/shape-errors.ts'
export {
  defaultProductConfig,
  type ProductConfig,
  parseProductConfig,
} from './install/product-config.ts'
export {
  type ClaimedIp,
  type ClaimKind,
  type ClaimPhase,
  type ClaimRef,
  type ClaimWorkload,
  claimApiVersion,
  claimOfOwner,
  claimWorkloads,
  holderOf,
  type IpamClaim,
  isOfNamespace,
  ownerOfClaim,
  type SpiderIpClaim,
  type SpiderIpClaimStatus,
} from './ip-claim.ts'
export {
  isDnsSubdomain,
  isEmptySelector,
  isLabelKey,
  isLabelValue,
  type Labels,
  matchesSelector,
  selectorErrors,
} from './label-selector.ts'
export * from './meta.ts'
export { isAlive } from './pod-state.ts'
export {
  type AddressSpec,
  type AllocatedIp,
  cidrLabel,
  countForStatus,
  decodeAllocatedIps,
  encodeAllocatedIps,
  totalSetOf,
  versionOf,
} from './pool-addresses.ts'
export { type ResourceName, resources } from './resources.ts'
export * from './spider.ts'
export {
  climbOwner,
  controllerOf,
  type DirectOwner,
  directOwner,
  groupOf,
  isMachineEntry,
  type TopOwner,
  virtualMachineGroup,
} from './top-owner.ts'
export { controllerServerName, trustNames } from './trust-names.ts'
export { compileWildcard, expandPoolNames, isWildcard, wildcardLimit } from './wildcard.ts'
