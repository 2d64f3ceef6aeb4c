// What ADD and DEL cost etcd and the API server with blocks of different sizes: the ledger of the product over its own store, without
// the rest of the controller, which does the same whatever the size.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { resources, type SpiderIpBlock, type SpiderIpPool } from '../../../src/api/index.ts'
import { silentLogger, systemClock, systemRandom } from '../../../src/base/index.ts'
import { KubeBlockStore } from '../../../src/controller/allocator/store/kube-block-store.ts'
import { collectionPath } from '../../../src/kube/index.ts'
import { type AddCall, entriesOf, Ledger, reservedOf } from '../../../src/ledger/index.ts'
import { Seeded } from '../../../test/simulation/seeded.ts'
import { readState } from '../../../test/support/control-plane/control-plane.ts'
import { inParallel } from '../../../test/support/ipam-burst.ts'
import { Etcd } from '../etcd.ts'
import { cpuNanoseconds, median, rounded } from '../measure.ts'
import { BenchCluster } from './cluster.ts'

export interface BlocksOptions {
  /** Addresses in a block: powers of two. */
  readonly sizes: readonly number[]
  /** ADDs and then DELs of a burst. */
  readonly pods: number
  /** So many of them a second. */
  readonly perSecond: number
  /** ADDs that come one after the other: a multiple of each size, so that blocks are half full on average. */
  readonly singles: number
}

interface Cost {
  /** Until the write was acknowledged. */
  readonly p50Ms: number
  readonly bytesEach: number
  readonly writesEach: number
  readonly apiserverCpuMs: number
  readonly etcdCpuMs: number
}

const never = new AbortController().signal
const idleMs = 5_000
const noReserved = reservedOf([])
const toMb = (bytes: number): number => rounded(bytes / 2 ** 20, 1)

/** @throws when an address was given twice or lost, or the API server is not a real one */
export async function blocksPart(options: BlocksOptions): Promise<Readonly<Record<string, unknown>>> {
  await using cluster = await BenchCluster.start({})
  const pid = readState(cluster.server.dir)?.pids['etcd']
  assert.ok(pid !== undefined, '--part blocks asks etcd: use --server real')
  const etcd = new Etcd(cluster.server.dir, pid)
  const rows: Readonly<Record<string, unknown>>[] = []
  for (const [index, size] of options.sizes.entries()) {
    const run = new SizeRun(cluster, etcd, size, options)
    rows.push(await run.run(index + 1))
    process.stderr.write(`blocks of ${size}: ${JSON.stringify(rows.at(-1))}\n`)
  }
  const { pods, perSecond, singles } = options
  return { part: 'blocks', pods, perSecond, singles, rows }
}

class SizeRun {
  readonly #cluster: BenchCluster
  readonly #etcd: Etcd
  readonly #size: number
  readonly #options: BlocksOptions
  #podCount = 0

  constructor(cluster: BenchCluster, etcd: Etcd, size: number, options: BlocksOptions) {
    this.#cluster = cluster
    this.#etcd = etcd
    this.#size = size
    this.#options = options
  }

  async run(term: number): Promise<Readonly<Record<string, unknown>>> {
    const { pods, singles } = this.#options
    const { api } = this.#cluster
    await api.request('DELETE', collectionPath(resources.ipBlock), undefined, never)
    await this.#compactAll()
    const bits = 32 - Math.log2(this.#size)
    const ledger = await Ledger.open(
      {
        store: new KubeBlockStore(api),
        ...{ term, clock: systemClock, random: systemRandom, logger: silentLogger },
        blockSizes: { v4: bits, v6: bits + 96 },
      },
      never,
    )
    try {
      const single = await this.#adds(ledger, 'single', singles)
      const from = await this.#etcd.size()
      const add = await this.#adds(ledger, 'burst', pods)
      await this.#requireLedger(ledger)
      const del = await this.#cost(ledger, pods, () => this.#freeAll(ledger, 'burst'))
      await this.#requireLedger(ledger)
      const to = await this.#etcd.size()
      // The pool has no address that was never used: those are given out that were released first, which are in any block.
      const again = await this.#adds(ledger, 'burst', pods)
      await this.#requireLedger(ledger)
      await this.#etcd.compact()
      const compacted = await this.#etcd.size()
      const db = {
        fileMb: toMb(to.fileBytes),
        usedMb: toMb(to.usedBytes),
        grownMb: toMb(to.usedBytes - from.usedBytes),
        compactedMb: toMb(compacted.usedBytes),
      }
      return { size: this.#size, single, add, del, again, db }
    } finally {
      await ledger.close()
    }
  }

  async #compactAll(): Promise<void> {
    await this.#etcd.compact()
    await this.#etcd.defragment()
  }

  /** Of pool `single` one after the other, of the other as pods of many nodes come. */
  #adds(ledger: Ledger, pool: 'single' | 'burst', count: number): Promise<Cost> {
    const calls = Array.from({ length: count }, () => callOf(this.#podCount++, this.#poolOf(pool)))
    const work = async (call: AddCall): Promise<void> => {
      const { created } = await ledger.add(call, never)
      assert.equal(created.length, 1)
    }
    return this.#cost(ledger, count, () =>
      pool === 'single' ? oneByOne(calls, work) : atRandom(calls, this.#options.perSecond, work),
    )
  }

  #freeAll(ledger: Ledger, pool: string): Promise<readonly number[]> {
    // Pods do not go in the order in which they came.
    const held = shuffled(ledger.ofPool(pool))
    return atRandom(held, this.#options.perSecond, async (one) => {
      assert.deepEqual(await ledger.free([one], never), [one.ip])
    })
  }

