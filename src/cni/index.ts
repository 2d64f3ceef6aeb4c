/**
 * The CNI protocol on both sides: checked plugin requests, results of all versions, error codes; network lists and a
 * runner that executes them as a container runtime does.
 * Types to know: `CniRequest`, `NetworkList`, `Runner`. This room knows neither Kubernetes nor who owns an address.
 */
export { CniError, type CniErrorObject, type CniErrorParts } from './cni-error.ts'
export { syncFolder, writeDurably } from './durable-file.ts'
export {
  type AttachmentEnvironment,
  type CniCommand,
  type CniEnvironment,
  type Environment,
  type NodeEnvironment,
  parseContainerId,
  parseEnvironment,
  parseIfName,
  parseNetworkName,
} from './environment.ts'
export { asCniCode, cniCodes, cniErrorObject } from './error-codes.ts'
export { type IpamConfig, parseIpamConfig } from './ipam-config.ts'
export { KeyedLock } from './keyed-lock.ts'
export {
  findDefaultNetworkList,
  findNetworkList,
  type ListPlugin,
  type NetworkList,
  parseNetworkList,
} from './network-list.ts'
export {
  type AttachmentId,
  type CniRequest,
  type PluginConfig,
  parsePluginConfig,
  parseRequest,
} from './request.ts'
export {
  type CniDns,
  type CniInterface,
  type CniIp,
  type CniResult,
  type CniRoute,
  convertResult,
  parseResult,
} from './result.ts'
export type { CachedAttachment } from './result-cache.ts'
export { createRunner, type Runner, type RunnerOptions, type RuntimeAttachment } from './runner.ts'
export {
  type CniVersion,
  isAtLeast,
  isResultVersion,
  isSupported,
  type ResultVersion,
  supportedVersions,
} from './versions.ts'
