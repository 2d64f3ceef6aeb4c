// The operator's command line.
import { labCommands, lazyLab, runCli, terminalOn } from '../cli/index.ts'

const stopping = new AbortController()
process.once('SIGINT', () => stopping.abort())
process.once('SIGTERM', () => stopping.abort())
const lab = lazyLab(async () => {
  const { labDown, labExec, labStatus, labUp } = await import('../lab/index.ts')
  return { up: labUp, down: labDown, status: labStatus, exec: labExec }
})
const terminal = terminalOn(process.stdout, process.stderr)
process.exitCode = await runCli(
  process.argv.slice(2),
  labCommands(lab, process.env),
  terminal,
  stopping.signal,
)
