import { InvalidInputError, type Logger } from '../../base/index.ts'
import { type KubeApi, KubeClient, loadKubeconfig } from '../../kube/index.ts'
import { prepareNamespaces } from '../../netlink/index.ts'
import { labPathsOf } from '../lab-paths.ts'
import { runLabNodes } from '../node/lab-nodes.ts'
import { PauseRunner } from '../pause.ts'
import { planTopology } from '../topology/plan.ts'
import { debianPluginsDir, nativeProgram, systemNamespace } from './program.ts'
import type { SupervisorOptions } from './supervisor.ts'

/** What `lab-world` is told. */
export interface WorldOptions {
  readonly dir: string
  readonly nodes: readonly string[]
  readonly kubeconfig: string
  /** The API server is a cluster's, which has its own controllers and scheduler. */
  readonly isExternal: boolean
}

/** Runs what a cluster's controller manager and scheduler do, until aborted. */
export type StartControllers = (
  api: KubeApi,
  logger: Logger,
  signal: AbortSignal,
) => { close(): Promise<void> }

/**
 * Runs the pod runtimes of all nodes and, beside the embedded API server, the workload controllers, until aborted.
 * @param startControllers not called when the API server is a cluster's
 */
export async function runWorld(
  options: WorldOptions,
  startControllers: StartControllers,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  await prepareNamespaces()
  const access = await loadKubeconfig(options.kubeconfig)
  const api = new KubeClient(access, { userAgent: 'lab-world', logger })
  // Their own client: a burst of pod statuses must not hold up the controllers.
  const controllersApi = new KubeClient(access, { userAgent: 'lab-controllers', logger })
  const controllers = options.isExternal ? undefined : startControllers(controllersApi, logger, signal)
  try {
    await runLabNodes(
      {
        api,
        paths: labPathsOf(options.dir),
        plan: planTopology(options.nodes),
        pause: new PauseRunner(nativeProgram('lab-pause')),
        pluginDirs: [debianPluginsDir],
        systemNamespace,
        hasNodeController: options.isExternal,
        logger,
      },
      signal,
    )
  } finally {
    await controllers?.close()
    await Promise.all([api.close(), controllersApi.close()])
  }
}

type Values = Readonly<Record<string, string | boolean | undefined>>

function required(values: Values, name: string): string {
  const value = values[name]
  if (typeof value === 'string' && value !== '') return value
  throw new InvalidInputError(`--${name}`, value, 'is missing', 'it is started by: spiderpoolctl lab up')
}

function portOf(name: string, text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new InvalidInputError(`--${name}`, text, 'is no port', 'give a number from 1 to 65535')
}

/** Reads the flags of `lab-world`. @throws {InvalidInputError} when one is missing */
export function parseWorldOptions(values: Values): WorldOptions {
  return {
    dir: required(values, 'dir'),
    nodes: required(values, 'nodes').split(','),
    kubeconfig: required(values, 'kubeconfig'),
    isExternal: values['external'] === true,
  }
}

/** Reads the flags of `lab-supervisor`. @throws {InvalidInputError} when one is missing or no port */
export function parseSupervisorOptions(
  values: Values,
  controllerFlags: readonly string[],
): SupervisorOptions {
  const { kubeconfig } = values
  return {
    dir: required(values, 'dir'),
    nodes: required(values, 'nodes').split(','),
    apiPort: portOf('api-port', required(values, 'api-port')),
    controllerPorts: required(values, 'controller-ports')
      .split(',')
      .map((port) => portOf('controller-ports', port)),
    controllerFlags,
    ...(typeof kubeconfig === 'string' ? { kubeconfig } : {}),
  }
}
