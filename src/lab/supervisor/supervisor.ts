import { mkdir, writeFile } from 'node:fs/promises'
import { type Logger, OperationError, toError } from '../../base/index.ts'
import { type KubeAccess, KubeClient, loadKubeconfig } from '../../kube/index.ts'
import { prepareNamespaces } from '../../netlink/index.ts'
import { type LabPaths, labPathsOf, nodePathsOf } from '../lab-paths.ts'
import { identitiesOf } from '../node/lab-nodes.ts'
import { PauseRunner } from '../pause.ts'
import { readProcessId } from '../process-table.ts'
import { buildTopology } from '../topology/build.ts'
import { raiseNeighbourLimits } from '../topology/neighbour-limits.ts'
import { planTopology, type TopologyPlan } from '../topology/plan.ts'
import { AgentTokens } from './agent-tokens.ts'
import { type ChildSpec, runToEnd, SupervisedChild } from './child.ts'
import { kubeconfigText } from './kubeconfig-text.ts'
import { LabError } from './lab-error.ts'
import {
  applyCrds,
  createBaseObjects,
  createDefaultNetworks,
  createRights,
  untilDone,
} from './lab-objects.ts'
import { type LabPhase, type LabState, readBootId, writeState } from './lab-state.ts'
import {
  agentSpec,
  apiserverSpec,
  controllerSpecs,
  type LabProgram,
  nativeProgram,
  systemNamespace,
  warmUps,
  worldSpec,
} from './program.ts'
import { untilAgentsReady, untilListening } from './readiness.ts'

/** What `lab up` asks for. */
export interface SupervisorOptions {
  readonly dir: string
  readonly nodes: readonly string[]
  /** Of another API server; the lab's own is not started then. */
  readonly kubeconfig?: string
  readonly apiPort: number
  /** One for each replica of the controller. */
  readonly controllerPorts: readonly number[]
  /** Further flags of each controller. */
  readonly controllerFlags: readonly string[]
}

const apiBudgetMs = 60_000
const stateEveryMs = 200
// Without it processes are larger and start slower, no more.
const warmUpLimit = () => AbortSignal.timeout(30_000)

/** Brings a lab up, keeps its processes running, and ends them when aborted. Everything else is `lab down`'s work. */
export async function runSupervisor(
  options: SupervisorOptions,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const supervisor = new Supervisor(options, logger)
  try {
    await supervisor.start(signal)
    await supervisor.keepRunning(signal)
  } catch (error) {
    if (!signal.aborted) {
      logger.error('lab not started', { err: error })
      supervisor.fail(toError(error))
    }
  } finally {
    await supervisor.stop()
  }
}

class Supervisor {
  readonly #lab: LabProgram
  readonly #plan: TopologyPlan
  readonly #logger: Logger
  readonly #children: SupervisedChild[] = []
  readonly #startedAt = new Date().toISOString()
  #phase: LabPhase = { kind: 'starting', step: 'folders' }
  #client: KubeClient | undefined
  #tokens: AgentTokens | undefined
  #stateWrites: Promise<void> = Promise.resolve()
  #stateTimer: NodeJS.Timeout | undefined

