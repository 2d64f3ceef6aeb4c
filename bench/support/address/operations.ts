// What each operation of a set takes, and what it takes the naive way.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { IpSet, ipOf, offsetIpValue, parseRanges } from '../../../src/address/index.ts'
import { median, rounded } from '../measure.ts'
import { makeNetwork, type Network, networks, scatter } from './network.ts'

/** By operation; the unit is in its name. */
export type Figures = Readonly<Record<string, number>>

const lookUps = 200_000
const steps = 1_000_000
/** As many holes for each address as a /8 with 100,000. */
const naiveIps = 2 ** 16
const naiveHoles = 390
const linearLookUps = 200

/** Where results go, so that no work is left out because nobody looks at it. */
const sink: { last: unknown } = { last: undefined }

/** Milliseconds of processor time, the median of some rounds: who else runs on the machine hardly matters. */
function time(rounds: number, work: () => unknown): number {
  sink.last = work() // compiles it
  const times = Array.from({ length: rounds }, () => {
    const before = process.cpuUsage()
    sink.last = work()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  })
  return median(times)
}

const names = {
  build: 'build, unsorted ranges, ms',
  subtract: 'difference, ms',
  union: 'union, ms',
  intersect: 'intersection, ms',
  subset: 'is subset, ms',
  text: 'write and parse ranges, ms',
  count: 'count, first time, ms',
  has: 'contains, ns',
  next: 'first from an address on, ns',
  nth: 'address by its index, ns',
  iterate: 'iterate, ns an address',
  bytes: 'memory, bytes a range or address',
}

let collect: (() => void) | undefined
/** Bytes that are alive when nothing else is. */
function liveBytes(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

/** @returns a set as if nobody had asked it anything yet */
const fresh = (set: IpSet): IpSet => IpSet.of(set.version, set.ranges)

export function measureSet(network: Network, rounds: number): Figures {
  const { place, whole, holes, kept, holeSet, keptSet, otherSet } = network
  const { version, first, windowIps } = place
  const all = IpSet.of(version, [whole])
  const random = scatter(13)
  const asked = Array.from({ length: lookUps }, () => offsetIpValue(first, random(windowIps)))
  const ips = asked.map(ipOf)
  const indexes = Array.from({ length: lookUps }, () => random(windowIps / 4))
  const perLookUp = (ms: number): number => rounded((ms * 1e6) / lookUps, 0)
  const countTwice = () => {
    const sets = Array.from({ length: rounds + 1 }, () => fresh(keptSet))
    return time(rounds, () => sets.pop()?.size)
  }
  const before = liveBytes()
  const copies = Array.from({ length: 4 }, () => all.subtract(IpSet.of(version, holes)))
  const bytes = (liveBytes() - before) / copies.length / keptSet.ranges.length
  sink.last = copies
  return {
    [names.build]: rounded(time(rounds, () => IpSet.of(version, kept))),
    [names.subtract]: rounded(time(rounds, () => all.subtract(holeSet))),
    [names.union]: rounded(time(rounds, () => holeSet.union(otherSet))),
    [names.intersect]: rounded(time(rounds, () => keptSet.intersect(otherSet))),
    [names.subset]: rounded(time(rounds, () => keptSet.isSubsetOf(all) && holeSet.isSubsetOf(all))),
    [names.text]: rounded(time(rounds, () => parseRanges(keptSet.toRanges(), version))),
    [names.count]: rounded(countTwice()),
    [names.has]: perLookUp(time(rounds, () => asked.filter((value) => keptSet.hasValue(value)).length)),
    [names.next]: perLookUp(time(rounds, () => ips.filter((ip) => keptSet.firstFrom(ip)).length)),
    [names.nth]: perLookUp(time(rounds, () => indexes.filter((index) => keptSet.nth(index)).length)),
    [names.iterate]: rounded((time(rounds, () => iterate(keptSet)) * 1e6) / steps, 0),
    [names.bytes]: rounded(bytes, 0),
  }
}

function iterate(set: IpSet): unknown {
  return set
    .addresses()
    .drop(steps - 1)
    .next().value
}

/** A Set of numbers for the operations of sets, of a /16: a /8 has 256 times as many. A search through ranges for "contains". */
export function measureNaive(rounds: number): Figures {
  const place = networks.get('IPv4 /8')
  if (place === undefined) throw new Error('There is no network to compare with')
  const { keptSet } = makeNetwork(place, 100_000)
  const small = makeNetwork({ ...place, windowIps: naiveIps }, naiveHoles)
  const { holeSpans, otherSpans } = small
  const numbersOf = (spans: typeof holeSpans) => {
    const set = new Set<number>()
    for (const { from, to } of spans) for (let at = from; at <= to; at++) set.add(at)
    return set
  }
  const [holes, others] = [numbersOf(holeSpans), numbersOf(otherSpans)]
  const all = numbersOf([{ from: 0, to: naiveIps - 1 }])
  const kept = all.difference(holes)
  const random = scatter(13)
  const asked = Array.from({ length: lookUps }, () => random(naiveIps))
  const values = Array.from({ length: linearLookUps }, () =>
    offsetIpValue(place.first, random(place.windowIps)),
  )
  const perLookUp = (ms: number, count = lookUps): number => rounded((ms * 1e6) / count, 0)
  const before = liveBytes()
  const copies = Array.from({ length: 4 }, () => new Set(kept))
  const bytes = (liveBytes() - before) / copies.length / kept.size
  sink.last = copies
  const linear = () =>
    values.filter((value) => keptSet.ranges.find(({ last }) => last >= value && value <= last)).length
  const next = (from: number): number => {
    let at = from
    while (at < naiveIps && !kept.has(at)) at++
    return at
  }
  return {
    [names.build]: rounded(time(rounds, () => new Set(kept))),
    [names.subtract]: rounded(time(rounds, () => all.difference(holes))),
    [names.union]: rounded(time(rounds, () => holes.union(others))),
    [names.intersect]: rounded(time(rounds, () => kept.intersection(others))),
    [names.subset]: rounded(time(rounds, () => kept.isSubsetOf(all))),
    [names.has]: perLookUp(time(rounds, linear), linearLookUps),
    [names.next]: perLookUp(time(rounds, () => asked.filter((value) => next(value) < naiveIps).length)),
    [names.bytes]: rounded(bytes, 0),
  }
}
