import { readFile } from 'node:fs/promises'
import {
  type AgentFlags,
  agentUsage,
  machineNamespaces,
  parseAgentFlags,
  startAgent,
} from '../agent/index.ts'
import { jsonLogger, OperationError, systemClock, systemRandom, toError } from '../base/index.ts'
import { inClusterConfig, KubeClient, loadKubeconfig } from '../kube/index.ts'
import { assertHostThreads, prepareNamespaces } from '../netlink/index.ts'
import { createAllocatorClient } from '../rpc/index.ts'

const threadCheckMs = 10_000

async function main(flags: AgentFlags): Promise<void> {
  const logger = jsonLogger(flags.logLevel, { process: 'agent', node: flags.node })
  await prepareNamespaces()
  const access =
    flags.kubeconfig === undefined ? await inClusterConfig() : await loadKubeconfig(flags.kubeconfig)
  const kube = new KubeClient(access, { logger, userAgent: 'spiderpool-agent' })
  const allocator = createAllocatorClient({
    urls: flags.controllerUrls,
    ca: { file: flags.controllerCa },
    token: async () => (await readFile(flags.tokenFile, 'utf8')).trim(),
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
  await kube.close()
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
