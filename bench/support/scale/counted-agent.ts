// A real agent whose way to the API server is counted: all bytes of its connections, TLS included.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { trustNames } from '../../../src/api/index.ts'
import { nodePathsOf } from '../../../src/lab/lab-paths.ts'
import { PauseRunner } from '../../../src/lab/pause.ts'
import { agentSpec, nativeProgram } from '../../../src/lab/supervisor/program.ts'
import { listMounts, prepareNamespaces, unmount } from '../../../src/netlink/index.ts'
import { buildPipe } from '../../../test/support/agent-kit.ts'
import { callPlugin } from '../../../test/support/ipam-burst.ts'
import { accountKubeconfig, tokenOf } from '../../../test/support/leader-kit.ts'
import { containerIdOf } from '../plugin-call.ts'
import type { Answers } from './answers.ts'
import type { BenchCluster } from './cluster.ts'
import { type BenchPod, createAgentPod } from './simulated-agents.ts'

const never = new AbortController().signal
export const countedNode = 'counted'
const startBudgetMs = 60_000

interface Kubeconfig {
  readonly clusters: [{ cluster: { server: string } }]
}

export class CountedAgent implements AsyncDisposable {
  readonly #cluster: BenchCluster
  readonly #proxy: CountingProxy
  readonly #child: ChildProcess
  readonly #podNetns: string

  private constructor(cluster: BenchCluster, proxy: CountingProxy, child: ChildProcess, podNetns: string) {
    this.#cluster = cluster
    this.#proxy = proxy
    this.#child = child
    this.#podNetns = podNetns
  }

  /** Starts an agent for a node of its own. Needs root. */
  static async start(cluster: BenchCluster): Promise<CountedAgent> {
    const { api, lab, server } = cluster
    const paths = nodePathsOf(lab.paths, countedNode)
    mkdirSync(paths.cniBinDir, { recursive: true })
    buildPipe()
    await prepareNamespaces()
    const pause = new PauseRunner(nativeProgram('lab-pause'))
    const podNetns = join(paths.dir, 'pod.netns')
    for (const path of [paths.netns, podNetns]) await pause.makeNamespace(path, never)
    const bound = await createAgentPod(api, countedNode)
    const config = JSON.parse(
      readFileSync(await accountKubeconfig(server, api, 'agent', bound), 'utf8'),
    ) as Kubeconfig
    const proxy = await CountingProxy.start(new URL(config.clusters[0].cluster.server))
    config.clusters[0].cluster.server = proxy.url
    writeFileSync(paths.kubeconfig, JSON.stringify(config), { mode: 0o600 })
    const token = await tokenOf(api, 'agent', { bound, audience: trustNames.audience })
    writeFileSync(paths.token, token, { mode: 0o600 })
    const spec = agentSpec(lab, countedNode)
    const log = openSync(spec.logFile, 'a')
    const child = spawn(process.execPath, [...process.execArgv, ...spec.args], {
      env: spec.env,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    return new CountedAgent(cluster, proxy, child, podNetns)
  }

  /** What the API server has sent this agent since it started. */
  get receivedBytes(): number {
    return this.#proxy.receivedBytes
  }

  /** ADD of a pod of {@link countedNode} by the plugin executable; repeated while the agent starts. */
  async add(pod: BenchPod, answers: Answers): Promise<void> {
    const sandbox = { pod: pod.name, node: countedNode, containerId: containerIdOf(pod.uid) }
    const endMs = performance.now() + startBudgetMs
    for (;;) {
      const called = callPlugin(this.#cluster.lab.paths.dir, 'ADD', sandbox, this.#podNetns)
      const result = await called.catch((error: unknown) => ({ exitCode: 1, ips: [], output: String(error) }))
      if (result.exitCode === 0) return answers.note(pod, result.ips)
      assert.ok(performance.now() < endMs, `ADD of ${pod.name}: ${result.output}`)
      await sleep(200)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await ended
    }
    await this.#proxy.close()
    for (const path of listMounts(this.#cluster.lab.paths.dir)) unmount(path)
  }
}

/** Passes bytes on, and counts those that come back. */
class CountingProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  receivedBytes = 0

  private constructor(target: URL) {
    this.#server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname)
      upstream.on('data', (chunk: Buffer) => {
        this.receivedBytes += chunk.byteLength
      })
      client.pipe(upstream).pipe(client)
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(socket)
        socket.on('error', () => undefined) // 'close' follows
        socket.once('close', () => {
          this.#sockets.delete(socket)
          other.destroy()
        })
      }
    })
  }

  static async start(target: URL): Promise<CountingProxy> {
    const proxy = new CountingProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get url(): string {
    const address = this.#server.address()
    if (typeof address !== 'object' || address === null) throw new Error('The proxy does not listen')
    return `https://127.0.0.1:${address.port}`
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
