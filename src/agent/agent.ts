import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Pod, resources } from '../api/index.ts'
import { type Clock, type Logger, OperationError, type Random } from '../base/index.ts'
import { createRunner, type Environment } from '../cni/index.ts'
import type { KubeApi } from '../kube/index.ts'
import { type BackgroundLoop, startLoop } from './background-loop.ts'
import { Dispatcher } from './dispatch.ts'
import { serveHealth } from './health.ts'
import { IpamPlugin } from './ipam/ipam-plugin.ts'
import { type MasterAddresses, readMasterAddresses } from './ipam/master-addresses.ts'
import { NodeReporter } from './ipam/node-reporter.ts'
import { Journal } from './journal/journal.ts'
import { journalLog } from './journal/journal-log.ts'
import type { MetaDefaults } from './meta/meta-config.ts'
import { MetaPlugin } from './meta/meta-plugin.ts'
import { ScratchStore } from './meta/scratch.ts'
import { installPlugins } from './plugin-installer.ts'
import { createPodEvents, type PodEvents } from './pod-events.ts'
import type { Allocator, Namespaces } from './ports.ts'
import { type PluginServer, requireUnserved, servePlugins } from './socket/plugin-server.ts'
import { replaySpool } from './socket/spool.ts'

/** Where the agent of one node keeps and finds things. */
export interface AgentOptions {
  readonly node: string
  readonly socketPath: string
  readonly spoolDir: string
  readonly journalDir: string
  readonly cniBinDir: string
  readonly cniConfDir: string
  readonly cacheDir: string
  /** Path of the node's network namespace; absent: ours. */
  readonly hostNetns?: string
  /** Where sysfs is mounted; absent: /sys. */
  readonly sysfs?: string
  /** The executable to install under the names of the plugins; absent: they are there already. */
  readonly pluginSource?: string
  /** Folders of the main plugins, searched after our own. */
  readonly pluginPath: readonly string[]
  readonly defaults: MetaDefaults
  /** Probes are answered on this port of 127.0.0.1; absent: nowhere. */
  readonly healthPort?: number
}

/** What the agent reaches the world through. */
export interface AgentPorts {
  readonly allocator: Allocator
  readonly kube: KubeApi
  readonly namespaces: Namespaces
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Environment of the plugins that the agent starts, besides CNI_* and its own. */
  readonly env: Environment
}

/** A running agent. */
export interface Agent {
  /** Stops accepting, lets calls under way finish, then ends. */
  close(): Promise<void>
}

const closeGraceMs = 20_000
const spoolEveryMs = 10_000
const releasesEveryMs = 5_000
// What a dead pod left on this node is given to another one within 10 s.
const reportEveryMs = 7_000
const teardownsEveryMs = 60_000

/** The agent cannot start as it is told to. */
export class AgentStartError extends OperationError {
  override readonly code = 'AGENT_START_FAILED'
  override readonly retry = 'after-change'
}

/**
 * Starts the agent of a node: replays what was left while it was away, opens its socket, installs the plugins.
 * @throws {OperationError} naming what keeps it from serving
 */
export async function startAgent(options: AgentOptions, ports: AgentPorts): Promise<Agent> {
  const { logger } = ports
  await prepareFolders(options, ports.namespaces)
  // Who serves it has the journal too, and each would write over the other's lines.
  await requireUnserved(options.socketPath)
  const journal = await Journal.open(journalLog(options.journalDir, logger), logger)
  const events = createPodEvents({ ...ports, node: options.node })
  let loops: readonly BackgroundLoop[] = []
  const poolWasFull = () => {
    if (parts.reporter.isDue()) loops[0]?.wake()
  }
  const parts = assemble(options, ports, { journal, events, poolWasFull })
  const report = await parts.replay()
  logger.info('spool replayed', { ...report, journal: journal.size })
  let server: PluginServer | undefined
  try {
    server = await servePlugins(
      options.socketPath,
      (request, signal) => parts.dispatcher.answer(request, signal),
      logger,
    )
    if (options.pluginSource !== undefined)
      await installPlugins({
        source: options.pluginSource,
        binDir: options.cniBinDir,
        confDir: options.cniConfDir,
      })
  } catch (error) {
    await server?.close(0)
    await events.close(0)
    throw error
  }
  loops = startLoops(ports, parts)
  const health = await serveHealth(options.healthPort, () => parts.reporter.notReady(), logger)
  logger.info('agent serves', { node: options.node, socket: options.socketPath })
  return {
    close: async () => {
      await health?.close()
      await server.close(closeGraceMs)
      await Promise.all(loops.map((loop) => loop.close()))
      await events.close(2000)
      await journal.close()
      logger.info('agent ended', { node: options.node })
    },
  }
}

