// The operator's command line.
import { labCommands, runCli, terminalOn } from '../cli/index.ts'
import { labDown, labExec, labStatus, labUp } from '../lab/index.ts'

const stopping = new AbortController()
process.once('SIGINT', () => stopping.abort())
process.once('SIGTERM', () => stopping.abort())
const commands = labCommands({ up: labUp, down: labDown, status: labStatus, exec: labExec }, process.env)
const terminal = terminalOn(process.stdout, process.stderr)
process.exitCode = await runCli(process.argv.slice(2), commands, terminal, stopping.signal)
