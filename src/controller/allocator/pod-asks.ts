import {
  type AskedIp,
  annotationKeys,
  type BlockOwner,
  type ByNic,
  directOwner,
  type IpVersion,
  type Pod,
  parseAskedIp,
  parsePodIps,
  parsePodMac,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { defaultNetworkAnnotation, networksAnnotation, type PodNetworks } from '../../network/index.ts'
import type { AllocatorWorld } from './world.ts'

/** What a pod asks for one of its NICs. */
export interface NicAsk {
  /** By family, in order of preference; none: any address will do. */
  readonly ips: Readonly<Record<IpVersion, readonly AskedIp[]>>
  readonly mac?: string
}

/** Where a pod can ask. */
export interface AskSources {
  readonly pod: Pod
  readonly networks: PodNetworks
  /** The NIC of the call, and `IP` of its CNI_ARGS. */
  readonly nic: string
  readonly runtimeIps: readonly string[]
  /** NICs that the pod has addresses for. */
  readonly heldNics: ReadonlySet<string>
  /** Of a replica that keeps its address: its position among those of its workload, from 0. */
  readonly position?: number
}

/** Annotations without which a pod asks for nothing, unless its runtime does. */
export const placesOfAsks: readonly string[] = [
  annotationKeys.ips,
  annotationKeys.mac,
  defaultNetworkAnnotation,
  networksAnnotation,
]

interface Said<T> {
  readonly source: string
  readonly value: T
}

/**
 * What the pod asks for, by NIC: annotations `ips` and `mac`, its network selection, and CNI_ARGS for the NIC of the call.
 * There is no precedence: sources that speak of one NIC say the same, or the pod is refused.
 * @throws {InvalidInputError} when a source cannot be used, or two disagree
 */
export function asksOf(sources: AskSources): ReadonlyMap<string, NicAsk> {
  const { pod, networks, nic } = sources
  const { [annotationKeys.ips]: ipsText, [annotationKeys.mac]: macText } = pod.metadata.annotations ?? {}
  const ips = ipsText === undefined ? undefined : byNic(annotationKeys.ips, parsePodIps(ipsText), sources)
  const macs = macText === undefined ? undefined : byNic(annotationKeys.mac, parsePodMac(macText), sources)
  const asks = new Map<string, NicAsk>()
  for (const name of new Set([...networks.nics, nic])) {
    const written = ips?.get(name)
    const asked = agreed(name, ipsSaidOf(name, written, sources), isSameAddresses)
    const mac = agreed(name, macsSaidOf(name, macs?.get(name), sources), (a, b) => a === b)
    if (asked === undefined && mac === undefined) continue
    const ofReplica = asked === written ? shareOf(asked ?? [], sources.position) : (asked ?? [])
    asks.set(name, {
      ips: { 4: ofReplica.filter(isOf(4)), 6: ofReplica.filter(isOf(6)) },
      ...(mac === undefined ? {} : { mac }),
    })
  }
  return asks
}

/**
 * The position of a replica among those of its StatefulSet, from 0; undefined for any other owner. Reads the workload afresh.
 */
export async function positionOf(
  pod: Pod,
  owner: BlockOwner,
  world: Pick<AllocatorWorld, 'readWorkload'>,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (owner.kind === 'pod' || owner.group !== 'apps' || owner.ownerKind !== 'StatefulSet') return undefined
  const workload = await world.readWorkload(directOwner(pod).owner, signal)
  return Number(owner.replica) - (workload?.spec?.ordinals?.start ?? 0)
}

const isOf =
  (version: IpVersion) =>
  (asked: AskedIp): boolean =>
    asked.version === version

function ipsSaidOf(
  name: string,
  written: readonly AskedIp[] | undefined,
  { networks, nic, runtimeIps }: AskSources,
): readonly Said<readonly AskedIp[]>[] {
  const said: Said<readonly AskedIp[]>[] = []
  if (written !== undefined) said.push({ source: `annotation ${annotationKeys.ips}`, value: written })
  const selected = networks.requestOf(name).ips ?? []
  if (selected.length > 0) said.push(oneOfEach(`ips of ${networksAnnotation} for ${name}`, selected))
  if (name === nic && runtimeIps.length > 0) said.push(oneOfEach('IP of CNI_ARGS', runtimeIps))
  return said
}

function macsSaidOf(
  name: string,
  written: string | undefined,
  { networks }: AskSources,
): readonly Said<string>[] {
  const { mac } = networks.requestOf(name)
  return [
    ...(written === undefined ? [] : [{ source: `annotation ${annotationKeys.mac}`, value: written }]),
    ...(mac === undefined ? [] : [{ source: `mac of ${networksAnnotation} for ${name}`, value: mac }]),
  ]
}

/** A network selection and a runtime mean every address that they list, and a NIC gets one of each family. */
function oneOfEach(source: string, texts: readonly string[]): Said<readonly AskedIp[]> {
  const value = texts.map((text) => parseAskedIp(text, source))
  for (const version of [4, 6] as const) {
    if (value.filter(isOf(version)).length < 2) continue
    const hint = `ask for one; a list for the replicas of a workload stands in annotation ${annotationKeys.ips}`
    throw new InvalidInputError(source, texts, `names several IPv${version} addresses for one NIC`, hint)
  }
  return { source, value }
}

function agreed<T>(name: string, said: readonly Said<T>[], isSame: (a: T, b: T) => boolean): T | undefined {
  const [first, ...others] = said
  if (first === undefined) return undefined
  for (const { source, value } of others) {
    if (isSame(first.value, value)) continue
    throw new InvalidInputError(
      `${source}, beside ${first.source},`,
      [textOf(value), textOf(first.value)],
      `asks something else for ${name}`,
      'Write the same in both places, or in one of them alone',
    )
  }
  return first.value
}

function textOf(value: unknown): unknown {
  return Array.isArray(value) ? value.map((item: AskedIp) => item.ip) : value
}

function isSameAddresses(a: readonly AskedIp[], b: readonly AskedIp[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ ip, prefixBits }) =>
      b.some((one) => one.ip === ip && (one.prefixBits ?? prefixBits) === (prefixBits ?? one.prefixBits)),
    )
  )
}

