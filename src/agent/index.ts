/**
 * The daemon of one node: answers the CNI plugins over its socket, keeps a journal of what it set up, asks the controller
 * for addresses and attaches pods to their networks.
 * Types to know: `AgentOptions`, `Allocator`, `Namespaces`. This room never chooses an address and never watches the cluster.
 */

export { type Agent, type AgentOptions, type AgentPorts, AgentStartError, startAgent } from './agent.ts'
export { type AgentFlags, agentUsage, parseAgentFlags, withAgentConfig } from './agent-flags.ts'
export { type FarewellOptions, removeConfAtUninstall } from './farewell.ts'
export type { MetaDefaults } from './meta/meta-config.ts'
export { machineNamespaces } from './namespaces.ts'
export {
  InstallError,
  type InstallOptions,
  installPlugins,
  metaNetworkName,
  metaNetworkText,
  type PluginName,
  pluginNames,
} from './plugin-installer.ts'
export type { Allocator, DefaultRouteChange, Namespaces } from './ports.ts'
export { readAuthorities } from './read-authorities.ts'
export {
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  maxRequestBytes,
  type PluginAnswer,
  type PluginRequest,
  requestLength,
} from './socket/frame.ts'
