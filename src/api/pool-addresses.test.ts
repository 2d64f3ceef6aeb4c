import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ipOf, toIp4 } from '../address/index.ts'
import { InvalidInputError, parseJson, stringifyJson } from '../base/index.ts'
import {
  cidrLabel,
  countForStatus,
  decodeAllocatedIps,
  encodeAllocatedIps,
  totalSetOf,
  versionOf,
} from './pool-addresses.ts'

void test('totalSetOf() is ips without excludeIPs', () => {
  const spec = {
    ipVersion: 4 as const,
    subnet: '10.77.0.0/20',
    ips: ['10.77.2.10-10.77.2.60', '10.77.3.5'],
    excludeIPs: ['10.77.2.33'],
  }
  const total = totalSetOf({ spec })
  assert.equal(total.size, 51n)
  assert.deepEqual(total.toRanges(), ['10.77.2.10-10.77.2.32', '10.77.2.34-10.77.2.60', '10.77.3.5'])
  assert(totalSetOf({ spec: { subnet: 'fd00::/64' } }).isEmpty)
})

void test('versionOf() reads the family from the subnet when ipVersion is absent', () => {
  assert.equal(versionOf({ subnet: 'fd00::/64' }), 6)
  assert.throws(() => versionOf({ subnet: 'x' }), InvalidInputError)
})

void test('countForStatus() caps at 2^63 - 1 and survives JSON', () => {
  assert.equal(countForStatus(10n), 10)
  assert.equal(countForStatus(1n << 64n), 9223372036854775807n)
  const text = stringifyJson({ n: countForStatus(1n << 64n) })
  assert.deepEqual(parseJson(text), { n: 9223372036854775807n })
})

const labels: readonly (readonly [string, string | undefined])[] = [
  ['172.100.0.0/16', '172-100-0-0-16'],
  ['10.77.0.0/20', '10-77-0-0-20'],
  ['fd00:6::/64', 'fd00-6---64'],
  ['2406:da1e:c4:ed01::/64', '2406-da1e-c4-ed01---64'],
  ['::/64', undefined],
  ['nonsense', undefined],
]
for (const [cidr, label] of labels) {
  void test(`cidrLabel(${cidr}) is ${label}`, () => assert.equal(cidrLabel(cidr), label))
}

void test('decodeAllocatedIps() reads back what encodeAllocatedIps() writes, in byte order of the keys', () => {
  const anyRecords = fc.uniqueArray(fc.tuple(fc.nat(0xffff_ffff), fc.string(), fc.uuid()), {
    selector: ([ip]) => ip,
    maxLength: 20,
  })
  const law = fc.property(anyRecords, (records) => {
    const text = encodeAllocatedIps(
      records.map(([ip, pod, podUid]) => [ipOf(toIp4(ip)), { pod, podUid }] as const),
    )
    const read = decodeAllocatedIps(text)
    assert.equal(read.size, records.length)
    assert.deepEqual([...read.keys()], [...read.keys()].sort())
    assert.equal(text === undefined, records.length === 0)
  })
  fc.assert(law)
})

void test('encodeAllocatedIps() writes the text of the reference', () => {
  const record = [ipOf(toIp4(0x0a4d020a)), { pod: 'shop/cart-0', podUid: 'u' }] as const
  assert.equal(encodeAllocatedIps([record]), '{"10.77.2.10":{"pod":"shop/cart-0","podUid":"u"}}')
})

void test('decodeAllocatedIps() is lenient about absence and strict about garbage', () => {
  for (const text of [undefined, null, '', ' ', 'null', '{}']) assert.equal(decodeAllocatedIps(text).size, 0)
  const spaced = decodeAllocatedIps(
    '{"10.7.1.1": {"pod": "a/b", "podUid": "c", "more": 1}, "fd00:0::1": null}',
  )
  assert.deepEqual(spaced.get('10.7.1.1'), { pod: 'a/b', podUid: 'c' })
  assert.deepEqual(spaced.get('fd00::1'), { pod: '', podUid: '' })
  for (const text of ['{', '[]', '7', '{"x":{}}'])
    assert.throws(() => decodeAllocatedIps(text), InvalidInputError)
})
