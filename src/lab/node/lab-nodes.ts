import { type Pod, resources } from '../../api/index.ts'
import { Backoff, type Logger, systemClock, systemRandom, toError } from '../../base/index.ts'
import { createCache, type KubeApi } from '../../kube/index.ts'
import { type LabPaths, nodePathsOf } from '../lab-paths.ts'
import type { PauseRunner } from '../pause.ts'
import { nodeAddressTexts, type TopologyPlan } from '../topology/plan.ts'
import { NodeRuntime } from './node-runtime.ts'
import { type NodeIdentity, registerNode, renewNodeLease } from './register-node.ts'
import { createSandboxNetwork } from './sandbox-network.ts'

export interface LabNodesOptions {
  readonly api: KubeApi
  readonly paths: LabPaths
  readonly plan: TopologyPlan
  readonly pause: PauseRunner
  /** Folders with plugins besides the node's own. */
  readonly pluginDirs: readonly string[]
  readonly systemNamespace: string
  /** The API server is a cluster's, which takes silent nodes for dead. */
  readonly hasNodeController: boolean
  readonly logger: Logger
}

const heartbeatEveryMs = 10_000

/** Runs the pod runtimes of all nodes until aborted; then leaves pods and their namespaces as they are. */
export async function runLabNodes(options: LabNodesOptions, signal: AbortSignal): Promise<void> {
  const { api, logger } = options
  const runtimes = new Map(options.plan.nodes.map((node) => [node.name, createRuntime(options, node.name)]))
  const identities = identitiesOf(options.plan, options.systemNamespace)
  await repeatUntilDone(logger, () => registerAll(api, identities, signal), signal)
  // One watch for all nodes, not one each. It keeps what the runtimes read, so that big clusters stay small in memory.
  const cache = createCache<Pod>(api, resources.pod, {}, logger)
  try {
    for (const runtime of runtimes.values()) await runtime.load()
    await cache.synced(signal)
    // From here to the end of start() nothing is awaited, so that no change is missed in between.
    cache.onChange((old, now) => {
      const node = (now ?? old)?.spec?.nodeName
      if (node !== undefined) runtimes.get(node)?.podChanged(old, now, signal)
    })
    const pods = Map.groupBy(cache.values(), (pod) => pod.spec?.nodeName ?? '')
    for (const [name, runtime] of runtimes) runtime.start(pods.get(name) ?? [], signal)
    await keepAlive(options, signal)
  } finally {
    await cache.close()
    await Promise.all([...runtimes.values()].map((runtime) => runtime.close()))
  }
}

/** The Node objects of a plan. */
export function identitiesOf(plan: TopologyPlan, systemNamespace: string): readonly NodeIdentity[] {
  return plan.nodes.map((node) => ({ name: node.name, addresses: nodeAddressTexts(node), systemNamespace }))
}

function createRuntime(options: LabNodesOptions, node: string): NodeRuntime {
  const { api, pause, logger } = options
  const paths = nodePathsOf(options.paths, node)
  const plan = options.plan.nodes.find(({ name }) => name === node)
  const hostIp = plan === undefined ? '' : (nodeAddressTexts(plan)[0] ?? '')
  const network = createSandboxNetwork(paths, options.pluginDirs, logger.with({ node }))
  return new NodeRuntime({ api, node, hostIp, paths, pause, network, logger })
}

async function registerAll(
  api: KubeApi,
  identities: readonly NodeIdentity[],
  signal: AbortSignal,
): Promise<void> {
  for (const identity of identities) await registerNode(api, identity, signal)
}

async function keepAlive(options: LabNodesOptions, signal: AbortSignal): Promise<void> {
  const { api, plan, hasNodeController, logger } = options
  while (!signal.aborted) {
    if (hasNodeController) {
      const renewals = plan.nodes.map((node) => renewNodeLease(api, node.name, signal))
      await Promise.all(renewals).catch((error: unknown) => {
        logger.warn('leases of the nodes not renewed', { err: error })
      })
    }
    await systemClock.sleep(heartbeatEveryMs, signal).catch(() => undefined) // aborted: the loop ends
  }
}

const startBackoff = { firstMs: 200, capMs: 5000 }

/** Repeats work that an API server which is not up yet refuses. */
async function repeatUntilDone(
  logger: Logger,
  work: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff(startBackoff, systemRandom)
  for (;;) {
    try {
      await work()
      return
    } catch (error) {
      signal.throwIfAborted()
      logger.warn('nodes not registered yet', { err: toError(error) })
      await systemClock.sleep(backoff.nextMs(), signal)
    }
  }
}