  constructor(options: SupervisorOptions, logger: Logger) {
    const paths = labPathsOf(options.dir)
    this.#plan = planTopology(options.nodes)
    this.#lab = {
      paths,
      nodes: options.nodes,
      kubeconfig: options.kubeconfig ?? paths.kubeconfig,
      isExternal: options.kubeconfig !== undefined,
      apiPort: options.apiPort,
      controllerPorts: options.controllerPorts,
      controllerFlags: options.controllerFlags,
    }
    this.#logger = logger
  }

  async start(signal: AbortSignal): Promise<void> {
    const { paths, isExternal, controllerPorts } = this.#lab
    await this.#step('folders', () => makeFolders(paths, this.#lab.nodes))
    await this.#step('virtual switch and nodes', async () => {
      await prepareNamespaces()
      await raiseNeighbourLimits(paths.oldLimits)
      const pause = new PauseRunner(nativeProgram('lab-pause'))
      await buildTopology(this.#plan, paths, pause, signal)
    })
    if (!isExternal) this.#launch(apiserverSpec(this.#lab))
    const warm = Promise.all(warmUps().map((run) => runToEnd(run, AbortSignal.any([signal, warmUpLimit()]))))
    // The embedded API server writes its own.
    const access = await this.#retry(() => loadKubeconfig(this.#lab.kubeconfig), signal)
    const client = new KubeClient(access, { userAgent: 'spiderpool-lab', logger: this.#logger })
    this.#client = client
    const nodes = identitiesOf(this.#plan, systemNamespace)
    await this.#step('API server', () =>
      this.#retry((s) => client.request('GET', '/version', undefined, s), signal),
    )
    await this.#step('resource definitions', () => this.#retry((s) => applyCrds(client, s), signal))
    await this.#step('base objects', () =>
      this.#retry((s) => createBaseObjects(client, nodes, systemNamespace, s), signal),
    )
    if (isExternal) {
      await this.#step('rights', () => this.#retry((s) => createRights(client, systemNamespace, s), signal))
    }
    this.#tokens = new AgentTokens({ api: client, paths, nodes, logger: this.#logger })
    const tokens = this.#tokens
    await this.#step('tokens', () => this.#retry((s) => tokens.issueDue(s), signal))
    await writeKubeconfigs(this.#lab, access, signal)
    await this.#step('compiled code', () => warm)
    for (const spec of controllerSpecs(this.#lab)) this.#launch(spec)
    await this.#step('controller', () =>
      Promise.all(controllerPorts.map((port) => untilListening(port, apiBudgetMs, signal))),
    )
    await this.#step('default networks', () => this.#retry((s) => createDefaultNetworks(client, s), signal))
    for (const node of this.#lab.nodes) this.#launch(agentSpec(this.#lab, node))
    this.#launch(worldSpec(this.#lab))
    await this.#step('agents', () => untilAgentsReady(paths, this.#lab.nodes, apiBudgetMs, signal))
    this.#setPhase({ kind: 'running' })
  }

  async keepRunning(signal: AbortSignal): Promise<void> {
    await this.#tokens?.run(signal)
  }

  fail(error: Error): void {
    const hint = error instanceof OperationError ? error.hint : ''
    this.#setPhase({ kind: 'failed', message: error.message, hint })
  }

  /** Ends the children in the reverse order of their start. */
  async stop(): Promise<void> {
    const failed = this.#phase.kind === 'failed'
    if (!failed) this.#setPhase({ kind: 'stopping' })
    for (const group of groupsInReverse(this.#children)) await Promise.all(group.map((child) => child.stop()))
    this.#children.length = 0
    await this.#client?.close()
    clearTimeout(this.#stateTimer)
    this.#writeState()
    await this.#stateWrites
  }

  async #step(step: string, work: () => Promise<unknown>): Promise<void> {
    this.#setPhase({ kind: 'starting', step })
    this.#logger.info('step', { step })
    try {
      await work()
    } catch (cause) {
      const error = toError(cause)
      const hint = error instanceof OperationError ? error.hint : `See the logs in ${this.#lab.paths.logsDir}`
      throw new LabError(`Cannot start the lab, step "${step}": ${error.message}`, hint, { cause })
    }
  }

  #retry<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    return untilDone(work, apiBudgetMs, this.#logger, signal)
  }

  #launch(spec: ChildSpec): void {
    const child = new SupervisedChild(spec, this.#logger, () => this.#stateSoon())
    this.#children.push(child)
    child.start()
  }

  #setPhase(phase: LabPhase): void {
    this.#phase = phase
    this.#writeState()
  }

  /** Many processes start or end at once: one write tells of all. */
  #stateSoon(): void {
    if (this.#stateTimer !== undefined) return
    this.#stateTimer = setTimeout(() => {
      this.#stateTimer = undefined
      this.#writeState()
    }, stateEveryMs)
  }

  #writeState(): void {
    const { paths, nodes, kubeconfig, isExternal, apiPort, controllerPorts } = this.#lab
    const self = readProcessId(process.pid)
    if (self === undefined) return
    const processes = this.#children.map((child) => child.process).filter((id) => id !== undefined)
    const state: LabState = {
      version: 1,
      bootId: readBootId(),
      startedAt: this.#startedAt,
      phase: this.#phase,
      supervisor: self,
      processes,
      nodes,
      kubeconfig,
      isExternal,
      apiPort,
      controllerPorts,
    }
    this.#stateWrites = this.#stateWrites
      .then(() => writeState(paths, state))
      .catch((error: unknown) => this.#logger.error('state file not written', { err: error }))
  }
}

/** The API server and the controllers were started first and end last; agents end together. */
function groupsInReverse(children: readonly SupervisedChild[]): readonly (readonly SupervisedChild[])[] {
  const rank = ({ name }: SupervisedChild) =>
    name === 'lab-apiserver' ? 2 : Number(/^controller(-\d+)?$/.test(name))
  return [0, 1, 2].map((wanted) => children.filter((child) => rank(child) === wanted))
}

async function makeFolders(paths: LabPaths, nodes: readonly string[]): Promise<void> {
  const folders = [paths.apiserverDir, paths.logsDir]
  for (const node of nodes) {
    const { cniBinDir, cniConfDir, cniCacheDir, journalDir, spoolDir, sandboxesDir } = nodePathsOf(
      paths,
      node,
    )
    folders.push(cniBinDir, cniConfDir, cniCacheDir, journalDir, spoolDir, sandboxesDir)
  }
  for (const folder of folders) await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(paths.marker, 'This folder is removed whole by: spiderpoolctl lab down\n')
}

/** Daemons use the API server with tokens of their accounts, not with the administrator's certificate. */
async function writeKubeconfigs(lab: LabProgram, access: KubeAccess, signal: AbortSignal): Promise<void> {
  const { server, tls } = await access.current(signal)
  const { controllerKubeconfig, controllerToken } = lab.paths
  const daemons = [
    { kubeconfig: controllerKubeconfig, apiToken: controllerToken },
    ...lab.nodes.map((node) => nodePathsOf(lab.paths, node)),
  ]
  // Without an authority of its own the API server is one that the machine trusts.
  const data = tls.ca === undefined ? undefined : Buffer.from(tls.ca).toString('base64')
  const cluster = { server, ...(data === undefined ? {} : { 'certificate-authority-data': data }) }
  for (const { kubeconfig, apiToken } of daemons) {
    const text = kubeconfigText(cluster, { tokenFile: apiToken })
    await writeFile(kubeconfig, text, { mode: 0o600 })
  }
}
