// An installation of real processes on one machine: an API server, two controllers of which one leads, and an agent for each node
// behind the real plugin executable. Each controller and agent can be killed by SIGKILL. The test is the container runtime.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Pod, trustNames } from '../../src/api/index.ts'
import { ensureAgentPod } from '../../src/lab/node/register-node.ts'
import { PauseRunner } from '../../src/lab/pause.ts'
import { freePorts } from '../../src/lab/ports.ts'
import {
  createBaseObjects,
  createDefaultNetworks,
  createRights,
} from '../../src/lab/supervisor/lab-objects.ts'
import { listMounts, prepareNamespaces, unmount } from '../../src/netlink/index.ts'
import { buildPipe, type PluginOutcome, runPipe } from './agent-kit.ts'
import { accountKubeconfig, installKinds, repeat, tokenOf } from './leader-kit.ts'
import { eventually, WorkloadKit } from './workload-kit.ts'

const root = dirname(dirname(import.meta.dirname))
const system = 'kube-system'
const network = `${system}/macvlan-ens192`
const never = new AbortController().signal
/** The shortest times that the controller takes: a leader that was killed is followed soon, and what leaks is found soon. */
const controllerTimes = ['--lease-seconds', '5', '--scan-seconds', '5']

/** One sandbox of a pod. */
export interface SandboxOf {
  readonly pod: Pod
  readonly containerId: string
}

/** A process of the product, and how to start it again. */
interface Process {
  readonly args: readonly string[]
  child: ChildProcess
  /** Killed, and not yet started again: histories that kill it at the same time must not start it twice. */
  isAway: boolean
}

export class ProcessRig implements AsyncDisposable {
  readonly kit: WorkloadKit
  readonly nodes: readonly string[]
  readonly #dir = mkdtempSync(join(tmpdir(), 'spiderpool-processes-'))
  readonly #processes = new Map<string, Process>()
  #pause: PauseRunner | undefined
  #killedMs = Number.NEGATIVE_INFINITY

  private constructor(kit: WorkloadKit, nodes: readonly string[]) {
    this.kit = kit
    this.nodes = nodes
  }

  static async start(nodes: readonly string[]): Promise<ProcessRig> {
    const pipe = buildPipe()
    const rig = new ProcessRig(await WorkloadKit.start(nodes), nodes)
    try {
      await rig.#start(pipe)
    } catch (error) {
      await rig[Symbol.asyncDispose]()
      throw error
    }
    return rig
  }

