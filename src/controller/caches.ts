import {
  type IpamClaim,
  type KubeObject,
  type Namespace,
  type NetworkAttachmentDefinition,
  type Node,
  type Pod,
  resources,
  type SpiderCoordinator,
  type SpiderIpClaim,
  type SpiderIpPool,
  type SpiderMultusConfig,
  type SpiderReservedIp,
  type SpiderSubnet,
} from '../api/index.ts'
import type { Clock, Logger, Random } from '../base/index.ts'
import { createCache, type KubeApi, type KubeCache } from '../kube/index.ts'
import { trimPod } from './known-pod.ts'

/** What the controller watches. All of it is a hint: what frees or convicts reads afresh. */
export interface Caches {
  readonly pools: KubeCache<SpiderIpPool>
  readonly subnets: KubeCache<SpiderSubnet>
  readonly coordinators: KubeCache<SpiderCoordinator>
  readonly reservedIps: KubeCache<SpiderReservedIp>
  readonly multusConfigs: KubeCache<SpiderMultusConfig>
  readonly ipClaims: KubeCache<SpiderIpClaim>
  /** Empty while the cluster has no such kind. */
  readonly ipamClaims: KubeCache<IpamClaim>
  readonly networkAttachments: KubeCache<NetworkAttachmentDefinition>
  readonly namespaces: KubeCache<Namespace>
  readonly nodes: KubeCache<Node>
  readonly pods: KubeCache<Pod>
  synced(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** Opens all caches; they fill in the background. */
export function openCaches(
  api: KubeApi,
  logger: Logger,
  timing: { readonly clock?: Clock; readonly random?: Random } = {},
): Caches {
  const plain = { trim: withoutManagedFields, ...timing }
  const caches = {
    pools: createCache<SpiderIpPool>(api, resources.ipPool, plain, logger),
    subnets: createCache<SpiderSubnet>(api, resources.subnet, plain, logger),
    coordinators: createCache<SpiderCoordinator>(api, resources.coordinator, plain, logger),
    reservedIps: createCache<SpiderReservedIp>(api, resources.reservedIp, plain, logger),
    multusConfigs: createCache<SpiderMultusConfig>(api, resources.multusConfig, plain, logger),
    ipClaims: createCache<SpiderIpClaim>(api, resources.ipClaim, plain, logger),
    ipamClaims: createCache<IpamClaim>(api, resources.ipamClaim, { ...plain, mayBeAbsent: true }, logger),
    networkAttachments: createCache<NetworkAttachmentDefinition>(
      api,
      resources.networkAttachmentDefinition,
      plain,
      logger,
    ),
    namespaces: createCache<Namespace>(api, resources.namespace, plain, logger),
    nodes: createCache<Node>(api, resources.node, { trim: trimNode, ...timing }, logger),
    pods: createCache<Pod>(api, resources.pod, { trim: trimPod, ...timing }, logger),
  }
  const all: readonly KubeCache<KubeObject>[] = Object.values(caches)
  return {
    ...caches,
    async synced(signal) {
      await Promise.all(all.map((cache) => cache.synced(signal)))
    },
    async close() {
      await Promise.all(all.map((cache) => cache.close()))
    },
  }
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata as T['metadata'] & { managedFields?: unknown }
  return { ...object, metadata }
}

function trimNode({ metadata, spec }: Node): Node {
  return { ...withoutManagedFields({ metadata }), ...(spec === undefined ? {} : { spec }) }
}
