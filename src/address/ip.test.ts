import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { InvalidInputError } from '../base/index.ts'
import { compareIp, formatIp, type IpAddress, ipOf, parseIp, tryParseIp } from './ip.ts'
import { toIp4 } from './ip4.ts'
import { formatIp6, mappedIp4, toIp6, tryParseIp6 } from './ip6.ts'

const anyIp4 = fc.nat(0xffff_ffff).map(toIp4)
const anyIp6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((groups) => toIp6(groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n)))
const anyIp: fc.Arbitrary<IpAddress> = fc.oneof(
  anyIp4.map(ipOf),
  anyIp6.filter((ip) => mappedIp4(ip) === undefined).map(ipOf),
)

void test('parseIp() reads back what formatIp() writes', () => {
  fc.assert(fc.property(anyIp, (ip) => assert.deepEqual(parseIp(formatIp(ip)), ip)))
})

void test('tryParseIp6() reads every spelling of an address as the same number', () => {
  const spelling = fc.property(anyIp6, fc.boolean(), fc.boolean(), fc.nat(7), (ip, upper, padded, at) => {
    const groups = Array.from({ length: 8 }, (_, i) => Number((ip >> BigInt(112 - 16 * i)) & 0xffffn))
    const texts = groups.map((group) => group.toString(16).padStart(padded ? 4 : 1, '0'))
    // Any run of zero groups may be shortened, also one that is not the longest.
    let end = at
    while (end < 8 && groups[end] === 0) end++
    const text = end > at ? `${texts.slice(0, at).join(':')}::${texts.slice(end).join(':')}` : texts.join(':')
    assert.equal(tryParseIp6(upper ? text.toUpperCase() : text), ip)
    const dotted = [6, 7].flatMap((i) => [(groups[i] ?? 0) >> 8, (groups[i] ?? 0) & 255]).join('.')
    assert.equal(tryParseIp6(`${texts.slice(0, 6).join(':')}:${dotted}`), ip)
  })
  fc.assert(spelling)
})

void test('formatIp6() writes what the URL parser of the platform writes', () => {
  // The URL standard writes mapped addresses in hexadecimal, RFC 5952 §5 in dotted form.
  const law = fc.property(
    anyIp6.filter((ip) => mappedIp4(ip) === undefined),
    (ip) => {
      assert.equal(`[${formatIp6(ip)}]`, new URL(`http://[${formatIp6(ip)}]`).hostname)
    },
  )
  fc.assert(law)
})

const canonical: readonly (readonly [string, string])[] = [
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['10.6.168.151', '10.6.168.151'],
  ['::', '::'],
  ['::1', '::1'],
  ['FD00:0:0:1::0001', 'fd00:0:0:1::1'],
  ['fd00:0:0:0:1:0:0:1', 'fd00::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:db8::', '2001:db8::'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['64:ff9b::10.6.0.1', '64:ff9b::a06:1'],
  ['::ffff:10.6.0.1', '10.6.0.1'],
  ['::FFFF:0a06:0001', '10.6.0.1'],
]
for (const [text, wanted] of canonical) {
  void test(`parseIp() reads ${text} as ${wanted}`, () => assert.equal(formatIp(parseIp(text)), wanted))
}

const notAddresses = [
  '',
  ' ',
  '10.6.0',
  '10.6.0.1.2',
  '10.6.0.256',
  '10.6.0.01',
  '10.6..1',
  '10.6.0.1 ',
  ' 10.6.0.1',
  '10.6.0.1/16',
  '+1.2.3.4',
  '1e1.2.3.4',
  '٠.0.0.1',
  'host',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8:9',
  '1:2:3:4:5:6:7:8::',
  '12345::',
  'fd00::g',
  'fe80::1%eth0',
  '[fd00::1]',
  '1.2.3.4::',
  '::1.2.3',
  '::1.2.3.4:5',
  ':1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:',
  `${'0'.repeat(100)}::1`,
]
for (const text of notAddresses) {
  void test(`parseIp() refuses ${JSON.stringify(text)} with field, value and remedy`, () => {
    assert.throws(
      () => parseIp(text, { field: 'spec.gateway' }),
      (error) => {
        assert(error instanceof InvalidInputError)
        assert.equal(error.field, 'spec.gateway')
        assert.match(error.message, /spec\.gateway/)
        assert.match(error.hint, /write one IP address/)
        return true
      },
    )
  })
}

void test('parseIp() refuses an address of the other family', () => {
  assert.throws(() => parseIp('fd00::1', { version: 4 }), /is an IPv6 address, not an IPv4 one/)
  assert.throws(() => parseIp('10.6.0.1', { version: 6 }), /is an IPv4 address, not an IPv6 one/)
})

void test('tryParseIp() never throws', () => {
  const soup = fc.string({ unit: fc.constantFrom(...'0123456789abcdefF.:/-% x'), maxLength: 50 })
  fc.assert(
    fc.property(fc.oneof(soup, fc.string()), (text) => {
      const ip = tryParseIp(text)
      if (ip !== undefined) assert.deepEqual(tryParseIp(formatIp(ip)), ip)
    }),
  )
})

void test('compareIp() orders IPv4 before IPv6, then by number', () => {
  const texts = ['fd00::2', '10.6.0.10', 'fd00::1', '9.255.255.255', '10.6.0.9']
  const sorted = texts.map((text) => parseIp(text)).sort(compareIp)
  assert.deepEqual(sorted.map(formatIp), ['9.255.255.255', '10.6.0.9', '10.6.0.10', 'fd00::1', 'fd00::2'])
})
