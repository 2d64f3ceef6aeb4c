// Objects as the reference project leaves them (fixtures/reference-objects.yaml), in any number: pods of StatefulSets and
// Deployments, both families, several NICs; endpoints with finalizer, owner and workload; records as one JSON text a pool.
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeObject, Pod, SpiderEndpoint, SpiderIpPool } from '../../src/api/index.ts'
import { resources, spiderFinalizer } from '../../src/api/index.ts'
import { ApiError, type KubeApi } from '../../src/kube/index.ts'
import { inParallel, repeat } from './leader-kit.ts'

const never = new AbortController().signal
const apiVersion = 'spiderpool.spidernet.io/v2beta1'
/** Requests at once while a cluster is made. */
const width = 24
/** By then a controller has seen that an object is going. */
const seenMs = 1_000

export interface ReferenceNic {
  readonly name: string
  readonly ipv4?: readonly [ip: string, pool: string]
  readonly ipv6?: readonly [ip: string, pool: string]
}

export interface ReferencePod {
  readonly namespace: string
  readonly name: string
  readonly nics: readonly ReferenceNic[]
  readonly workload: { readonly kind: string; readonly name: string }
}

/** Labels of the pods of the reference's agent. */
export const agentLabels = {
  'app.kubernetes.io/name': 'spiderpool',
  'app.kubernetes.io/component': 'spiderpool-agent',
} as const

/** Which parts the reference got to write. */
export type Parts = 'both' | 'record' | 'endpoint'

/** The endpoint that the agent of the reference writes for the pod. */
export function referenceEndpoint(pod: ReferencePod, uid: string, node = 'node1'): SpiderEndpoint {
  const { namespace, name, workload } = pod
  const isSticky = workload.kind === 'StatefulSet' || workload.kind === 'VirtualMachineInstance'
  const owner = [{ apiVersion: 'v1', kind: 'Pod', name, uid }]
  return {
    apiVersion,
    kind: 'SpiderEndpoint',
    metadata: {
      name,
      namespace,
      finalizers: [spiderFinalizer],
      ...(isSticky ? {} : { ownerReferences: owner }),
    },
    status: {
      current: {
        uid,
        node,
        ips: pod.nics.map(({ name: nic, ipv4, ipv6 }) => ({
          interface: nic,
          ...(ipv4 === undefined ? {} : { ipv4: `${ipv4[0]}/16`, ipv4Pool: ipv4[1] }),
          ...(ipv6 === undefined ? {} : { ipv6: `${ipv6[0]}/64`, ipv6Pool: ipv6[1] }),
          vlan: 0,
        })),
      },
      ownerControllerType: workload.kind,
      ownerControllerName: workload.name,
    },
  }
}

/** The records that the pods have in one pool. */
export function recordsOf(
  pool: string,
  pods: readonly { readonly pod: ReferencePod; readonly uid: string }[],
): ReadonlyMap<string, { readonly pod: string; readonly podUid: string }> {
  const records = pods.flatMap(({ pod, uid }) =>
    pod.nics
      .flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])
      .flatMap((one) =>
        one?.[1] === pool ? [[one[0], { pod: `${pod.namespace}/${pod.name}`, podUid: uid }] as const] : [],
      ),
  )
  return new Map(records)
}

