import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { cidrOf, type IpAddress, type IpVersion, toIp4, toIp6 } from '../../address/index.ts'
import { decodeAddress, encodeAddress } from './address.ts'
import { decodeAttributes, encodeAttribute, nested, text, u32 } from './attribute.ts'
import { decodeLink, encodeLink } from './link.ts'
import { MalformedReplyError } from './malformed-reply-error.ts'
import { decodeVerdict, encodeMessage, NLM_F_ACK_TLVS, NLM_F_CAPPED, splitMessages } from './message.ts'
import { decodeNeighbour, encodeNeighbour } from './neighbour.ts'
import { decodeRoute, encodeRoute, type NextHop } from './route.ts'
import { decodeRule, encodeRule } from './rule.ts'

/** Records with the usual prototype, so that they compare with what decoders make. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true })
}

const u32Value = fc.nat({ max: 0xffff_ffff })
const anyIp4 = u32Value.map((value): IpAddress => ({ version: 4, value: toIp4(value) }))
const anyIp6 = fc
  .bigInt({ min: 0n, max: (1n << 128n) - 1n })
  .map((value): IpAddress => ({ version: 6, value: toIp6(value) }))
const anyIp = fc.oneof(anyIp4, anyIp6)
const ipOfVersion = (version: IpVersion) => (version === 4 ? anyIp4 : anyIp6)
const bitsOf = (version: IpVersion) => fc.integer({ min: 1, max: version === 4 ? 32 : 128 })
const cidrOfVersion = (version: IpVersion) =>
  fc.tuple(ipOfVersion(version), bitsOf(version)).map(([ip, bits]) => cidrOf(ip, bits))
const anyVersion = fc.constantFrom<IpVersion>(4, 6)
const linkIndex = fc.integer({ min: 1, max: 0x7fff_ffff })
const anyName = fc.stringMatching(/^[a-z0-9]{1,15}$/)
const anyMac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':'))

void test('messages survive being put together and split', () => {
  const anyMessage = record({
    type: fc.nat({ max: 0xffff }),
    flags: fc.nat({ max: 0xffff }),
    sequence: u32Value,
    payload: fc.uint8Array({ maxLength: 64 }),
  })
  fc.assert(
    fc.property(fc.array(anyMessage, { maxLength: 5 }), (messages) => {
      const split = splitMessages(Buffer.concat(messages.map(encodeMessage)))
      assert.deepEqual(
        split.map((message) => ({ ...message, payload: Uint8Array.from(message.payload) })),
        messages,
      )
    }),
  )
})

void test('a link keeps what can be set', () => {
  const anyChange = record({
    name: anyName,
    isUp: fc.boolean(),
    isPromiscuous: fc.boolean(),
    mtuBytes: u32Value,
    mac: anyMac,
    master: linkIndex,
    alias: fc.stringMatching(/^[a-z ]{1,20}$/),
  })
  fc.assert(
    fc.property(linkIndex, anyChange, linkIndex, (index, change, parent) => {
      const link = decodeLink(encodeLink(index, change, { kind: 'macvlan', parent, mode: 'vepa' }))
      assert.deepEqual(link, {
        index,
        ...change,
        parent,
        kind: 'macvlan',
        macvlanMode: 'vepa',
        isRunning: false,
        operState: 0,
      })
    }),
  )
})

void test('an address keeps all its fields', () => {
  fc.assert(
    fc.property(
      anyIp,
      linkIndex,
      fc.nat({ max: 0xffff }),
      fc.nat({ max: 255 }),
      (ip, index, flags, scope) => {
        const address = { linkIndex: index, ip, prefixBits: 20, scope, flags, label: 'ens192' }
        assert.deepEqual(decodeAddress(encodeAddress(address)), address)
      },
    ),
  )
})

void test('a route keeps all its fields, whatever the family of its gateways', () => {
  const anyHop = record({
    gateway: anyIp,
    linkIndex,
    isOnLink: fc.boolean(),
    weight: fc.integer({ min: 1, max: 256 }),
  })
  const anyRoute = anyVersion.chain((version) =>
    record({
      version: fc.constant(version),
      table: u32Value,
      destination: cidrOfVersion(version),
      preferredSource: ipOfVersion(version),
      metric: u32Value,
      protocol: fc.nat({ max: 255 }),
      scope: fc.nat({ max: 255 }),
      type: fc.constantFrom('unicast' as const, 'local' as const, 'blackhole' as const),
      nextHops: fc.array(anyHop, { maxLength: 4 }),
    }),
  )
  fc.assert(
    fc.property(anyRoute, (route) => {
      const nextHops: readonly NextHop[] =
        route.nextHops.length === 1 ? route.nextHops.map((hop) => ({ ...hop, weight: 1 })) : route.nextHops
      const isOnLink = nextHops.length === 1 && nextHops[0]?.isOnLink === true
      const decoded = decodeRoute(encodeRoute({ ...route, nextHops, flags: 0 }))
      assert.deepEqual(decoded, { ...route, nextHops, flags: isOnLink ? 4 : 0 })
    }),
  )
})

void test('a rule keeps all its fields', () => {
  const anyRule = anyVersion.chain((version) =>
    record({
      version: fc.constant(version),
      priority: u32Value,
      table: u32Value,
      action: fc.nat({ max: 255 }),
      source: cidrOfVersion(version),
      destination: cidrOfVersion(version),
      inName: anyName,
      outName: anyName,
      mark: u32Value,
      mask: u32Value,
      suppressPrefixBits: fc.nat({ max: 128 }),
      isInverted: fc.boolean(),
      protocol: fc.nat({ max: 255 }),
    }),
  )
  fc.assert(fc.property(anyRule, (rule) => assert.deepEqual(decodeRule(encodeRule(rule)), rule)))
})

void test('a neighbour keeps all its fields', () => {
  const anyNeighbour = record({
    linkIndex,
    ip: anyIp,
    mac: anyMac,
    state: fc.nat({ max: 0xffff }),
    flags: fc.nat({ max: 255 }),
  })
  fc.assert(
    fc.property(anyNeighbour, (neighbour) => {
      assert.deepEqual(decodeNeighbour(encodeNeighbour(neighbour)), neighbour)
    }),
  )
})

void test('no bytes make a decoder read past their end: it refuses them as malformed', () => {
  const decoders = [
    splitMessages,
    decodeAttributes,
    decodeLink,
    decodeAddress,
    decodeRoute,
    decodeRule,
    decodeNeighbour,
  ]
  const readOrRefuse = (decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void => {
    try {
      decode(bytes)
    } catch (error) {
      assert.ok(error instanceof MalformedReplyError, String(error))
    }
  }
  const sized = encodeAddress({
    linkIndex: 1,
    ip: { version: 4, value: toIp4(1) },
    prefixBits: 8,
    scope: 0,
    flags: 0,
  })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat({ max: sized.byteLength }), (bytes, cut) => {
      for (const decode of decoders) {
        readOrRefuse(decode, bytes)
        readOrRefuse(decode, sized.subarray(0, cut))
      }
    }),
    { numRuns: 500 },
  )
})

void test('a malformed message is shown in hex', () => {
  assert.throws(() => decodeLink(Uint8Array.of(0xca, 0xfe)), /shorter than its header in cafe$/)
})

void test('decodeVerdict() finds the text of the kernel behind a capped request and behind a whole one', () => {
  const errno = Uint8Array.of(0xef, 0xff, 0xff, 0xff) // -17
  const why = text(1, 'Link is busy')
  const request = encodeMessage({ type: 16, flags: 0, sequence: 1, payload: new Uint8Array(20) })
  const verdict = (flags: number, shown: Uint8Array) =>
    decodeVerdict({ type: 2, flags, sequence: 1, payload: Buffer.concat([errno, shown, why]) })
  assert.deepEqual(verdict(NLM_F_ACK_TLVS, request), { errno: 17, text: 'Link is busy' })
  const capped = request.subarray(0, 16)
  assert.deepEqual(verdict(NLM_F_ACK_TLVS | NLM_F_CAPPED, capped), { errno: 17, text: 'Link is busy' })
  assert.deepEqual(verdict(NLM_F_CAPPED, capped), { errno: 17 })
})

void test('an attribute counts its own bytes without the padding', () => {
  assert.deepEqual(encodeAttribute(3, Uint8Array.of(1)), Uint8Array.of(5, 0, 3, 0, 1, 0, 0, 0))
  const outer = decodeAttributes(nested(18, u32(1, 7)))
  assert.deepEqual([...outer.keys()], [18])
})
