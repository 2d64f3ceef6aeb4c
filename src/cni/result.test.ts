import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { CniError } from './cni-error.ts'
import { type CniResult, convertResult, parseResult } from './result.ts'
import { isAtLeast, isResultVersion, resultVersions, supportedVersions } from './versions.ts'

const macvlan = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'net1', mac: '5e:1c:00:00:08:20', mtu: 1500, sandbox: '/var/run/netns/cni-1' }],
  ips: [
    { interface: 0, address: '10.8.0.20/24', gateway: '10.8.0.1' },
    { interface: 0, address: 'fd00:8::20/64', gateway: 'fd00:8::1' },
  ],
  routes: [
    { dst: '0.0.0.0/0', gw: '10.8.0.1', mtu: 1400 },
    { dst: '::/0', gw: 'fd00:8::1' },
  ],
}

void test('a result is converted to each version as the table says', () => {
  const { mtu: _, ...oldInterface } = macvlan.interfaces[0] ?? { mtu: 0 }
  const versioned = macvlan.ips.map((ip) => ({ version: ip.address.includes(':') ? '6' : '4', ...ip }))
  for (const cniVersion of ['0.3.0', '0.3.1', '0.4.0'] as const)
    assert.deepEqual(convertResult(macvlan, cniVersion), {
      cniVersion,
      interfaces: [oldInterface],
      ips: versioned,
      routes: macvlan.routes,
      dns: {},
    })
  assert.deepEqual(convertResult(macvlan, '1.0.0'), {
    ...macvlan,
    cniVersion: '1.0.0',
    interfaces: [oldInterface],
    routes: macvlan.routes.map(({ dst, gw }) => ({ dst, gw })),
  })
  assert.deepEqual(convertResult(macvlan, '1.1.0'), macvlan)
  assert.deepEqual(convertResult(macvlan, '0.2.0'), {
    cniVersion: '0.2.0',
    ip4: { ip: '10.8.0.20/24', gateway: '10.8.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.8.0.1' }] },
    ip6: { ip: 'fd00:8::20/64', gateway: 'fd00:8::1', routes: [{ dst: '::/0', gw: 'fd00:8::1' }] },
    dns: {},
  })
})

void test('a result of the oldest versions is read into one list', () => {
  const old = convertResult(macvlan, '0.2.0')
  assert.deepEqual(convertResult(parseResult(old, '0.2.0'), '1.0.0'), {
    cniVersion: '1.0.0',
    ips: macvlan.ips.map(({ address, gateway }) => ({ address, gateway })),
    routes: macvlan.routes.map(({ dst, gw }) => ({ dst, gw })),
  })
  assert.throws(() => convertResult({ cniVersion: '1.0.0', ips: [] }, '0.2.0'), /no valid IP addresses/)
})

const anyIp = fc
  .tuple(fc.boolean(), fc.nat(255), fc.option(fc.nat(3), { nil: undefined }))
  .map(([isIp6, byte, index]) => ({
    ...(index === undefined ? {} : { interface: index }),
    address: isIp6 ? `fd00::${byte.toString(16)}/64` : `10.0.0.${byte}/24`,
  }))
// Parsed JSON has ordinary objects.
const plain = { noNullPrototype: true } as const
const anyResult: fc.Arbitrary<CniResult> = fc.record(
  {
    cniVersion: fc.constant('1.1.0'),
    interfaces: fc.array(
      fc.record({ name: fc.constantFrom('eth0', 'net1'), mac: fc.constant('02:00:00:00:00:01') }, plain),
    ),
    ips: fc.array(anyIp),
    routes: fc.array(
      fc.record(
        { dst: fc.constantFrom('0.0.0.0/0', '::/0', '10.9.0.0/16'), gw: fc.constant('10.0.0.1') },
        plain,
      ),
    ),
  },
  plain,
)

void test('conversion between 0.3.0 and 1.1.0 loses nothing in either direction but what the table names', () => {
  fc.assert(
    fc.property(anyResult, fc.constantFrom(...supportedVersions), (result, version) => {
      const there = convertResult(result, version)
      assert.equal(there['cniVersion'], version)
      const hasFamilies = (there['ips'] as { version?: string }[]).every(
        (ip) => (ip.version !== undefined) === !isAtLeast(version, '1.0.0'),
      )
      assert.ok(hasFamilies)
      const back = convertResult(parseResult(there, version), '1.1.0')
      assert.deepEqual(back, result)
      assert.deepEqual(convertResult(parseResult(there, version), version), there)
    }),
  )
})

void test('unknown keys survive, and an index 0 is not taken for an absent one', () => {
  const given = {
    cniVersion: '1.0.0',
    ips: [{ address: '10.0.0.1/24', interface: 0, 'x.y/z': 1 }],
    'vendor.io/k': [1],
  }
  const converted = convertResult(parseResult(given, '1.0.0'), '1.1.0')
  assert.deepEqual(converted, { ...given, cniVersion: '1.1.0' })
})

void test('any JSON value is a result or a CniError', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...resultVersions), (value, version) => {
      try {
        assert.ok(isResultVersion(parseResult(value, version).cniVersion))
      } catch (error) {
        assert.ok(error instanceof CniError)
        assert.ok([1, 6].includes(error.cniCode))
      }
    }),
  )
})