  async #start(pipe: string): Promise<void> {
    const { api, server } = this.kit
    await prepareNamespaces()
    this.#pause = new PauseRunner(join(root, 'build/native/lab-pause'))
    await installKinds(api)
    await createBaseObjects(api, [], system, never)
    await createRights(api, system, never)
    const ports = await freePorts(2)
    const kubeconfig = await accountKubeconfig(server, api, 'controller')
    for (const [index, port] of ports.entries()) {
      const name = `controller-${index + 1}`
      this.#run(name, 'controller', [
        ...['--kubeconfig', kubeconfig, '--listen', `127.0.0.1:${port}`, '--identity', name],
        ...['--cluster-network', network, '--namespace', system, ...controllerTimes],
      ])
    }
    const urls = ports.map((port) => `https://127.0.0.1:${port}`)
    for (const node of this.nodes) await this.#startAgent(node, pipe, urls)
    // The networks are made by the webhooks' leave.
    await eventually('a controller leads', () =>
      repeat(() => createDefaultNetworks(api, never)).then(
        () => true,
        () => undefined,
      ),
    )
    for (const node of this.nodes) await this.#answers(node)
  }

  async #startAgent(node: string, pipe: string, urls: readonly string[]): Promise<void> {
    const { api, server } = this.kit
    const at = (file: string) => join(this.#nodeDir(node), file)
    mkdirSync(at('bin'), { recursive: true })
    await this.#pause?.makeNamespace(at('host.netns'), never)
    const pod = await ensureAgentPod(api, { name: node, addresses: [], systemNamespace: system }, never)
    const kubeconfig = await accountKubeconfig(server, api, 'agent', pod)
    const token = await tokenOf(api, 'agent', { bound: pod, audience: trustNames.audience })
    writeFileSync(at('token'), token, { mode: 0o600 })
    this.#run(`agent-${node}`, 'agent', [
      ...['--node', node, '--kubeconfig', kubeconfig, '--token-file', at('token')],
      ...urls.flatMap((url) => ['--controller-url', url]),
      ...['--socket', at('agent.sock'), '--spool-dir', at('spool'), '--journal-dir', at('journal')],
      ...['--cni-bin-dir', at('bin'), '--cni-conf-dir', at('net.d'), '--cache-dir', at('cache')],
      ...['--host-netns', at('host.netns'), '--plugin-source', pipe, '--plugin-path', '/usr/lib/cni'],
      ...['--cluster-network', network, '--namespace', system],
    ])
  }

  async #answers(node: string): Promise<void> {
    const config = JSON.stringify({ cniVersion: '1.1.0', name: 'net-a', type: 'spiderpool' })
    await eventually(`the agent of ${node} answers`, async () => {
      try {
        const { exitCode } = await runPipe(this.#plugin(node), this.#env(node, 'STATUS'), config)
        return exitCode === 0 ? true : undefined
      } catch {
        return undefined // not installed yet
      }
    })
  }

  #run(name: string, script: string, args: readonly string[]): void {
    const logs = process.env['HISTORY_LOGS'] ?? this.#dir
    const log = openSync(join(logs, `${name}.log`), 'a')
    const all = ['--disable-warning=ExperimentalWarning', join(root, `src/bin/${script}.ts`), ...args]
    const child = spawn(process.execPath, all, { stdio: ['ignore', log, log] })
    closeSync(log)
    const running = this.#processes.get(name)
    if (running === undefined) this.#processes.set(name, { args: [script, ...args], child, isAway: false })
    else running.child = child
  }

  /** Names of the processes that {@link kill} takes. */
  get names(): readonly string[] {
    return [...this.#processes.keys()]
  }

  /** Kills a process by SIGKILL, and starts it again after a time; one that is dead already stays as it is. */
  async kill(name: string, awayMs: number): Promise<void> {
    const running = this.#processes.get(name)
    if (running === undefined) throw new Error(`no process ${name}`)
    if (running.isAway) return
    running.isAway = true
    this.#killedMs = performance.now()
    await end(running.child)
    await new Promise((resolve) => setTimeout(resolve, awayMs))
    const [script = '', ...args] = running.args
    this.#run(name, script, args)
    running.isAway = false
    this.#killedMs = performance.now()
  }

  /** True when no process was killed since then, by `performance.now()`. */
  isUndisturbedSince(ms: number): boolean {
    return this.#killedMs < ms
  }

  /** Runs the plugin for a sandbox, whose namespace is made when it is not there. */
  async call(
    command: 'ADD' | 'DEL' | 'CHECK',
    sandbox: SandboxOf,
    prevResult?: unknown,
  ): Promise<PluginOutcome> {
    const { name, namespace = '', uid = '' } = sandbox.pod.metadata
    const node = sandbox.pod.spec?.nodeName ?? ''
    const env = {
      ...this.#env(node, command),
      CNI_CONTAINERID: sandbox.containerId,
      CNI_NETNS: this.#netnsOf(sandbox),
      CNI_IFNAME: 'eth0',
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_UID=${uid}`,
    }
    const network = { cniVersion: '1.0.0', name: 'net-a', type: 'macvlan', ipam: { type: 'spiderpool' } }
    const config = prevResult === undefined ? network : { ...network, prevResult }
    return runPipe(this.#plugin(node), env, JSON.stringify(config))
  }

  /** Makes the network namespace of a new sandbox. */
  async openSandbox(sandbox: SandboxOf): Promise<void> {
    await this.#pause?.makeNamespace(this.#netnsOf(sandbox), never)
  }

  /** The namespace of a sandbox ends, with or without a DEL. */
  closeSandbox(sandbox: SandboxOf): void {
    unmount(this.#netnsOf(sandbox))
    rmSync(this.#netnsOf(sandbox), { force: true })
  }

  #netnsOf({ pod, containerId }: SandboxOf): string {
    return join(this.#nodeDir(pod.spec?.nodeName ?? ''), `${containerId}.netns`)
  }

  #nodeDir(node: string): string {
    return join(this.#dir, node)
  }

  #plugin(node: string): string {
    return join(this.#nodeDir(node), 'bin/spiderpool')
  }

  #env(node: string, command: string): Record<string, string> {
    const at = (file: string) => join(this.#nodeDir(node), file)
    return {
      CNI_COMMAND: command,
      CNI_PATH: at('bin'),
      SPIDERPOOL_AGENT_SOCKET: at('agent.sock'),
      SPIDERPOOL_SPOOL_DIR: at('spool'),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#processes.values()].map(({ child }) => end(child)))
    await this.kit[Symbol.asyncDispose]()
    for (const path of listMounts(this.#dir)) unmount(path)
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
