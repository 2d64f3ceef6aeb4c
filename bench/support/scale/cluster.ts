// What bench:scale runs against: an API server without nodes' processes, and a real controller as the product starts it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readAuthorities } from '../../../src/agent/index.ts'
import {
  controllerServerName,
  type KubeObject,
  resources,
  type SpiderEndpoint,
} from '../../../src/api/index.ts'
import { silentLogger } from '../../../src/base/index.ts'
import { collectionPath, KubeClient, loadKubeconfig } from '../../../src/kube/index.ts'
import { type LabPaths, labPathsOf } from '../../../src/lab/lab-paths.ts'
import { freePorts } from '../../../src/lab/ports.ts'
import { createBaseObjects, createRights } from '../../../src/lab/supervisor/lab-objects.ts'
import { controllerSpecs, type LabProgram, systemNamespace } from '../../../src/lab/supervisor/program.ts'
import { type AllocatorClient, createAllocatorClient } from '../../../src/rpc/index.ts'
import { type BareServer, startBareServer } from '../../../test/support/bare-server.ts'
import { readState } from '../../../test/support/control-plane/control-plane.ts'
import { accountKubeconfig, installKinds } from '../../../test/support/leader-kit.ts'
import { whenStopped } from '../when-stopped.ts'

const never = new AbortController().signal
const readyBudgetMs = 120_000
const settleBudgetMs = 900_000
/** A request that no leader answers yet is sent again after this time: the restart is measured with its precision. */
const lookEveryMs = 20

export interface ClusterOptions {
  /** Folder for a CPU profile of each run of the controller; undefined: none is made. */
  readonly profileDir?: string | undefined
}

/** An API server with our kinds, accounts and rights, and one controller. */
export class BenchCluster implements AsyncDisposable {
  readonly server: BareServer
  readonly api: KubeClient
  readonly lab: LabProgram
  readonly #options: ClusterOptions
  #controller: ChildProcess | undefined
  #authorities = ''
  #isOver: () => void = () => undefined

  private constructor(server: BareServer, api: KubeClient, lab: LabProgram, options: ClusterOptions) {
    this.server = server
    this.api = api
    this.lab = lab
    this.#options = options
  }

  /** Starts the API server; the controller is started by {@link startController}. */
  static async start(options: ClusterOptions): Promise<BenchCluster> {
    const server = await startBareServer()
    const api = new KubeClient(await loadKubeconfig(server.kubeconfig), { logger: silentLogger })
    const paths = labPathsOf(mkdtempSync(join(tmpdir(), 'spiderpool-scale-')))
    const controllerPorts = await freePorts(1)
    const lab = { paths, nodes: [], kubeconfig: server.kubeconfig, isExternal: true, apiPort: 0 }
    const cluster = new BenchCluster(server, api, { ...lab, controllerPorts, controllerFlags: [] }, options)
    cluster.#isOver = whenStopped(() => cluster[Symbol.asyncDispose]())
    try {
      await cluster.#prepare(paths)
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
    return cluster
  }

  async #prepare(paths: LabPaths): Promise<void> {
    const { api, server } = this
    mkdirSync(paths.logsDir, { recursive: true })
    await installKinds(api)
    await createBaseObjects(api, [], systemNamespace, never)
    await createRights(api, systemNamespace, never)
    const kubeconfig = await accountKubeconfig(server, api, 'controller')
    writeFileSync(paths.controllerKubeconfig, readFileSync(kubeconfig), { mode: 0o600 })
    // Nodes without kubelets would be found lost, and their pods deleted; besides, both would take part of the processors.
    for (const name of ['kube-controller-manager', 'kube-scheduler']) {
      const pid = readState(server.dir)?.pids[name]
      if (pid !== undefined) process.kill(pid, 'SIGSTOP')
    }
  }

  get url(): string {
    return `https://127.0.0.1:${this.lab.controllerPorts[0]}`
  }

  get controllerPid(): number {
    return this.#controller?.pid ?? 0
  }

