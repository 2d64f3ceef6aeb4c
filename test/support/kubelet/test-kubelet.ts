// Runs the pods of one node of a real control plane as processes: images' file systems, the pod's own user, capabilities, mounts,
// tokens and environment, in the network namespace of the node.
import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { resources } from '../../../src/api/index.ts'
import type { KubeApi } from '../../../src/kube/index.ts'
import { registerNode, renewNodeLease } from '../../../src/lab/node/register-node.ts'
import { type Container, startContainer } from '../images/container.ts'
import { type ContainerSpec, commandOf, mountsOf, type PodPlace, type TestPod } from './pod-parts.ts'

/** An image as this kubelet knows it: `docker pull` is out of reach. */
export interface TestImage {
  readonly rootfs: string
  readonly entrypoint: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface KubeletOptions {
  readonly api: KubeApi
  readonly node: string
  readonly ip: string
  /** Network namespace of the node. */
  readonly netns: string
  readonly dir: string
  /** By the last part of the image's name, without tag. */
  readonly images: Readonly<Record<string, TestImage>>
  /** Variables of the Services of a namespace, as they are now. */
  readonly serviceEnv: (namespace: string) => Promise<Readonly<Record<string, string>>>
}

const lookEveryMs = 300
const leaseEveryMs = 10_000

interface Running {
  readonly pod: TestPod
  readonly container: Container
  isReady: boolean
}

/** The kubelet of one node. */
export class TestKubelet {
  readonly #options: KubeletOptions
  readonly #running = new Map<string, Running>()
  /** Pods of Jobs that ended: they are not started again. */
  readonly #over = new Set<string>()
  /** What pods wrote, by name, also of those that ended. */
  readonly outputs = new Map<string, string>()
  readonly #stop = new AbortController()
  #loop: Promise<void> = Promise.resolve()
  #leaseAtMs = 0

  constructor(options: KubeletOptions) {
    this.#options = options
  }

