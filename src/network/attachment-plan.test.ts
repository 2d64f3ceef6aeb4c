import assert from 'node:assert/strict'
import test from 'node:test'
import {
  type AttachmentRequest,
  planAttachments,
  requestedArgs,
  requireCapabilities,
} from './attachment-plan.ts'
import { planDefaultRoutes } from './default-routes.ts'
import { networksAnnotation, parseNetworkSelections } from './network-selection.ts'
import { buildNetworkStatus } from './network-status.ts'

const select = (text: string) => parseNetworkSelections(networksAnnotation, text, 'blue')
const defaultNetwork = { namespace: 'kube-system', name: 'base' }
const request = (text: string, more: Partial<AttachmentRequest> = {}): AttachmentRequest => ({
  podNamespace: 'blue',
  ifName: 'eth0',
  defaultNetwork,
  selected: select(text),
  isolation: { kind: 'off' },
  ...more,
})
const plan = (text: string, more: Partial<AttachmentRequest> = {}) =>
  planAttachments(networksAnnotation, request(text, more)).map(
    ({ ifName, selection }) => `${ifName} ${selection.namespace}/${selection.name}`,
  )

void test('planAttachments() numbers by the position in the whole list', () => {
  assert.deepEqual(plan('mv,shared/mv@dmz0,vf'), [
    'eth0 kube-system/base',
    'net1 blue/mv',
    'dmz0 shared/mv',
    'net3 blue/vf',
  ])
})

void test('planAttachments() refuses a name used twice, also one that is generated', () => {
  assert.throws(() => plan('a@eth0'), /\[0\]\.interface "eth0"/)
  assert.throws(() => plan('a@x,b@x'), /\[1\]\.interface "x"/)
  assert.throws(() => plan('a@net2,b'), /\[1\]\.interface "net2"/)
})

void test('isolation refuses a foreign namespace unless it is global; the default network is exempt', () => {
  const isolation = { kind: 'on', globalNamespaces: ['shared'] } as const
  assert.equal(plan('mv,shared/mv,default/mv', { isolation }).length, 4)
  assert.throws(() => plan('red/mv', { isolation }), /"red\/mv".*isolation/)
})

void test('requireCapabilities() names the request that no plugin takes', () => {
  const [selection] = select('[{"name":"a","ips":["10.0.0.2"],"mac":"02:00:00:00:00:01"}]')
  assert.ok(selection)
  requireCapabilities('x[0]', selection, new Set(['ips', 'mac']))
  assert.throws(() => requireCapabilities('x[0]', selection, new Set(['ips'])), /x\[0\]\.mac/)
  assert.deepEqual(requestedArgs(selection), [
    ['IP', '10.0.0.2'],
    ['MAC', '02:00:00:00:00:01'],
  ])
})

const both = [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]

void test('planDefaultRoutes() takes a default route away per family, from all but its holder', () => {
  const plans = planDefaultRoutes([
    { routes: both },
    { routes: [{ dst: '0.0.0.0/0' }], defaultRoute: ['10.0.0.1'] },
    { routes: both },
  ])
  assert.deepEqual(plans, [
    { remove: [4], install: [] },
    { remove: [4], install: [{ version: 4, gateway: '10.0.0.1' }] },
    { remove: [4], install: [] },
  ])
})

void test('planDefaultRoutes() keeps the own routes of an empty request, and all when nobody asks', () => {
  assert.deepEqual(planDefaultRoutes([{ routes: both }, { routes: both, defaultRoute: [] }]), [
    { remove: [4, 6], install: [] },
    { remove: [], install: [] },
  ])
  assert.deepEqual(planDefaultRoutes([{ routes: both }, { routes: both }]), [
    { remove: [], install: [] },
    { remove: [], install: [] },
  ])
})

void test('buildNetworkStatus() writes bare addresses of the pod-side interface, in a fixed key order', () => {
  const status = buildNetworkStatus([
    {
      name: 'kube-system/base',
      ifName: 'eth0',
      isDefault: true,
      gateways: [],
      result: {
        interfaces: [{ name: 'br0' }, { name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/x' }],
        ips: [
          { address: '10.0.0.2/24', interface: 1 },
          { address: '10.9.9.9/24', interface: 0 },
        ],
        dns: { nameservers: [] },
      },
    },
    {
      name: 'blue/mv',
      ifName: 'net1',
      isDefault: false,
      gateways: ['172.20.5.1'],
      result: {
        interfaces: [{ name: 'net1', mac: '02:00:00:00:00:02', mtu: 1400, sandbox: '/run/netns/x' }],
        ips: [{ address: 'fd20:5::28/64' }],
      },
    },
  ])
  assert.equal(
    JSON.stringify(status),
    '[{"name":"kube-system/base","interface":"eth0","ips":["10.0.0.2"],"mac":"02:00:00:00:00:01","default":true,' +
      '"dns":{}},{"name":"blue/mv","interface":"net1","ips":["fd20:5::28"],"mac":"02:00:00:00:00:02","mtu":1400,' +
      '"dns":{},"gateway":["172.20.5.1"]}]',
  )
})
