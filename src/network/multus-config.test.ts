import assert from 'node:assert/strict'
import test from 'node:test'
import type { SpiderMultusConfig } from '../api/index.ts'
import { InvalidInputError } from '../base/index.ts'
import { renderNetworkAttachment } from './multus-config.ts'
import { configOfNad, withPluginExtras } from './nad-config.ts'

type Spec = SpiderMultusConfig['spec']
const smc = (spec: Spec, annotations: Record<string, string> = {}): SpiderMultusConfig => ({
  metadata: { name: 'mv-a', namespace: 'lab', uid: 'u1', annotations },
  spec: { cniType: 'macvlan', enableCoordinator: false, ...spec },
})
const render = (spec: Spec, annotations?: Record<string, string>) =>
  renderNetworkAttachment(smc(spec, annotations)).spec?.config

void test('a minimal macvlan config is written in the exact key order', () => {
  assert.equal(
    render({ macvlan: { master: ['ens6'], mtu: 0, ippools: { ipv4: ['lab-v4'] } } }),
    '{"cniVersion":"0.3.1","name":"mv-a","plugins":[{"type":"macvlan","master":"ens6","mode":"bridge",' +
      '"ipam":{"type":"spiderpool","default_ipv4_ippool":["lab-v4"]}}]}',
  )
})

void test('bond, VLAN, MTU and coordinator are written in the exact order', () => {
  const config = render({
    enableCoordinator: true,
    macvlan: {
      master: ['ens6', 'ens7'],
      vlanID: 210,
      mtu: 1450,
      bond: { name: 'bond7', mode: 1, options: 'primary=ens6;miimon=100' },
      ippools: { ipv4: ['v210-v4'], ipv6: ['v210-v6'] },
    },
    coordinator: {
      mode: 'underlay',
      hijackCIDR: ['169.254.0.0/16'],
      podDefaultRouteNIC: 'net1',
      podMACPrefix: '0a:1b',
    },
  })
  assert.equal(
    config,
    '{"cniVersion":"0.3.1","name":"mv-a","plugins":[{"vlanID":210,"type":"ifacer","interfaces":["ens6","ens7"],' +
      '"bond":{"name":"bond7","mode":1,"options":"primary=ens6;miimon=100"}},' +
      '{"type":"macvlan","master":"bond7.210","mode":"bridge","mtu":1450,"ipam":{"type":"spiderpool",' +
      '"default_ipv4_ippool":["v210-v4"],"default_ipv6_ippool":["v210-v6"]}},' +
      '{"podMACPrefix":"0a:1b","mode":"underlay","type":"coordinator","podDefaultRouteNic":"net1",' +
      '"hijackCIDR":["169.254.0.0/16"]}]}',
  )
})

void test('a chain element with a 19-digit integer and odd key order is kept byte by byte', () => {
  const element = '{"b":1234567890123456789,"type":"bandwidth","a":{"z":1,"10":1.0}}'
  assert.ok(render({ macvlan: { master: ['ens6'] }, chainCNIJsonData: [element] })?.includes(element))
})

