import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockOwner } from '../../src/api/index.ts'
import { toError } from '../../src/base/index.ts'
import { ownerKey } from '../../src/ledger/index.ts'
import { isExpected, LedgerWorld, pools, type Wish } from './ledger-world.ts'

// A run is replayed by SIMULATION_SEED=<seed>; SIMULATION_RUNS sets how many.
const firstSeed = Number(process.env['SIMULATION_SEED'] ?? 1)
const runs = Number(process.env['SIMULATION_RUNS'] ?? (process.env['SIMULATION_SEED'] === undefined ? 60 : 1))
const never = new AbortController().signal

const wishes: readonly Wish[] = [
  [{ nic: 'eth0', version: 4, pools: [pools.v4] }],
  [
    { nic: 'eth0', version: 4, pools: [pools.v4, pools.second] },
    { nic: 'eth0', version: 6, pools: [pools.v6] },
  ],
  [
    { nic: 'eth0', version: 4, pools: [pools.overlap, pools.second] },
    { nic: 'eth0', version: 6, pools: [pools.v6] },
  ],
  [{ nic: 'eth0', version: 4, pools: [pools.overlap] }],
]

/** One pod after the other under one name; a sticky one keeps its owner. */
async function client(world: LedgerWorld, index: number, rounds: number): Promise<void> {
  const name = `client-${index}`
  const { scheduler } = world
  const wish = wishes[index % wishes.length] ?? []
  const isSticky = index % 3 === 2
  for (let round = 0; round < rounds; round++) {
    const podUid = `pod-${index}-${round}`
    const owner: BlockOwner = isSticky
      ? {
          kind: 'sticky',
          group: 'apps',
          ownerKind: 'StatefulSet',
          name: 's',
          uid: 'S',
          replica: String(index),
        }
      : { kind: 'pod', uid: podUid }
    await life(world, { name, owner, podUid, wish, isSticky })
    await scheduler.pause(name)
  }
}

interface Life {
  readonly name: string
  readonly owner: BlockOwner
  readonly podUid: string
  readonly wish: Wish
  readonly isSticky: boolean
}

/** One pod: sandboxes that start, maybe restart, and end; any call may fail, and then the next leader is asked. */
async function life(world: LedgerWorld, { name, owner, podUid, wish, isSticky }: Life): Promise<void> {
  const { scheduler } = world
  const sandboxes = 1 + scheduler.below(2)
  for (let sandbox = 0; sandbox < sandboxes; sandbox++) {
    const containerId = `${podUid}-c${sandbox}`
    const call = world.callOf({ owner, podUid, containerId, wish })
    let isUp = false
    for (let attempt = 0; attempt < 6 && !isUp; attempt++) {
      isUp = await world.add(name, call, wish)
      await scheduler.pause(name)
    }
    if (isUp && scheduler.chance(0.2)) await world.add(name, call, wish)
    if (isUp && scheduler.chance(0.15)) {
      await quietly(world.quarantine(name, call))
      await world.add(name, call, wish)
    }
    if (scheduler.chance(0.3)) await quietly(world.pardon(name))
    for (let stay = scheduler.below(10); stay > 0; stay--) await scheduler.pause(name)
    if (sandbox + 1 === sandboxes && !isSticky) world.forget(ownerKey(owner))
    const sandboxNic = { containerId, ifName: 'eth0', node: call.node }
    const isUndo = !isUp && scheduler.chance(0.5)
    await quietly(
      world.request(name, async (ledger, signal) =>
        isUndo ? ledger.undo(sandboxNic, signal) : ledger.detach(sandboxNic, signal),
      ),
    )
  }
  if (isSticky) return
  await quietly(
    world.request(name, async (ledger, signal) => ledger.free(ledger.ofPod(`default/${podUid}`), signal)),
  )
}

async function quietly(request: Promise<unknown>): Promise<void> {
  await request.catch(isExpected)
}

async function run(seed: number): Promise<LedgerWorld> {
  const faults = { lost: 0.04, unanswered: 0.06, late: 0.06 }
  const world = new LedgerWorld(seed, faults)
  const { scheduler } = world
  world.startLeader()
  let failure: unknown
  let living = 0
  for (let index = 0; index < 7; index++) {
    living++
    client(world, index, 2).then(
      () => living--,
      (error: unknown) => {
        failure ??= error
      },
    )
  }
  const hasMoreLeaders = seed % 4 !== 0
  let steps = 0
  while (living > 0 && failure === undefined && steps < 5000) {
    steps++
    if (hasMoreLeaders && scheduler.chance(0.002)) world.startLeader()
    if (hasMoreLeaders && scheduler.chance(0.012)) world.disturb()
    if (!(await scheduler.step())) break
    world.check()
  }
  if (failure !== undefined) throw toError(failure)
  const ledger = await world.settle()
  if (failure !== undefined) throw toError(failure)
  await finish(world, ledger)
  return world
}

/** When all is quiet, the last leader knows all there is, and after the pods are gone nothing is left. */
async function finish(world: LedgerWorld, ledger: Awaited<ReturnType<LedgerWorld['settle']>>): Promise<void> {
  const { scheduler, store } = world
  const drive = async <T>(promise: Promise<T>): Promise<T> => {
    let isDone = false
    void promise
      .finally(() => {
        isDone = true
      })
      .catch(() => undefined)
    while (!isDone && (await scheduler.step())) world.check()
    return promise
  }
  await drive(ledger.resync(never))
  assert.deepEqual(
    [...ledger.all()].map(({ ip }) => ip).sort(),
    [...store.entries().keys()].sort(),
    'memory is the durable truth',
  )
  for (const { entry } of ledger.all()) assert(!ledger.isHeld(entry), 'no intent is left half done')
  for (const { entry } of [...ledger.all()]) world.forget(ownerKey(entry.owner))
  await drive(ledger.free([...ledger.all()], never))
  assert.equal(store.entries().size, 0, 'nothing is leaked')
  assert.equal(ledger.stats().entries, 0)
  for (const ip of store.quarantines().keys()) await drive(ledger.endQuarantine(ip, never))
  assert.equal(store.quarantines().size, 0)
  for (const { metadata } of Object.values(pools)) assert.equal(ledger.poolUsage(metadata.name), 0)
}

void test(`no address has two owners, none is lost or leaked, whatever fails (seeds ${firstSeed}..${firstSeed + runs - 1})`, async (context) => {
  const total = { answered: 0, full: 0, failed: 0, leaders: 0, crashed: 0, quarantined: 0 }
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    try {
      const { counts } = await run(seed)
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += counts[key]
    } catch (error) {
      throw new Error(`replay with SIMULATION_SEED=${seed}`, { cause: error })
    }
  }
  context.diagnostic(JSON.stringify(total))
  assert(total.answered > runs * 5 && total.quarantined > 0, JSON.stringify(total))
})
