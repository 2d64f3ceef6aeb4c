import type { IpAddress } from '../../address/index.ts'
import { blockOf, formatIp } from '../../address/index.ts'
import { resources } from '../../api/index.ts'
import { InvalidInputError, systemClock } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { blockSizes } from '../../ledger/index.ts'
import { type ClusterPort, clusterFlags, type Env, withCluster } from '../cluster/access.ts'
import type { Command, Terminal } from '../command.ts'
import { parseDuration } from '../durations.ts'
import { oneArgument, type ParsedArgs, parseFlags, textFlag } from '../flags.ts'
import { follow, watchFlag } from '../follow.ts'
import { formatOutput, type OutputFormat, outputFlag, outputFormat } from '../output.ts'
import { exitCodes } from '../run-cli.ts'
import { addressLines, historyLines } from './address-lines.ts'
import { viewAddress, viewHistory } from './address-view.ts'
import { parseAddress, readAddress } from './read-address.ts'
import { type ReleaseOutcome, release } from './release.ts'
import { releaseText } from './release-plan.ts'
import { type SetPlan, type Setting, setAddress } from './set-address.ts'

const maxQuarantineMs = 365 * 86_400_000
const yesFlag = { name: 'yes', text: 'do it; without it, what would be done is printed' } as const

/** Commands about one address. */
export function ipCommands(cluster: ClusterPort, env: Env): readonly Command[] {
  return [
    showCommand(cluster, env),
    historyCommand(cluster, env),
    releaseCommand(cluster, env),
    setCommand(cluster, env),
  ]
}

function showCommand(cluster: ClusterPort, env: Env): Command {
  const command = {
    name: 'ip show',
    usage: 'IP [FLAGS]',
    summary: 'Tell who holds an address, or why nobody does',
    flags: [outputFlag, watchFlag, ...clusterFlags],
  }
  return {
    ...command,
    run: (args, terminal, signal) => {
      const parsed = parseFlags(command, args)
      const address = parseAddress(oneArgument(command, parsed, 'IP'))
      const format = outputFormat(parsed)
      const isEndless = parsed.flags['watch'] === true
      return withCluster({ cluster, env, parsed, signal, isEndless }, async (api, deadline) => {
        const render = async (until: AbortSignal): Promise<string> => {
          const view = viewAddress(await readAddress(address, api, until), systemClock.nowMs())
          return formatOutput(format, view, () => addressLines(view)).join('\n')
        }
        if (!isEndless) terminal.print(await render(deadline))
        else await followAddress(address, api, { render, print: printerOf(terminal, format) }, deadline)
        return exitCodes.done
      })
    },
  }
}

function followAddress(
  address: IpAddress,
  api: KubeApi,
  output: Parameters<typeof follow>[2],
  signal: AbortSignal,
): Promise<void> {
  const { name } = blockOf(address, blockSizes)
  const kinds = [
    { resource: resources.ipBlock, name },
    { resource: resources.ipPool },
    { resource: resources.reservedIp },
  ]
  return follow(api, kinds, output, signal)
}

/** Each print after the first is set off from the one before, so that a reader of YAML or a person sees where it begins. */
export function printerOf(terminal: Terminal, format: OutputFormat): (text: string) => void {
  let isFirst = true
  return (text) => {
    if (!isFirst && format !== 'json') terminal.print(format === 'yaml' ? '---' : '')
    isFirst = false
    terminal.print(text)
  }
}

function historyCommand(cluster: ClusterPort, env: Env): Command {
  const command = {
    name: 'ip history',
    usage: 'IP [FLAGS]',
    summary: 'List who holds an address now and who had it before, newest first',
    flags: [outputFlag, ...clusterFlags],
  }
  return {
    ...command,
    run: (args, terminal, signal) => {
      const parsed = parseFlags(command, args)
      const address = parseAddress(oneArgument(command, parsed, 'IP'))
      const format = outputFormat(parsed)
      return withCluster({ cluster, env, parsed, signal }, async (api, deadline) => {
        const view = viewHistory(await readAddress(address, api, deadline))
        for (const line of formatOutput(format, view, () => historyLines(view))) terminal.print(line)
        return exitCodes.done
      })
    },
  }
}

function releaseCommand(cluster: ClusterPort, env: Env): Command {
  const command = {
    name: 'ip release',
    usage: 'IP --yes [FLAGS]',
    summary: 'Free an address that was left behind, or end its quarantine',
    flags: [
      outputFlag,
      yesFlag,
      {
        name: 'force',
        text: 'also when a pod, its next pod or a sandbox may use it: TWO PODS MAY GET THE SAME ADDRESS',
      },
      ...clusterFlags,
    ],
  }
  return {
    ...command,
    run: (args, terminal, signal) => {
      const parsed = parseFlags(command, args)
      const address = parseAddress(oneArgument(command, parsed, 'IP'))
      const format = outputFormat(parsed)
      const order = {
        isMeant: parsed.flags['yes'] === true,
        isForced: parsed.flags['force'] === true,
        nowMs: () => systemClock.nowMs(),
      }
      return withCluster({ cluster, env, parsed, signal }, async (api, deadline) => {
        const outcome = await release(address, order, api, deadline)
        return tellRelease(formatIp(address), outcome, { format, ...order }, terminal)
      })
    },
  }
}

