// The run of bench:memory.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatIpValue, parseIp, toIp4 } from '../../src/address/index.ts'
import { resources } from '../../src/api/index.ts'
import { collectionPath, KubeClient, loadKubeconfig } from '../../src/kube/index.ts'
import type { AllocatorClient } from '../../src/rpc/index.ts'
import { recordedAddresses } from '../../test/integration/kernel-checker.ts'
import { kubectlPath, type Lab, labUp, waitFor } from '../../test/integration/lab-harness.ts'
import { allocate, createPod, createPool, farAgent, fill } from './many-addresses.ts'
import {
  ageSeconds,
  CpuMeter,
  cpuSeconds,
  type MemoryUse,
  median,
  memoryOf,
  rounded,
  wakeUps,
} from './measure.ts'
import { whenStopped } from './when-stopped.ts'

const never = new AbortController().signal
const agentName = 'agent-node0'
const readyBudgetMs = 120_000
const endpointBudgetMs = 1_800_000 // on a machine with other work some 100 are written in a second
/** So long one try to get an address may take: the next comes at once. */
const tryMs = 1_000
/** After a start, until what follows it is over: views compared, memory given back. */
const calmMs = 20_000
const poolSizes = { small: 250, large: 60_000 } // addresses
const samples = 200

/** What this machine's numbers are held against (docs/performance.md). */
const targets = { controllerMb: 300, agentMb: 90, readySeconds: 10, ratioLargeToSmall: 1.1 }

export interface MemoryOptions {
  readonly server: string
  readonly addresses: number
  readonly idleSeconds: number
}

interface SetUp {
  readonly lab: Lab
  readonly api: KubeClient
  readonly client: AllocatorClient
  /** Of what was answered, by pod. */
  readonly answered: Map<string, string>
}

/** @throws when an address was given twice or lost */
export async function benchMemory(
  options: MemoryOptions,
): Promise<{ readonly table: string; readonly result: Readonly<Record<string, unknown>> }> {
  const lab = labUp(['node0'])
  const isOver = whenStopped(lab.down)
  const api = new KubeClient(await loadKubeconfig(lab.kubeconfig))
  try {
    await sleep(calmMs)
    const idle = { controller: memoryOf(pidOf(lab, 'controller')), agent: memoryOf(pidOf(lab, agentName)) }
    await fill(api, options.addresses)
    const first = Number(parseIp('10.80.0.1').value)
    for (const [index, [name, size]] of Object.entries(poolSizes).entries()) {
      const start = first + index * 0x1_0000
      const ips = [start, start + size - 1].map((value) => formatIpValue(toIp4(value)))
      await createPool(api, name, ips.join('-'))
    }
    const client = await farAgent(lab, api)
    const setUp = { lab, api, client, answered: new Map<string, string>() }
    try {
      const result = { bench: 'memory', ...options, ...(await measure(setUp, options, idle)) }
      check(setUp, options)
      return { table: tableOf(result), result }
    } finally {
      client.close()
    }
  } finally {
    await api.close()
    isOver()
    lab.down()
  }
}

async function measure(
  setUp: SetUp,
  { addresses, idleSeconds }: MemoryOptions,
  idle: Readonly<Record<'controller' | 'agent', MemoryUse>>,
) {
  const { lab } = setUp
  // The first leader with all the blocks writes their endpoints; any later one finds them.
  const filling = await restart(setUp, 'first')
  const startedMs = performance.now()
  await endpointsWritten(setUp, addresses)
  const endpointsSeconds = rounded((performance.now() - startedMs) / 1000, 1)
  const afterFilling = memoryOf(pidOf(lab, 'controller'))
  const ready = await restart(setUp, 'second')
  const atReady = memoryOf(pidOf(lab, 'controller'))
  await sleep(calmMs)
  const controller = memoryOf(pidOf(lab, 'controller'))
  const quiet = await watchIdle(lab, idleSeconds)
  const medians = await comparePools(setUp)
  const ratio = rounded(medians.large / medians.small, 3)
  return {
    controllerMb: controller.rssMb,
    controllerPssMb: controller.pssMb,
    controllerPeakMb: controller.peakMb,
    controllerAtReadyMb: atReady.rssMb,
    controllerAfterFillingMb: afterFilling.rssMb,
    controllerFillingPeakMb: afterFilling.peakMb,
    controllerEmptyMb: idle.controller.rssMb,
    agentMb: memoryOf(pidOf(lab, agentName)).rssMb,
    agentPssMb: memoryOf(pidOf(lab, agentName)).pssMb,
    agentStartMb: idle.agent.rssMb,
    readySeconds: ready.sinceStart,
    readyAfterKillSeconds: ready.sinceKill,
    readyCpuSeconds: ready.cpu,
    readyWithoutEndpointsSeconds: filling.sinceStart,
    endpointsSeconds,
    ...quiet,
    smallPoolMedianMs: rounded(medians.small),
    largePoolMedianMs: rounded(medians.large),
    ratioLargeToSmall: ratio,
  }
}

