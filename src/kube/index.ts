/**
 * The Kubernetes API server: a client, list-and-watch caches, a work queue and leader election.
 * Types to know: `KubeApi`, `KubeCache`, `ApiError`. What a cache holds is a hint; this room must never tell its users
 * more than the server said, nor repeat a write that may have been carried out.
 */
export {
  type Credentials,
  inClusterConfig,
  type KubeAccess,
  staticAccess,
  type TlsMaterial,
} from './access/access.ts'
export { ExecCredentialError } from './access/exec-credential.ts'
export { type KubeconfigOptions, loadKubeconfig, readYamlFile } from './access/kubeconfig.ts'
export { ApiError, type ApiFailure, type ApiReason } from './api-error.ts'
export { type CacheOptions, type CacheTiming, createCache } from './cache.ts'
export { type ElectionHandlers, type ElectionOptions, elect, type Term } from './elector.ts'
export {
  createEventRecorder,
  type EventRecorder,
  type EventSource,
  type EventSubject,
} from './event-recorder.ts'
export { findByName } from './find-by-name.ts'
export type {
  CacheStats,
  KubeApi,
  KubeCache,
  KubeList,
  ListAllOptions,
  ListOptions,
  ObjectRef,
  PatchType,
  WatchEvent,
  WatchOptions,
} from './kube-api.ts'
export { KubeClient, type KubeClientOptions } from './kube-client.ts'
export { createQueue, type Queue, type QueueOptions, type QueueStats, type Requeue } from './queue.ts'
export type { CallTimeouts } from './wire/caller.ts'
export { collectionPath, objectPath } from './wire/paths.ts'
export { apiVersionOf } from './wire/replies.ts'
export { formatYaml, parseYamlDocuments } from './yaml.ts'
