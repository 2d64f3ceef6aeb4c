import { assert } from '../base/index.ts'
import {
  countIpValues,
  type IpAddress,
  type IpValue,
  type IpVersion,
  ipOf,
  isNextIpValue,
  offsetIpValue,
} from './ip.ts'
import { formatRange, type IpRange, parseRange, rangeOf } from './range.ts'

/**
 * An immutable set of addresses of one family, kept as ranges: a /8 or an IPv6 /64 costs what one address costs.
 * Look-ups are O(log n), set algebra is O(n + m), in the number of ranges.
 */
export class IpSet {
  readonly version: IpVersion
  /** Ascending, disjoint, and never touching each other. */
  readonly ranges: readonly IpRange[]
  /** How many addresses come before each range, and the total at the end; made when first asked for. */
  #before: readonly bigint[] | undefined

  private constructor(version: IpVersion, ranges: readonly IpRange[]) {
    this.version = version
    this.ranges = ranges
  }

  /** The set without addresses. */
  static empty(version: IpVersion): IpSet {
    return new IpSet(version, [])
  }

  /** The union of ranges in any order, overlapping or not. @throws {AssertionError} for one of the other family */
  static of(version: IpVersion, ranges: Iterable<IpRange>): IpSet {
    const sorted = [...ranges]
    for (const range of sorted) assert(range.version === version, 'range of the other family')
    sorted.sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
    return new IpSet(version, joinSorted(sorted))
  }

  /** The set of single addresses, in any order. @throws {AssertionError} for one of the other family */
  static ofIps(version: IpVersion, ips: Iterable<IpAddress>): IpSet {
    return IpSet.of(
      version,
      Iterator.from(ips).map((ip) => rangeOf(ip.value, ip.value)),
    )
  }

  /** Number of addresses. */
  get size(): bigint {
    return this.#counts().at(-1) ?? 0n
  }

  get isEmpty(): boolean {
    return this.ranges.length === 0
  }

  /** False for an address of the other family. */
  has(ip: IpAddress): boolean {
    return ip.version === this.version && this.hasValue(ip.value)
  }

