import { execFile, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, realpathSync } from 'node:fs'
import { access, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join, resolve as resolvePath } from 'node:path'
import { promisify } from 'node:util'
import { InvalidInputError, parseJson, systemClock, undone } from '../../base/index.ts'
import { listMounts } from '../../netlink/index.ts'
import { type LabPaths, labPathsOf, nodePathsOf } from '../lab-paths.ts'
import { freePorts, holdApiPort } from '../ports.ts'
import { isAlive, type ProcessId, readProcessId } from '../process-table.ts'
import { planTopology } from '../topology/plan.ts'
import { findLabProcesses, labDown } from './down.ts'
import { LabError } from './lab-error.ts'
import { isSupervised, type LabState, readState } from './lab-state.ts'
import { binScript, nativeBuildScript, nativeProgram } from './program.ts'

/** What a person asked for. */
export interface LabUpOptions {
  readonly dir: string
  readonly nodes: readonly string[]
  /** Run against this API server instead of the embedded one. */
  readonly kubeconfig?: string
  /** Port of the embedded API server; absent: 16443, or any free one. */
  readonly port?: number
  /** Replicas of the controller; absent: 1. */
  readonly controllers?: number
  /** Further flags of each controller. */
  readonly controllerFlags?: readonly string[]
}

/** A lab that runs. */
export interface LabSummary {
  readonly dir: string
  readonly kubeconfig: string
  readonly nodes: readonly string[]
  readonly apiPort: number
  readonly processCount: number
}

const pollMs = 50
const maxSocketPathBytes = 107
const upBudgetMs = 300_000
const downBudgetMs = 60_000
const run = promisify(execFile)
const downHint = 'Remove it first: spiderpoolctl lab down'

/**
 * Starts a lab and waits until it runs.
 * @param report gets a line for each step
 * @throws {LabError} when one runs already, or a step fails; {@link InvalidInputError} for a bad option
 */
export async function labUp(
  options: LabUpOptions,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<LabSummary> {
  planTopology(options.nodes) // refuses bad names before anything is made
  if (process.getuid?.() !== 0) {
    throw new LabError('Cannot start the lab: it needs root, for network namespaces', 'Run it with sudo')
  }
  const kubeconfig = options.kubeconfig === undefined ? undefined : resolvePath(options.kubeconfig)
  if (kubeconfig !== undefined) await checkReadable('--kubeconfig', kubeconfig)
  await mkdir(options.dir, { recursive: true, mode: 0o700 })
  const paths = labPathsOf(realpathSync(options.dir))
  checkSocketPaths(paths, options.nodes)
  await using _lock = await takeLock(paths)
  await refuseOrClear(paths, report)
  await buildNative(report, signal)
  await using api = await holdApiPort(options.port)
  const controllerPorts = await freePorts(options.controllers ?? 1)
  await mkdir(paths.logsDir, { recursive: true, mode: 0o700 })
  const supervisor = startSupervisor(paths, [
    ...['--dir', paths.dir, '--nodes', options.nodes.join(',')],
    ...['--api-port', String(api.port), '--controller-ports', controllerPorts.join(',')],
    ...(kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]),
    ...(options.controllerFlags ?? []).map((flag) => `--controller-flag=${flag}`),
  ])
  try {
    return await waitUntilRunning(paths, supervisor, report, signal)
  } catch (error) {
    if (!signal.aborted) throw error
    report('interrupted: removing what was started')
    throw await undone(error, async () => {
      await labDown(paths.dir, report, AbortSignal.timeout(downBudgetMs))
    })
  }
}

/** struct sockaddr_un has 108 bytes for a path and its NUL. */
function checkSocketPaths(paths: LabPaths, nodes: readonly string[]): void {
  const tooLong = nodes.find(
    (node) => Buffer.byteLength(nodePathsOf(paths, node).socket) > maxSocketPathBytes,
  )
  if (tooLong === undefined) return
  const problem = `makes the socket path of node "${tooLong}" longer than ${maxSocketPathBytes} bytes`
  throw new InvalidInputError('--dir', paths.dir, problem, 'name a shorter folder, or shorter nodes')
}

async function checkReadable(field: string, path: string): Promise<void> {
  try {
    await access(path)
  } catch {
    throw new InvalidInputError(field, path, 'cannot be read', 'name a kubeconfig file that exists')
  }
}

