import { type KubeObject, type Resource, resources } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import type { ClusterPort, Env } from '../cluster/access.ts'
import type { Command, Completes } from '../command.ts'
import { oneArgument, parseFlags } from '../flags.ts'
import { exitCodes } from '../run-cli.ts'
import { complete } from './complete.ts'
import { completionScripts, shells } from './scripts.ts'

/** A person waits with a finger on the key. */
const budgetMs = 2_000
const maxNames = 1_000
const page = 500

/** The command that prints a script for a shell, and the hidden one that the script asks. */
export function completionCommands(
  commands: readonly Command[],
  cluster: ClusterPort,
  env: Env,
): readonly Command[] {
  const completion = scriptCommand()
  return [completion, completeCommand([...commands, completion], cluster, env)]
}

function scriptCommand(): Command {
  const command = {
    name: 'completion',
    usage: shells.join('|'),
    summary: 'Print a script by which a shell completes commands, flags and names of pools',
    flags: [],
    argument: shells,
  }
  return {
    ...command,
    run: (args, terminal) => {
      const given = oneArgument(command, parseFlags(command, args), 'SHELL')
      const shell = shells.find((one) => one === given)
      if (shell === undefined)
        throw new InvalidInputError('SHELL', given, 'is not known', `write one of ${shells.join(', ')}`)
      terminal.print(completionScripts[shell])
      return Promise.resolve(exitCodes.done)
    },
  }
}

function completeCommand(commands: readonly Command[], cluster: ClusterPort, env: Env): Command {
  return {
    name: '__complete',
    usage: '-- WORD...',
    summary: 'Print what may follow',
    flags: [],
    isHidden: true,
    run: async (args, terminal, signal) => {
      const line = args[0] === '--' ? args.slice(1) : args
      const { words, names } = complete(line, commands)
      const current = line.at(-1) ?? ''
      const found = names === undefined ? [] : await namesOf(names, { line, cluster, env }, signal)
      for (const word of [...words, ...found.filter((name) => name.startsWith(current))]) terminal.print(word)
      return exitCodes.done
    },
  }
}

const kinds: Readonly<Record<Exclude<Completes, 'files'>, Resource>> = {
  pools: resources.ipPool,
  pods: resources.pod,
  namespaces: resources.namespace,
  nodes: resources.node,
}

/** Names from the cluster; none when it cannot be asked: nothing may be printed between the words of a person. */
async function namesOf(
  names: Completes,
  {
    line,
    cluster,
    env,
  }: { readonly line: readonly string[]; readonly cluster: ClusterPort; readonly env: Env },
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (names === 'files') return []
  const at = line.indexOf('--kubeconfig')
  const kubeconfig = at < 0 ? env['KUBECONFIG'] : line[at + 1]
  if (kubeconfig === undefined || kubeconfig === '') return []
  try {
    const { api, close } = await cluster.connect(kubeconfig)
    try {
      return await listNames(api, kinds[names], AbortSignal.any([signal, AbortSignal.timeout(budgetMs)]))
    } finally {
      await close()
    }
  } catch {
    return []
  }
}

async function listNames(api: KubeApi, resource: Resource, signal: AbortSignal): Promise<readonly string[]> {
  const keep = ({ metadata: { name, namespace } }: KubeObject): KubeObject => {
    return { metadata: { name, ...(namespace === undefined ? {} : { namespace }) } }
  }
  const { items } = await api.listAll<KubeObject>(resource, { keep, limit: page }, signal)
  const all = items.map(({ metadata: { name, namespace } }) =>
    namespace === undefined ? name : `${namespace}/${name}`,
  )
  return all.slice(0, maxNames)
}
