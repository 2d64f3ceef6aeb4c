// A network with holes, from a fixed seed: the same in each run.
import {
  type IpRange,
  IpSet,
  type IpValue,
  offsetIpValue,
  parseIp,
  rangeOf,
} from '../../../src/address/index.ts'

/** Where a network lies, and how many addresses of it holes may lie in, counted from its first. */
export interface Place {
  readonly version: 4 | 6
  readonly first: IpValue
  readonly last: IpValue
  /** A bitmap of so many addresses is what the sets are compared with. */
  readonly windowIps: number
}

export const windowIps: number = 2 ** 24

export const networks: ReadonlyMap<string, Place> = new Map([
  [
    'IPv4 /8',
    { version: 4, first: parseIp('10.0.0.0').value, last: parseIp('10.255.255.255').value, windowIps },
  ],
  [
    'IPv6 /64',
    {
      version: 6,
      first: parseIp('fd00::').value,
      last: parseIp('fd00::ffff:ffff:ffff:ffff').value,
      windowIps,
    },
  ],
])

/** A span of a window, both ends included, as offsets. */
export interface Span {
  readonly from: number
  readonly to: number
}

export interface Network {
  readonly place: Place
  readonly whole: IpRange
  /** Holes, in no order. */
  readonly holes: readonly IpRange[]
  /** What is left, in no order. */
  readonly kept: readonly IpRange[]
  readonly holeSet: IpSet
  readonly keptSet: IpSet
  /** Holes that lie elsewhere, of which some meet those of the network. */
  readonly otherSet: IpSet
  readonly holeSpans: readonly Span[]
  readonly otherSpans: readonly Span[]
}

/** xorshift32: good enough to scatter, and no two runs differ. @returns whole numbers below `limit` */
export function scatter(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}

/** One span in each of `count` equal cells, never touching the next. */
function spansOf(count: number, seed: number, size: number): readonly Span[] {
  const random = scatter(seed)
  const cell = Math.floor(size / count)
  return Array.from({ length: count }, (_, index) => {
    const from = index * cell + random(Math.floor(cell / 2))
    return { from, to: from + random(Math.floor(cell / 2) - 1) }
  })
}

function shuffled<T>(items: readonly T[], seed: number): readonly T[] {
  const random = scatter(seed)
  const list = [...items]
  for (let at = list.length - 1; at > 0; at--) {
    const other = random(at + 1)
    const [a, b] = [list[at], list[other]]
    if (a === undefined || b === undefined) continue
    list[at] = b
    list[other] = a
  }
  return list
}

export function makeNetwork(place: Place, count: number): Network {
  const { version, first, last } = place
  const at = (offset: number) => offsetIpValue(first, offset)
  const rangesOf = (spans: readonly Span[]) => spans.map(({ from, to }) => rangeOf(at(from), at(to)))
  const holeSpans = spansOf(count, 7, place.windowIps)
  const otherSpans = spansOf(count, 11, place.windowIps)
  const kept: IpRange[] = []
  let next: IpValue | undefined = first
  for (const { from, to } of holeSpans) {
    if (next !== undefined && next < at(from)) kept.push(rangeOf(next, at(from - 1)))
    next = at(to) < last ? at(to + 1) : undefined
  }
  if (next !== undefined) kept.push(rangeOf(next, last))
  return {
    ...{ place, holeSpans, otherSpans },
    whole: rangeOf(first, last),
    holes: shuffled(rangesOf(holeSpans), 3),
    kept: shuffled(kept, 5),
    holeSet: IpSet.of(version, rangesOf(holeSpans)),
    keptSet: IpSet.of(version, kept),
    otherSet: IpSet.of(version, rangesOf(otherSpans)),
  }
}