  #poolOf(name: 'single' | 'burst'): SpiderIpPool {
    const last = this.#options.pods - 1
    const ips = name === 'single' ? '10.64.0.0-10.64.255.255' : `10.65.0.0-10.65.${last >> 8}.${last & 255}`
    return { metadata: { name }, spec: { subnet: '10.64.0.0/10', ips: [ips] } }
  }

  /** @param work gives the milliseconds of each */
  async #cost(ledger: Ledger, count: number, work: () => Promise<readonly number[]>): Promise<Cost> {
    const { 'kube-apiserver': apiserver = 0, etcd = 0 } = readState(this.#cluster.server.dir)?.pids ?? {}
    const look = async () => ({
      ms: performance.now(),
      apiserver: cpuNanoseconds(apiserver),
      etcd: cpuNanoseconds(etcd),
      bytes: await this.#etcd.putBytes(),
      writes: ledger.stats().writes,
    })
    const resting = await look()
    await sleep(idleMs)
    const from = await look()
    const tookMs = await work()
    const to = await look()
    // Both do something by themselves, too.
    const share = (to.ms - from.ms) / (from.ms - resting.ms)
    const cpuMs = (name: 'apiserver' | 'etcd') =>
      rounded((to[name] - from[name] - (from[name] - resting[name]) * share) / count / 1e6, 3)
    return {
      p50Ms: rounded(median(tookMs), 1),
      bytesEach: Math.round((to.bytes - from.bytes) / count),
      writesEach: rounded((to.writes - from.writes) / count, 3),
      apiserverCpuMs: cpuMs('apiserver'),
      etcdCpuMs: cpuMs('etcd'),
    }
  }

  /** The API server's blocks have what the ledger has, each address once. */
  async #requireLedger(ledger: Ledger): Promise<void> {
    const { items } = await this.#cluster.api.listAll<SpiderIpBlock>(resources.ipBlock, { limit: 50 }, never)
    const stored = items.flatMap((block) =>
      Object.entries(entriesOf(block)).map(([ip, { podUid }]) => `${ip} ${podUid}`),
    )
    const known = [...ledger.all()].map(({ ip, entry }) => `${ip} ${entry.podUid}`)
    assert.deepEqual(stored.sort(), known.sort())
    assert.equal(new Set(known.map((text) => text.split(' ')[0])).size, known.length)
  }
}

/** @returns milliseconds of each */
async function oneByOne<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<readonly number[]> {
  return inParallel(items, 1, (item) => timed(() => work(item)))
}

/** Each begins at a time of its own, whatever became of those before it. @returns milliseconds of each */
async function atRandom<T>(
  items: readonly T[],
  perSecond: number,
  work: (item: T) => Promise<void>,
): Promise<readonly number[]> {
  const random = new Seeded(1)
  const startedMs = performance.now()
  let dueMs = 0
  const running: Promise<number>[] = []
  for (const item of items) {
    dueMs -= (Math.log(1 - random.next()) * 1_000) / perSecond
    const waitMs = startedMs + dueMs - performance.now()
    if (waitMs >= 1) await sleep(waitMs)
    running.push(timed(() => work(item)))
  }
  return Promise.all(running)
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  const random = new Seeded(2)
  const keyed = items.map((item) => ({ item, key: random.next() }))
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item)
}

function callOf(index: number, pool: SpiderIpPool): AddCall {
  const uid = `3f0c6c5e-8f0b-4d8e-9d3a-${String(index).padStart(12, '0')}`
  return {
    owner: { kind: 'pod', uid },
    pod: `default/web-5d4f8c7b9-${index.toString(36).padStart(5, '0')}`,
    podUid: uid,
    node: `node-${index % 100}`,
    containerId: uid.replaceAll('-', '').padEnd(64, '0'),
    nic: 'eth0',
    reserved: noReserved,
    plan: () => ({ drop: [], wants: [{ nic: 'eth0', version: 4, pools: [pool] }] }),
    grant: () => ({ prefixBits: 10, gateway: '10.127.255.254' }),
  }
}
