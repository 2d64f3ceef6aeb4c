/**
 * Resource types, validation and RPC contracts, and the one source of the CRD manifests. Pure: text and data in, data out.
 * Types to know: `SpiderIpPool`, `SpiderIpBlock`, `AllocateRequest`. This room does no I/O.
 */
export * from './allocator-rpc.ts'
export * from './core.ts'
export { crdManifests } from './crd/crd-manifests.ts'
export { crdLimits } from './crd/limits.ts'
export type { CrdManifest } from './crd/manifest.ts'
export { blockOfCniType } from './crd/multus-kind.ts'
export * from './meta.ts'
export { type ResourceName, resources } from './resources.ts'
export * from './spider.ts'