interface Parts {
  readonly dispatcher: Dispatcher
  readonly ipam: IpamPlugin
  readonly meta: MetaPlugin
  readonly reporter: NodeReporter
  replay(): ReturnType<typeof replaySpool>
}

function assemble(
  options: AgentOptions,
  ports: AgentPorts,
  own: { readonly journal: Journal; readonly events: PodEvents; poolWasFull(): void },
): Parts {
  const { logger } = ports
  // Apart from the runtime's own cache: that holds the meta-plugin itself.
  const cacheDir = join(options.cacheDir, 'spiderpool-meta')
  const podsOfNode = (signal: AbortSignal): Promise<ReadonlySet<string>> =>
    readPodsOfNode(options.node, ports.kube, signal)
  const devices = { sysfs: options.sysfs ?? '/sys', hostNetns: options.hostNetns ?? '/proc/self/ns/net' }
  const masterAddresses = (deviceId: string | undefined): Promise<MasterAddresses> =>
    readMasterAddresses(deviceId, devices)
  const ipam = new IpamPlugin({ ...ports, ...own, podsOfNode, masterAddresses })
  const runner = createRunner({
    binDirs: [...new Set([options.cniBinDir, ...options.pluginPath])],
    cacheDir,
    ...(options.hostNetns === undefined ? {} : { netnsPath: options.hostNetns }),
    env: {
      ...ports.env,
      SPIDERPOOL_AGENT_SOCKET: options.socketPath,
      SPIDERPOOL_SPOOL_DIR: options.spoolDir,
    },
    logger,
    timeoutsMs: { ADD: 90_000, CHECK: 90_000 },
  })
  const meta = new MetaPlugin({
    ...ports,
    runner,
    scratch: new ScratchStore(join(cacheDir, 'scratch'), logger),
    events: own.events,
    confDir: options.cniConfDir,
    defaults: options.defaults,
    releaseContainer: (containerId, signal) => ipam.releaseContainer(containerId, signal),
    givenTo: (id) => ipam.givenTo(id),
    podsOfNode,
  })
  const reporter = new NodeReporter({ ...ports, journal: own.journal })
  const dispatcher = new Dispatcher({ ipam, meta, logger, notReady: () => reporter.notReady() })
  const replay = () =>
    replaySpool(
      options.spoolDir,
      (request) => dispatcher.answer(request, new AbortController().signal),
      logger,
    )
  return { dispatcher, ipam, meta, reporter, replay }
}

function startLoops(ports: AgentPorts, parts: Parts): readonly BackgroundLoop[] {
  const loop = (name: string, everyMs: number, work: (signal: AbortSignal) => Promise<'done' | 'more'>) =>
    startLoop({ ...ports, name, everyMs }, work)
  return [
    loop('node-report', reportEveryMs, (signal) => parts.reporter.report(signal)),
    loop('releases', releasesEveryMs, async (signal) =>
      (await parts.ipam.retryReleases(signal)) > 0 ? 'more' : 'done',
    ),
    // A pipe that lost patience spools also while the agent runs.
    loop('spool', spoolEveryMs, async () => ((await parts.replay()).kept > 0 ? 'more' : 'done')),
    loop('teardowns', teardownsEveryMs, async (signal) => {
      await parts.ipam.sweep(signal)
      await parts.meta.retryTeardowns(signal)
      return 'done'
    }),
  ]
}

async function prepareFolders(options: AgentOptions, namespaces: Namespaces): Promise<void> {
  for (const folder of [options.spoolDir, options.journalDir]) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const { mode, uid } = await stat(folder)
    if ((mode & 0o077) !== 0 || uid !== (process.getuid?.() ?? 0))
      throw new AgentStartError(
        `Cannot use the folder "${folder}": others may read or change it (mode ${(mode & 0o777).toString(8)})`,
        `chmod 0700 ${folder}`,
      )
  }
  if (options.hostNetns !== undefined && namespaces.identity(options.hostNetns) === undefined)
    throw new AgentStartError(
      `Cannot use --host-netns "${options.hostNetns}": it is no network namespace`,
      'name the network namespace of the node, such as /var/run/netns/node1',
    )
}

async function readPodsOfNode(
  node: string,
  kube: KubeApi,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const pods = await kube.listAll<Pod>(resources.pod, { fieldSelector: `spec.nodeName=${node}` }, signal)
  const alive = pods.items.filter(
    (pod) => pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed',
  )
  return new Set(alive.map((pod) => pod.metadata.uid ?? '').filter((uid) => uid !== ''))
}