  /** Of the processes whose CPU time and memory count. */
  pids(): ReadonlyMap<string, number> {
    const { 'kube-apiserver': apiserver, etcd } = readState(this.server.dir)?.pids ?? {}
    const ofServer =
      apiserver === undefined ? { 'lab-apiserver': this.server.pid() } : { 'kube-apiserver': apiserver }
    const all = { controller: this.controllerPid, ...ofServer, ...(etcd === undefined ? {} : { etcd }) }
    return new Map(Object.entries({ ...all, bench: process.pid }))
  }

  /** Starts the controller as the product does; returns at once. @throws when one runs */
  startController(): void {
    if (this.#controller !== undefined) throw new Error('The controller runs already')
    const [spec] = controllerSpecs(this.lab)
    if (spec === undefined) throw new Error('The lab has no controller')
    const { profileDir } = this.#options
    const profile = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]
    const log = openSync(spec.logFile, 'a')
    const args = [...process.execArgv, ...profile, ...spec.args]
    this.#controller = spawn(process.execPath, args, { env: spec.env, stdio: ['ignore', log, log] })
    closeSync(log)
  }

  /** Ends the controller, which gives its lease back. */
  async stopController(): Promise<void> {
    const child = this.#controller
    this.#controller = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }

  /** A client as an agent has one, for the token of an agent's pod. The leader must have published its authorities. */
  client(token: string): AllocatorClient {
    return createAllocatorClient({
      urls: [this.url],
      ca: { pem: this.#authorities },
      servername: controllerServerName(systemNamespace),
      token: () => Promise.resolve(token),
      logger: silentLogger,
    })
  }

  /** Waits for the authorities of the first leader. @throws with the end of the controller's log */
  async published(): Promise<void> {
    const endMs = performance.now() + readyBudgetMs
    while (this.#authorities === '') {
      this.#authorities = await readAuthorities(this.api, systemNamespace, never)
      this.requireController()
      if (performance.now() > endMs) throw new Error(`The controller does not lead: ${this.#logEnd()}`)
      await sleep(lookEveryMs)
    }
  }

  /** @throws with the end of its log, when the controller has ended by itself */
  requireController(): void {
    const child = this.#controller
    if (child !== undefined && child.exitCode === null && child.signalCode === null) return
    throw new Error(`The controller has ended: ${this.#logEnd()}`)
  }

  #logEnd(): string {
    const [spec] = controllerSpecs(this.lab)
    return spec === undefined ? '' : readFileSync(spec.logFile, 'utf8').slice(-2_000)
  }

  /** How many SpiderEndpoints there are. */
  async endpointCount(): Promise<number> {
    const path = `${collectionPath(resources.endpoint)}?limit=1`
    interface Page {
      readonly items: readonly unknown[]
      readonly metadata: { readonly remainingItemCount?: number }
    }
    const { items, metadata } = await this.api.request<Page>('GET', path, undefined, never)
    return items.length + (metadata.remainingItemCount ?? 0)
  }

  /** One as the controller wrote it. @throws when there is none */
  async anyEndpoint(): Promise<SpiderEndpoint> {
    const { items } = await this.api.list<SpiderEndpoint>(resources.endpoint, { limit: 1 }, never)
    const [endpoint] = items
    if (endpoint === undefined) throw new Error('No SpiderEndpoint was written')
    return endpoint
  }

  /** Waits until so many pods have their endpoint. */
  async settled(pods: number): Promise<void> {
    const endMs = performance.now() + settleBudgetMs
    for (;;) {
      const count = await this.endpointCount()
      if (count >= pods) return
      this.requireController()
      if (performance.now() > endMs)
        throw new Error(`${count} of ${pods} endpoints after ${settleBudgetMs} ms`)
      await sleep(200)
    }
  }

  /** @param ranges of one family */
  async createPool(name: string, subnet: string, ranges: readonly string[]): Promise<void> {
    const metadata = { name }
    const object = { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind: 'SpiderIPPool', metadata }
    const pool = { ...object, spec: { subnet, ips: ranges } } as KubeObject
    await this.api.create(resources.ipPool, pool, never)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver()
    await this.stopController()
    await this.api.close()
    await this.server.close()
    rmSync(this.lab.paths.dir, { recursive: true, force: true })
  }
}
