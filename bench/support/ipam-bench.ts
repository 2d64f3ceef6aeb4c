// The rounds of bench:ipam: floor and burst in turn, so that both see the same machine, and what came of them.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KubeObject, resources, type SpiderEndpoint } from '../../src/api/index.ts'
import { KubeClient, loadKubeconfig } from '../../src/kube/index.ts'
import { labUp } from '../../test/integration/lab-harness.ts'
import { requestsOf } from './audit.ts'
import { etcdPutBytes } from './etcd.ts'
import { defineFloor, removeFloor, runFloor } from './floor.ts'
import { addAll, type BenchSetUp, type Burst, deleteAll, makePods } from './ipam-round.ts'
import { CpuMeter, median, quantile, rounded } from './measure.ts'
import { whenStopped } from './when-stopped.ts'

const never = new AbortController().signal
/** An API server writes its audit log in batches, the last of them after this time at the latest. */
const auditDelayMs = 31_000

export interface IpamOptions {
  readonly server: string
  readonly addresses: string
  readonly families: string
  readonly rounds: number
  readonly pods: number
  readonly agents: number
  readonly atOnce: number
}

interface Round {
  readonly floorSeconds: number
  readonly floorCpuSeconds: Readonly<Record<string, number>>
  readonly add: Burst
  readonly del: Burst
  readonly etcdBytes: number | undefined
}

/** Pools with exactly as many addresses as there are pods, or plenty of them. */
async function makePools(api: KubeClient, options: IpamOptions): Promise<BenchSetUp['pools']> {
  const { pods, addresses, families } = options
  const count = addresses === 'exact' ? pods : 60_000
  const last = (value: number) => `${Math.floor(value / 256)}.${value % 256}`
  const make = (name: string, subnet: string, ips: string) =>
    api.create(
      resources.ipPool,
      {
        apiVersion: 'spiderpool.spidernet.io/v2beta1',
        kind: 'SpiderIPPool',
        metadata: { name },
        spec: { subnet, ips: [ips] },
      } as KubeObject,
      never,
    )
  await make('bench4', '10.66.0.0/16', `10.66.0.1-10.66.${last(count)}`)
  if (families === '4') return { v4: 'bench4' }
  await make('bench6', 'fd00:66::/64', `fd00:66::1-fd00:66::${count.toString(16)}`)
  return { v4: 'bench4', v6: 'bench6' }
}

/** Runs the benchmark in a lab of its own. @throws when an address was given twice, lost, or kept */
export async function benchIpam(
  options: IpamOptions,
  auditDir: string,
): Promise<{ readonly table: string; readonly result: Readonly<Record<string, unknown>> }> {
  const nodes = Array.from({ length: options.agents }, (_, index) => `node${index}`)
  const lab = labUp(nodes)
  const isOver = whenStopped(lab.down)
  const access = await loadKubeconfig(lab.kubeconfig)
  const [api, second] = [new KubeClient(access), new KubeClient(access)]
  try {
    const pools = await makePools(api, options)
    await defineFloor(api)
    const { pods, atOnce } = options
    const setUp = { lab, api, nodes, pods, atOnce, pools, isAudited: options.server === 'real' }
    const model = await warmUp(setUp)
    const rounds: Round[] = []
    for (let index = 0; index < options.rounds; index++) {
      const sandboxes = await makePods(setUp)
      const floor = () => measureFloor(setUp, [api, second], model)
      const before = index % 2 === 0 ? await floor() : undefined
      const putBytes = await etcdPutBytes(lab)
      const add = await addAll(sandboxes, setUp)
      const etcdBytes = putBytes === undefined ? undefined : ((await etcdPutBytes(lab)) ?? 0) - putBytes
      const { floorSeconds, floorCpuSeconds } = before ?? (await floor())
      const del = await deleteAll(sandboxes, setUp)
      rounds.push({ floorSeconds, floorCpuSeconds, add, del, etcdBytes })
      process.stderr.write(
        `round ${index + 1}: floor ${floorSeconds.toFixed(2)} s, ADD ${add.wallSeconds.toFixed(2)} s, ` +
          `settled ${add.settledSeconds.toFixed(2)} s, DEL ${del.wallSeconds.toFixed(2)} s\n`,
      )
    }
    if (options.server === 'real') await sleep(auditDelayMs)
    const log = readdirSync(auditDir).map((name) => readFileSync(join(auditDir, name), 'utf8'))
    return resultOf(options, rounds, log.join('\n'))
  } finally {
    await api.close()
    await second.close()
    isOver()
    lab.down()
  }
}

