import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { InvalidInputError } from '../base/index.ts'
import { networksAnnotation, parseNetworkSelections } from './network-selection.ts'

const parse = (text: string) => parseNetworkSelections(networksAnnotation, text, 'blue')
const json = (element: object) => JSON.stringify([element])

const accepted: readonly (readonly [string, readonly object[]])[] = [
  ['', []],
  ['   ', []],
  ['null', []],
  ['[]', []],
  ['a', [{ namespace: 'blue', name: 'a' }]],
  [
    ' a , b ',
    [
      { namespace: 'blue', name: 'a' },
      { namespace: 'blue', name: 'b' },
    ],
  ],
  ['red/a', [{ namespace: 'red', name: 'a' }]],
  ['red/a@dmz0', [{ namespace: 'red', name: 'a', interface: 'dmz0' }]],
  ['/a', [{ namespace: 'blue', name: 'a' }]],
  ['a@', [{ namespace: 'blue', name: 'a' }]],
  ['a@fifteen-bytes-x', [{ namespace: 'blue', name: 'a', interface: 'fifteen-bytes-x' }]],
  [
    'a,a',
    [
      { namespace: 'blue', name: 'a' },
      { namespace: 'blue', name: 'a' },
    ],
  ],
  ['[{"name":"a.b"}]', [{ namespace: 'blue', name: 'a.b' }]],
  ['[\n  {"name":"a","namespace":"red"}\n]', [{ namespace: 'red', name: 'a' }]],
  [json({ name: 'a', interfaceRequest: 'x0' }), [{ namespace: 'blue', name: 'a', interface: 'x0' }]],
  [
    json({ name: 'a', interface: 'y0', interfaceRequest: 'x0' }),
    [{ namespace: 'blue', name: 'a', interface: 'y0' }],
  ],
  [
    json({ name: 'a', mac: '02-00-AC-14-05-28' }),
    [{ namespace: 'blue', name: 'a', mac: '02:00:ac:14:05:28' }],
  ],
  [
    json({ name: 'a', ips: ['172.20.5.40/24', 'fd00::5'] }),
    [{ namespace: 'blue', name: 'a', ips: ['172.20.5.40/24', 'fd00::5'] }],
  ],
  [json({ name: 'a', 'default-route': [] }), [{ namespace: 'blue', name: 'a', defaultRoute: [] }]],
  [
    json({ name: 'a', 'default-route': ['10.0.0.1', 'fd00::1'] }),
    [{ namespace: 'blue', name: 'a', defaultRoute: ['10.0.0.1', 'fd00::1'] }],
  ],
  [
    json({ name: 'a', 'cni-args': { team: 'blue' } }),
    [{ namespace: 'blue', name: 'a', cniArgs: { team: 'blue' } }],
  ],
  [json({ name: 'a', 'example.com/own': 1, unknown: {} }), [{ namespace: 'blue', name: 'a' }]],
  [
    json({ name: 'a', portMappings: [{ hostPort: 1, containerPort: 2, protocol: 'UDP' }] }),
    [{ namespace: 'blue', name: 'a', portMappings: [{ hostPort: 1, containerPort: 2, protocol: 'udp' }] }],
  ],
  [
    json({ name: 'a', bandwidth: { ingressRate: 8, ingressBurst: 9 } }),
    [{ namespace: 'blue', name: 'a', bandwidth: { ingressRate: 8, ingressBurst: 9 } }],
  ],
  [json({ name: 'a', mac: null, ips: null }), [{ namespace: 'blue', name: 'a' }]],
]

void test('parseNetworkSelections() reads both forms', () => {
  for (const [text, expected] of accepted) assert.deepEqual(parse(text), expected, text)
})

