import type { OwnerReference, SpiderIpPool, SpiderReservedIp } from '../../../src/api/index.ts'
import { annotationKeys, resources, type Workload } from '../../../src/api/index.ts'
import type { Wish } from './model.ts'
import type { World } from './world.ts'

export const namespace = 'default'

/** Addresses across the border of two blocks, fewer than pods want now and then. */
const poolAddresses: Readonly<Record<string, { readonly subnet: string; readonly ips: readonly string[] }>> =
  {
    v4: { subnet: '10.0.0.0/16', ips: [125, 126, 127, 128, 129, 130, 131].map((last) => `10.0.0.${last}`) },
    v6: {
      subnet: 'fd00::/64',
      ips: ['7c', '7d', '7e', '7f', '80', '81', '82', '83'].map((last) => `fd00::${last}`),
    },
    second: { subnet: '10.1.0.0/16', ips: [126, 127, 128, 129].map((last) => `10.1.0.${last}`) },
  }
export const poolNames: readonly string[] = Object.keys(poolAddresses)

/** What pods ask for: annotations, and what they must get. */
export interface Template {
  readonly annotations: Readonly<Record<string, string>>
  readonly wish: Wish
  /** Pools by NIC and family. */
  readonly pools: Readonly<Record<string, readonly string[]>>
}

export const templates: readonly Template[] = [
  {
    annotations: { [annotationKeys.ippool]: '{"ipv4":["v4"]}' },
    wish: { eth0: [4] },
    pools: { 'eth0 4': ['v4'] },
  },
  {
    annotations: { [annotationKeys.ippool]: '{"ipv4":["v4","second"],"ipv6":["v6"]}' },
    wish: { eth0: [4, 6] },
    pools: { 'eth0 4': ['v4', 'second'], 'eth0 6': ['v6'] },
  },
  {
    annotations: {
      [annotationKeys.ippools]:
        '[{"interface":"eth0","ipv4":["v4"],"ipv6":["v6"]},{"interface":"net1","ipv4":["second","v4"]}]',
      [annotationKeys.multusNetworks]: 'kube-system/second',
    },
    wish: { eth0: [4, 6], net1: [4] },
    pools: { 'eth0 4': ['v4'], 'eth0 6': ['v6'], 'net1 4': ['second', 'v4'] },
  },
]

/** Makes and changes the objects of the world as people and Kubernetes' own controllers do. */
export class ClusterObjects {
  readonly #world: World
  readonly #templates = new Map<string, Template>()
  #names = 0

  constructor(world: World) {
    this.#world = world
  }

  templateOf(uid: string): Template | undefined {
    return this.#templates.get(uid)
  }

  makePool(name: string): void {
    const { server } = this.#world
    const { subnet, ips } = poolAddresses[name] ?? { subnet: '', ips: [] }
    if (server.get(resources.ipPool, { name }) !== undefined) return
    server.create<SpiderIpPool>(resources.ipPool, { metadata: { name }, spec: { subnet, ips } })
  }

  /** Takes some addresses off a pool, or excludes some, or gives all back. */
  editPool(name: string): void {
    const { server, scheduler } = this.#world
    this.makePool(name)
    const all = poolAddresses[name]?.ips ?? []
    const some = all.filter(() => scheduler.chance(0.3))
    const spec = [
      { ips: all.filter((ip) => !some.includes(ip)), excludeIPs: null },
      { ips: all, excludeIPs: some },
      { ips: all, excludeIPs: null },
    ][scheduler.below(3)]
    server.patch(resources.ipPool, { name }, { spec })
  }

