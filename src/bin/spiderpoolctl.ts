// The operator's command line.
import { silentLogger } from '../base/index.ts'
import {
  clusterCommands,
  completionCommands,
  labCommands,
  lazyLab,
  runCli,
  terminalOn,
} from '../cli/index.ts'
import { inClusterConfig, KubeClient, loadKubeconfig } from '../kube/index.ts'

const stopping = new AbortController()
process.once('SIGINT', () => stopping.abort())
process.once('SIGTERM', () => stopping.abort())
const lab = lazyLab(async () => {
  const { labDown, labExec, labStatus, labUp } = await import('../lab/index.ts')
  return { up: labUp, down: labDown, status: labStatus, exec: labExec }
})
const cluster = {
  async connect(kubeconfig: string | undefined) {
    const access = await (kubeconfig === undefined ? inClusterConfig() : loadKubeconfig(kubeconfig))
    const api = new KubeClient(access, { userAgent: 'spiderpoolctl', logger: silentLogger })
    return { api, close: () => api.close() }
  },
}
const terminal = terminalOn(process.stdout, process.stderr)
const commands = [...labCommands(lab, process.env), ...clusterCommands(cluster, process.env)]
process.exitCode = await runCli(
  process.argv.slice(2),
  [...commands, ...completionCommands(commands, cluster, process.env)],
  terminal,
  stopping.signal,
)
