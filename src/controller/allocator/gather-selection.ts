import type { AllocateRequest, Pod } from '../../api/index.ts'
import type { SelectionInput } from '../../ledger/index.ts'
import { NotReadyError } from './errors.ts'
import type { AllocatorWorld } from './world.ts'

/** All that the selection of pools looks at. @throws {NotReadyError} when the node or the namespace is not there */
export async function gatherSelection(
  world: AllocatorWorld,
  { pod, node: nodeName }: { readonly pod: Pod; readonly node: string },
  request: AllocateRequest,
  signal: AbortSignal,
): Promise<SelectionInput> {
  const namespaceName = pod.metadata.namespace ?? ''
  const [namespace, node] = await Promise.all([
    world.namespace(namespaceName, signal),
    world.node(nodeName, signal),
  ])
  if (namespace === undefined || node === undefined) {
    const missing = namespace === undefined ? `Namespace "${namespaceName}"` : `Node "${nodeName}"`
    throw new NotReadyError(
      `Cannot allocate for pod "${pod.metadata.name}": ${missing} is not there`,
      'Repeat the request',
    )
  }
  const { nics, nadOf } = world.networksOf(pod)
  const { labels = {}, annotations = {}, name } = pod.metadata
  return {
    pod: { namespace: namespaceName, name, labels, annotations },
    node: { name: nodeName, labels: node.metadata.labels ?? {} },
    namespace: {
      name: namespaceName,
      labels: namespace.metadata.labels ?? {},
      annotations: namespace.metadata.annotations ?? {},
    },
    request: {
      nic: request.ifName,
      defaultIpv4Pools: request.defaultIpv4Pools,
      defaultIpv6Pools: request.defaultIpv6Pools,
      cleanGateway: request.cleanGateway,
    },
    pools: world.pools(),
    blockedPools: world.blockedPools,
    versions: world.versions,
    nics,
    nadOf,
    installNamespace: world.installNamespace,
  }
}
