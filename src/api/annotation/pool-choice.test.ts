import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatCidr, formatIp } from '../../address/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { parsePodRoutes } from './pod-routes.ts'
import {
  parseDefaultRouteNic,
  parseIppool,
  parseIppools,
  parseNamespacePools,
  parseSubnetChoice,
  parseSubnetsChoice,
  requireNicChoice,
} from './pool-choice.ts'

void test('parseIppool() reads both families, either alone, and white space', () => {
  const wanted = { ipv4: ['test-pod-ippool'], ipv6: [] }
  assert.deepEqual(parseIppool('{      \n  "ipv4": ["test-pod-ippool"]\n}'), wanted)
  assert.deepEqual(parseIppool('{"ipv4":["a","b*"],"ipv6":["c"]}'), { ipv4: ['a', 'b*'], ipv6: ['c'] })
  assert.deepEqual(parseIppool('{}'), { ipv4: [], ipv6: [] })
  assert.deepEqual(parseIppool('null'), { ipv4: [], ipv6: [] })
})

void test('keys are matched without regard to case, and unknown ones are ignored', () => {
  assert.deepEqual(parseIppool('{"IPv4":["a"],"nic":7,"IPV6":null}'), { ipv4: ['a'], ipv6: [] })
  const items = parseIppools('[{"Interface":"eth0","CleanGateway":true,"ipv4":["a"]}]')
  assert.deepEqual(items, [{ nic: 'eth0', cleanGateway: true, ipv4: ['a'], ipv6: [] }])
})

void test('parseIppools() reads the named and the unnamed form', () => {
  const named = parseIppools('[{"interface":"eth0","ipv4":["a"]},{"interface":"net1","ipv6":["b"]}]')
  assert.deepEqual(
    named.map(({ nic }) => nic),
    ['eth0', 'net1'],
  )
  const unnamed = parseIppools('[{"ipv4":["a"]},{"ipv4":["b"]}]')
  assert.deepEqual(
    unnamed.map(({ nic }) => nic),
    [undefined, undefined],
  )
})

void test('requireNicChoice() finds the item of a NIC, and refuses one that the named form lacks', () => {
  const text = '[{"interface":"eth0","ipv4":["a"]}]'
  assert.equal(requireNicChoice(text, parseIppools(text), 'eth0')?.ipv4[0], 'a')
  assert.throws(() => requireNicChoice(text, parseIppools(text), 'net1'), /interface net1 must be specified/)
  const unnamed = '[{"ipv4":["a"]}]'
  assert.equal(requireNicChoice(unnamed, parseIppools(unnamed), 'net1'), undefined)
})

void test('subnet annotations name their NICs, eth0 when there is only one', () => {
  assert.deepEqual(parseSubnetChoice('{"ipv4":["s"]}'), [
    { nic: 'eth0', cleanGateway: false, ipv4: ['s'], ipv6: [] },
  ])
  assert.equal(parseSubnetsChoice('[{"interface":"net1","ipv4":["s"]}]')[0]?.nic, 'net1')
  assert.throws(() => parseSubnetsChoice('[{"ipv4":["s"]}]'), /each item must name its interface/)
})

void test('parsePodRoutes() reads routes of both families, the default route too', () => {
  const routes = parsePodRoutes('[{"dst":"10.7.0.9/16","gw":"10.6.0.9"},{"Dst":"::/0","GW":"FD00::1"}]')
  assert.deepEqual(
    routes.map(({ dst, gw }) => [formatCidr(dst), formatIp(gw)]),
    [
      ['10.7.0.0/16', '10.6.0.9'],
      ['::/0', 'fd00::1'],
    ],
  )
})

