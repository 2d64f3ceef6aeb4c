/**
 * Which networks a pod gets, under which names, with which CNI configuration, and what its status says of them;
 * SpiderMultusConfig to NetworkAttachmentDefinition. Pure: objects and texts in, plans and texts out.
 * Types to know: `NetworkSelection`, `PlannedAttachment`, `NetworkStatus`. This room runs nothing and reads no cluster.
 */
export {
  type AttachmentRequest,
  type NamespaceIsolation,
  type PlannedAttachment,
  planAttachments,
  requestedArgs,
  requestedCapabilities,
  requireCapabilities,
} from './attachment-plan.ts'
export {
  type DefaultRoutePlan,
  isDefaultDestination,
  planDefaultRoutes,
  type RoutedAttachment,
} from './default-routes.ts'
export { nadNameAnnotation, nadNameOf, renderNetworkAttachment } from './multus-config.ts'
export { configOfNad, type NadConfig, withPluginExtras } from './nad-config.ts'
export {
  type Bandwidth,
  defaultNetworkAnnotation,
  type NetworkSelection,
  networksAnnotation,
  type PortMapping,
  parseNetworkSelections,
} from './network-selection.ts'
export {
  type AttachmentResult,
  buildNetworkStatus,
  type NetworkStatus,
  networkStatusAnnotation,
  type StatusSource,
} from './network-status.ts'
export {
  type NetworkSource,
  type NicRequest,
  ourIpamIn,
  type PodNetworks,
  podNetworks,
} from './pod-networks.ts'
