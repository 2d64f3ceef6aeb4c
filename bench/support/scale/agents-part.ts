// The same number of pods over few and over many agents: time of an ADD, and what the agents cost.
import { setTimeout as sleep } from 'node:timers/promises'
import { inParallel } from '../../../test/support/ipam-burst.ts'
import { CpuMeter, median, quantile, rounded } from '../measure.ts'
import { Answers } from './answers.ts'
import { BenchCluster, type ClusterOptions } from './cluster.ts'
import { CountedAgent, countedNode } from './counted-agent.ts'
import { createPod, SimulatedAgents } from './simulated-agents.ts'

export interface AgentsOptions extends ClusterOptions {
  readonly agents: readonly number[]
  readonly pods: number
  readonly rounds: number
  /** ADDs under way at any time, over all agents. */
  readonly atOnce: number
}

interface Burst {
  readonly agents: number
  readonly seconds: number
  readonly callMs: readonly number[]
  readonly cpuSeconds: Readonly<Record<string, number>>
}

const podsAtOnce = 64
/** So many pools that nobody's pods ask for. */
const manyPools = 500
const countedAdds = 20
const calmMs = 2_000
const idleMs = 20_000
/** The controller asks the API server again about a token that it has not seen for a minute. */
const forgottenMs = 61_000

/** @throws when an address was given twice or lost */
export async function agentsPart(options: AgentsOptions): Promise<Readonly<Record<string, unknown>>> {
  await using cluster = await BenchCluster.start(options)
  const answers = new Answers()
  cluster.startController()
  await cluster.published()
  const most = Math.max(...options.agents)
  await using agents = await SimulatedAgents.start(cluster, most)
  await agents.warm(most)
  // Idle time is that of the API server's own work as well, so that of a controller with one agent is taken off.
  const idleBefore = await idleCpu(cluster)
  agents.startReports(most)
  const idle = await idleCpu(cluster)
  await using counted = await CountedAgent.start(cluster)
  const run = new Run(cluster, agents, answers, options)
  const few = await run.toAgent(counted)
  await run.burst(Math.min(...options.agents), 'warm')
  const bursts: Burst[] = []
  for (let round = 0; round < options.rounds; round++) {
    // There and back again, so that a ledger that grows meanwhile meets all alike.
    for (const count of round % 2 === 0 ? options.agents : options.agents.toReversed()) {
      bursts.push(await run.burst(count, 'warm'))
    }
  }
  const afterIdle: Burst[] = []
  for (const count of [Math.min(...options.agents), most]) {
    await sleep(forgottenMs)
    afterIdle.push(await run.burst(count, 'as-they-are'))
  }
  await run.createPools(manyPools)
  const many = await run.toAgent(counted)
  await cluster.settled(answers.size)
  await answers.requireLedger(cluster.api)
  await answers.requireEndpoints(cluster.api)
  const reports = rounded((idle['controller'] ?? 0) - (idleBefore['controller'] ?? 0), 4)
  return {
    ...resultOf(options, bursts, afterIdle),
    apiServerToAgent: [few, many],
    idleControllerCpuShareOfReports: reports,
  }
}

/** CPU seconds a second of each process while nothing is asked. */
async function idleCpu(cluster: BenchCluster): Promise<Readonly<Record<string, number>>> {
  await sleep(calmMs)
  const cpu = new CpuMeter(cluster.pids())
  await sleep(idleMs)
  return Object.fromEntries(Object.entries(cpu.read()).map(([name, used]) => [name, used / (idleMs / 1_000)]))
}

class Run {
  readonly #cluster: BenchCluster
  readonly #agents: SimulatedAgents
  readonly #answers: Answers
  readonly #options: AgentsOptions
  #bursts = 0
  #pools = 0
  #counted = 0

  constructor(cluster: BenchCluster, agents: SimulatedAgents, answers: Answers, options: AgentsOptions) {
    this.#cluster = cluster
    this.#agents = agents
    this.#answers = answers
    this.#options = options
  }

