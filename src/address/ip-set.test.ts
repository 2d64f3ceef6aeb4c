import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { InvalidInputError } from '../base/index.ts'
import { formatIp, type IpVersion, ipOf, offsetIpValue, parseIp } from './ip.ts'
import { IpSet, parseRanges } from './ip-set.ts'
import { parseRange, rangeOf } from './range.ts'

// A universe of 40 addresses at the edge of each family, and a Set of numbers as the naive model.
const universe = 40
const base = {
  4: parseIp('255.255.255.216').value,
  6: parseIp('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffd8').value,
}
const at = (version: IpVersion, index: number) => offsetIpValue(base[version], index)

const anySpans = fc.array(
  fc
    .tuple(fc.nat(universe - 1), fc.nat(universe - 1))
    .map(([a, b]) => ({ low: Math.min(a, b), high: Math.max(a, b) })),
  { maxLength: 8 },
)
type Spans = readonly { readonly low: number; readonly high: number }[]

function realSet(version: IpVersion, spans: Spans): IpSet {
  return IpSet.of(
    version,
    spans.map(({ low, high }) => rangeOf(at(version, low), at(version, high))),
  )
}
function naiveSet(spans: Spans): Set<number> {
  const set = new Set<number>()
  for (const { low, high } of spans) for (let i = low; i <= high; i++) set.add(i)
  return set
}
function members(set: IpSet): number[] {
  const found: number[] = []
  for (let i = 0; i < universe; i++) if (set.hasValue(at(set.version, i))) found.push(i)
  return found
}
const sorted = (set: Set<number>) => [...set].sort((a, b) => a - b)

for (const version of [4, 6] as const) {
  void test(`IpSet of IPv${version} agrees with a naive set in union, intersection and difference`, () => {
    const law = fc.property(anySpans, anySpans, (a, b) => {
      const [x, y] = [realSet(version, a), realSet(version, b)]
      const [p, q] = [naiveSet(a), naiveSet(b)]
      assert.deepEqual(members(x.union(y)), sorted(p.union(q)))
      assert.deepEqual(members(x.intersect(y)), sorted(p.intersection(q)))
      assert.deepEqual(members(x.subtract(y)), sorted(p.difference(q)))
      assert.equal(x.isSubsetOf(y), p.isSubsetOf(q))
      assert.equal(x.overlaps(y), !p.isDisjointFrom(q))
      assert.equal(x.equals(y), p.size === q.size && p.isSubsetOf(q))
    })
    fc.assert(law)
  })

  void test(`IpSet of IPv${version} keeps its ranges ascending, disjoint and apart`, () => {
    const law = fc.property(anySpans, anySpans, (a, b) => {
      const [x, y] = [realSet(version, a), realSet(version, b)]
      for (const set of [x, x.union(y), x.intersect(y), x.subtract(y)]) {
        for (const [i, range] of set.ranges.entries()) {
          assert(range.first <= range.last)
          const previous = set.ranges[i - 1]
          if (previous !== undefined) assert(BigInt(previous.last) + 1n < BigInt(range.first))
        }
      }
    })
    fc.assert(law)
  })

  void test(`IpSet of IPv${version} counts, indexes and iterates as a naive set does`, () => {
    const law = fc.property(anySpans, fc.nat(universe - 1), (spans, from) => {
      const set = realSet(version, spans)
      const naive = sorted(naiveSet(spans)).map((i) => ipOf(at(version, i)))
      assert.equal(set.size, BigInt(naive.length))
      assert.equal(set.isEmpty, naive.length === 0)
      assert.deepEqual([...set.addresses()], naive)
      assert.deepEqual(set.first(), naive[0])
      for (let i = -1; i <= naive.length; i++) assert.deepEqual(set.nth(i), naive[i])
      for (const [i, ip] of naive.entries()) assert.equal(set.indexOf(ip.value), BigInt(i))
      const start = ipOf(at(version, from))
      assert.deepEqual(
        set.firstFrom(start),
        naive.find((ip) => ip.value >= start.value),
      )
    })
    fc.assert(law)
  })

  void test(`parseRanges() reads back what toRanges() writes for IPv${version}`, () => {
    const law = fc.property(anySpans, (spans) => {
      const set = realSet(version, spans)
      assert(parseRanges(set.toRanges(), version).equals(set))
    })
    fc.assert(law)
  })
}

