// What many allocated addresses cost: time of an ADD, CPU and memory of the controller, what the API server's watches carry, and how
// soon a controller that starts gives out the first address.
import { setTimeout as sleep } from 'node:timers/promises'
import { KubeClient, loadKubeconfig } from '../../../src/kube/index.ts'
import { inParallel } from '../../../test/support/ipam-burst.ts'
import { defineFloor, removeFloor, runFloor } from '../floor.ts'
import { CpuMeter, cpuSeconds, median, memoryOf, rounded } from '../measure.ts'
import { Answers } from './answers.ts'
import { BenchCluster, type ClusterOptions } from './cluster.ts'
import { holdAddresses } from './held-addresses.ts'
import { type BenchPod, createPod, SimulatedAgents } from './simulated-agents.ts'
import { watchBytes } from './watch-bytes.ts'

export interface FillOptions extends ClusterOptions {
  /** Allocated addresses, ascending. */
  readonly levels: readonly number[]
  /** Pods of a burst. */
  readonly pods: number
  readonly atOnce: number
  /** Restarts, and rounds of ADDs beside as many creates, at each level. */
  readonly rounds: number
}

const agentCount = 10
const addsPerRound = 20
const perPool = 60_000
const podsAtOnce = 64
/** Views are written behind, and garbage is left to collect: memory is looked at after this time. */
const calmMs = 5_000
const restartBudgetMs = 180_000
/** One try of an ADD while a controller starts. */
const tryMs = 1_000
const pauseMs = 20

/** @throws when an address was given twice or lost */
export async function fillPart(options: FillOptions): Promise<Readonly<Record<string, unknown>>> {
  await using cluster = await BenchCluster.start(options)
  await cluster.createPool('new', '10.64.0.0/10', ['10.96.0.0-10.96.255.255'])
  const most = Math.max(...options.levels)
  for (let start = 0; start < most; start += perPool) await createHeldPool(cluster, start)
  cluster.startController()
  await cluster.published()
  await defineFloor(cluster.api)
  await using agents = await SimulatedAgents.start(cluster, agentCount)
  agents.startReports(agentCount)
  const run = new Run(cluster, agents, options)
  const rows: Readonly<Record<string, unknown>>[] = []
  for (const level of options.levels) rows.push(await run.level(level))
  const { pods, rounds, atOnce } = options
  return { part: 'fill', pods, rounds, atOnce, rows }
}

async function createHeldPool(cluster: BenchCluster, start: number): Promise<void> {
  const text = (offset: number) => `10.${64 + (offset >> 16)}.${(offset >> 8) & 255}.${offset & 255}`
  const ips = `${text(start)}-${text(start + perPool - 1)}`
  await cluster.createPool(`held-${start / perPool}`, '10.64.0.0/10', [ips])
}

/** From the start of a controller's process until the first ADD is answered. */
interface Restart {
  readonly seconds: number
  readonly cpuSeconds: number
}

class Run {
  readonly #cluster: BenchCluster
  readonly #agents: SimulatedAgents
  readonly #options: FillOptions
  readonly #answers: Answers = new Answers()
  #held = 0
  #pods = 0

  constructor(cluster: BenchCluster, agents: SimulatedAgents, options: FillOptions) {
    this.#cluster = cluster
    this.#agents = agents
    this.#options = options
  }

