// Brings a lab of its own folder up and down for a test, through the same command line that people use.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { kubectlJson, namespacePaths } from './kernel-checker.ts'

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
  /** Process ids by name, as the lab's own state file has them. */
  pids(): ReadonlyMap<string, number>
  down(): void
}

/** The kubectl to use: $KUBECTL, or the one on PATH. */
export const kubectlPath: string = process.env['KUBECTL'] ?? 'kubectl'

/** Starts a lab with the given nodes; throws with the command's output when it does not come up. */
export function labUp(nodes: readonly string[]): Lab {
  const dir = mkdtempSync(join(tmpdir(), 'spiderpool-lab-test-'))
  const run = spawnSync(process.execPath, [ctl, 'lab', 'up', '--dir', dir, '--nodes', nodes.join(',')], {
    encoding: 'utf8',
    timeout: 120_000,
  })
  const kubeconfig = join(dir, 'kubeconfig')
  const down = (): void => {
    execFileSync(process.execPath, [ctl, 'lab', 'down', '--dir', dir], { encoding: 'utf8', timeout: 120_000 })
    rmSync(dir, { recursive: true, force: true })
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
    kubectl: (args, input) =>
      execFileSync(kubectlPath, [...args], {
        env,
        encoding: 'utf8',
        maxBuffer: 1 << 28,
        ...(input === undefined ? {} : { input }),
      }),
    json: (args) => kubectlJson(kubectlPath, kubeconfig, args),
    podNamespaces: () =>
      namespacePaths(dir).filter((path) => path.includes('/sandboxes/') || path.includes('/pods/')),
    pids: () => {
      const state = JSON.parse(readFileSync(join(dir, 'state.json'), 'utf8')) as {
        processes: { name: string; pid: number }[]
      }
      return new Map(state.processes.map(({ name, pid }) => [name, pid]))
    },
    down,
  }
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
