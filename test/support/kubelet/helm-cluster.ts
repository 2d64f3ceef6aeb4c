// A real control plane with two nodes whose pods run as processes, and Helm on it.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { imageNames } from '../../../images/contents.ts'
import { imageEntries } from '../../../scripts/packing/assemble.ts'
import { writeEntries } from '../../../scripts/packing/entry.ts'
import { ownTarget } from '../../../scripts/packing/target.ts'
import { type KubeObject, resources } from '../../../src/api/index.ts'
import { silentLogger } from '../../../src/base/index.ts'
import { ApiError, KubeClient, loadKubeconfig } from '../../../src/kube/index.ts'
import { controlPlaneBinaries } from '../control-plane/binaries.ts'
import { controlPlaneDown, controlPlaneUp } from '../control-plane/control-plane.ts'
import { readStage } from '../images/dockerfile.ts'
import { type TestImage, TestKubelet } from './test-kubelet.ts'
import { balance, machineIp, type NodeNetwork, networkDown, networkUp } from './test-network.ts'

const root = dirname(dirname(dirname(import.meta.dirname)))
const run = promisify(execFile)
const nodes = ['helm-a', 'helm-b']
const commandBudgetMs = 180_000

/** Output of a command, also of one that failed. */
export interface Ran {
  readonly ok: boolean
  readonly text: string
}

interface Service extends KubeObject {
  readonly spec: { readonly clusterIP: string; readonly ports: readonly [{ readonly port: number }] }
}

/** The cluster of one test file. */
export class HelmCluster {
  readonly dir: string
  readonly kubeconfig: string
  readonly api: KubeClient
  readonly kubelets: readonly TestKubelet[]
  readonly #networks: readonly NodeNetwork[]
  readonly #bin: string
  #apiEnv: Readonly<Record<string, string>> = {}

  private constructor(parts: {
    readonly dir: string
    readonly kubeconfig: string
    readonly api: KubeClient
    readonly networks: readonly NodeNetwork[]
    readonly images: Readonly<Record<string, TestImage>>
  }) {
    const { dir, kubeconfig, api, networks, images } = parts
    this.dir = dir
    this.kubeconfig = kubeconfig
    this.api = api
    this.#networks = networks
    this.#bin = controlPlaneBinaries(() => undefined)
    this.kubelets = networks.map(({ name, ip, netns }) => {
      const serviceEnv = (namespace: string) => this.#serviceEnvOf(namespace)
      return new TestKubelet({ api, node: name, ip, netns, dir: join(dir, name), images, serviceEnv })
    })
  }

  /** Starts everything; `close` ends it, also after a failure in here. */
  static async start(): Promise<HelmCluster> {
    const dir = mkdtempSync(join(tmpdir(), 'sp-helm-'))
    const networks = networkUp(nodes)
    const images = buildImages(join(dir, 'images'))
    const controlPlane = controlPlaneUp(join(dir, 'helm-control-plane'), { host: machineIp })
    const access = await loadKubeconfig(controlPlane.kubeconfig)
    const api = new KubeClient(access, { userAgent: 'helm-test', logger: silentLogger })
    const cluster = new HelmCluster({ dir, kubeconfig: controlPlane.kubeconfig, api, networks, images })
    const { hostname, port } = new URL(controlPlane.url)
    cluster.#apiEnv = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port }
    for (const kubelet of cluster.kubelets) {
      mkdirSync(kubelet.hostDir, { recursive: true })
      await kubelet.start()
    }
    return cluster
  }

  /** What kube-proxy does for a Service: its address reaches the controllers. */
  async serve(ref: { readonly name: string; readonly namespace: string }): Promise<void> {
    const found = (await this.#services(ref.namespace)).find(({ metadata }) => metadata.name === ref.name)
    if (found === undefined) throw new Error('the Service is not there yet')
    const { clusterIP: ip, ports } = found.spec
    const [{ port }] = ports
    const endpoints = this.#networks.map((one) => one.ip)
    for (const network of this.#networks) balance(network, { ip, port }, endpoints)
  }

  async #services(namespace: string): Promise<readonly Service[]> {
    const resource = { group: '', version: 'v1', plural: 'services', kind: 'Service', namespaced: true }
    return (await this.api.listAll<Service>(resource, { namespace }, AbortSignal.timeout(10_000))).items
  }

  async #serviceEnvOf(namespace: string): Promise<Readonly<Record<string, string>>> {
    const env: Record<string, string> = { ...this.#apiEnv }
    for (const { metadata, spec } of await this.#services(namespace)) {
      const prefix = metadata.name.toUpperCase().replaceAll('-', '_')
      env[`${prefix}_SERVICE_HOST`] = spec.clusterIP
      env[`${prefix}_SERVICE_PORT`] = String(spec.ports[0].port)
    }
    return env
  }

  get helmPath(): string {
    return join(this.#bin, 'helm')
  }

  helm(...args: readonly string[]): Promise<Ran> {
    return this.#run('helm', args)
  }

  kubectl(...args: readonly string[]): Promise<Ran> {
    return this.#run('kubectl', args)
  }

  async #run(program: string, args: readonly string[]): Promise<Ran> {
    const env = {
      ...process.env,
      KUBECONFIG: this.kubeconfig,
      HELM_CACHE_HOME: join(this.dir, 'helm/cache'),
      HELM_CONFIG_HOME: join(this.dir, 'helm/config'),
      HELM_DATA_HOME: join(this.dir, 'helm/data'),
    }
    try {
      const options = { env, timeout: commandBudgetMs, maxBuffer: 1 << 26 }
      const { stdout, stderr } = await run(join(this.#bin, program), [...args], options)
      return { ok: true, text: `${stdout}${stderr}` }
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string }
      return { ok: false, text: `${stdout}${stderr}` || String(error) }
    }
  }

  /** What the pods wrote, for the message of a failure. */
  logs(): string {
    return this.kubelets
      .flatMap((kubelet) =>
        kubelet.podNames.map((name) => `--- ${name}\n${kubelet.outputOf(name).slice(-3_000)}`),
      )
      .join('\n')
  }

  async close(): Promise<void> {
    await Promise.all(this.kubelets.map((kubelet) => kubelet.close()))
    await this.api.close()
    controlPlaneDown(join(this.dir, 'helm-control-plane'))
    networkDown(nodes)
    rmSync(this.dir, { recursive: true, force: true })
  }
}

function buildImages(folder: string): Readonly<Record<string, TestImage>> {
  const images: Record<string, TestImage> = {}
  for (const name of imageNames) {
    const rootfs = join(folder, name)
    writeEntries(rootfs, imageEntries(root, name, ownTarget))
    const { entrypoint, env } = readStage(join(root, 'images/Dockerfile'), name)
    images[`spiderpool-${name}`] = { rootfs, entrypoint, env }
  }
  return images
}

/** Objects of one of our kinds; none where the kind is not served any more. */
export async function objectsOf(
  { api }: HelmCluster,
  kind: keyof typeof resources,
): Promise<readonly KubeObject[]> {
  try {
    return (await api.listAll(resources[kind], {}, AbortSignal.timeout(10_000))).items
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return []
    throw error
  }
}