const bad: readonly (readonly [string, (text: string) => unknown, string, string])[] = [
  [
    'ippool',
    parseIppool,
    '{"ipv4":',
    "wrong input, invalid format of Pod annotation 'ipam.spidernet.io/ippool': ",
  ],
  ['ippool', parseIppool, '[]', 'the value must be an object, not a list'],
  ['ippool', parseIppool, '"x"', 'must be an object'],
  ['ippool', parseIppool, '{"ipv4":"a"}', 'ipv4 must be a list, not the string a'],
  ['ippool', parseIppool, '{"ipv4":["a",1]}', 'ipv4[1] must be text, not the number 1'],
  ['ippool', parseIppool, '{"ipv4":[""]}', 'ipv4[0] is an empty name'],
  ['ippools', parseIppools, '{}', "invalid format of Pod annotation 'ipam.spidernet.io/ippools': "],
  ['ippools', parseIppools, '[]', 'value requires at least one item'],
  ['ippools', parseIppools, 'null', 'value requires at least one item'],
  [
    'ippools',
    parseIppools,
    '[{"interface":"eth0"},{}]',
    'NIC should be either all specified or all unspecified',
  ],
  ['ippools', parseIppools, '[{"interface":"eth0"},{"interface":"eth0"}]', 'duplicate interface eth0'],
  ['ippools', parseIppools, '[{"interface":"an-interface-name"}]', 'longer than 15 bytes'],
  ['ippools', parseIppools, '[{"interface":"a/b"}]', 'not allowed'],
  ['ippools', parseIppools, '[{"interface":"eth0","cleangateway":"yes"}]', 'must be true or false'],
  ['ippools', parseIppools, '[7]', 'item 0 must be an object, not the number 7'],
  [
    'routes',
    parsePodRoutes,
    '[{"dst":"10.7.0.0/16","gw":"fd00::1"}]',
    "invalid route format 'dst: 10.7.0.0/16, gw: fd00::1'",
  ],
  [
    'routes',
    parsePodRoutes,
    '[{"dst":"10.7.0.0","gw":"10.6.0.1"}]',
    "invalid route format 'dst: 10.7.0.0, gw: 10.6.0.1'",
  ],
  [
    'routes',
    parsePodRoutes,
    JSON.stringify(Array.from({ length: 65 }, (_, i) => ({ dst: `10.7.${i}.0/24`, gw: '10.6.0.1' }))),
    'it has 65 routes, more than 64',
  ],
  ['routes', parsePodRoutes, '[{}]', "invalid route format 'dst: , gw: '"],
  ['default-route-nic', parseDefaultRouteNic, '', 'is no interface name'],
  [
    'default-ipv4-ippool',
    (text) => parseNamespacePools('ipam.spidernet.io/default-ipv4-ippool', text),
    '{',
    'is not a JSON list of pool names',
  ],
]
for (const [key, parse, text, fragment] of bad) {
  void test(`annotation ${key} ${JSON.stringify(text)} is refused with "${fragment}"`, () => {
    assert.throws(
      () => parse(text),
      (error) => {
        assert(error instanceof InvalidInputError)
        assert.equal(error.field, `ipam.spidernet.io/${key}`)
        assert(error.message.includes(fragment), error.message)
        assert(error.message.includes(error.value))
        assert.match(error.hint, /^write /)
        return true
      },
    )
  })
}

void test('no annotation text makes a parser fail in any other way', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.json().map((text) => text.slice(1)),
    fc.constantFrom('ipv4', 'interface', 'dst').chain((key) => fc.json().map((v) => `[{"${key}":${v}}]`)),
    fc.constant('['.repeat(100_000)),
  )
  const parsers = [parseIppool, parseIppools, parsePodRoutes, parseDefaultRouteNic, parseSubnetChoice]
  const law = fc.property(texts, fc.constantFrom(...parsers, parseSubnetsChoice), (text, parse) => {
    try {
      parse(text)
    } catch (error) {
      assert(error instanceof InvalidInputError, String(error))
      assert(error.message.includes(error.field) && error.hint !== '')
    }
  })
  fc.assert(law, { numRuns: 500, seed: 20261121 })
})