void test('names and annotations decide names, version and metadata of the attachment', () => {
  const nad = renderNetworkAttachment(
    smc(
      { macvlan: { master: ['ens6'] }, disableIPAM: true },
      {
        'multus.spidernet.io/cr-name': 'y',
        'cni.spidernet.io/cniconfig-name': 'z',
        'multus.spidernet.io/cni-version': '1.0.0',
        'kubectl.kubernetes.io/last-applied-configuration': '{}',
        'example.com/kept': 'yes',
      },
    ),
  )
  assert.deepEqual(nad.metadata, {
    name: 'y',
    namespace: 'lab',
    labels: { 'app.kubernetes.io/managed-by': 'spiderpool' },
    annotations: { 'example.com/kept': 'yes' },
    ownerReferences: [
      {
        apiVersion: 'spiderpool.spidernet.io/v2beta1',
        kind: 'SpiderMultusConfig',
        name: 'mv-a',
        uid: 'u1',
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  })
  assert.equal(
    nad.spec?.config,
    '{"cniVersion":"1.0.0","name":"z","plugins":[{"type":"macvlan","master":"ens6","mode":"bridge"}]}',
  )
})

const macvlan = { master: ['ens6'] }
const refused: readonly (readonly [string, Spec, Record<string, string>?])[] = [
  ['spec.cniType "ipvlan"', { cniType: 'ipvlan', ipvlan: macvlan }],
  ['spec.cniType "custom"', { cniType: 'custom' }],
  ['spec.macvlan', {}],
  ['spec.macvlan.master', { macvlan: { master: [] } }],
  ['spec.macvlan.master[0]', { macvlan: { master: ['a/b'] } }],
  ['spec.macvlan.master[1]', { macvlan: { master: ['a', 'a'], bond: { name: 'b', mode: 1 } } }],
  ['spec.macvlan.bond.name', { macvlan: { master: ['a', 'b'] } }],
  [
    'spec.macvlan.bond.name',
    { macvlan: { master: ['a', 'b'], vlanID: 4000, bond: { name: 'bond-quite-long', mode: 1 } } },
  ],
  ['spec.macvlan.bond.mode', { macvlan: { master: ['a', 'b'], bond: { name: 'b', mode: 9 } } }],
  ['spec.macvlan.master', { macvlan: { master: ['eleven-long'], vlanID: 4000 } }],
  ['spec.macvlan.vlanID', { macvlan: { ...macvlan, vlanID: 4095 } }],
  ['spec.macvlan.mtu', { macvlan: { ...macvlan, mtu: -1 } }],
  ['matchMasterSubnet', { macvlan: { ...macvlan, ippools: { matchMasterSubnet: true } } }],
  ['spec.chainCNIJsonData[0]', { macvlan, chainCNIJsonData: ['{'] }],
  ['spec.chainCNIJsonData[0]', { macvlan, chainCNIJsonData: ['[]'] }],
  ['spec.chainCNIJsonData[1].type', { macvlan, chainCNIJsonData: ['{"type":"x"}', '{}'] }],
  ['cni-version', { macvlan }, { 'multus.spidernet.io/cni-version': '0.2.0' }],
  ['cr-name', { macvlan }, { 'multus.spidernet.io/cr-name': 'A_b' }],
  ['cniconfig-name', { macvlan }, { 'cni.spidernet.io/cniconfig-name': 'a b' }],
]

void test('a bad config is refused by field, value and remedy', () => {
  for (const [field, spec, annotations] of refused)
    assert.throws(
      () => render(spec, annotations),
      (error) => {
        assert.ok(error instanceof InvalidInputError, field)
        assert.ok(error.message.includes(field), `${field} / ${error.message}`)
        assert.notEqual(error.hint, '')
        return true
      },
    )
})

const nad = (config: string) => ({ metadata: { name: 'mv' }, spec: { config } })

void test('configOfNad() injects a missing name, keeps a given one, and falls back to disk', () => {
  assert.deepEqual(configOfNad('blue/mv', nad('{"type":"macvlan"}')), {
    kind: 'inline',
    text: '{"name":"mv","type":"macvlan"}',
  })
  assert.deepEqual(configOfNad('blue/mv', nad('{"name":"other"}')), {
    kind: 'inline',
    text: '{"name":"other"}',
  })
  assert.deepEqual(configOfNad('blue/mv', nad('{"name":"","x":1}')), {
    kind: 'inline',
    text: '{"name":"mv","x":1}',
  })
  assert.deepEqual(configOfNad('blue/mv', { metadata: { name: 'mv' } }), {
    kind: 'onDisk',
    networkName: 'mv',
  })
  for (const bad of ['{', '[]', '5'])
    assert.throws(() => configOfNad('blue/mv', nad(bad)), /blue\/mv: spec.config/)
})

void test('withPluginExtras() merges the arguments of the pod into every plugin and keeps all else', () => {
  const text =
    '{"name":"mv","plugins":[{"type":"a","args":{"cni":{"team":"red","x":1}},"big":12345678901234567890},{"type":"b"}]}'
  assert.equal(
    withPluginExtras(text, { cniArgs: { team: 'blue' }, plain: { deviceID: '0000:3b:02.3' } }),
    '{"name":"mv","plugins":[{"type":"a","args":{"cni":{"team":"blue","x":1}},"big":12345678901234567890,' +
      '"deviceID":"0000:3b:02.3"},{"type":"b","args":{"cni":{"team":"blue"}},"deviceID":"0000:3b:02.3"}]}',
  )
})
