// spiderpoolctl in this process against an API server: what it prints, and its exit code.
import type { KubeObject } from '../../src/api/index.ts'
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

/** An object of the cluster. */
export function named(apiVersion: string, kind: string, name: string, more: object = {}): KubeObject {
  return { apiVersion, kind, metadata: { name }, ...more }
}

/** A pool of 10.6.0.0/16, unless `more` says otherwise. */
export function pool(name: string, ips: readonly string[], more: object): KubeObject {
  const spec = { subnet: '10.6.0.0/16', ips, ...more }
  return named('spiderpool.spidernet.io/v2beta1', 'SpiderIPPool', name, { spec })
}
