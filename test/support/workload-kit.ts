// An API server with workload controllers, in this process or the real ones, and a stand-in for kubelets that makes no sandboxes.
import assert from 'node:assert/strict'
import { type KubeObject, type Pod, type Resource, resources } from '../../src/api/index.ts'
import { silentLogger } from '../../src/base/index.ts'
import {
  createCache,
  createQueue,
  type KubeApi,
  type KubeCache,
  KubeClient,
  loadKubeconfig,
  type Queue,
} from '../../src/kube/index.ts'
import { startWorkloadControllers, type WorkloadControllers } from '../../src/lab/index.ts'
import { type BareServer, startBareServer } from './bare-server.ts'
import { readState } from './control-plane/control-plane.ts'
import { serverUnderTest } from './server-under-test.ts'

const lookEveryMs = 30
const forever = new AbortController().signal
/** A node whose lease is older than 40 s counts as lost. */
const heartbeatMs = 8_000

/** What a test has to do with. */
export class WorkloadKit {
  readonly api: KubeApi
  readonly server: BareServer
  readonly #nodes: string[] = []
  readonly #heart: NodeJS.Timeout
  readonly #client: KubeClient
  readonly #kubelets: StandInKubelets
  #controllers: WorkloadControllers | undefined

  private constructor(server: BareServer, client: KubeClient) {
    this.server = server
    this.#heart = setInterval(() => {
      Promise.all(this.#nodes.map((node) => this.#beat(node))).catch((error: unknown) => {
        process.stderr.write(`leases of nodes not renewed: ${String(error)}\n`)
      })
    }, heartbeatMs)
    this.#client = client
    this.api = client
    this.#kubelets = new StandInKubelets(client)
  }

  static async start(nodes: readonly string[]): Promise<WorkloadKit> {
    const server = await startBareServer()
    const kit = new WorkloadKit(server, new KubeClient(await loadKubeconfig(server.kubeconfig)))
    for (const node of nodes) await kit.addNode(node)
    kit.startControllers()
    return kit
  }

  /** Of a real control plane they run already, or come again by themselves. */
  startControllers(): void {
    if (serverUnderTest === 'real') return
    this.#controllers = startWorkloadControllers(this.api, silentLogger, forever)
  }

  async stopControllers(): Promise<void> {
    const { 'kube-controller-manager': pid } = readState(this.server.dir)?.pids ?? {}
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
    await this.#controllers?.close()
    this.#controllers = undefined
  }

  /** Pods whose name matches are not made ready from now on. */
  holdBack(pattern: RegExp | undefined): void {
    this.#kubelets.holdBack(pattern)
  }

  async addNode(name: string): Promise<void> {
    const ready = { type: 'Ready', status: 'True' }
    await this.create(resources.node, {
      metadata: { name, labels: { 'kubernetes.io/hostname': name } },
      status: { conditions: [ready], allocatable: { pods: '500' } },
    })
    await this.create(resources.lease, {
      metadata: { name, namespace: 'kube-node-lease' },
      spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTime() },
    })
    this.#nodes.push(name)
    // A real server taints what is new until its controllers have seen that it is ready.
    await eventually(`node ${name} takes pods`, async () => {
      const node = await this.api.get<KubeObject & { spec?: { taints?: unknown[] } }>(
        resources.node,
        { name },
        forever,
      )
      return (node?.spec?.taints ?? []).length === 0 ? true : undefined
    })
  }

  async #beat(name: string): Promise<void> {
    const ref = { name, namespace: 'kube-node-lease' }
    await this.api.patch(
      resources.lease,
      ref,
      { type: 'merge', body: { spec: { renewTime: microTime() } } },
      forever,
    )
  }

  create(resource: Resource, object: KubeObject & Readonly<Record<string, unknown>>): Promise<KubeObject> {
    const apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
    return this.api.create<KubeObject>(resource, { apiVersion, kind: resource.kind, ...object }, forever)
  }

  async pods(app: string, namespace = 'default'): Promise<readonly Pod[]> {
    const query = { namespace, labelSelector: `app=${app}` }
    const { items } = await this.api.listAll<Pod>(resources.pod, query, forever)
    return items.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  }

  /** Merges a change into an object. */
  async change(resource: Resource, name: string, body: object, namespace = 'default'): Promise<void> {
    const ref = resource.namespaced ? { name, namespace } : { name }
    await this.api.patch(resource, ref, { type: 'merge', body }, forever)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heart)
    await this.#controllers?.close()
    await this.#kubelets.close()
    await this.#client.close()
    await this.server.close()
  }
}

const microTime = (): string => new Date().toISOString().replace('Z', '000Z')

/** Waits until `look` gives a value; says what it saw last when that does not happen. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined>,
  withinMs = serverUnderTest === 'real' ? 60_000 : 15_000,
): Promise<T> {
  const endMs = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    assert.ok(performance.now() < endMs, `not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}

/** Sets bound pods to running, and confirms the deletion of those that are going. */
class StandInKubelets {
  readonly #api: KubeApi
  readonly #cache: KubeCache<Pod>
  readonly #queue: Queue<string>
  #held: RegExp | undefined

  constructor(api: KubeApi) {
    this.#api = api
    this.#cache = createCache<Pod>(api, resources.pod, {}, silentLogger)
    const handle = async (key: string, signal: AbortSignal) => {
      await this.#sync(key, signal)
      return 'settled' as const
    }
    this.#queue = createQueue<string>({ handle, concurrency: 8, deadlineMs: 10_000 }, silentLogger)
    this.#cache.onChange((_old, now) => {
      if (now !== undefined) this.#queue.add(`${now.metadata.namespace}/${now.metadata.name}`)
    })
  }

  holdBack(pattern: RegExp | undefined): void {
    this.#held = pattern
    for (const { metadata } of this.#cache.values()) this.#queue.add(`${metadata.namespace}/${metadata.name}`)
  }

  async #sync(key: string, signal: AbortSignal): Promise<void> {
    const [namespace = '', name = ''] = key.split('/')
    const ref = { namespace, name }
    const pod = this.#cache.get(ref)
    if (pod?.spec?.nodeName === undefined) return
    if (pod.metadata.deletionTimestamp !== undefined) {
      const { uid = '' } = pod.metadata
      await this.#api.delete(resources.pod, ref, { gracePeriodSeconds: 0, uid }, signal)
      return
    }
    const isDone = pod.spec.restartPolicy === 'Never'
    const phase = isDone ? 'Succeeded' : 'Running'
    if (pod.status?.phase === phase || this.#held?.test(name) === true) return
    const ready = {
      type: 'Ready',
      status: isDone ? 'False' : 'True',
      lastTransitionTime: new Date().toISOString(),
    }
    const body = { status: { phase, conditions: [ready] } }
    await this.#api.patch(resources.pod, ref, { type: 'merge', body, subresource: 'status' }, signal)
  }

  async close(): Promise<void> {
    await this.#queue.close(AbortSignal.timeout(1000))
    await this.#cache.close()
  }
}
