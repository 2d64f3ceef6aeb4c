import { resources, type SpiderIpPool } from '../../../src/api/index.ts'
import { toError } from '../../../src/base/index.ts'
import { noFaults } from './faults.ts'
import { Operations } from './operations.ts'
import { quietProblem } from './quiet.ts'
import { takeOverTimers } from './timers.ts'
import { somethingFails, World } from './world.ts'

const actions = 40
const stepsBetween = 25
/** By then all is as it should be once nothing fails any more: the slowest is the resync of a leader, every 10 minutes. */
const settleMs = 900_000
const settleSteps = 20_000

export interface Outcome {
  readonly counts: Readonly<Record<string, number>>
}

/** Runs one random history. @throws what is wrong, and at which step */
export async function runHistory(seed: number): Promise<Outcome> {
  const world = new World(seed, somethingFails)
  const giveBack = takeOverTimers(world.scheduler)
  const unhandled = (error: unknown): void => {
    world.failure ??= toError(error)
  }
  process.on('unhandledRejection', unhandled)
  try {
    await play(world, new Operations(world))
    const { acked, failed, repeated } = world.model.counts
    return { counts: { acked, failed, repeated, steps: world.scheduler.steps } }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`step ${world.scheduler.steps}: ${message}`, { cause: error })
  } finally {
    process.off('unhandledRejection', unhandled)
    giveBack()
  }
}

async function play(world: World, operations: Operations): Promise<void> {
  const { scheduler, faults, model, controllers, machines, server } = world
  operations.begin()
  for (let action = 0; action < actions; action++) {
    operations.act()
    if (scheduler.chance(0.35)) operations.disturb()
    for (let step = scheduler.below(2 * stepsBetween); step > 0; step--) {
      await world.step()
      if (scheduler.chance(0.1)) keep(world, operations)
    }
  }
  // From here on nothing fails: what can succeed must, and nothing may be left behind.
  Object.assign(faults, noFaults)
  model.isQuiet = true
  for (const { actor } of controllers) for (const name of [actor, `${actor}~watch`]) scheduler.thaw(name)
  for (const machine of machines.values()) {
    if (machine.isOff) machine.boot()
    if (machine.agent !== undefined) scheduler.thaw(machine.agent.actor)
  }
  await settle(world, operations)
  // All know the configuration by now: what it forbids must not be given.
  operations.objects.makeWorkload('ReplicaSet', 'last', 3)
  await settle(world, operations)
  operations.deleteAll()
  await settle(world, operations)
  for (const { metadata } of server.list<SpiderIpPool>(resources.ipPool))
    server.delete(resources.ipPool, { name: metadata.name })
}

function keep(world: World, operations: Operations): void {
  world.keepControllers()
  operations.reconcile()
  world.tick()
}

async function settle(world: World, operations: Operations): Promise<void> {
  const { scheduler } = world
  const endMs = scheduler.nowMs + settleMs
  let problem: string | undefined = 'nothing happened yet'
  for (let step = 0; problem !== undefined; step++) {
    if (scheduler.nowMs > endMs || step > settleSteps) throw new Error(`not settled: ${problem}`)
    if (step % 10 === 0) keep(world, operations)
    await world.step()
    if (step % 20 === 19) problem = quietProblem(world, operations)
  }
}
