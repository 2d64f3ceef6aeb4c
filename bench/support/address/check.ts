// Compares sets with a bitmap of every address that they may hold.
import assert from 'node:assert/strict'
import { IpSet, type IpValue, ipOf, offsetIpValue, parseRanges } from '../../../src/address/index.ts'
import type { Network, Span } from './network.ts'
import { scatter } from './network.ts'

const samples = 100_000

function bitmapOf(spans: readonly Span[], windowIps: number): Uint8Array {
  const bits = new Uint8Array(windowIps)
  for (const { from, to } of spans) bits.fill(1, from, to + 1)
  return bits
}

/** What a set holds of the window, as a bitmap; its ranges must ascend and lie apart. */
function bitmapOfSet(set: IpSet, first: IpValue, windowIps: number): Uint8Array {
  const bits = new Uint8Array(windowIps)
  let previous = -2
  for (const range of set.ranges) {
    const from = Number(BigInt(range.first) - BigInt(first))
    const to = Number(BigInt(range.last) - BigInt(first))
    assert.ok(from > previous + 1, 'ranges ascend and lie apart')
    bits.fill(1, from, Math.min(to + 1, windowIps))
    previous = to
  }
  return bits
}

/** @returns how many answers were compared. @throws when one is wrong */
export function checkSets(network: Network): number {
  const { place, whole, holes, holeSet, keptSet, otherSet, holeSpans, otherSpans } = network
  const { version, first, windowIps } = place
  const hole = bitmapOf(holeSpans, windowIps)
  const other = bitmapOf(otherSpans, windowIps)
  const combine = (of: (inHole: number, inOther: number) => number) =>
    hole.map((bit, index) => of(bit, other[index] ?? 0))
  const all = IpSet.of(version, [whole])
  const same = (set: IpSet, bits: Uint8Array) => {
    assert.equal(Buffer.compare(bitmapOfSet(set, first, windowIps), bits), 0)
    return windowIps
  }
  const kept = combine((inHole) => 1 - inHole)
  let checked = same(IpSet.of(version, holes), hole)
  checked += same(keptSet, kept)
  checked += same(all.subtract(holeSet), kept)
  checked += same(
    holeSet.union(otherSet),
    combine((a, b) => a | b),
  )
  checked += same(
    keptSet.intersect(otherSet),
    combine((a, b) => (1 - a) & b),
  )
  checked += same(
    otherSet.subtract(holeSet),
    combine((a, b) => (1 - a) & b),
  )
  assert.ok(parseRanges(keptSet.toRanges(), version).equals(keptSet))
  const holeIps = hole.reduce((sum, bit) => sum + bit, 0)
  assert.equal(holeSet.size, BigInt(holeIps))
  assert.equal(keptSet.size, all.size - BigInt(holeIps))
  const random = scatter(17)
  for (let index = 0; index < samples; index++) {
    const offset = random(windowIps)
    const value = offsetIpValue(first, offset)
    assert.equal(keptSet.hasValue(value), kept[offset] === 1)
    const next = kept.indexOf(1, offset)
    if (next >= 0) assert.deepEqual(keptSet.firstFrom(ipOf(value)), ipOf(offsetIpValue(first, next)))
    const position = keptSet.indexOf(value)
    assert.equal(position !== undefined, kept[offset] === 1)
    if (position !== undefined) assert.deepEqual(keptSet.nth(position), ipOf(value))
  }
  return checked + samples * 4
}