  /** As {@link has}, for the bare number of an address of this family: allocates nothing. */
  hasValue(value: IpValue): boolean {
    const range = this.ranges[this.#indexEndingAt(value)]
    return range !== undefined && range.first <= value
  }

  /** The lowest address, or undefined. */
  first(): IpAddress | undefined {
    const range = this.ranges[0]
    return range === undefined ? undefined : ipOf(range.first)
  }

  /** The lowest address that is not below `ip`, or undefined. */
  firstFrom(ip: IpAddress): IpAddress | undefined {
    assert(ip.version === this.version, 'address of the other family')
    const range = this.ranges[this.#indexEndingAt(ip.value)]
    if (range === undefined) return undefined
    return range.first <= ip.value ? ip : ipOf(range.first)
  }

  /** The address at `index` (from 0, ascending), or undefined past the end. */
  nth(index: bigint | number): IpAddress | undefined {
    const wanted = BigInt(index)
    const counts = this.#counts()
    if (wanted < 0n || wanted >= this.size) return undefined
    const at = lowestIndex(this.ranges.length, (i) => (counts[i + 1] ?? 0n) > wanted)
    const range = this.ranges[at]
    return range === undefined ? undefined : ipOf(offsetIpValue(range.first, wanted - (counts[at] ?? 0n)))
  }

  /** Where the address stands (from 0, ascending): {@link nth} backwards; undefined when it is not in the set. */
  indexOf(value: IpValue): bigint | undefined {
    const at = this.#indexEndingAt(value)
    const range = this.ranges[at]
    if (range === undefined || range.first > value) return undefined
    return (this.#counts()[at] ?? 0n) + countIpValues(range.first, value) - 1n
  }

  /** All addresses, ascending, made one by one: stop early, the set may be huge. */
  *addresses(): Generator<IpAddress> {
    for (const { first, last } of this.ranges) {
      for (let value: IpValue = first; ; value = offsetIpValue(value, 1)) {
        yield ipOf(value)
        if (value === last) break
      }
    }
  }

  /** Addresses in this set or the other. @throws {AssertionError} when the other is of the other family */
  union(other: IpSet): IpSet {
    this.#assertFamily(other)
    if (other.isEmpty) return this
    if (this.isEmpty) return other
    return new IpSet(this.version, joinSorted(mergeSorted(this.ranges, other.ranges)))
  }

  /** Addresses in both sets. */
  intersect(other: IpSet): IpSet {
    this.#assertFamily(other)
    const common: IpRange[] = []
    let i = 0
    let j = 0
    for (let a = this.ranges[0], b = other.ranges[0]; a !== undefined && b !== undefined; ) {
      const first = higherOf(a.first, b.first)
      const last = lowerOf(a.last, b.last)
      if (first <= last) common.push(rangeOf(first, last))
      if (a.last < b.last) a = this.ranges[++i]
      else b = other.ranges[++j]
    }
    return new IpSet(this.version, common)
  }

  /** Addresses of this set that are not in the other. */
  subtract(other: IpSet): IpSet {
    this.#assertFamily(other)
    if (this.isEmpty || other.isEmpty) return this
    const left: IpRange[] = []
    for (const range of this.ranges) {
      let first: IpValue | undefined = range.first
      for (let i = other.#indexEndingAt(range.first); first !== undefined; i++) {
        const hole = other.ranges[i]
        if (hole === undefined || hole.first > range.last) break
        if (hole.first > first) left.push(rangeOf(first, offsetIpValue(hole.first, -1)))
        first = hole.last < range.last ? offsetIpValue(hole.last, 1) : undefined
      }
      if (first !== undefined) left.push(rangeOf(first, range.last))
    }
    return new IpSet(this.version, left)
  }

  isSubsetOf(other: IpSet): boolean {
    this.#assertFamily(other)
    return this.ranges.every((range) => {
      const around = other.ranges[other.#indexEndingAt(range.first)]
      return around !== undefined && around.first <= range.first && range.last <= around.last
    })
  }

  /** True when both sets share an address. */
  overlaps(other: IpSet): boolean {
    this.#assertFamily(other)
    const [few, many] = this.ranges.length < other.ranges.length ? [this, other] : [other, this]
    return few.ranges.some((range) => {
      const near = many.ranges[many.#indexEndingAt(range.first)]
      return near !== undefined && near.first <= range.last
    })
  }

  equals(other: IpSet): boolean {
    return (
      this.version === other.version &&
      this.ranges.length === other.ranges.length &&
      this.ranges.every((range, i) => {
        const twin = other.ranges[i]
        return twin !== undefined && range.first === twin.first && range.last === twin.last
      })
    )
  }

  /** Canonical list of ranges (spec/api.md §3.2). */
  toRanges(): string[] {
    return this.ranges.map(formatRange)
  }

  /** Index of the first range that ends at `value` or later; the number of ranges when there is none. */
  #indexEndingAt(value: IpValue): number {
    let low = 0
    let high = this.ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const range = this.ranges[middle]
      if (range !== undefined && range.last < value) low = middle + 1
      else high = middle
    }
    return low
  }

  #counts(): readonly bigint[] {
    if (this.#before !== undefined) return this.#before
    const before = [0n]
    let total = 0n
    for (const range of this.ranges) {
      total += countIpValues(range.first, range.last)
      before.push(total)
    }
    this.#before = before
    return before
  }

  #assertFamily(other: IpSet): void {
    assert(this.version === other.version, `IPv${this.version} set meets IPv${other.version} set`)
  }
}

/**
 * The set that a list of ranges describes (spec/api.md §3.2).
 * @param field path of the list for errors, such as `spec.ips`
 * @throws {InvalidInputError} for the first bad entry, naming it `<field>[i]`
 */
export function parseRanges(texts: readonly string[], version: IpVersion, field = 'ranges'): IpSet {
  return IpSet.of(
    version,
    texts.map((text, i) => parseRange(text, { field: `${field}[${i}]`, version })),
  )
}

/** Joins ranges, ascending by `first`, that overlap or touch. */
function joinSorted(sorted: readonly IpRange[]): readonly IpRange[] {
  const joined: IpRange[] = []
  for (const range of sorted) {
    const previous = joined.at(-1)
    if (previous === undefined || !reaches(previous.last, range.first)) joined.push(range)
    else if (range.last > previous.last) joined[joined.length - 1] = rangeOf(previous.first, range.last)
  }
  return joined
}

function higherOf(a: IpValue, b: IpValue): IpValue {
  if (a > b) return a
  return b
}

function lowerOf(a: IpValue, b: IpValue): IpValue {
  if (a < b) return a
  return b
}

function reaches(last: IpValue, first: IpValue): boolean {
  return first <= last || isNextIpValue(last, first)
}

function mergeSorted(a: readonly IpRange[], b: readonly IpRange[]): readonly IpRange[] {
  const merged: IpRange[] = []
  let i = 0
  let j = 0
  for (let x = a[0], y = b[0]; x !== undefined || y !== undefined; ) {
    if (y === undefined || (x !== undefined && x.first <= y.first)) {
      if (x !== undefined) merged.push(x)
      x = a[++i]
    } else {
      merged.push(y)
      y = b[++j]
    }
  }
  return merged
}

function lowestIndex(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