/** `status.allocatedIPs` as Go's encoder writes it: keys in byte order, no white space. */
export function textOf(records: Iterable<readonly [string, object]>): string {
  const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${sorted.map(([ip, record]) => `${JSON.stringify(ip)}:${JSON.stringify(record)}`).join(',')}}`
}

/** A cluster that the reference ran on. */
export class ReferenceCluster {
  readonly #api: KubeApi

  constructor(api: KubeApi) {
    this.#api = api
  }

  async namespace(name: string): Promise<void> {
    await this.#create(resources.namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }

  async pool(name: string, subnet: string, ips: readonly string[]): Promise<SpiderIpPool> {
    const labels = { 'ipam.spidernet.io/ippool-cidr': subnet.replace(/[./:]/g, '-') }
    const spec = { subnet, ips, default: false, disable: false, ipVersion: subnet.includes(':') ? 6 : 4 }
    const metadata = { name, finalizers: [spiderFinalizer], labels }
    const pool: KubeObject & { readonly spec: object } = { apiVersion, kind: 'SpiderIPPool', metadata, spec }
    return this.#create(resources.ipPool, pool)
  }

  /** Writes the status of a pool whole, as the reference does: what it does not know of goes. */
  async writeRecords(pool: string, text: string | undefined): Promise<void> {
    for (let tries = 20; ; tries--) {
      const found = await this.#api.get<SpiderIpPool>(resources.ipPool, { name: pool }, never)
      const { resourceVersion } = found?.metadata ?? {}
      const { totalIPCount = 0 } = found?.status ?? {}
      const status = {
        totalIPCount,
        allocatedIPCount: 1,
        ...(text === undefined ? {} : { allocatedIPs: text }),
      }
      const path = `/apis/${apiVersion}/spiderippools/${pool}/status`
      try {
        await this.#api.request(
          'PUT',
          path,
          { ...found, metadata: { ...found?.metadata, resourceVersion }, status },
          never,
        )
        return
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 409 || tries === 0) throw error
      }
    }
  }

  /** Creates a pod. @returns its uid */
  async createPod(
    { namespace, name }: { readonly namespace: string; readonly name: string },
    more: Partial<Pod['metadata']> = {},
    moreSpec: Partial<Pod['spec']> = {},
  ): Promise<string> {
    const spec = {
      nodeName: 'node1',
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'pause', image: 'pause' }],
      ...moreSpec,
    }
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, ...more }, spec }
    // The ServiceAccount of a new namespace comes a moment later.
    const created = await repeat(() => this.#create<Pod>(resources.pod, pod))
    return created.metadata.uid ?? ''
  }

  /** Creates a pod of the reference's agent, with a DaemonSet of its name that controls it. */
  async runAgent(namespace: string, name: string): Promise<void> {
    const labels = agentLabels
    // Of no node: its controller may see it before it goes, and must make no pods of its own beside that of the test.
    const podSpec = {
      nodeSelector: { 'example.org/none': 'true' },
      containers: [{ name: 'agent', image: 'pause' }],
    }
    const template = { metadata: { labels }, spec: podSpec }
    const daemonSet: KubeObject & { readonly spec: object } = {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name, namespace, finalizers: ['example.org/held-by-test'] },
      spec: { selector: { matchLabels: labels }, template },
    }
    const { uid = '' } = (await this.#create(resources.daemonSet, daemonSet)).metadata
    // It is there, so that its pod is not collected; it is going, so that its controller leaves the pod to the test.
    await this.#api.delete(resources.daemonSet, { name, namespace }, {}, never)
    await sleep(seenMs)
    const owner = { apiVersion: 'apps/v1', kind: 'DaemonSet', name, uid, controller: true }
    await this.createPod({ namespace, name }, { labels, ownerReferences: [owner] }, { hostNetwork: true })
  }

  /** Ends what {@link runAgent} made. */
  async stopAgent(namespace: string, name: string): Promise<void> {
    await this.deletePod(`${namespace}/${name}`)
    const body = { metadata: { finalizers: null } }
    await this.#api.patch(resources.daemonSet, { name, namespace }, { type: 'merge', body }, never)
  }

  async deletePod(pod: string): Promise<void> {
    const [namespace = '', name = ''] = pod.split('/')
    await this.#api.delete(resources.pod, { namespace, name }, { gracePeriodSeconds: 0 }, never)
  }

  /** Creates pods with what the reference wrote for each, and the records of all their pools. @returns uids by pod */
  async run(
    pods: readonly (ReferencePod & { readonly parts?: Parts })[],
  ): Promise<ReadonlyMap<string, string>> {
    const uids = new Map<string, string>()
    await inParallel(pods, width, async (pod) => {
      const uid = await this.createPod(pod)
      uids.set(`${pod.namespace}/${pod.name}`, uid)
      if (pod.parts !== 'record') await this.#create(resources.endpoint, referenceEndpoint(pod, uid))
    })
    const known = pods.filter(({ parts }) => parts !== 'endpoint')
    const recorded = known.map((pod) => ({ pod, uid: uids.get(`${pod.namespace}/${pod.name}`) ?? '' }))
    const pools = new Set(known.flatMap(({ nics }) => nics.flatMap((nic) => [nic.ipv4?.[1], nic.ipv6?.[1]])))
    for (const pool of pools) {
      if (pool !== undefined) await this.writeRecords(pool, textOf(recordsOf(pool, recorded)))
    }
    return uids
  }

  async createEndpoint(endpoint: SpiderEndpoint): Promise<void> {
    await this.#create(resources.endpoint, endpoint)
  }

  #create<T extends KubeObject>(resource: (typeof resources)['pod'], object: KubeObject): Promise<T> {
    return this.#api.create<T>(resource, object as T, never)
  }
}