/**
 * Of a list for the replicas, what the replica may have: one that keeps its address the item at its position, any other the
 * whole list, of which it takes the first that is free.
 */
function shareOf(asked: readonly AskedIp[], position: number | undefined): readonly AskedIp[] {
  const families = ([4, 6] as const).map((version) => asked.filter(isOf(version)))
  if (position === undefined || families.every((list) => list.length < 2)) return asked
  return families.flatMap((list) => {
    const own = list[position]
    if (own !== undefined || list.length === 0) return own === undefined ? [] : [own]
    throw new InvalidInputError(
      `annotation ${annotationKeys.ips}`,
      `${list.length} IPv${list[0]?.version ?? 4} addresses`,
      `has none for the replica at position ${position} of its workload, counted from 0`,
      'Write an address for each replica, or run fewer replicas',
    )
  })
}

/** @throws {InvalidInputError} when it names a NIC that gets no address from here */
function byNic<T>(key: string, said: ByNic<T>, sources: AskSources): ReadonlyMap<string, T> {
  if (said.kind === 'first') return new Map([[firstNicOf(sources), said.value]])
  const { networks, nic } = sources
  const served = [...new Set([...networks.nics, nic])]
  for (const name of said.values.keys()) {
    if (served.includes(name)) continue
    throw new InvalidInputError(
      `Pod annotation '${key}'`,
      name,
      'is no interface of the pod that gets its address from here',
      `Write one of ${served.join(', ')}`,
    )
  }
  return said.values
}

/** A default network that nobody knows may be another's: it is, when a later NIC asks first. */
function firstNicOf({ networks, nic, heldNics }: AskSources): string {
  const [first = nic] = networks.nics
  const isGuess = networks.nadOf(first) === undefined
  return isGuess && first !== nic && !heldNics.has(first) ? (networks.nics[1] ?? nic) : first
}
