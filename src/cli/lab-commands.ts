import { InvalidInputError } from '../base/index.ts'
import type { Command, FlagHelp, Terminal } from './command.ts'
import { numberFlag, type ParsedArgs, parseFlags, refuseMore, textFlag } from './flags.ts'
import { pingTarget } from './ping-target.ts'
import { exitCodes } from './run-cli.ts'
import { formatTable } from './table.ts'

/** What the commands need of the lab. */
export interface LabPort {
  up(
    options: {
      readonly dir: string
      readonly nodes: readonly string[]
      readonly kubeconfig?: string
      readonly port?: number
      readonly controllers?: number
      readonly controllerFlags?: readonly string[]
    },
    report: (line: string) => void,
    signal: AbortSignal,
  ): Promise<{ readonly dir: string; readonly kubeconfig: string; readonly nodes: readonly string[] }>
  down(
    dir: string,
    report: (line: string) => void,
    signal: AbortSignal,
  ): Promise<{ readonly wasThere: boolean; readonly processCount: number; readonly namespaceCount: number }>
  status(dir: string): Promise<LabView>
  /** Runs a command on our own terminal inside `POD`, `NAMESPACE/POD`, `node:NAME` or `switch`; gives its exit code. */
  exec(dir: string, place: string, command: readonly string[]): Promise<number>
}

/** What `lab status` shows. */
export interface LabView {
  readonly kind: 'absent' | 'left' | 'starting' | 'running' | 'stopping' | 'failed'
  readonly detail: string
  readonly dir: string
  readonly kubeconfig: string
  readonly nodes: readonly string[]
  /** Addresses by name of the place: `node:NAME`, and `switch` for the gateway. */
  readonly placeIps: Readonly<Record<string, readonly string[]>>
  readonly processes: readonly {
    readonly name: string
    readonly pid: number
    readonly isAlive: boolean
    readonly restartCount: number
    readonly lastEnd: string
  }[]
  readonly pods: readonly {
    readonly node: string
    readonly namespace: string
    readonly name: string
    readonly ips: readonly string[]
    readonly isRunning: boolean
  }[]
}

const defaultNodes = 'master,node1,node2'
const defaultDir = '/var/lib/spiderpool-lab'
const maxPings = 1000
const maxPort = 65_535
const maxControllers = 3

/** The commands of the lab. `env` may name its folder: SPIDERPOOL_LAB_DIR. */
export function labCommands(
  lab: LabPort,
  env: Readonly<Record<string, string | undefined>>,
): readonly Command[] {
  const folder = env['SPIDERPOOL_LAB_DIR'] ?? defaultDir
  const dirFlag = { name: 'dir', value: 'DIR', text: `folder of the lab (SPIDERPOOL_LAB_DIR, ${folder})` }
  const dirOf = (parsed: ParsedArgs): string => textFlag(parsed, 'dir') ?? folder
  return [
    upCommand(lab, dirFlag, dirOf),
    downCommand(lab, dirFlag, dirOf),
    statusCommand(lab, dirFlag, dirOf),
    execCommand(lab, dirFlag, dirOf),
    pingCommand(lab, dirFlag, dirOf),
  ]
}

type DirOf = (parsed: ParsedArgs) => string

