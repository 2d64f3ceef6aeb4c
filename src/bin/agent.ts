import { readFileSync } from 'node:fs'
import {
  type AgentFlags,
  agentUsage,
  machineNamespaces,
  parseAgentFlags,
  readAuthorities,
  removeConfAtUninstall,
  startAgent,
  withAgentConfig,
} from '../agent/index.ts'
import { parseProductConfig } from '../api/index.ts'
import { jsonLogger, type Logger, OperationError, systemClock, systemRandom, toError } from '../base/index.ts'
import { inClusterConfig, type KubeApi, KubeClient, loadKubeconfig, readYamlFile } from '../kube/index.ts'
import { assertHostThreads, prepareNamespaces } from '../netlink/index.ts'
import { createAllocatorClient } from '../rpc/index.ts'

const threadCheckMs = 10_000

async function main(given: AgentFlags): Promise<void> {
  const logger = jsonLogger(given.logLevel, { process: 'agent', node: given.node })
  const flags = await readConfig(given, logger)
  await prepareNamespaces()
  const access =
    flags.kubeconfig === undefined ? await inClusterConfig() : await loadKubeconfig(flags.kubeconfig)
  const kube = new KubeClient(access, { logger, userAgent: 'spiderpool-agent' })
  const allocator = createAllocatorClient({
    urls: flags.controllerUrls,
    ca:
      flags.controllerCa === undefined
        ? { read: (signal) => readAuthorities(kube, flags.defaults.namespace, signal) }
        : { file: flags.controllerCa },
    servername: flags.controllerName,
    token: () => readFileSync(flags.tokenFile, 'utf8'), // in memory (tmpfs), and a kilobyte
    logger,
  })
  const agent = await startAgent(flags, {
    allocator,
    kube,
    namespaces: machineNamespaces(flags.hostNetns ?? '/proc/self/ns/net'),
    clock: systemClock,
    random: systemRandom,
    logger,
    env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
  })
  // A thread in a pod's namespace would act on the wrong network: then the agent has to end, and be started anew.
  const check = setInterval(assertHostThreads, threadCheckMs)
  const stop = Promise.withResolvers<void>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.resolve())
  await stop.promise
  clearInterval(check)
  await agent.close()
  allocator.close()
  await sayFarewell(flags, kube, logger)
  await kube.close()
}

/** An agent that installed nothing, or that no controller publishes its authorities for, leaves the node as it is. */
async function sayFarewell(flags: AgentFlags, kube: KubeApi, logger: Logger): Promise<void> {
  if (flags.pluginSource === undefined || flags.controllerCa !== undefined) return
  const { cniConfDir: confDir, socketPath, defaults } = flags
  await removeConfAtUninstall({ confDir, socketPath, namespace: defaults.namespace }, { kube, logger })
}

async function readConfig(flags: AgentFlags, logger: Logger): Promise<AgentFlags> {
  if (flags.configFile === undefined) return flags
  const { config, warnings } = parseProductConfig(await readYamlFile(flags.configFile))
  for (const warning of warnings) logger.warn(warning)
  return withAgentConfig(flags, config)
}

function fail(error: Error): never {
  const hint = error instanceof OperationError ? `\n${error.hint}` : `\n${error.stack ?? ''}`
  process.stderr.write(`${error.message}${hint}\n`)
  process.exit(1)
}

const args = process.argv.slice(2)
if (args.includes('--help')) {
  process.stdout.write(`${agentUsage}\n`)
  process.exit(0)
}
try {
  await main(parseAgentFlags(args))
} catch (error) {
  fail(toError(error))
}
