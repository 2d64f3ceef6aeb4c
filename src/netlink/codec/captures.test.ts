import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { formatCidr, formatIp } from '../../address/index.ts'
import { decodeAddress } from './address.ts'
import { decodeLink, type Link } from './link.ts'
import { decodeNeighbour } from './neighbour.ts'
import { decodeRoute, type Route } from './route.ts'
import { decodeRule, type Rule } from './rule.ts'

type Kind = 'links' | 'addresses' | 'routes' | 'neighbours' | 'rules'
const file = join(import.meta.dirname, '../../../fixtures/netlink/namespace-dump.json')
const capture = JSON.parse(readFileSync(file, 'utf8')) as Record<Kind, readonly string[]>
const payloads = (kind: Kind): readonly Uint8Array[] => capture[kind].map((hex) => Buffer.from(hex, 'hex'))

function showLink(link: Link): string {
  const { index, name, kind = '-', isUp, master = 0, parent = 0, macvlanMode = '-', mac } = link
  return `${index} ${name} ${kind} ${isUp ? 'up' : 'down'} master ${master} parent ${parent} ${macvlanMode} ${mac}`
}

void test('decodeLink() reads the links of a real namespace', () => {
  assert.deepEqual(
    payloads('links').map((bytes) => showLink(decodeLink(bytes))),
    [
      '1 lo - up master 0 parent 0 - 00:00:00:00:00:00',
      '2 p1 veth up master 4 parent 3 - 02:00:00:00:00:02',
      '3 p0 veth up master 0 parent 2 - 02:00:00:00:00:01',
      '4 br0 bridge down master 0 parent 0 - 02:00:00:00:00:03',
      '5 mv0 macvlan down master 0 parent 3 bridge 02:00:00:00:00:04',
    ],
  )
})

void test('decodeAddress() tells the own end of a point-to-point address from the other one', () => {
  const found = payloads('addresses').map((bytes) => {
    const { ip, prefixBits, linkIndex, peer, broadcast } = decodeAddress(bytes)
    const more = [peer, broadcast].map((other) => (other === undefined ? '-' : formatIp(other)))
    return `${formatIp(ip)}/${prefixBits} link ${linkIndex} peer ${more[0]} broadcast ${more[1]}`
  })
  assert.deepEqual(found, [
    '127.0.0.1/8 link 1 peer - broadcast -',
    '10.6.0.11/16 link 3 peer - broadcast 10.6.255.255',
    '10.9.0.1/32 link 3 peer 10.9.0.2 broadcast -',
    '::1/128 link 1 peer - broadcast -',
    'fe80::ff:fe00:2/64 link 2 peer - broadcast -',
    'fd00:6::11/64 link 3 peer - broadcast -',
    'fe80::ff:fe00:1/64 link 3 peer - broadcast -',
  ])
})

function showRoute(route: Route): string {
  const hops = route.nextHops.map(({ gateway, linkIndex, weight, isOnLink }) => {
    const via = gateway === undefined ? '' : ` via ${formatIp(gateway)}`
    return `${via} dev ${linkIndex} weight ${weight}${isOnLink ? ' onlink' : ''}`
  })
  return `${route.type} ${formatCidr(route.destination)} table ${route.table} metric ${route.metric}${hops.join('')}`
}

void test('decodeRoute() reads gateways of both families, several hops and blackholes', () => {
  const found = payloads('routes').map(decodeRoute)
  const made = found.filter((route) => route !== undefined && route.protocol !== 2)
  assert.deepEqual(
    made.map((route) => (route === undefined ? '' : showRoute(route))),
    [
      'unicast 10.8.0.0/16 table 500 metric 7 via 10.6.0.2 dev 3 weight 3 via 10.6.0.3 dev 3 weight 1 onlink',
      'unicast 0.0.0.0/0 table 254 metric 0 via 10.6.0.1 dev 3 weight 1',
      'unicast 10.11.0.0/16 table 254 metric 0 via fe80::1 dev 3 weight 1',
      'blackhole 10.99.0.0/24 table 254 metric 0',
      'unicast fd00:7::/64 table 254 metric 1024 via fd00:6::1 dev 3 weight 1',
    ],
  )
})

void test('decodeNeighbour() reads the entries of a real namespace', () => {
  const found = payloads('neighbours').map(decodeNeighbour)
  const [first] = found
  assert.equal(first?.mac, '02:00:00:00:00:aa')
  assert.equal(first === undefined ? '' : formatIp(first.ip), '10.6.0.1')
  assert.equal(first?.state, 0x80)
})

function showRule(rule: Rule): string {
  const { source, destination, inName, outName, mark, mask, isInverted, suppressPrefixBits } = rule
  return [
    rule.priority,
    isInverted ? 'not' : '',
    source === undefined ? 'all' : formatCidr(source),
    destination === undefined ? 'all' : formatCidr(destination),
    inName ?? outName ?? '-',
    mark === undefined ? '-' : `${mark}/${mask}`,
    `table ${rule.table}`,
    suppressPrefixBits ?? '-',
  ].join(' ')
}

void test('decodeRule() reads selectors, marks and suppressed prefixes', () => {
  const found = payloads('rules').map(decodeRule)
  const shown = found.filter((rule) => rule !== undefined && rule.protocol !== 2)
  assert.deepEqual(
    shown.map((rule) => (rule === undefined ? '' : showRule(rule))),
    [
      '1000  10.6.0.11/32 all - - table 500 -',
      '1001 not all 10.7.0.0/16 p0 16/255 table 254 0',
      '32765  fd00:6::/64 all p0 - table 100 -',
    ],
  )
})
