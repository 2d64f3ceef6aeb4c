import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  type Agent,
  type AgentOptions,
  type Allocator,
  type Namespaces,
  startAgent,
} from '../../src/agent/index.ts'
import type {
  AllocateRequest,
  DnsSettings,
  GrantedIp,
  KubeObject,
  NodeReport,
  NodeReportAnswer,
  ReleaseRequest,
} from '../../src/api/index.ts'
import { silentLogger, systemClock, systemRandom } from '../../src/base/index.ts'
import { ApiError, type KubeApi } from '../../src/kube/index.ts'
import { AllocatorError } from '../../src/rpc/index.ts'

const root = dirname(dirname(import.meta.dirname))

/** Path of the pipe, built from its source. */
export function buildPipe(): string {
  execFileSync('sh', [join(root, 'scripts/build-native.sh')], { stdio: 'pipe' })
  return join(root, 'build/native/cni-pipe')
}

/** An allocator that keeps its promises in memory: addresses ascending, one for each container and interface. */
export class MemoryAllocator implements Allocator {
  readonly held = new Map<string, readonly GrantedIp[]>()
  readonly releases: ReleaseRequest[] = []
  readonly reports: NodeReport[] = []
  isAway = false
  /** Refuses ADD with this. */
  refusal: AllocatorError | undefined
  /** Addresses of the pool, with prefix length. */
  free = Array.from({ length: 200 }, (_, at) => `10.6.0.${at + 20}/24`)
  gateway = '10.6.0.1'
  routes: readonly { dst: string; gw: string }[] = [{ dst: '0.0.0.0/0', gw: '10.6.0.1' }]
  dns: DnsSettings | undefined
  /** By interface. */
  macs: Readonly<Record<string, string>> = {}
  readonly requests: AllocateRequest[] = []

  async allocate(request: AllocateRequest, signal: AbortSignal) {
    signal.throwIfAborted()
    this.#requireReachable()
    this.requests.push(request)
    if (this.refusal !== undefined) throw this.refusal
    const key = `${request.containerId}:${request.ifName}`
    const address = this.free[0]
    const known = this.held.get(key)
    if (known === undefined && address === undefined)
      throw new AllocatorError({ code: 100, msg: 'no free address', details: 'pool-exhausted: lab' })
    const mac = this.macs[request.ifName]
    const ips = known ?? [
      {
        version: 4 as const,
        address: address ?? '',
        gateway: this.gateway,
        nic: request.ifName,
        pool: 'lab',
        vlan: 0,
        ...(mac === undefined ? {} : { mac }),
      },
    ]
    if (known === undefined) this.free = this.free.slice(1)
    this.held.set(key, ips)
    const routes = this.routes.map((route) => ({ ...route, ifName: request.ifName }))
    return { ips, routes, ...(this.dns === undefined ? {} : { dns: this.dns }) }
  }

  async release(request: ReleaseRequest): Promise<void> {
    this.#requireReachable()
    this.releases.push(request)
    const key = `${request.containerId}:${request.ifName}`
    // Least recently released comes last.
    this.free = [...this.free, ...(this.held.get(key) ?? []).map((ip) => ip.address)]
    this.held.delete(key)
  }

  async check(request: { containerId: string; ifName: string; ips: readonly string[] }): Promise<void> {
    this.#requireReachable()
    const held = this.held.get(`${request.containerId}:${request.ifName}`) ?? []
    const known = held.map((ip) => ip.address.split('/')[0])
    const unknown = request.ips.filter((ip) => !known.includes(ip))
    if (unknown.length > 0)
      throw new AllocatorError({
        code: 102,
        msg: `${unknown.join()} is not recorded`,
        details: 'not-recorded: ADD again',
      })
  }

  async nodeReport(report: NodeReport): Promise<NodeReportAnswer> {
    this.#requireReachable()
    this.reports.push(report)
    return { isAwaited: false }
  }

  #requireReachable(): void {
    if (this.isAway)
      throw new AllocatorError({ code: 11, msg: 'the controller is away', details: 'try-again: wait' })
  }
}

