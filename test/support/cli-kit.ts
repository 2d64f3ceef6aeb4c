// spiderpoolctl in this process against an API server: what it prints, and its exit code.
import { silentLogger } from '../../src/base/index.ts'
import { type ClusterPort, clusterCommands, completionCommands, runCli } from '../../src/cli/index.ts'
import { KubeClient, loadKubeconfig } from '../../src/kube/index.ts'

export interface CliResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Connects as the program does. */
export const clusterPort: ClusterPort = {
  async connect(kubeconfig) {
    const access = await loadKubeconfig(kubeconfig ?? '')
    const api = new KubeClient(access, { userAgent: 'spiderpoolctl', logger: silentLogger })
    return { api, close: () => api.close() }
  },
}

/** Runs one command. @param kubeconfig whom it talks as */
export async function runCtl(
  kubeconfig: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<CliResult> {
  const out: string[] = []
  const err: string[] = []
  const terminal = {
    print: (line: string) => void out.push(line),
    note: (line: string) => void err.push(line),
  }
  const env = { KUBECONFIG: kubeconfig }
  const commands = clusterCommands(clusterPort, env)
  const all = [...commands, ...completionCommands(commands, clusterPort, env)]
  const code = await runCli(args, all, terminal, signal ?? new AbortController().signal)
  return { code, out: out.join('\n'), err: err.join('\n') }
}