  get hostDir(): string {
    return join(this.#options.dir, 'host')
  }

  async start(): Promise<void> {
    await this.#register()
    this.#loop = this.#run()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#loop
    await Promise.all([...this.#running.values()].map(({ container }) => container.stop()))
  }

  /** Kills the processes of the pods of a component, as when the node loses them; they are started again. */
  kill(component: string): void {
    for (const { pod, container } of this.#running.values()) {
      if (pod.metadata.labels?.['app.kubernetes.io/component'] === component)
        process.kill(container.pid, 'SIGKILL')
    }
  }

  async #register(): Promise<void> {
    const { api, node, ip } = this.#options
    const identity = { name: node, addresses: [ip], systemNamespace: '' }
    await registerNode(api, identity, this.#stop.signal)
    await renewNodeLease(api, node, this.#stop.signal)
    this.#leaseAtMs = performance.now()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        if (performance.now() - this.#leaseAtMs > leaseEveryMs) await this.#register()
        await this.#sync(signal)
      } catch (error) {
        if (!signal.aborted) this.outputs.set('kubelet', String(error))
      }
      await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #sync(signal: AbortSignal): Promise<void> {
    const { api, node } = this.#options
    const { items } = await api.listAll<TestPod>(
      resources.pod,
      { fieldSelector: `spec.nodeName=${node}` },
      signal,
    )
    const ours = items.filter((pod) => this.#imageOf(pod) !== undefined)
    for (const pod of ours) await this.#syncPod(pod, signal)
    const alive = new Set(ours.map(({ metadata }) => metadata.uid))
    for (const [uid, { container }] of this.#running) if (!alive.has(uid)) void container.stop()
  }

  async #syncPod(pod: TestPod, signal: AbortSignal): Promise<void> {
    const { uid = '', deletionTimestamp } = pod.metadata
    const running = this.#running.get(uid)
    if (deletionTimestamp !== undefined) {
      if (running !== undefined) await running.container.stop()
      await this.#options.api.delete(resources.pod, refOf(pod), { uid, gracePeriodSeconds: 0 }, signal)
    } else if (running === undefined) {
      if (!this.#over.has(uid)) await this.#start(pod, signal)
    } else if (!running.isReady && (await this.#probe(pod))) {
      running.isReady = true
      await this.#write(pod, 'Running', true, signal)
    }
  }

  async #start(pod: TestPod, signal: AbortSignal): Promise<void> {
    const { api, dir, ip, netns, serviceEnv } = this.#options
    const { uid = '', name } = pod.metadata
    const [spec] = pod.spec.containers
    const image = this.#imageOf(pod)
    if (spec === undefined || image === undefined) return
    const podDir = join(dir, 'pods', uid)
    mkdirSync(podDir, { recursive: true })
    const variables = await serviceEnv(pod.metadata.namespace ?? '')
    const place: PodPlace = { api, podIp: ip, dir: podDir, hostDir: this.hostDir, serviceEnv: variables }
    const { env, command } = commandOf(pod, spec, place, image.entrypoint)
    const { runAsUser = 0, runAsGroup = runAsUser, capabilities } = spec.securityContext ?? {}
    const container = await startContainer({
      rootfs: image.rootfs,
      netns,
      user: `${runAsUser}:${runAsGroup}`,
      hostname: this.#options.node,
      command,
      env: { ...image.env, ...env },
      mounts: await mountsOf(pod, spec, place, signal),
      capabilities: (capabilities?.add ?? []).map((capability) => capability.toLowerCase()),
    })
    this.#running.set(uid, { pod, container, isReady: false })
    void container.ended.then((code) => this.#ended(pod, container, code))
    await this.#write(pod, 'Running', spec.readinessProbe === undefined, signal)
    this.outputs.set(name, '')
  }

  async #ended(pod: TestPod, container: Container, code: number): Promise<void> {
    const { uid = '' } = pod.metadata
    if (pod.spec.restartPolicy === 'Never') this.#over.add(uid)
    this.#running.delete(uid)
    const before = this.outputs.get(pod.metadata.name) ?? ''
    this.outputs.set(pod.metadata.name, `${before}${container.output()}\n[exit ${code}]\n`)
    if (pod.spec.restartPolicy !== 'Never') return // #sync starts it again
    const phase = code === 0 ? 'Succeeded' : 'Failed'
    await this.#write(pod, phase, false, AbortSignal.timeout(10_000)).catch((error: unknown) => {
      this.outputs.set('kubelet', String(error))
    })
  }

  /** Of a pod that runs: what it wrote until now. */
  outputOf(name: string): string {
    const running = [...this.#running.values()].find(({ pod }) => pod.metadata.name === name)
    return `${this.outputs.get(name) ?? ''}${running?.container.output() ?? ''}`
  }

  get podNames(): readonly string[] {
    return [...this.outputs.keys()]
  }

  async #write(pod: TestPod, phase: string, isReady: boolean, signal: AbortSignal): Promise<void> {
    const { api, ip } = this.#options
    const status = isReady ? 'True' : 'False'
    const isOver = phase !== 'Running'
    const state = isOver
      ? { terminated: { exitCode: phase === 'Succeeded' ? 0 : 1 } }
      : { running: { startedAt: new Date().toISOString().replace(/\.\d+Z/, 'Z') } }
    const containerStatuses = pod.spec.containers.map(({ image }) => {
      return { name: 'main', image, imageID: image, ready: isReady, restartCount: 0, state }
    })
    const conditions = ['Ready', 'ContainersReady', 'Initialized', 'PodScheduled'].map((type) => ({
      type,
      status: type.endsWith('Ready') ? status : 'True',
    }))
    const body = {
      status: { phase, conditions, containerStatuses, podIP: ip, podIPs: [{ ip }], hostIP: ip },
    }
    await api.patch(resources.pod, refOf(pod), { type: 'merge', body, subresource: 'status' }, signal)
  }

  #imageOf(pod: TestPod): TestImage | undefined {
    const name = pod.spec.containers[0]?.image.split('/').at(-1)?.split(/[:@]/)[0] ?? ''
    return this.#options.images[name]
  }

  /** The readiness probe, once. What listens on the node's loopback alone is asked by the node, not from here. */
  async #probe(pod: TestPod): Promise<boolean> {
    const [spec] = pod.spec.containers
    const get = spec?.readinessProbe?.httpGet
    if (spec === undefined || get === undefined) return true
    if (get.host !== undefined) return this.#probeInside(portOf(spec, get.port), get.path)
    const url = `${get.scheme === 'HTTPS' ? 'https' : 'http'}://${this.#options.ip}:${portOf(spec, get.port)}${get.path}`
    return statusOf(url)
  }

  #probeInside(port: number, path: string): Promise<boolean> {
    const script = `fetch('http://127.0.0.1:${port}${path}').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))`
    const args = [`--net=${this.#options.netns}`, process.execPath, '-e', script]
    return new Promise((resolve) => {
      execFile('nsenter', args, { timeout: 5_000 }, (error) => resolve(error === null))
    })
  }
}

function portOf(spec: ContainerSpec, port: number | string): number {
  if (typeof port === 'number') return port
  return spec.ports?.find(({ name }) => name === port)?.containerPort ?? 0
}

function statusOf(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const get = url.startsWith('https:') ? https.get : http.get
    const options = { timeout: 2_000, rejectUnauthorized: false, agent: false as const }
    const call = get(url, options, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    call.once('timeout', () => call.destroy())
    call.once('error', () => resolve(false))
  })
}

function refOf({ metadata }: TestPod): { readonly name: string; readonly namespace: string } {
  return { name: metadata.name, namespace: metadata.namespace ?? '' }
}