/** The objects that an agent reads and writes, in memory. */
export class MemoryKube {
  readonly objects = new Map<string, KubeObject>()
  readonly events: { reason: string; message: string; type: string }[] = []
  /** So many patches are answered with 409 first. */
  conflicts = 0

  put(plural: string, object: KubeObject): void {
    this.objects.set(`${plural} ${object.metadata.namespace ?? ''}/${object.metadata.name}`, object)
  }

  delete(plural: string, namespace: string, name: string): void {
    this.objects.delete(`${plural} ${namespace}/${name}`)
  }

  pod(namespace: string, name: string): KubeObject | undefined {
    return this.objects.get(`pods ${namespace}/${name}`)
  }

  get api(): KubeApi {
    const key = (resource: { plural: string }, ref: { namespace?: string; name: string }) =>
      `${resource.plural} ${ref.namespace ?? ''}/${ref.name}`
    const part: Pick<KubeApi, 'get' | 'listAll' | 'create' | 'patch'> = {
      get: async <T extends KubeObject>(
        resource: { plural: string },
        ref: { namespace?: string; name: string },
      ) => this.objects.get(key(resource, ref)) as T | undefined,
      listAll: async <T extends KubeObject>(resource: { plural: string }) => {
        const found = [...this.objects].filter(([name]) => name.startsWith(`${resource.plural} `))
        return { items: found.map(([, object]) => object as T), resourceVersion: '1' }
      },
      create: async (_resource, object) => {
        this.events.push(object as unknown as { reason: string; message: string; type: string })
        return object
      },
      patch: async <T extends KubeObject>(
        resource: { plural: string },
        ref: { namespace?: string; name: string },
        patch: { body: unknown },
      ) => {
        const found = this.objects.get(key(resource, ref))
        if (found === undefined)
          throw new ApiError('patch', { status: 404, reason: 'NotFound', message: 'not found' })
        const wanted = (patch.body as KubeObject).metadata
        if (this.conflicts > 0 || (wanted.uid !== undefined && wanted.uid !== found.metadata.uid)) {
          this.conflicts--
          throw new ApiError('patch', { status: 409, reason: 'Conflict', message: 'conflict' })
        }
        const annotations = { ...found.metadata.annotations, ...wanted.annotations }
        const next = { ...found, metadata: { ...found.metadata, annotations } }
        this.objects.set(key(resource, ref), next)
        return next as unknown as T
      },
    }
    return part as KubeApi // the agent uses no other call
  }
}

/** What a plugin printed. */
export interface PluginOutcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
  /** The one JSON object on stdout. */
  readonly json: Readonly<Record<string, unknown>>
}