function tellRelease(
  ip: string,
  { plan, entry, isDone }: ReleaseOutcome,
  {
    format,
    isMeant,
    isForced,
  }: { readonly format: OutputFormat; readonly isMeant: boolean; readonly isForced: boolean },
  terminal: Terminal,
): number {
  const isForcing = plan.kind === 'refuse' && plan.forced !== undefined && isForced
  const action = plan.kind === 'endQuarantine' ? `end the quarantine of ${ip}` : releaseText(ip, entry)
  const isRefused = plan.kind === 'refuse' && !isForcing
  if (isForcing)
    terminal.note(
      `WARNING: ${plan.why}. --force takes it away all the same: two pods may use ${ip} from now on`,
    )
  const remedy = plan.kind === 'refuse' ? { remedy: plan.remedy } : {}
  const answer = { ip, action: plan.kind === 'nothing' ? 'none' : action, why: plan.why, ...remedy, isDone }
  const table = (): readonly string[] => {
    if (plan.kind === 'nothing') return [`Nothing to do: ${plan.why}`]
    if (isRefused) return []
    if (isDone) return [`Done: ${action}: ${plan.why}`]
    return [`This would ${action}: ${plan.why}`]
  }
  for (const line of formatOutput(format, answer, table)) terminal.print(line)
  if (plan.kind === 'nothing') return exitCodes.done
  if (isRefused) {
    terminal.note(`spiderpoolctl: Cannot release ${ip}: ${plan.why}`)
    terminal.note(`  ${plan.remedy}`)
    return exitCodes.failed
  }
  if (!isMeant) terminal.note('Nothing was done. To do it, add --yes')
  return isMeant ? exitCodes.done : exitCodes.usage
}

function setCommand(cluster: ClusterPort, env: Env): Command {
  const command = {
    name: 'ip set',
    usage: 'IP (--quarantine TIME | --reserve | --unreserve) --yes [FLAGS]',
    summary: 'Keep an address from all pods for a time or for good, or give it back',
    flags: [
      {
        name: 'quarantine',
        value: 'TIME',
        text: 'give it to nobody for that long, such as 30m, 1h or 7d; ends by: ip release',
      },
      { name: 'reserve', text: 'give it to nobody new: a SpiderReservedIP is made for it' },
      { name: 'unreserve', text: 'undo --reserve' },
      yesFlag,
      outputFlag,
      ...clusterFlags,
    ],
  }
  return {
    ...command,
    run: (args, terminal, signal) => {
      const parsed = parseFlags(command, args)
      const address = parseAddress(oneArgument(command, parsed, 'IP'))
      const format = outputFormat(parsed)
      const isMeant = parsed.flags['yes'] === true
      const order = {
        setting: settingOf(parsed, formatIp(address)),
        isMeant,
        nowMs: () => systemClock.nowMs(),
      }
      return withCluster({ cluster, env, parsed, signal }, async (api, deadline) => {
        const plan = await setAddress(address, order, api, deadline)
        return tellSet(formatIp(address), plan, { format, isMeant }, terminal)
      })
    },
  }
}

function settingOf(parsed: ParsedArgs, ip: string): Setting {
  const names = ['quarantine', 'reserve', 'unreserve'].filter((name) => parsed.flags[name] !== undefined)
  const [first, second] = names
  const hint = 'give one of --quarantine TIME, --reserve, --unreserve'
  if (first === undefined) throw new InvalidInputError('ip set', ip, 'does not say what to set', hint)
  if (second !== undefined)
    throw new InvalidInputError(`--${second}`, '', `does not go with --${first}`, hint)
  const time = textFlag(parsed, 'quarantine')
  if (time !== undefined)
    return { kind: 'quarantine', forMs: parseDuration('--quarantine', time, maxQuarantineMs) }
  return { kind: first === 'reserve' ? 'reserve' : 'unreserve' }
}

function tellSet(
  ip: string,
  plan: SetPlan,
  { format, isMeant }: { readonly format: OutputFormat; readonly isMeant: boolean },
  terminal: Terminal,
): number {
  const isWrite = plan.kind !== 'nothing' && plan.kind !== 'refuse'
  const remedy = plan.kind === 'refuse' ? { remedy: plan.remedy } : {}
  const answer = isWrite
    ? { ip, action: plan.text, isDone: isMeant }
    : { ip, action: 'none', why: plan.why, ...remedy, isDone: false }
  const table = (): readonly string[] => {
    if (plan.kind === 'nothing') return [`Nothing to do: ${plan.why}`]
    if (plan.kind === 'refuse') return []
    return [`${isMeant ? 'Done: ' : 'This would '}${plan.text}`]
  }
  for (const line of formatOutput(format, answer, table)) terminal.print(line)
  if (plan.kind === 'writeReservation' && plan.warning !== undefined)
    terminal.note(`WARNING: ${plan.warning}`)
  if (plan.kind === 'nothing') return exitCodes.done
  if (plan.kind === 'refuse') {
    terminal.note(`spiderpoolctl: Cannot set ${ip}: ${plan.why}`)
    terminal.note(`  ${plan.remedy}`)
    return exitCodes.failed
  }
  if (!isMeant) terminal.note('Nothing was done. To do it, add --yes')
  return isMeant ? exitCodes.done : exitCodes.usage
}