  /** Pools that no pod of ours asks for. */
  async createPools(count: number): Promise<void> {
    const indexes = Array.from({ length: count }, () => this.#pools++)
    await inParallel(indexes, 8, (index) => {
      const network = `10.${200 + (index >> 8)}.${index & 255}`
      return this.#cluster.createPool(`other-${index}`, `${network}.0/24`, [`${network}.1-${network}.254`])
    })
  }

  /** What the API server sends one agent: while others work and it does not, and for each ADD of its own. */
  async toAgent(counted: CountedAgent): Promise<Readonly<Record<string, number>>> {
    const cluster = this.#cluster
    const pool = `counted-${this.#counted++}`
    await this.#createPoolOf(pool)
    const create = (index: number) =>
      createPod(cluster.api, { name: `${pool}-${index}`, node: countedNode }, { ipv4: [pool] })
    // The first one reads what is read once.
    await counted.add(await create(0), this.#answers)
    const pods = await inParallel(
      Array.from({ length: countedAdds }, (_, index) => index + 1),
      1,
      create,
    )
    await sleep(calmMs)
    const before = counted.receivedBytes
    for (const pod of pods) await counted.add(pod, this.#answers)
    await sleep(calmMs)
    const bytesPerAdd = Math.round((counted.receivedBytes - before) / countedAdds)
    const idleFrom = counted.receivedBytes
    await this.burst(Math.min(...this.#options.agents), 'as-they-are')
    const whileOthersAdd = counted.receivedBytes - idleFrom
    return {
      pools: this.#pools + this.#bursts + this.#counted,
      addresses: this.#answers.size,
      bytesSinceStart: before,
      bytesPerAdd,
      whileOthersAdd,
    }
  }

  /** A pool with a network of its own. */
  async #createPoolOf(name: string): Promise<void> {
    const network = `10.${64 + this.#bursts + this.#counted}`
    await this.#cluster.createPool(name, '10.64.0.0/10', [`${network}.0.1-${network}.255.254`])
  }

  /** ADDs of new pods spread over the first `count` agents, from a new pool. */
  async burst(count: number, state: 'warm' | 'as-they-are'): Promise<Burst> {
    const { pods: podCount, atOnce } = this.#options
    const [cluster, agents, answers] = [this.#cluster, this.#agents, this.#answers]
    const number = this.#bursts++
    const pool = `burst-${number}`
    await this.#createPoolOf(pool)
    const indexes = Array.from({ length: podCount }, (_, index) => index)
    const pods = await inParallel(indexes, podsAtOnce, (index) => {
      const pod = { name: `${pool}-${index}`, node: agents.nodeFor(index, count) }
      return createPod(cluster.api, pod, { ipv4: [pool] })
    })
    if (state === 'warm') await agents.warm(count)
    await sleep(calmMs)
    const cpu = new CpuMeter(cluster.pids())
    const startedMs = performance.now()
    const callMs = await inParallel(pods, atOnce, (pod) => agents.add(pod, answers))
    const seconds = (performance.now() - startedMs) / 1_000
    await cluster.settled(answers.size)
    const cpuSeconds = cpu.read()
    process.stderr.write(`${count} agents, ${state}: ${podCount} ADDs in ${seconds.toFixed(2)} s\n`)
    return { agents: count, seconds, callMs, cpuSeconds }
  }
}

function resultOf(
  { agents, pods, rounds, atOnce }: AgentsOptions,
  bursts: readonly Burst[],
  afterIdle: readonly Burst[],
): Readonly<Record<string, unknown>> {
  const row = (count: number, all: readonly Burst[]) => {
    const own = all.filter((burst) => burst.agents === count)
    const calls = own.flatMap(({ callMs }) => callMs)
    const cpuMs = (name: string) =>
      rounded((median(own.map(({ cpuSeconds }) => cpuSeconds[name] ?? 0)) * 1_000) / pods)
    return {
      agents: count,
      msPerAdd: rounded((median(own.map(({ seconds }) => seconds)) * 1_000) / pods, 3),
      p50Ms: rounded(quantile(calls, 0.5), 1),
      p99Ms: rounded(quantile(calls, 0.99), 1),
      cpuMsPerAdd: Object.fromEntries(
        Object.keys(own[0]?.cpuSeconds ?? {}).map((name) => [name, cpuMs(name)]),
      ),
    }
  }
  const rows = agents.map((count) => row(count, bursts))
  const afterIdleRows = afterIdle.map(({ agents: count }) => row(count, afterIdle))
  const ratio = (from: readonly { readonly msPerAdd: number }[]): number =>
    rounded((from.at(-1)?.msPerAdd ?? Number.NaN) / (from[0]?.msPerAdd ?? Number.NaN), 3)
  return {
    ...{ part: 'agents', pods, rounds, atOnce, rows, ratioMostToFewest: ratio(rows) },
    ...{ afterIdle: afterIdleRows, ratioMostToFewestAfterIdle: ratio(afterIdleRows) },
  }
}