  /** Fills the ledger up to so many addresses, and measures. */
  async level(addresses: number): Promise<Readonly<Record<string, unknown>>> {
    const cluster = this.#cluster
    await cluster.stopController()
    const place = {
      nodeOf: (index: number) => this.#agents.nodeFor(index, agentCount),
      poolOf: (index: number) => `held-${Math.floor(index / perPool)}`,
    }
    const to = addresses - (this.#answers.size - this.#held)
    const range = { prefix: 'held', first: '10.64.0.0', from: this.#held, to, prefixBits: 10 }
    await holdAddresses(cluster.api, { ...range, ...place }, this.#answers)
    this.#held = to
    cluster.startController()
    await cluster.settled(this.#answers.size)
    const restarts: Restart[] = []
    for (let index = 0; index < this.#options.rounds; index++) restarts.push(await this.#restart())
    await sleep(calmMs)
    const single = await this.#singles()
    const burst = await this.#burst()
    await sleep(calmMs)
    const { rssMb, peakMb } = memoryOf(cluster.controllerPid)
    await this.#answers.requireLedger(cluster.api)
    await this.#answers.requireEndpoints(cluster.api)
    const of = (get: (restart: Restart) => number) => rounded(median(restarts.map(get)))
    const ready = { seconds: of(({ seconds }) => seconds), cpuSeconds: of(({ cpuSeconds: cpu }) => cpu) }
    const row = { addresses, ready, rssMb, peakMb, ...single, ...burst }
    process.stderr.write(`${JSON.stringify(row)}\n`)
    return row
  }

  /** A controller that gave its lease back is followed by another. */
  async #restart(): Promise<Restart> {
    const cluster = this.#cluster
    await cluster.stopController()
    const [pod] = await this.#createPods(1)
    if (pod === undefined) throw new Error('No pod was made')
    const startedMs = performance.now()
    cluster.startController()
    for (;;) {
      try {
        await this.#agents.add(pod, this.#answers, tryMs)
        const seconds = (performance.now() - startedMs) / 1_000
        return { seconds, cpuSeconds: cpuSeconds(cluster.controllerPid) }
      } catch (error) {
        cluster.requireController()
        if (performance.now() - startedMs > restartBudgetMs) throw error
        await sleep(pauseMs)
      }
    }
  }

  /** ADDs one after the other, in turn with creates of objects as large as an endpoint: the machine is the same for both. */
  async #singles(): Promise<Readonly<Record<string, number>>> {
    const cluster = this.#cluster
    const second = new KubeClient(await loadKubeconfig(cluster.server.kubeconfig))
    const model = await cluster.anyEndpoint()
    const addMs: number[] = []
    const floorMs: number[] = []
    try {
      for (let round = 0; round < this.#options.rounds; round++) {
        const pods = await this.#createPods(addsPerRound)
        await sleep(calmMs)
        for (const pod of pods) addMs.push(await this.#agents.add(pod, this.#answers))
        await cluster.settled(this.#answers.size)
        const { callMs } = await runFloor([cluster.api, second], model, { count: addsPerRound, atOnce: 1 })
        floorMs.push(...callMs)
        await removeFloor(cluster.api)
      }
    } finally {
      await second.close()
    }
    const [add, floor] = [median(addMs), median(floorMs)]
    return { addMs: rounded(add), createMs: rounded(floor), addToCreate: rounded(add / floor) }
  }

  /** @returns CPU and watch bytes of an ADD in a burst, with all that follows from it */
  async #burst(): Promise<Readonly<Record<string, unknown>>> {
    const { pods: count, atOnce } = this.#options
    const cluster = this.#cluster
    const pods = await this.#createPods(count)
    await sleep(calmMs)
    const bytesBefore = await watchBytes(cluster.server)
    const cpu = new CpuMeter(cluster.pids())
    const startedMs = performance.now()
    await inParallel(pods, atOnce, (pod) => this.#agents.add(pod, this.#answers))
    const burstMs = (performance.now() - startedMs) / count
    await cluster.settled(this.#answers.size)
    const cpuMs = Object.entries(cpu.read()).map(([name, used]) => [name, rounded((used * 1_000) / count)])
    const bytes = await watchBytes(cluster.server)
    const sent = bytes === undefined || bytesBefore === undefined ? undefined : bytes - bytesBefore
    const watched = sent === undefined ? {} : { watchBytes: Math.round(sent / count) }
    return { burstMs: rounded(burstMs), cpuMs: Object.fromEntries(cpuMs), ...watched }
  }

  #createPods(count: number): Promise<readonly BenchPod[]> {
    const indexes = Array.from({ length: count }, () => this.#pods++)
    return inParallel(indexes, podsAtOnce, (index) => {
      const pod = { name: `new-${index}`, node: this.#agents.nodeFor(index, agentCount) }
      return createPod(this.#cluster.api, pod, { ipv4: ['new'] })
    })
  }
}