void test('parseRanges() joins neighbours and sorts by number', () => {
  const set = parseRanges(['10.7.0.9', '10.7.0.2-10.7.0.5', '10.7.0.6', '10.7.0.10'], 4)
  assert.deepEqual(set.toRanges(), ['10.7.0.2-10.7.0.6', '10.7.0.9-10.7.0.10'])
  assert.deepEqual(parseRanges(['fd00::a', 'FD00:0::9'], 6).toRanges(), ['fd00::9-fd00::a'])
})

void test('huge ranges cost what a single address costs', () => {
  const v4 = parseRanges(['0.0.0.0-255.255.255.255'], 4)
  const v6 = parseRanges(['fd00::-fd00::ffff:ffff:ffff:ffff'], 6)
  assert.equal(v4.size, 1n << 32n)
  assert.equal(v6.size, 1n << 64n)
  const hole = parseRanges(['fd00::8000:0:0:0'], 6)
  const rest = v6.subtract(hole)
  assert.equal(rest.size, (1n << 64n) - 1n)
  assert.deepEqual(rest.nth(1n << 63n), parseIp('fd00::8000:0:0:1'))
  assert.equal(rest.has(parseIp('fd00::8000:0:0:0')), false)
  assert.equal(formatIp(v4.nth(167772161n) ?? parseIp('::')), '10.0.0.1')
})

void test('an IpSet holds no address of the other family', () => {
  assert.equal(parseRanges(['10.0.0.1'], 4).has(parseIp('::a00:1')), false)
  assert.throws(() => IpSet.empty(4).union(IpSet.empty(6)), /IPv4 set meets IPv6 set/)
})

void test('IpSet.ofIps() takes single addresses in any order', () => {
  const ips = ['10.0.0.3', '10.0.0.1', '10.0.0.2', '10.0.0.9'].map((text) => parseIp(text))
  assert.deepEqual(IpSet.ofIps(4, ips).toRanges(), ['10.0.0.1-10.0.0.3', '10.0.0.9'])
})

const badRanges: readonly (readonly [string, RegExp, RegExp])[] = [
  ['10.6.0.9-10.6.0.1', /runs backwards/, /write 10\.6\.0\.1-10\.6\.0\.9/],
  ['10.6.0.1-10.6.0.2-10.6.0.3', /more than one dash/, /first-last/],
  ['10.6.0.0/24', /is a CIDR/, /write 10\.6\.0\.0-10\.6\.0\.255/],
  ['10.6.0.0/99', /is a CIDR/, /first-last/],
  ['10.6.0.1 - 10.6.0.2', /is not an IPv4 address/, /first-last/],
  ['10.6.0.1-', /is not an IPv4 address/, /first-last/],
  ['', /is not an IPv4 address/, /first-last/],
  ['10.6.0.1-fd00::1', /mixes IPv4 and IPv6/, /first-last/],
  ['fd00::1', /is of IPv6, where IPv4 is wanted/, /10\.6\.0\.10/],
]
for (const [text, problem, remedy] of badRanges) {
  void test(`parseRanges() refuses ${JSON.stringify(text)} with the place and the remedy`, () => {
    assert.throws(
      () => parseRanges(['10.6.0.200', text], 4, 'spec.ips'),
      (error) => {
        assert(error instanceof InvalidInputError)
        assert.equal(error.field, 'spec.ips[1]')
        assert.match(error.message, problem)
        assert.match(error.hint, remedy)
        return true
      },
    )
  })
}

void test('parseRange() refuses an IPv6 range with IPv4-mapped addresses in it', () => {
  assert.throws(() => parseRange('::-::ffff:ffff:ffff:ffff'), /contains IPv4-mapped addresses/)
})
