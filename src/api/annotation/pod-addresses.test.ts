import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatIpValue, toIp4, toIp6 } from '../../address/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { parseAskedIp, parsePodIps, parsePodMac, unicastMac } from './pod-addresses.ts'

void test('parsePodIps() reads addresses, with prefix length or without, and each address of a range', () => {
  assert.deepEqual(parsePodIps('["10.6.0.9","FD00::0009/64","10.6.0.10-10.6.0.12"]'), {
    kind: 'first',
    value: [
      { version: 4, ip: '10.6.0.9' },
      { version: 6, ip: 'fd00::9', prefixBits: 64 },
      { version: 4, ip: '10.6.0.10' },
      { version: 4, ip: '10.6.0.11' },
      { version: 4, ip: '10.6.0.12' },
    ],
  })
  assert.deepEqual(parsePodIps('{"eth0":["10.6.0.9/16"],"net1":["fd00::9"]}'), {
    kind: 'named',
    values: new Map([
      ['eth0', [{ version: 4, ip: '10.6.0.9', prefixBits: 16 }]],
      ['net1', [{ version: 6, ip: 'fd00::9' }]],
    ]),
  })
})

void test('parsePodMac() reads one address, as JSON or bare, or one for each NIC, in lower case', () => {
  const first = { kind: 'first', value: '02:00:0a:06:00:14' }
  for (const text of ['"02:00:0A:06:00:14"', '02:00:0a:06:00:14', ' 02-00-0A-06-00-14 ']) {
    assert.deepEqual(parsePodMac(text), first)
  }
  assert.deepEqual(parsePodMac('{"net1":"02:00:0a:06:00:14"}'), {
    kind: 'named',
    values: new Map([['net1', '02:00:0a:06:00:14']]),
  })
})

void test('unicastMac() takes no group address, no zero and no other length', () => {
  for (const text of [
    '01:00:5e:00:00:01',
    'ff:ff:ff:ff:ff:ff',
    '00:00:00:00:00:00',
    '02:00:00:00:00',
    '',
    '2:0:0:0:0:1',
  ])
    assert.equal(unicastMac(text), undefined, text)
})

const bad: readonly (readonly [(text: string) => unknown, string, string])[] = [
  [parsePodIps, '', 'invalid format'],
  [parsePodIps, '10.6.0.9', 'invalid format'],
  [parsePodIps, '"10.6.0.9"', 'neither of the two forms'],
  [parsePodIps, 'null', 'neither of the two forms'],
  [parsePodIps, '[]', 'the value has no address'],
  [parsePodIps, '{}', 'names no interface'],
  [parsePodIps, '{"eth0":[]}', 'eth0 has no address'],
  [parsePodIps, '{"eth0":"10.6.0.9"}', 'eth0 must be a list'],
  [parsePodIps, '{"a b":["10.6.0.9"]}', "interface 'a b'"],
  [parsePodIps, '{"":["10.6.0.9"]}', 'is empty'],
  [parsePodIps, '{"eth0":["10.6.0.9"],"net1":["10.6.0.9"]}', '10.6.0.9 is asked for by eth0 and by net1'],
  [parsePodIps, '["10.6.0.9","10.6.0.9/16"]', '10.6.0.9 is there twice'],
  [parsePodIps, '["10.6.0.9-10.6.0.12","10.6.0.11"]', '10.6.0.11 is there twice'],
  [parsePodIps, '[7]', 'must be text'],
  [parsePodIps, '["10.6.0.0/33"]', 'the value[0]'],
  [parsePodIps, '["10.6.0.9/16-10.6.0.12"]', 'the value[0]'],
  [parsePodIps, '["10.6.0.12-10.6.0.9"]', 'runs backwards'],
  [parsePodIps, '["10.6.0.9-fd00::9"]', 'mixes'],
  [parsePodIps, '["fe80::1%eth0"]', 'the value[0]'],
  [parsePodIps, '["10.0.0.0-10.255.255.255"]', '16777216 addresses, more than 1024'],
  [parsePodIps, '["fd00::-fd00::ffff:ffff:ffff:ffff"]', 'more than 1024'],
  [parsePodIps, '["10.6.0.0-10.6.3.255","10.7.0.0"]', 'more than 1024 addresses'],
  [parsePodMac, '', 'invalid format'],
  [parsePodMac, '7', 'neither of the two forms'],
  [parsePodMac, '["02:00:00:00:00:01"]', 'neither of the two forms'],
  [parsePodMac, '"03:00:00:00:00:01"', 'no unicast MAC address'],
  [parsePodMac, '{"eth0":"00:00:00:00:00:00"}', "eth0 '00:00:00:00:00:00' is no unicast MAC"],
  [parsePodMac, '{"eth0":7}', 'eth0 must be text'],
  [parsePodMac, '{"a":"02:00:00:00:00:01","b":"02-00-00-00-00-01"}', 'two interfaces have the same'],
]

void test('a bad annotation is answered by its key, the problem and an example', () => {
  for (const [parse, text, problem] of bad) {
    assert.throws(
      () => parse(text),
      (error: unknown) => {
        assert.ok(error instanceof InvalidInputError, text)
        assert.match(error.message, /Pod annotation 'ipam\.spidernet\.io\/(ips|mac)'/)
        assert.ok(error.message.includes(problem), `${text}: ${error.message}`)
        assert.match(error.hint, /^write /)
        return true
      },
    )
  }
})

const addresses = fc.oneof(
  fc.nat(0xffff_ffff).map((value) => formatIpValue(toIp4(value))),
  fc.bigInt(1n << 64n, (1n << 128n) - 1n).map((value) => formatIpValue(toIp6(value))),
)

void test('parsePodIps() gives back every canonical address that is written, in order', () => {
  fc.assert(
    fc.property(fc.uniqueArray(addresses, { minLength: 1, maxLength: 40 }), (texts) => {
      const parsed = parsePodIps(JSON.stringify(texts))
      assert.deepEqual(parsed.kind === 'first' && parsed.value.map(({ ip }) => ip), texts)
      for (const text of texts) assert.equal(parseAskedIp(text, 'x').ip, text)
    }),
  )
})

void test('no text whatever makes a parser throw anything but bad input', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.array(fc.string()).map((list) => JSON.stringify(list)),
  )
  fc.assert(
    fc.property(texts, (text) => {
      for (const parse of [parsePodIps, parsePodMac]) {
        try {
          parse(text)
        } catch (error) {
          assert.ok(error instanceof InvalidInputError, String(error))
        }
      }
    }),
  )
})