async function measureFloor(
  { lab, pods, atOnce }: BenchSetUp,
  clients: readonly [KubeClient, KubeClient],
  model: SpiderEndpoint,
): Promise<Pick<Round, 'floorSeconds' | 'floorCpuSeconds'>> {
  const cpu = new CpuMeter(new Map([...lab.pids(), ['bench', process.pid]]))
  const { seconds } = await runFloor(clients, model, { count: pods, atOnce })
  const floorCpuSeconds = cpu.read()
  await removeFloor(clients[0])
  return { floorSeconds: seconds, floorCpuSeconds }
}

/** Ten pods: code is compiled, connections are open, caches are filled. @returns an endpoint as the controller wrote it */
async function warmUp(setUp: BenchSetUp): Promise<SpiderEndpoint> {
  const few = { ...setUp, pods: 10 }
  const sandboxes = await makePods(few)
  await addAll(sandboxes, few)
  const { items } = await setUp.api.list<SpiderEndpoint>(resources.endpoint, { limit: 1 }, never)
  await deleteAll(sandboxes, few)
  const [model] = items
  if (model === undefined) throw new Error('No SpiderEndpoint was written')
  return model
}

function resultOf(options: IpamOptions, rounds: readonly Round[], auditLog: string) {
  const { server, addresses, families, pods, agents, atOnce } = options
  const of = (get: (round: Round) => number): number => rounded(median(rounds.map(get)), 3)
  const perRound = (kind: 'add' | 'del') => {
    const calls = rounds.flatMap((round) => round[kind].callMs)
    const at = (share: number) => rounded(quantile(calls, share), 1)
    return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99), maxMs: at(1) }
  }
  const floorSeconds = of(({ floorSeconds: seconds }) => seconds)
  const wallSeconds = of(({ add }) => add.wallSeconds)
  const settledSeconds = of(({ add }) => add.settledSeconds)
  const requests = requestsOf(
    auditLog,
    rounds.map(({ add }) => add),
  )
  const watched = meanOf(rounds.map(({ add }) => add.writes))
  const writes =
    requests === undefined ? Object.values(watched).reduce((sum, n) => sum + n, 0) : requests.writes
  const bytes = rounds.map(({ etcdBytes }) => etcdBytes)
  const result = {
    bench: 'ipam',
    ...{ server, addresses, families, pods, agents, atOnce, rounds: rounds.length },
    ...{ wallSeconds, settledSeconds, floorSeconds },
    ratioToFloor: of(({ add, floorSeconds: floor }) => add.wallSeconds / floor),
    settledRatioToFloor: of(({ add, floorSeconds: floor }) => add.settledSeconds / floor),
    addsPerSecond: rounded(pods / wallSeconds, 1),
    ...perRound('add'),
    del: {
      wallSeconds: of(({ del }) => del.wallSeconds),
      settledSeconds: of(({ del }) => del.settledSeconds),
      ...perRound('del'),
    },
    failed: rounds.reduce((sum, { add, del }) => sum + add.failed + del.failed, 0),
    duplicates: rounds.reduce((sum, { add }) => sum + add.duplicates, 0),
    writesPerPod: rounded(writes / pods, 3),
    ...(requests === undefined ? { writesByResource: watched } : {}),
    ...(requests === undefined ? {} : { requests: requests.byVerb }),
    ...(bytes.some((one) => one === undefined)
      ? {}
      : { etcdBytesPerAdd: Math.round(median(bytes.map((one) => one ?? 0)) / pods) }),
    cpuSeconds: meanOf(rounds.map(({ add }) => add.cpuSeconds)),
    floorCpuSeconds: meanOf(rounds.map((round) => round.floorCpuSeconds)),
  }
  return { table: tableOf(result), result }
}

/** Of each number that has the same name. */
function meanOf(records: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const names = new Set(records.flatMap((record) => Object.keys(record)))
  const mean = (name: string) =>
    records.reduce((sum, record) => sum + (record[name] ?? 0), 0) / records.length
  return Object.fromEntries([...names].sort().map((name) => [name, rounded(mean(name))]))
}

function tableOf(result: Readonly<Record<string, unknown>>): string {
  return Object.entries(result)
    .map(([name, value]) => `${name.padEnd(22)} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join('\n')
}