/** Two `lab up` at the same moment: the file says who is at it. */
async function takeLock(paths: LabPaths): Promise<AsyncDisposable> {
  for (let tries = 0; tries < 2; tries++) {
    try {
      const file = await open(paths.lock, 'wx', 0o600)
      await file.writeFile(JSON.stringify(readProcessId(process.pid)))
      await file.close()
      return { [Symbol.asyncDispose]: () => rm(paths.lock, { force: true }) }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
      if (await isLockHeld(paths)) break
      await rm(paths.lock, { force: true })
    }
  }
  throw new LabError(
    `Cannot start the lab in ${paths.dir}: another "lab up" is starting it`,
    'Wait for it to end',
  )
}

async function isLockHeld(paths: LabPaths): Promise<boolean> {
  try {
    const holder = parseJson(await readFile(paths.lock, 'utf8'))
    return typeof holder === 'object' && holder !== null && isAlive(holder as ProcessId)
  } catch {
    return false // half written by a process that was killed, or gone by now
  }
}

/** A lab that runs is refused; the folder of one of which nothing is alive any more is cleared. */
async function refuseOrClear(paths: LabPaths, report: (line: string) => void): Promise<void> {
  const state = await readState(paths)
  if (state !== undefined && isSupervised(state)) {
    const nodes = state.nodes.join(', ')
    throw new LabError(
      `A lab runs in ${paths.dir} already, with nodes ${nodes}`,
      `Look at it: spiderpoolctl lab status. ${downHint}`,
    )
  }
  const isHeld = listMounts(paths.dir).length > 0 || findLabProcesses(paths.dir).length > 0
  if (isHeld) throw new LabError(`What a lab left when it was killed is still in ${paths.dir}`, downHint)
  const names = readdirSync(paths.dir).filter((name) => name !== 'lock')
  if (names.length === 0) return
  if (!existsSync(paths.marker)) {
    const hint = 'Name an empty folder, or one that is not there yet: --dir FOLDER'
    throw new LabError(`Cannot use ${paths.dir}: it holds files that are no lab's`, hint)
  }
  report(`removing what an ended lab left in ${paths.dir}`)
  for (const name of names) await rm(join(paths.dir, name), { recursive: true, force: true })
}

async function buildNative(report: (line: string) => void, signal: AbortSignal): Promise<void> {
  const programs = ['lab-pause', 'cni-pipe']
  if (programs.every((name) => existsSync(nativeProgram(name)))) return
  report('building native programs')
  try {
    await run('sh', [nativeBuildScript], { signal })
  } catch (cause) {
    const hint = 'Install a C compiler: apt-get install gcc libc6-dev'
    throw new LabError('Cannot build the native programs with scripts/build-native.sh', hint, { cause })
  }
}

interface StartedSupervisor {
  readonly id: ProcessId | undefined
}

function startSupervisor(paths: LabPaths, args: readonly string[]): StartedSupervisor {
  const log = openSync(join(paths.logsDir, 'lab-supervisor.log'), 'a', 0o600)
  try {
    const child = spawn(process.execPath, [binScript('lab-supervisor'), ...args], {
      stdio: ['ignore', log, log],
      detached: true,
      cwd: '/',
      env: { ...process.env, SPIDERPOOL_LAB_DIR: paths.dir, SPIDERPOOL_LAB_PROCESS: 'lab-supervisor' },
    })
    child.unref()
    return { id: child.pid === undefined ? undefined : readProcessId(child.pid) }
  } finally {
    closeSync(log)
  }
}

async function waitUntilRunning(
  paths: LabPaths,
  supervisor: StartedSupervisor,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<LabSummary> {
  const endMs = systemClock.nowMs() + upBudgetMs
  let step = ''
  while (systemClock.nowMs() < endMs) {
    const state = await readState(paths)
    if (state?.phase.kind === 'running') return summaryOf(paths, state)
    if (state?.phase.kind === 'failed')
      throw new LabError(state.phase.message, state.phase.hint || logsHint(paths))
    if (state?.phase.kind === 'starting' && state.phase.step !== step) {
      step = state.phase.step
      report(step)
    }
    if (supervisor.id === undefined || !isAlive(supervisor.id)) {
      throw new LabError('Cannot start the lab: its supervisor ended', logsHint(paths))
    }
    await systemClock.sleep(pollMs, signal)
  }
  throw new LabError(`The lab does not run after ${upBudgetMs / 1000} s, it is at: ${step}`, logsHint(paths))
}

function logsHint(paths: LabPaths): string {
  return `See ${paths.logsDir}/*.log, then: spiderpoolctl lab down`
}

function summaryOf(paths: LabPaths, state: LabState): LabSummary {
  const { kubeconfig, nodes, apiPort, processes } = state
  return { dir: paths.dir, kubeconfig, nodes, apiPort, processCount: processes.length + 1 }
}