  editReservation(): void {
    const { server, scheduler } = this.#world
    const name = `reserved-${scheduler.below(2)}`
    const pool = poolAddresses[scheduler.pick(poolNames) ?? '']?.ips ?? []
    const ips = pool.filter(() => scheduler.chance(0.3))
    const ipVersion = pool[0]?.includes(':') === true ? 6 : 4
    if (server.get(resources.reservedIp, { name }) === undefined)
      server.create<SpiderReservedIp>(resources.reservedIp, { metadata: { name }, spec: { ipVersion, ips } })
    else if (scheduler.chance(0.5)) server.delete(resources.reservedIp, { name })
    else server.patch(resources.reservedIp, { name }, { spec: { ipVersion, ips } })
  }

  makeWorkload(kind: 'ReplicaSet' | 'StatefulSet', name: string, replicas: number): void {
    const { server, scheduler } = this.#world
    const resource = kind === 'ReplicaSet' ? resources.replicaSet : resources.statefulSet
    if (server.get(resource, { namespace, name }) !== undefined) return
    const made = server.create<Workload>(resource, { metadata: { namespace, name }, spec: { replicas } })
    const template = scheduler.pick(templates)
    if (template !== undefined) this.#templates.set(made.metadata.uid ?? '', template)
  }

  workloads(): readonly { readonly kind: 'ReplicaSet' | 'StatefulSet'; readonly object: Workload }[] {
    const { server } = this.#world
    return [
      ...server
        .list<Workload>(resources.replicaSet)
        .map((object) => ({ kind: 'ReplicaSet' as const, object })),
      ...server
        .list<Workload>(resources.statefulSet)
        .map((object) => ({ kind: 'StatefulSet' as const, object })),
    ]
  }

  scale(kind: 'ReplicaSet' | 'StatefulSet', name: string, replicas: number): void {
    const resource = kind === 'ReplicaSet' ? resources.replicaSet : resources.statefulSet
    this.#world.server.patch(resource, { namespace, name }, { spec: { replicas } })
  }

  deleteWorkload(kind: 'ReplicaSet' | 'StatefulSet', name: string): void {
    const resource = kind === 'ReplicaSet' ? resources.replicaSet : resources.statefulSet
    this.#world.server.delete(resource, { namespace, name })
  }

  /** A pod of nobody: its name may come again with another uid. */
  makeBarePod(name: string): void {
    const { server, scheduler } = this.#world
    const template = scheduler.pick(templates)
    if (template === undefined || server.get(resources.pod, { namespace, name }) !== undefined) return
    this.#makePod(name, template, {})
  }

  makeReplica(
    { kind, object }: { readonly kind: 'ReplicaSet' | 'StatefulSet'; readonly object: Workload },
    ordinal: number,
  ): void {
    const { name, uid = '' } = object.metadata
    const owner: OwnerReference = { apiVersion: 'apps/v1', kind, name, uid, controller: true }
    const isSet = kind === 'StatefulSet'
    const template = this.#templates.get(uid)
    if (template === undefined) return
    const podName = isSet ? `${name}-${ordinal}` : `${name}-x${++this.#names}`
    this.#makePod(podName, template, { owner, ...(isSet ? { sticky: { uid, ordinal } } : {}) })
  }

  #makePod(
    name: string,
    template: Template,
    {
      owner,
      sticky,
    }: {
      readonly owner?: OwnerReference
      readonly sticky?: { readonly uid: string; readonly ordinal: number }
    },
  ): void {
    const { server, scheduler, model, machines } = this.#world
    const machine = scheduler.pick([...machines.values()].filter(({ isOff }) => !isOff))
    if (machine === undefined) return
    const uid = `pod-uid-${++this.#names}`
    const { annotations, wish } = template
    model.addPod({ uid, key: `${namespace}/${name}`, wish, ...(sticky === undefined ? {} : { sticky }) })
    this.#templates.set(uid, template)
    server.create(resources.pod, {
      metadata: {
        namespace,
        name,
        uid,
        annotations,
        ...(owner === undefined ? {} : { ownerReferences: [owner] }),
      },
      spec: { nodeName: machine.node },
      status: { phase: 'Running' },
    } as never)
  }
}
