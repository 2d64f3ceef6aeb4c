import { readFile } from 'node:fs/promises'
import { InvalidInputError, parseJson, toError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import type { Command, FlagHelp, Terminal } from '../command.ts'
import { numberFlag, type ParsedArgs, parseFlags, refuseMore, textFlag } from '../flags.ts'
import { exitCodes } from '../run-cli.ts'
import { conflictLines, readConflicts } from './conflicts.ts'
import { createDefaults, parseDefaults } from './create-defaults.ts'
import { type UninstallOptions, uninstall } from './uninstall.ts'
import { assertInstalled, uninstallPlan } from './uninstall-guard.ts'

/** How the commands reach a cluster. */
export interface ClusterPort {
  /** @param kubeconfig path; undefined: the credentials of the pod that this runs in */
  connect(kubeconfig: string | undefined): Promise<{ readonly api: KubeApi; close(): Promise<void> }>
}

const defaultSeconds = 300
const seconds = { least: 1, most: 3600 }
const clusterFlags: readonly FlagHelp[] = [
  { name: 'kubeconfig', value: 'FILE', text: 'of the cluster (KUBECONFIG)' },
  { name: 'in-cluster', text: 'use the credentials of the pod that this runs in' },
  { name: 'timeout-seconds', value: 'N', text: `give up after this time (${defaultSeconds})` },
]

/** Commands for an installation on a cluster. `env` may name its kubeconfig: KUBECONFIG. */
export function clusterCommands(
  cluster: ClusterPort,
  env: Readonly<Record<string, string | undefined>>,
): readonly Command[] {
  return [uninstallCommand(cluster, env), createDefaultsCommand(cluster, env), conflictsCommand(cluster, env)]
}

type Env = Readonly<Record<string, string | undefined>>

function uninstallCommand(cluster: ClusterPort, env: Env): Command {
  const command = {
    name: 'uninstall',
    usage: '[FLAGS]',
    summary: 'Remove what could block a cluster once the controller is gone: webhooks and our finalizers',
    flags: [
      ...clusterFlags,
      { name: 'namespace', value: 'NAME', text: 'of the installation; in a pod by default its own' },
      { name: 'remove-data', text: 'also delete all objects of our kinds, and the definitions of the kinds' },
      { name: 'yes', text: 'do it; without it, what would be done is printed (not needed in a pod)' },
      { name: 'force', text: 'also when the namespace has no controller of ours' },
    ],
  }
  return {
    ...command,
    run: async (args, terminal, signal) => {
      const parsed = parseFlags(command, args)
      refuseMore(command, parsed, 0)
      const { kubeconfig } = readAccess(env, parsed)
      const isInPod = kubeconfig === undefined
      const given = textFlag(parsed, 'namespace')
      const namespace = given ?? (isInPod ? (env['SPIDERPOOL_NAMESPACE'] ?? 'kube-system') : undefined)
      const options = { namespace: namespace ?? 'NAME', removeData: parsed.flags['remove-data'] === true }
      if (!isInPod && (namespace === undefined || parsed.flags['yes'] !== true))
        return showPlan(options, kubeconfig, terminal)
      return withCluster({ cluster, env, parsed, signal }, async (api, deadline) => {
        const isChecked = !isInPod && parsed.flags['force'] !== true
        if (isChecked) await assertInstalled(options.namespace, api, deadline)
        const failed = await uninstall(options, api, (line) => terminal.print(line), deadline)
        for (const line of failed) terminal.note(`not done: ${line}`)
        return failed.length === 0 ? exitCodes.done : exitCodes.failed
      })
    },
  }
}

function showPlan(options: UninstallOptions, kubeconfig: string, terminal: Terminal): number {
  terminal.print(`On the cluster of ${kubeconfig} this would:`)
  for (const line of uninstallPlan(options)) terminal.print(`- ${line}`)
  terminal.note('Nothing was done. To do it, give --namespace NAME, of the installation, and --yes')
  return exitCodes.usage
}

function createDefaultsCommand(cluster: ClusterPort, env: Env): Command {
  const command = {
    name: 'create-defaults',
    usage: '--file FILE [FLAGS]',
    summary: 'Create the objects of an installation that are not there yet',
    flags: [...clusterFlags, { name: 'file', value: 'FILE', text: 'a JSON list of objects' }],
  }
  return {
    ...command,
    run: async (args, terminal, signal) => {
      const parsed = parseFlags(command, args)
      refuseMore(command, parsed, 0)
      const objects = parseDefaults(await readList(textFlag(parsed, 'file')))
      return withCluster({ cluster, env, parsed, signal }, async (api, deadline) => {
        await createDefaults(objects, api, reporterOf(terminal), deadline)
        return exitCodes.done
      })
    },
  }
}

function conflictsCommand(cluster: ClusterPort, env: Env): Command {
  const command = {
    name: 'ip conflicts',
    usage: '[FLAGS]',
    summary:
      'List addresses that are recorded for several pods, and records that cannot be read; 1 when there are any',
    flags: clusterFlags,
  }
  return {
    ...command,
    run: async (args, terminal, signal) => {
      const parsed = parseFlags(command, args)
      refuseMore(command, parsed, 0)
      return withCluster({ cluster, env, parsed, signal }, async (api, deadline) => {
        const found = await readConflicts(api, deadline)
        for (const line of conflictLines(found)) terminal.print(line)
        const count = found.contested.length + found.damaged.length + found.pools.length
        return count === 0 ? exitCodes.done : exitCodes.failed
      })
    },
  }
}

const reporterOf = (terminal: Terminal) => (line: string) => terminal.print(line)

async function readList(file: string | undefined): Promise<unknown> {
  if (file === undefined) throw new InvalidInputError('--file', '', 'is missing', 'give --file FILE')
  try {
    return parseJson(await readFile(file, 'utf8'))
  } catch (error) {
    throw new InvalidInputError(
      '--file',
      file,
      `cannot be read: ${toError(error).message}`,
      'name a JSON file',
    )
  }
}

interface ClusterCall {
  readonly cluster: ClusterPort
  readonly env: Env
  readonly parsed: ParsedArgs
  readonly signal: AbortSignal
}

interface Access {
  /** undefined: the credentials of the pod. */
  readonly kubeconfig: string | undefined
  readonly budgetMs: number
}

function readAccess(env: Env, parsed: ParsedArgs): Access {
  const isInCluster = parsed.flags['in-cluster'] === true
  const kubeconfig = textFlag(parsed, 'kubeconfig')
  const budget = numberFlag(parsed, 'timeout-seconds', seconds) ?? defaultSeconds
  if (isInCluster && kubeconfig !== undefined)
    throw new InvalidInputError(
      '--kubeconfig',
      kubeconfig,
      'does not go with --in-cluster',
      'give one of them',
    )
  const file = kubeconfig ?? env['KUBECONFIG']
  if (!isInCluster && (file === undefined || file === ''))
    throw new InvalidInputError('--kubeconfig', file, 'is missing', 'give --kubeconfig FILE, or --in-cluster')
  return { kubeconfig: isInCluster ? undefined : file, budgetMs: budget * 1_000 }
}

async function withCluster(
  { cluster, env, parsed, signal }: ClusterCall,
  work: (api: KubeApi, deadline: AbortSignal) => Promise<number>,
): Promise<number> {
  const { kubeconfig, budgetMs } = readAccess(env, parsed)
  const { api, close } = await cluster.connect(kubeconfig)
  try {
    return await work(api, AbortSignal.any([signal, AbortSignal.timeout(budgetMs)]))
  } finally {
    await close()
  }
}
