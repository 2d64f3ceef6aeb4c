import { readFile } from 'node:fs/promises'
import { InvalidInputError, parseJson, toError } from '../../base/index.ts'
import type { Command, Terminal } from '../command.ts'
import { explainCommands } from '../explain/commands.ts'
import { parseFlags, refuseMore, textFlag } from '../flags.ts'
import { ipCommands } from '../ip/commands.ts'
import { formatOutput, outputFlag, outputFormat } from '../output.ts'
import { poolCommands } from '../pool/commands.ts'
import { exitCodes } from '../run-cli.ts'
import { type ClusterPort, clusterFlags, type Env, readAccess, withCluster } from './access.ts'
import { conflictLines, readConflicts, viewConflicts } from './conflicts.ts'
import { createDefaults, parseDefaults } from './create-defaults.ts'
import { type UninstallOptions, uninstall } from './uninstall.ts'
import { assertInstalled, uninstallPlan } from './uninstall-guard.ts'

/** Commands for an installation on a cluster. `env` may name its kubeconfig: KUBECONFIG. */
export function clusterCommands(
  cluster: ClusterPort,
  env: Readonly<Record<string, string | undefined>>,
): readonly Command[] {
  return [
    ...explainCommands(cluster, env),
    ...ipCommands(cluster, env),
    ...poolCommands(cluster, env),
    conflictsCommand(cluster, env),
    uninstallCommand(cluster, env),
    createDefaultsCommand(cluster, env),
  ]
}

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
    flags: [outputFlag, ...clusterFlags],
  }
  return {
    ...command,
    run: async (args, terminal, signal) => {
      const parsed = parseFlags(command, args)
      refuseMore(command, parsed, 0)
      const format = outputFormat(parsed)
      return withCluster({ cluster, env, parsed, signal }, async (api, deadline) => {
        const found = await readConflicts(api, deadline)
        for (const line of formatOutput(format, viewConflicts(found), () => conflictLines(found)))
          terminal.print(line)
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