function upCommand(lab: LabPort, dirFlag: FlagHelp, dirOf: DirOf): Command {
  const command = {
    name: 'lab up',
    usage:
      '[--nodes a,b,c] [--controllers N] [--controller-flags=FLAGS] [--kubeconfig FILE] [--port N] [--dir DIR]',
    summary: 'Starts a lab on this machine: API server, controller, and simulated nodes with their agents',
    flags: [
      { name: 'nodes', value: 'a,b,c', text: `names of the nodes (${defaultNodes})` },
      {
        name: 'kubeconfig',
        value: 'FILE',
        text: 'run the nodes against this API server, not an embedded one',
      },
      {
        name: 'controllers',
        value: 'N',
        text: `replicas of the controller, of which one leads: 1 to ${maxControllers} (1)`,
      },
      {
        name: 'controller-flags',
        value: 'FLAGS',
        text: 'further flags of the controller, with spaces between them: --controller-flags="--log-level=debug --disable-ipv6"',
      },
      { name: 'port', value: 'N', text: 'port of the embedded API server (16443, or a free one)' },
      dirFlag,
    ],
  }
  const run = async (args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> => {
    const parsed = parseFlags(command, args)
    refuseMore(command, parsed, 0)
    const nodes = (textFlag(parsed, 'nodes') ?? defaultNodes).split(',').map((name) => name.trim())
    const kubeconfig = textFlag(parsed, 'kubeconfig')
    const port = numberFlag(parsed, 'port', { least: 1, most: maxPort })
    const controllers = numberFlag(parsed, 'controllers', { least: 1, most: maxControllers })
    if (kubeconfig !== undefined && port !== undefined) {
      const hint = 'leave one of them out: a port is for the embedded API server'
      throw new InvalidInputError('--port', port, 'does not go with --kubeconfig', hint)
    }
    const controllerFlags = textFlag(parsed, 'controller-flags')?.split(' ')
    const options = {
      dir: dirOf(parsed),
      nodes,
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(port === undefined ? {} : { port }),
      ...(controllers === undefined ? {} : { controllers }),
      ...(controllerFlags === undefined ? {} : { controllerFlags }),
    }
    const started = await lab.up(options, (line) => terminal.note(`  ${line}`), signal)
    terminal.print(`The lab runs with nodes ${started.nodes.join(', ')}.`)
    terminal.print(`  export KUBECONFIG=${started.kubeconfig}`)
    return exitCodes.done
  }
  return { ...command, run }
}

function downCommand(lab: LabPort, dirFlag: FlagHelp, dirOf: DirOf): Command {
  const command = {
    name: 'lab down',
    usage: '[--dir DIR]',
    summary: 'Ends a lab and removes every process, namespace, link and file of it, also after crashes',
    flags: [dirFlag],
  }
  const run = async (args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> => {
    const parsed = parseFlags(command, args)
    refuseMore(command, parsed, 0)
    const removed = await lab.down(dirOf(parsed), (line) => terminal.note(`  ${line}`), signal)
    const what = `${removed.processCount} processes, ${removed.namespaceCount} namespaces`
    terminal.print(removed.wasThere ? `The lab is gone: ${what}.` : `No lab was in ${dirOf(parsed)}.`)
    return exitCodes.done
  }
  return { ...command, run }
}

function statusCommand(lab: LabPort, dirFlag: FlagHelp, dirOf: DirOf): Command {
  const command = {
    name: 'lab status',
    usage: '[--dir DIR]',
    summary: 'Shows the processes and pods of the lab; exit code 1 when it does not run',
    flags: [dirFlag],
  }
  const run = async (args: readonly string[], terminal: Terminal): Promise<number> => {
    const parsed = parseFlags(command, args)
    refuseMore(command, parsed, 0)
    const view = await lab.status(dirOf(parsed))
    for (const line of statusLines(view)) terminal.print(line)
    const isWell = view.kind === 'running' && view.processes.every((process) => process.isAlive)
    return isWell ? exitCodes.done : exitCodes.failed
  }
  return { ...command, run }
}

const headlines: Readonly<Record<LabView['kind'], string>> = {
  absent: 'No lab is here. Start one: spiderpoolctl lab up',
  left: 'The lab was killed and left processes or namespaces. Remove them: spiderpoolctl lab down',
  starting: 'The lab starts',
  running: 'The lab runs',
  stopping: 'The lab ends',
  failed: 'The lab did not start',
}

function statusLines(view: LabView): readonly string[] {
  const lines = [`${headlines[view.kind]}${view.detail === '' ? '' : `: ${view.detail}`}`]
  if (view.kubeconfig !== '') lines.push(`  export KUBECONFIG=${view.kubeconfig}`)
  if (view.processes.length > 0) {
    const rows = view.processes.map(({ name, pid, isAlive, restartCount, lastEnd }) => {
      return [name, isAlive ? String(pid) : 'ended', String(restartCount), lastEnd]
    })
    lines.push('', ...formatTable(['PROCESS', 'PID', 'RESTARTS', 'LAST END'], rows))
  }
  if (view.pods.length > 0) {
    const rows = view.pods.map(({ node, namespace, name, ips, isRunning }) => {
      return [node, namespace, name, ips.join(',') || '<none>', isRunning ? 'yes' : 'no']
    })
    lines.push('', ...formatTable(['NODE', 'NAMESPACE', 'POD', 'IPS', 'PROCESS'], rows))
  }
  return lines
}

function execCommand(lab: LabPort, dirFlag: FlagHelp, dirOf: DirOf): Command {
  const command = {
    name: 'lab exec',
    usage: 'PLACE [--dir DIR] -- COMMAND [ARGUMENT...]',
    summary: 'Runs a command of this machine inside POD, NAMESPACE/POD, node:NAME or switch',
    flags: [dirFlag],
  }
  const run = (args: readonly string[]): Promise<number> => {
    const parsed = parseFlags(command, args)
    const [place, ...stray] = parsed.positionals
    if (place === undefined) {
      throw new InvalidInputError('PLACE', '', 'is missing', 'name a POD, NAMESPACE/POD, node:NAME or switch')
    }
    if (stray.length > 0 && parsed.rest.length === 0) {
      const hint = `write: lab exec ${place} -- ${stray.join(' ')}`
      throw new InvalidInputError('COMMAND', stray.join(' '), 'is not behind --', hint)
    }
    refuseMore(command, parsed, 1)
    if (parsed.rest.length === 0) {
      throw new InvalidInputError('COMMAND', '', 'is missing', `write: lab exec ${place} -- ip address`)
    }
    return lab.exec(dirOf(parsed), place, parsed.rest)
  }
  return { ...command, run: async (args) => run(args) }
}

function pingCommand(lab: LabPort, dirFlag: FlagHelp, dirOf: DirOf): Command {
  const command = {
    name: 'lab ping',
    usage: 'FROM TO [--count N] [--dir DIR]',
    summary: 'Pings from a place of the lab, as for lab exec, to another or to an address',
    flags: [{ name: 'count', value: 'N', text: `how many pings, 1 to ${maxPings} (3)` }, dirFlag],
  }
  const run = async (args: readonly string[]): Promise<number> => {
    const parsed = parseFlags(command, args)
    refuseMore(command, parsed, 2)
    const [from, to] = parsed.positionals
    if (from === undefined || to === undefined) {
      const missing = from === undefined ? 'FROM' : 'TO'
      throw new InvalidInputError(missing, '', 'is missing', `write: lab ping ${from ?? 'POD'} 10.6.0.1`)
    }
    const count = numberFlag(parsed, 'count', { least: 1, most: maxPings }) ?? 3
    const dir = dirOf(parsed)
    const target = pingTarget(await lab.status(dir), from, to)
    return lab.exec(dir, from, ['ping', '-n', '-c', String(count), '-i', '0.2', '-W', '2', target])
  }
  return { ...command, run }
}
