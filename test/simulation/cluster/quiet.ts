import {
  type BlockEntry,
  type Pod,
  resources,
  type SpiderEndpoint,
  type SpiderIpPool,
  type SpiderReservedIp,
  type Workload,
} from '../../../src/api/index.ts'
import { listedIn } from './config-log.ts'
import type { Operations } from './operations.ts'
import type { World } from './world.ts'

/** What is not yet as it must be when nothing fails any more; undefined when all is. */
export function quietProblem(world: World, operations: Operations): string | undefined {
  const entries = world.model.entries()
  const pods = world.server.list<Pod>(resources.pod)
  return (
    ending(pods) ??
    leaked(world, entries, pods) ??
    starved(world, operations, { entries, pods }) ??
    wrongStatus(world, entries) ??
    wrongEndpoint(world, entries)
  )
}

function ending(pods: readonly Pod[]): string | undefined {
  const pod = pods.find(({ metadata }) => metadata.deletionTimestamp !== undefined)
  return pod === undefined ? undefined : `pod ${pod.metadata.name} is still ending`
}

/**
 * Every address belongs to a pod that runs, or to a replica of a set. A second one of a pod that runs is no leak: a write of
 * an earlier leader that came late gives it one, and its next ADD, or its end, frees it.
 */
function leaked(
  { server, model }: World,
  entries: ReadonlyMap<string, BlockEntry>,
  pods: readonly Pod[],
): string | undefined {
  for (const [ip, entry] of entries) {
    const { owner } = entry
    if (owner.kind === 'sticky') {
      const set = server
        .list<Workload>(resources.statefulSet)
        .find(({ metadata }) => metadata.uid === owner.uid)
      if (Number(owner.replica) >= (set?.spec?.replicas ?? 0))
        return `${ip} of replica ${owner.replica} leaks`
      continue
    }
    const pod = pods.find(({ metadata }) => metadata.uid === owner.uid)
    if (pod === undefined) return `${ip} of pod ${entry.pod} ${owner.uid} leaks`
    if (!model.isRunning(owner.uid)) return `${ip} is held by pod ${entry.pod}, which does not run`
  }
  return undefined
}

/** A pod that does not run finds one of its pools full, or gone. */
function starved(
  world: World,
  operations: Operations,
  { entries, pods }: { readonly entries: ReadonlyMap<string, BlockEntry>; readonly pods: readonly Pod[] },
): string | undefined {
  const { server, model } = world
  const reserved = server.list<SpiderReservedIp>(resources.reservedIp).flatMap(({ spec }) => spec.ips ?? [])
  const freeOf = (name: string): readonly string[] => {
    const pool = server.get<SpiderIpPool>(resources.ipPool, { name })
    if (pool === undefined || pool.metadata.deletionTimestamp !== undefined) return []
    return listedIn(pool).filter((ip) => !entries.has(ip) && !reserved.includes(ip))
  }
  for (const { metadata } of pods) {
    const { uid = '', name } = metadata
    const wants = Object.values(operations.objects.templateOf(uid)?.pools ?? {})
    if (model.isRunning(uid)) continue
    // Two wants may need the same pool: so many must be free.
    const isPossible = wants.every((names) => names.flatMap(freeOf).length >= wants.length)
    if (isPossible) return `pod ${name} ${uid} does not run, though its pools have room`
  }
  return undefined
}

function wrongStatus({ server }: World, entries: ReadonlyMap<string, BlockEntry>): string | undefined {
  for (const { metadata, status } of server.list<SpiderIpPool>(resources.ipPool)) {
    const held = [...entries.values()].filter(({ pool }) => pool === metadata.name).length
    const counted = status?.allocatedIPCount
    if (counted !== held) return `pool ${metadata.name} counts ${counted}, and ${held} are allocated`
  }
  return undefined
}

/** An endpoint shows what its pod holds; without pod and address there is none. */
function wrongEndpoint({ server }: World, entries: ReadonlyMap<string, BlockEntry>): string | undefined {
  const shown = new Map<string, string>()
  for (const { metadata, status } of server.list<SpiderEndpoint>(resources.endpoint)) {
    const ips = status.current.ips.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])
    const known = ips.flatMap((ip) => (ip === undefined || ip === '' ? [] : [ip.split('/')[0] ?? '']))
    shown.set(`${metadata.namespace}/${metadata.name}`, known.sort().join(' '))
  }
  const held = Map.groupBy(entries, ([, { pod }]) => pod)
  for (const key of new Set([...shown.keys(), ...held.keys()])) {
    const wanted = (held.get(key) ?? []).map(([ip]) => ip).sort()
    // Of two addresses of one family it shows one; see `leaked`.
    const isPart = shown
      .get(key)
      ?.split(' ')
      .every((ip) => wanted.includes(ip))
    if (isPart !== true && wanted.length + (shown.get(key)?.length ?? 0) > 0)
      return `endpoint ${key} shows ${shown.get(key)}, and ${wanted.join(' ')} is held`
  }
  return undefined
}
