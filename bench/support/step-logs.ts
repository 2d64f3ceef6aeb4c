// Where ADDs spent their time, by the log lines of agents and controller that name their steps.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab } from '../../test/integration/lab-harness.ts'
import { rounded } from './measure.ts'

interface StepLine {
  readonly msg: string
  readonly plugin?: string
  readonly command?: string
  readonly containerId?: string
  readonly durationMs: number
  readonly stepsMs?: Readonly<Record<string, number>>
}

/** What the logs say of one ADD, by the name of the part. */
type Logged = Readonly<Record<'meta' | 'ipam' | 'controller', StepLine | undefined>>

/** Steps of one ADD in milliseconds, in the order in which they come. They add up to what the caller waited. */
type Steps = Readonly<Record<string, number>>

function readLines(lab: Lab): readonly StepLine[] {
  const folder = join(lab.dir, 'logs')
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => /^(agent-|controller)/.test(name))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
    .filter((line) => line.includes('"stepsMs"'))
    .map((line) => JSON.parse(line) as StepLine)
}

/** Of each container, its ADDs that succeeded. */
export function loggedAdds(lab: Lab): ReadonlyMap<string, Logged> {
  const found = new Map<string, Record<'meta' | 'ipam' | 'controller', StepLine | undefined>>()
  for (const line of readLines(lab)) {
    const { msg, plugin, command, containerId = '' } = line
    const one = found.get(containerId) ?? { meta: undefined, ipam: undefined, controller: undefined }
    if (msg === 'addresses allocated') one.controller = line
    else if (msg !== 'plugin call done' || command !== 'ADD') continue
    else if (plugin === 'spiderpool-meta') one.meta = line
    else one.ipam = line
    found.set(containerId, one)
  }
  return found
}

const sum = (steps: Steps = {}): number => Object.values(steps).reduce((total, ms) => total + ms, 0)

/** @param totalMs what the caller waited. @throws when a part said nothing of it */
export function ipamStepsOf(logged: Logged | undefined, totalMs: number): Steps {
  const agent = logged?.ipam?.stepsMs
  const controller = logged?.controller?.stepsMs
  if (agent === undefined || controller === undefined) throw new Error('An ADD is not in the logs')
  const { queue = 0, journal = 0, allocator = 0 } = agent
  const { pod = 0, policy = 0, ledger = 0 } = controller
  return {
    'pipe, socket, parse, answer': totalMs - queue - journal - allocator,
    'wait for a place in the agent': queue,
    'journal to disk': journal,
    'call of the controller, without its work': allocator - pod - policy - ledger,
    'controller finds the pod': pod,
    'controller chooses pool and owner': policy,
    'ledger: block write, acknowledged': ledger,
  }
}

/** As {@link ipamStepsOf}, of the whole chain. */
export function chainStepsOf(logged: Logged | undefined, totalMs: number): Steps {
  const { meta, ipam } = logged ?? {}
  if (meta?.stepsMs === undefined || ipam === undefined) throw new Error('An ADD is not in the logs')
  const { queue = 0, pod = 0, networks = 0, scratch = 0, plugins = 0, status = 0 } = meta.stepsMs
  const { 'pipe, socket, parse, answer': inner = 0, ...addresses } = ipamStepsOf(logged, ipam.durationMs)
  const rest = plugins - sum(addresses)
  return {
    'pipe, socket, parse, answer': totalMs - sum(meta.stepsMs),
    'wait for a place in the agent (whole chain)': queue,
    'agent reads the pod': pod,
    'agent finds the networks': networks,
    'scratch to disk': scratch,
    'main plugin, and its start of the IPAM plugin': rest - inner,
    'IPAM: parse, answer': inner,
    ...Object.fromEntries(Object.entries(addresses).map(([name, ms]) => [`IPAM: ${name}`, ms])),
    'network-status written to the pod': status,
  }
}

/** Of each step by itself, such as the median. */
export function combineSteps(all: readonly Steps[], by: (numbers: readonly number[]) => number): Steps {
  const names = Object.keys(all[0] ?? {})
  return Object.fromEntries(names.map((name) => [name, rounded(by(all.map((steps) => steps[name] ?? 0)), 1)]))
}