const refused: readonly (readonly [string, string])[] = [
  ['a,,b', '[1]'],
  ['a,', '[1]'],
  [',', '[0]'],
  ['a/b/c', '[0]'],
  ['a@b@c', '[0]'],
  ['A', '[0]'],
  ['a.b', '[0]'],
  ['-a', '[0]'],
  ['a_', '[0]'],
  ['Red/a', '[0]'],
  ['re d/a', '[0]'],
  ['red/', '[0]'],
  ['@x', '[0]'],
  ['a@sixteen-bytes-xx', '[0].interface'],
  ['a@x y', '[0].interface'],
  ['a@x:y', '[0].interface'],
  ['a@..', '[0].interface'],
  ['{"name":"a"}', 'is not a list'],
  ['"a"', 'is not a list'],
  ['[{"name":"a"}', 'is not JSON'],
  ['["a"]', '[0]'],
  ['[null]', '[0]'],
  ['[{}]', '[0].name'],
  [json({ name: 5 }), '[0].name'],
  [json({ name: '../a' }), '[0].name'],
  [json({ name: 'a', namespace: 'a.b' }), '[0].namespace'],
  [json({ name: 'a', interface: 'a/b' }), '[0].interface'],
  [json({ name: 'a', mac: '03:00:00:00:00:01' }), '[0].mac'],
  [json({ name: 'a', mac: '02:00:00:00:00' }), '[0].mac'],
  [json({ name: 'a', mac: '00:00:00:00:00:00' }), '[0].mac'],
  [json({ name: 'a', mac: '02:00:00:00:00:00:00:01' }), '[0].mac'],
  [json({ name: 'a', ips: '10.0.0.1' }), '[0].ips'],
  [json({ name: 'a', ips: ['10.0.0.256'] }), '[0].ips[0]'],
  [json({ name: 'a', ips: ['10.0.0.1/33'] }), '[0].ips[0]'],
  [json({ name: 'a', ips: ['fd00::1/129'] }), '[0].ips[0]'],
  [json({ name: 'a', ips: ['fe80::1%eth0'] }), '[0].ips[0]'],
  [json({ name: 'a', ips: ['10.0.0.1/24/8'] }), '[0].ips[0]'],
  [json({ name: 'a', ips: [7] }), '[0].ips[0]'],
  [json({ name: 'a', 'default-route': '10.0.0.1' }), '[0].default-route'],
  [json({ name: 'a', 'default-route': ['10.0.0.1', '10.0.0.2'] }), '[0].default-route[1]'],
  [json({ name: 'a', 'default-route': ['x'] }), '[0].default-route[0]'],
  [json({ name: 'a', 'infiniband-guid': 'c2:11' }), '[0].infiniband-guid'],
  [json({ name: 'a', 'ipam-claim-reference': 'c/d' }), '[0].ipam-claim-reference'],
  [json({ name: 'a', ips: ['10.0.0.1'], 'ipam-claim-reference': 'c' }), '[0].ipam-claim-reference'],
  [json({ name: 'a', 'cni-args': 'x' }), '[0].cni-args'],
  [json({ name: 'a', portMappings: {} }), '[0].portMappings'],
  [json({ name: 'a', portMappings: [{ hostPort: 0, containerPort: 1 }] }), '[0].portMappings[0].hostPort'],
  [json({ name: 'a', portMappings: [{ hostPort: 1, containerPort: 1, protocol: 'icmp' }] }), '.protocol'],
  [json({ name: 'a', portMappings: [{ hostPort: 1, containerPort: 1, hostIP: 'x' }] }), '.hostIP'],
  [json({ name: 'a', bandwidth: { ingressRate: 8 } }), '[0].bandwidth.ingressRate'],
  [json({ name: 'a', bandwidth: { egressBurst: -1 } }), '[0].bandwidth.egressBurst'],
  [
    JSON.stringify([
      { name: 'a', 'default-route': ['10.0.0.1'] },
      { name: 'b', 'default-route': ['fd00::1'] },
    ]),
    'more than one default-route',
  ],
  [Array.from({ length: 65 }, () => 'a').join(','), 'too many'],
  ['a'.repeat(300_000), 'is longer'],
]

void test('a bad selection is refused whole, naming annotation, element and key', () => {
  for (const [text, where] of refused)
    assert.throws(
      () => parse(text),
      (error) => {
        assert.ok(error instanceof InvalidInputError, text)
        assert.ok(error.message.includes(networksAnnotation) && error.message.includes(where), error.message)
        assert.notEqual(error.hint, '')
        return true
      },
      text,
    )
})

void test('any text is either a list of selections or an InvalidInputError', () => {
  const anyText = fc.oneof(fc.string(), fc.json(), fc.stringMatching(/^[a-z/@,. ]{0,30}$/))
  fc.assert(
    fc.property(anyText, (text) => {
      try {
        for (const item of parse(text)) assert.notEqual(item.name, '')
      } catch (error) {
        assert.ok(error instanceof InvalidInputError)
      }
    }),
  )
})
