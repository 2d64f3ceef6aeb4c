// Time of an ADD from pools of different sizes, taken in turn so that noise meets all of them alike.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuNanoseconds, median, quantile, rounded } from '../measure.ts'
import { Answers } from './answers.ts'
import { BenchCluster, type ClusterOptions } from './cluster.ts'
import { holdAddresses } from './held-addresses.ts'
import { type BenchPod, createPod, SimulatedAgents } from './simulated-agents.ts'

export interface PoolsOptions extends ClusterOptions {
  readonly rounds: number
  /** Half of a pool is held beforehand, but at most so many addresses. */
  readonly held: number
}

interface PoolCase {
  readonly name: string
  readonly label: string
  readonly size: number
  readonly family: 'ipv4' | 'ipv6'
  readonly subnet: string
  readonly range: string
  readonly first: string
  readonly prefixBits: number
}

interface Samples {
  readonly callMs: number[]
  readonly controllerMs: number[]
}

const warmUps = 8
/** CPU time is that of several ADDs in a row with all that follows from them. */
const cpuRounds = 4
const addsInARow = 10
/** What is left of the pool of 256. */
const maxRounds = 128 - warmUps - cpuRounds * addsInARow
/** Endpoints and counts of the ADDs before are written in this time. */
const calmMs = 1_500

// All ranges begin at the edge of a block, and half of each is whole blocks: each pool's ADDs are written into blocks as full as those
// of the others.
const cases: readonly PoolCase[] = [
  v4Case('256', 256, '10.80.0.0', '10.80.0.255'),
  v4Case('4096', 4_096, '10.81.0.0', '10.81.15.255'),
  v4Case('65536', 65_536, '10.82.0.0', '10.82.255.255'),
  {
    name: 'p64',
    label: 'IPv6 /64',
    size: Number.POSITIVE_INFINITY,
    family: 'ipv6',
    subnet: 'fd00:80::/64',
    range: 'fd00:80::-fd00:80::ffff:ffff:ffff:ffff',
    first: 'fd00:80::',
    prefixBits: 64,
  },
]

function v4Case(label: string, size: number, first: string, last: string): PoolCase {
  const [subnet, range] = ['10.64.0.0/10', `${first}-${last}`]
  return { name: `p${label}`, label, size, family: 'ipv4', subnet, range, first, prefixBits: 10 }
}

/** @throws when an address was given twice or lost */
export async function poolsPart(options: PoolsOptions): Promise<Readonly<Record<string, unknown>>> {
  const { rounds } = options
  assert.ok(rounds <= maxRounds, `--rounds is ${rounds}: the pool of 256 has room for ${maxRounds}`)
  await using cluster = await BenchCluster.start(options)
  const answers = new Answers()
  for (const { name, subnet, range } of cases) await cluster.createPool(name, subnet, [range])
  const heldOf = ({ size }: PoolCase) => Math.min(size / 2, options.held)
  for (const one of cases) {
    const { name: prefix, first, prefixBits } = one
    const of = { nodeOf: () => 'node-0', poolOf: () => one.name }
    await holdAddresses(cluster.api, { prefix, first, from: 0, to: heldOf(one), prefixBits, ...of }, answers)
  }
  cluster.startController()
  await cluster.published()
  await using agents = await SimulatedAgents.start(cluster, 1)
  await cluster.settled(answers.size)
  const pods = new Map(cases.map((one) => [one.name, [] as BenchPod[]]))
  for (const { name, family } of cases) {
    for (let index = 0; index < warmUps + rounds + cpuRounds * addsInARow; index++) {
      const pod = { name: `${name}-new-${index}`, node: 'node-0' }
      pods.get(name)?.push(await createPod(cluster.api, pod, { [family]: [name] }))
    }
  }
  const add = async ({ name }: PoolCase, count: number): Promise<readonly number[]> => {
    const tookMs: number[] = []
    for (const pod of pods.get(name)?.splice(0, count) ?? []) tookMs.push(await agents.add(pod, answers))
    return tookMs
  }
  for (const one of cases) await add(one, warmUps)
  const samples = new Map(cases.map(({ name }) => [name, { callMs: [], controllerMs: [] } as Samples]))
  for (let round = 0; round < rounds; round++) {
    for (const one of turned(round)) samples.get(one.name)?.callMs.push(...(await add(one, 1)))
  }
  for (let round = 0; round < cpuRounds; round++) {
    for (const one of turned(round)) {
      await sleep(calmMs)
      const before = cpuNanoseconds(cluster.controllerPid)
      await add(one, addsInARow)
      await sleep(calmMs)
      const usedMs = (cpuNanoseconds(cluster.controllerPid) - before) / 1e6
      samples.get(one.name)?.controllerMs.push(usedMs / addsInARow)
    }
  }
  await cluster.settled(answers.size)
  await answers.requireLedger(cluster.api)
  await answers.requireEndpoints(cluster.api)
  return resultOf(options, samples, heldOf)
}

/** All cases, beginning with another one each time. */
function turned(round: number): readonly PoolCase[] {
  const start = round % cases.length
  return [...cases.slice(start), ...cases.slice(0, start)]
}

function resultOf(
  { rounds }: PoolsOptions,
  samples: ReadonlyMap<string, Samples>,
  heldOf: (one: PoolCase) => number,
): Readonly<Record<string, unknown>> {
  const rows = cases.map((one) => {
    const { callMs = [], controllerMs = [] } = samples.get(one.name) ?? {}
    return {
      pool: one.label,
      held: heldOf(one),
      samples: callMs.length,
      medianMs: rounded(median(callMs)),
      p95Ms: rounded(quantile(callMs, 0.95)),
      controllerCpuMs: rounded(median(controllerMs)),
    }
  })
  const [small] = rows
  const ratio = (index: number): number =>
    rounded((rows[index]?.medianMs ?? Number.NaN) / (small?.medianMs ?? Number.NaN), 3)
  return { part: 'pools', rounds, rows, ratio65536To256: ratio(2), ratio64To256: ratio(3) }
}
