import type { SpiderIpPool } from '../../api/index.ts'
import type { SelectionInput } from '../select/selection-input.ts'

/** A pool of 10.6.0.0/16, or of fd00::/64 when it says that it is of IPv6. */
export function aPool(
  name: string,
  spec: Partial<SpiderIpPool['spec']> = {},
  metadata: Partial<SpiderIpPool['metadata']> = {},
): SpiderIpPool {
  return {
    metadata: { name, ...metadata },
    spec: { subnet: spec.ipVersion === 6 ? 'fd00::/64' : '10.6.0.0/16', ...spec },
  }
}

/** What a pod default/web (app=web) on node1 (zone=a) is selected for, in a namespace of team=x. */
export function anInput(
  pools: readonly SpiderIpPool[],
  request: Partial<SelectionInput['request']> = {},
): SelectionInput {
  return {
    pod: { namespace: 'default', name: 'web', labels: { app: 'web' }, annotations: {} },
    node: { name: 'node1', labels: { zone: 'a' } },
    namespace: { name: 'default', labels: { team: 'x' }, annotations: {} },
    request: { nic: 'eth0', defaultIpv4Pools: [], defaultIpv6Pools: [], cleanGateway: false, ...request },
    pools: new Map(pools.map((pool) => [pool.metadata.name, pool])),
    versions: [4, 6],
    nics: ['eth0'],
    nadOf: () => 'kube-system/macvlan-ens192',
    installNamespace: 'kube-system',
  }
}
