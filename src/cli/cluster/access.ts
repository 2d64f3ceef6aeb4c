import { InvalidInputError, OperationError, toError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import type { FlagHelp } from '../command.ts'
import { numberFlag, type ParsedArgs, textFlag } from '../flags.ts'

/** How the commands reach a cluster. */
export interface ClusterPort {
  /** @param kubeconfig path; undefined: the credentials of the pod that this runs in */
  connect(kubeconfig: string | undefined): Promise<{ readonly api: KubeApi; close(): Promise<void> }>
}

/** Environment of the process. */
export type Env = Readonly<Record<string, string | undefined>>

const defaultSeconds = 300
const seconds = { least: 1, most: 3600 }
/** Flags of all commands that talk to a cluster. */
export const clusterFlags: readonly FlagHelp[] = [
  { name: 'kubeconfig', value: 'FILE', values: 'files', text: 'of the cluster (KUBECONFIG)' },
  { name: 'in-cluster', text: 'use the credentials of the pod that this runs in' },
  { name: 'timeout-seconds', value: 'N', text: `give up after this time (${defaultSeconds})` },
]

/** One call of a command. */
export interface ClusterCall {
  readonly cluster: ClusterPort
  readonly env: Env
  readonly parsed: ParsedArgs
  readonly signal: AbortSignal
  /** Goes on until it is interrupted, unless --timeout-seconds says otherwise. */
  readonly isEndless?: boolean
}

/** The time of the command is over. */
class OutOfTimeError extends OperationError {
  override readonly code = 'OUT_OF_TIME'
  override readonly retry = 'later'
}

export interface Access {
  /** undefined: the credentials of the pod. */
  readonly kubeconfig: string | undefined
  readonly budgetMs: number
}

export function readAccess(env: Env, parsed: ParsedArgs): Access {
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

/**
 * Connects, works, and closes.
 * @throws {OutOfTimeError} when the budget of the command is over
 */
export async function withCluster(
  { cluster, env, parsed, signal, isEndless = false }: ClusterCall,
  work: (api: KubeApi, deadline: AbortSignal) => Promise<number>,
): Promise<number> {
  const { kubeconfig, budgetMs } = readAccess(env, parsed)
  const { api, close } = await cluster.connect(kubeconfig)
  const isLimited = !isEndless || textFlag(parsed, 'timeout-seconds') !== undefined
  const deadline = isLimited ? AbortSignal.timeout(budgetMs) : new AbortController().signal
  try {
    return await work(api, AbortSignal.any([signal, deadline]))
  } catch (error) {
    if (!deadline.aborted || signal.aborted) throw error
    throw new OutOfTimeError(
      `Cannot finish within ${budgetMs / 1_000} s: ${toError(error).message}`,
      'Check that the API server answers, or give more time: --timeout-seconds N',
      { cause: error },
    )
  } finally {
    await close()
  }
}