/** Runs an executable with exactly this environment and stdin. */
export async function runPipe(
  path: string,
  env: Readonly<Record<string, string>>,
  stdin: string | Uint8Array | 'closed',
): Promise<PluginOutcome> {
  const child =
    stdin === 'closed'
      ? spawn('sh', ['-c', `exec "${path}" <&-`], { env, stdio: ['ignore', 'pipe', 'pipe'] })
      : spawn(path, [], { env, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin?.on('error', () => undefined)
  if (stdin !== 'closed') child.stdin?.end(stdin)
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.once('error', reject)
  child.once('close', (code, signal) => {
    if (signal === null) resolve(code ?? -1)
    else reject(new assert.AssertionError({ message: `the pipe ended by ${signal}` }))
  })
  const exitCode = await promise
  const json: unknown = stdout.trim() === '' ? {} : JSON.parse(stdout)
  return { exitCode, stdout, stderr, json: json as Readonly<Record<string, unknown>> }
}

/** Namespaces that are only paths: `/netns/NAME` is one, `/netns/host` the node's. */
export class PathNamespaces implements Namespaces {
  readonly gone = new Set<string>()
  readonly interfaces = new Map<string, string[]>()
  readonly routeChanges: unknown[] = []
  readonly macs: string[] = []
  macRefusal: Error | undefined

  identity(path: string): string | undefined {
    return path.startsWith('/netns/') && !this.gone.has(path) ? `4:${path}` : undefined
  }

  hostIdentities(): readonly string[] {
    return ['4:/netns/host']
  }

  interfaceNames(path: string): readonly string[] {
    return this.interfaces.get(path) ?? ['lo']
  }

  changeDefaultRoutes(path: string, changes: readonly unknown[]): void {
    this.routeChanges.push({ path, changes })
  }

  giveMac(path: string, ifName: string, mac: string): void {
    if (this.macRefusal !== undefined) throw this.macRefusal
    this.macs.push(`${path} ${ifName} ${mac}`)
  }
}

export interface AgentKitOptions {
  readonly namespaces?: Namespaces
  readonly hostNetns?: string
  readonly pluginPath?: readonly string[]
}

/** An agent in this process, with the real pipe, folders of its own, and its neighbours in memory. */
export class AgentKit implements AsyncDisposable {
  readonly dir: string
  readonly allocator = new MemoryAllocator()
  readonly kube = new MemoryKube()
  readonly options: AgentOptions
  readonly namespaces: Namespaces
  agent: Agent | undefined

  private constructor(options: AgentKitOptions) {
    this.dir = mkdtempSync(join(tmpdir(), 'agent-'))
    this.namespaces = options.namespaces ?? new PathNamespaces()
    const at = (name: string) => join(this.dir, name)
    mkdirSync(at('bin'))
    this.options = {
      node: 'node1',
      socketPath: at('agent.sock'),
      spoolDir: at('spool'),
      journalDir: at('journal'),
      cniBinDir: at('bin'),
      cniConfDir: at('net.d'),
      cacheDir: at('cache'),
      pluginSource: buildPipe(),
      pluginPath: options.pluginPath ?? [],
      defaults: { clusterNetwork: 'kube-system/base', namespace: 'kube-system' },
      ...(options.hostNetns === undefined ? {} : { hostNetns: options.hostNetns }),
    }
  }

  static async start(options: AgentKitOptions = {}): Promise<AgentKit> {
    const kit = new AgentKit(options)
    await kit.start()
    return kit
  }

  async start(): Promise<void> {
    this.agent = await startAgent(this.options, {
      allocator: this.allocator,
      kube: this.kube.api,
      namespaces: this.namespaces,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      env: { PATH: process.env['PATH'] ?? '' },
    })
  }

  async stop(): Promise<void> {
    await this.agent?.close()
    this.agent = undefined
  }

  /** The environment of a plugin call. */
  env(command: string, more: Readonly<Record<string, string | undefined>> = {}): Record<string, string> {
    const all = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: '/netns/c1',
      CNI_IFNAME: 'eth0',
      CNI_PATH: join(this.dir, 'bin'),
      CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-1;K8S_POD_UID=uid-web-1',
      SPIDERPOOL_AGENT_SOCKET: this.options.socketPath,
      SPIDERPOOL_SPOOL_DIR: this.options.spoolDir,
      ...more,
    }
    return Object.fromEntries(
      Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined),
    )
  }

  /** Runs one of the installed plugins. */
  async call(
    plugin: string,
    command: string,
    config: unknown = ipamConfig(),
    more: Readonly<Record<string, string | undefined>> = {},
  ): Promise<PluginOutcome> {
    const stdin = typeof config === 'string' ? config : JSON.stringify(config)
    return runPipe(join(this.dir, 'bin', plugin), this.env(command, more), stdin)
  }

  /** Puts a shell script beside the plugins. */
  script(name: string, text: string): void {
    const path = join(this.dir, 'bin', name)
    writeFileSync(path, `#!/bin/sh\n${text}\n`)
    chmodSync(path, 0o755)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

/** A configuration as a main plugin hands it to the IPAM. */
export function ipamConfig(cniVersion = '1.1.0', more: object = {}): Record<string, unknown> {
  return { cniVersion, name: 'net-a', type: 'macvlan', ipam: { type: 'spiderpool' }, ...more }
}