function pidOf(lab: Lab, name: string): number {
  const pid = lab.pids().get(name)
  assert.ok(pid !== undefined, `${name} does not run`)
  return pid
}

/** Kills the controller. @returns seconds until its successor has given an address */
async function restart({ lab, api, client, answered }: SetUp, podName: string) {
  const uid = await createPod(api, podName, 'small')
  const before = pidOf(lab, 'controller')
  const killedMs = performance.now()
  process.kill(before, 'SIGKILL')
  for (let complaint: unknown; ; ) {
    assert.ok(
      performance.now() - killedMs < readyBudgetMs,
      `no address after a restart: ${String(complaint)}`,
    )
    try {
      answered.set(podName, await allocate(client, podName, uid, tryMs))
      break
    } catch (error) {
      complaint = error
    }
  }
  const pid = pidOf(lab, 'controller')
  assert.notEqual(pid, before)
  return {
    sinceStart: rounded(ageSeconds(pid)),
    sinceKill: rounded((performance.now() - killedMs) / 1000),
    cpu: cpuSeconds(pid),
  }
}

async function endpointsWritten({ api }: SetUp, count: number): Promise<void> {
  await waitFor('endpoints are written', endpointBudgetMs, async () => {
    const path = `${collectionPath(resources.endpoint)}?limit=1`
    interface Page {
      readonly items: readonly unknown[]
      readonly metadata: { readonly remainingItemCount?: number }
    }
    const { items, metadata } = await api.request<Page>('GET', path, undefined, never)
    return items.length + (metadata.remainingItemCount ?? 0) >= count ? true : undefined
  })
}

/** CPU seconds and wake-ups while nothing happens. */
async function watchIdle(lab: Lab, seconds: number) {
  const pids = { controller: pidOf(lab, 'controller'), agent: pidOf(lab, agentName) }
  const cpu = new CpuMeter(new Map(Object.entries(pids)))
  const before = { controller: wakeUps(pids.controller), agent: wakeUps(pids.agent) }
  await sleep(seconds * 1000)
  const used = cpu.read()
  const perSecond = (name: 'controller' | 'agent') =>
    rounded((wakeUps(pids[name]) - before[name]) / seconds, 1)
  return {
    controllerIdleCpuSeconds: used['controller'] ?? 0,
    agentIdleCpuSeconds: used['agents'] ?? 0,
    controllerWakeUpsPerSecond: perSecond('controller'),
    agentWakeUpsPerSecond: perSecond('agent'),
  }
}

/** Median milliseconds of an allocation from each pool, taken in turn so that noise meets both. */
async function comparePools({ api, client, answered }: SetUp): Promise<Record<'small' | 'large', number>> {
  const times = { small: [] as number[], large: [] as number[] }
  for (let index = 0; index < samples; index++) {
    for (const name of ['small', 'large'] as const) {
      const podName = `${name}-${index}`
      const uid = await createPod(api, podName, name)
      const startedMs = performance.now()
      const ip = await allocate(client, podName, uid, readyBudgetMs)
      times[name].push(performance.now() - startedMs)
      answered.set(podName, ip)
    }
  }
  return { small: median(times.small), large: median(times.large) }
}

/** Nothing was lost, and nothing given twice: the blocks hold what was put there, and what was answered. */
function check({ lab, answered }: SetUp, { addresses }: MemoryOptions): void {
  const recorded = recordedAddresses(kubectlPath, lab.kubeconfig)
  const byPod = new Map(recorded.map(({ pod, address }) => [pod, address]))
  assert.equal(recorded.length, addresses + answered.size)
  assert.equal(byPod.size, recorded.length)
  assert.equal(new Set(byPod.values()).size, recorded.length)
  for (const [pod, ip] of answered) assert.equal(byPod.get(`default/${pod}`), ip)
}

function tableOf(result: Readonly<Record<string, unknown>>): string {
  const limits: Readonly<Record<string, number>> = targets
  return Object.entries(result)
    .map(([name, value]) => {
      const target = limits[name]
      return `${name.padEnd(28)} ${String(value).padEnd(12)}${target === undefined ? '' : ` target: under ${target}`}`.trimEnd()
    })
    .join('\n')
}
