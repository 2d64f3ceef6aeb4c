// Brings a lab of its own folder up and down for a test, through the same command line that people use. The API server is the
// lab's own, or a real control plane with SPIDERPOOL_TEST_SERVER=real.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { controlPlaneDown, controlPlaneUp, readState } from '../support/control-plane/control-plane.ts'
import { serverUnderTest } from '../support/server-under-test.ts'
import { commandBudgetMs, kubectlJson, namespacePaths } from './kernel-checker.ts'

const root = dirname(dirname(import.meta.dirname))
const ctl = join(root, 'src/bin/spiderpoolctl.ts')

/** A running lab. */
export interface Lab {
  readonly dir: string
  readonly kubeconfig: string
  kubectl(args: readonly string[], input?: string): string
  json<T>(args: readonly string[]): T
  /** Namespace files of pods: all below the lab but those of nodes and of the switch. */
  podNamespaces(): readonly string[]
  /**
   * Process ids by name, as the lab's own state file has them. `apiserver` is the API server, whichever it is; a real one has
   * `etcd`, `kube-controller-manager` and `kube-scheduler` beside it. What is killed is started again.
   */
  pids(): ReadonlyMap<string, number>
  /** Of a real control plane: its folder, with `state.json`, keys and logs. */
  readonly controlPlaneDir: string | undefined
  down(): void
}

/** The kubectl to use: $KUBECTL, or the one on PATH. */
export const kubectlPath: string = process.env['KUBECTL'] ?? 'kubectl'

/**
 * Starts a lab with the given nodes; throws with the command's output when it does not come up.
 * @param more further arguments of `lab up`
 */
export function labUp(nodes: readonly string[], more: readonly string[] = []): Lab {
  const dir = mkdtempSync(join(tmpdir(), 'spiderpool-lab-test-'))
  const controlPlaneDir =
    serverUnderTest === 'real' ? mkdtempSync(join(tmpdir(), 'spiderpool-control-plane-')) : undefined
  const external = controlPlaneDir === undefined ? undefined : controlPlaneUp(controlPlaneDir).kubeconfig
  const against = external === undefined ? [] : ['--kubeconfig', external]
  const args = [ctl, 'lab', 'up', '--dir', dir, '--nodes', nodes.join(','), ...against, ...more]
  const run = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 120_000, killSignal: 'SIGKILL' })
  const kubeconfig = external ?? join(dir, 'kubeconfig')
  const down = (): void => {
    const options = { encoding: 'utf8', timeout: 120_000, killSignal: 'SIGKILL' } as const
    execFileSync(process.execPath, [ctl, 'lab', 'down', '--dir', dir], options)
    rmSync(dir, { recursive: true, force: true })
    if (controlPlaneDir === undefined) return
    controlPlaneDown(controlPlaneDir)
    rmSync(controlPlaneDir, { recursive: true, force: true })
  }
  if (run.status !== 0) {
    const logs = existsSync(join(dir, 'logs'))
      ? execFileSync('sh', ['-c', `tail -n 5 ${dir}/logs/*`], { encoding: 'utf8' })
      : ''
    down()
    throw new Error(`lab up ended with ${run.status ?? run.signal}:\n${run.stdout}${run.stderr}\n${logs}`)
  }
  const env = { ...process.env, KUBECONFIG: kubeconfig }
  return {
    dir,
    kubeconfig,
    controlPlaneDir,
    kubectl: (args, input) =>
      execFileSync(kubectlPath, [...args], {
        env,
        encoding: 'utf8',
        maxBuffer: 1 << 28,
        timeout: commandBudgetMs,
        killSignal: 'SIGKILL',
        ...(input === undefined ? {} : { input }),
      }),
    json: (args) => kubectlJson(kubectlPath, kubeconfig, args),
    podNamespaces: () =>
      namespacePaths(dir).filter((path) => path.includes('/sandboxes/') || path.includes('/pods/')),
    pids: () => processIds(dir, controlPlaneDir),
    down,
  }
}

function processIds(dir: string, controlPlaneDir: string | undefined): ReadonlyMap<string, number> {
  const state = JSON.parse(readFileSync(join(dir, 'state.json'), 'utf8')) as {
    processes: { name: string; pid: number }[]
  }
  const ofControlPlane =
    controlPlaneDir === undefined ? [] : Object.entries(readState(controlPlaneDir)?.pids ?? {})
  const found = new Map([...state.processes.map(({ name, pid }) => [name, pid] as const), ...ofControlPlane])
  const apiserver = found.get('lab-apiserver') ?? found.get('kube-apiserver')
  return apiserver === undefined ? found : found.set('apiserver', apiserver)
}

/** Waits until `probe` gives a value; its last complaint is in the error. */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  probe: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const untilMs = performance.now() + timeoutMs
  let complaint = ''
  while (performance.now() < untilMs) {
    try {
      const value = await probe()
      if (value !== undefined) return value
    } catch (error) {
      complaint = String(error)
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  throw new Error(`${what}: not within ${timeoutMs} ms. ${complaint}`)
}
