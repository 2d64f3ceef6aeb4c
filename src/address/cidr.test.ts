import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { InvalidInputError } from '../base/index.ts'
import { blockOf, parseBlockName } from './block.ts'
import {
  cidrContains,
  cidrOf,
  formatCidr,
  formatIpWithPrefix,
  parseCidr,
  parseIpWithPrefix,
  parseNetworkCidr,
  rangesOverlap,
} from './cidr.ts'
import { type IpAddress, ipOf, parseIp } from './ip.ts'
import { toIp4 } from './ip4.ts'
import { toIp6 } from './ip6.ts'
import { formatRange } from './range.ts'

const anyNetwork = fc
  .tuple(
    fc.nat(0xffff_ffff),
    fc.nat(0xffff_ffff),
    fc.integer({ min: 0, max: 128 }),
    fc.constantFrom(4 as const, 6 as const),
  )
  .map(([high, low, bits, version]) => {
    const ip: IpAddress =
      version === 4 ? ipOf(toIp4(high)) : ipOf(toIp6((0xfd00n << 112n) | (BigInt(high) << 64n) | BigInt(low)))
    return { ip, prefixBits: version === 4 ? bits % 33 : bits }
  })

void test('cidrOf() holds its address, and exactly the addresses of equal prefix', () => {
  const law = fc.property(anyNetwork, ({ ip, prefixBits }) => {
    const cidr = cidrOf(ip, prefixBits)
    assert(cidrContains(cidr, ip))
    const hostBits = BigInt((ip.version === 4 ? 32 : 128) - prefixBits)
    assert.equal(BigInt(cidr.last) - BigInt(cidr.first) + 1n, 1n << hostBits)
    assert.equal(BigInt(cidr.first) % (1n << hostBits), 0n)
  })
  fc.assert(law)
})

void test('parseNetworkCidr() reads back what formatCidr() writes', () => {
  const law = fc.property(anyNetwork, ({ ip, prefixBits }) => {
    const cidr = cidrOf(ip, prefixBits)
    // The text of fd00::/3 and shorter starts at ::, which is still its network form.
    assert.deepEqual(parseNetworkCidr(formatCidr(cidr)), cidr)
  })
  fc.assert(law)
})

void test('two networks overlap exactly when one contains the first address of the other', () => {
  const law = fc.property(anyNetwork, anyNetwork, (a, b) => {
    const x = cidrOf(a.ip, a.prefixBits)
    const y = cidrOf(b.ip, b.prefixBits)
    const contains = cidrContains(x, ipOf(y.first)) || cidrContains(y, ipOf(x.first))
    assert.equal(rangesOverlap(x, y), contains)
  })
  fc.assert(law)
})

const wrongForms: readonly (readonly [string, string])[] = [
  ['10.6.5.1/16', '10.6.0.0/16'],
  ['FD00::/64', 'fd00::/64'],
  ['fd00:0::/64', 'fd00::/64'],
  ['::ffff:10.6.0.0/112', '10.6.0.0/16'],
]
for (const [text, right] of wrongForms) {
  void test(`parseNetworkCidr() refuses ${text} and proposes ${right}`, () => {
    assert.throws(
      () => parseNetworkCidr(text, { field: 'spec.subnet' }),
      (error) => error instanceof InvalidInputError && error.hint === `write ${right}`,
    )
  })
}

for (const text of [
  '',
  '/',
  '10.6.0.0',
  '10.6.0.0/',
  '10.6.0.0/33',
  '10.6.0.0/08',
  '10.6.0.0/-1',
  '10.6.0.0/16/16',
  '10.6.0.0/255.255.0.0',
  'fd00::/129',
  '::ffff:10.0.0.0/95',
  '10.6.0.0 /16',
  '10.6.0.0/1e1',
]) {
  void test(`parseCidr() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseCidr(text), /is not a CIDR/)
  })
}

void test('parseIpWithPrefix() keeps the host bits', () => {
  const address = parseIpWithPrefix('10.6.168.151/16')
  assert.equal(formatIpWithPrefix(address), '10.6.168.151/16')
  assert.throws(() => parseIpWithPrefix('fd00::1/64', { version: 4 }), /is of IPv6, where IPv4 is wanted/)
})

void test('blockOf() names the aligned block of an address, and parseBlockName() reads the name back', () => {
  const sizes = { v4: 25, v6: 121 }
  const block = blockOf(parseIp('10.6.168.151'), sizes)
  assert.equal(block.name, 'v4-0a06a880-25')
  assert.equal(formatCidr(block.cidr), '10.6.168.128/25')
  const block6 = blockOf(parseIp('fd00:6::ff'), sizes)
  assert.equal(block6.name, 'v6-fd000006000000000000000000000080-121')
  const law = fc.property(anyNetwork, ({ ip }) => {
    const found = blockOf(ip, sizes)
    assert(cidrContains(found.cidr, ip))
    assert.deepEqual(parseBlockName(found.name), found)
    assert.deepEqual(blockOf(ipOf(found.cidr.last), sizes), found)
  })
  fc.assert(law)
})

for (const name of [
  '',
  'v4-0a06a881-25',
  'v4-0a06a880-33',
  'v6-0a06a880-25',
  'v4-0a06a880',
  'v4-0A06A880-25',
]) {
  void test(`parseBlockName() refuses ${JSON.stringify(name)}`, () => {
    assert.throws(() => parseBlockName(name), /is not the name of a block/)
  })
}

void test('formatRange() writes a network as its first and last address', () => {
  assert.equal(formatRange(parseCidr('10.6.168.128/25')), '10.6.168.128-10.6.168.255')
})
