import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admit, answer, type Case, ours, patched } from '../testing/reviewing.ts'

const rdma = 'cni.spidernet.io/rdma-resource-inject'
const parent = { master: ['ens192'] }

const multus = (spec: unknown, annotations: object = {}): Record<string, unknown> =>
  ours('SpiderMultusConfig', 'm', spec, { namespace: 'netops', annotations })
const create = (spec: unknown, annotations: object = {}): Case => ({
  kind: 'SpiderMultusConfig',
  object: multus(spec, annotations),
})
const macvlan = (block: object, annotations: object = {}): Case =>
  create({ cniType: 'macvlan', macvlan: { ...parent, ...block } }, annotations)
const coordinator = (spec: object): Case => ({
  kind: 'SpiderCoordinator',
  object: ours('SpiderCoordinator', 'default', { podCIDRType: 'cluster', ...spec }),
})
// The cases of the rules are in test/support/webhook-cases; here is what they cannot say.
void test('mutation fills the block of the chosen type and adds the coordinator of a network', () => {
  const after = patched(
    create({ cniType: 'macvlan', macvlan: { master: ['a', 'b'], bond: { name: 'b', mode: 1 } } }),
  )
  assert.deepEqual(after['spec'], {
    cniType: 'macvlan',
    chainCNIJsonData: [],
    macvlan: {
      master: ['a', 'b'],
      bond: { name: 'b', mode: 1, options: '' },
      vlanID: 0,
      mtu: 0,
      rdmaResourceName: '',
      ippools: {},
    },
    coordinator: {
      mode: 'auto',
      podRPFilter: 0,
      tunePodRoutes: true,
      podMACPrefix: '',
      podDefaultRouteNIC: '',
      vethLinkAddress: '',
    },
  })
})

void test('mutation of a custom network takes its coordinator away', () => {
  const after = patched(create({ enableCoordinator: true, coordinator: { mode: 'auto' } }))
  assert.deepEqual(after['spec'], {
    cniType: 'custom',
    customCNI: '',
    enableCoordinator: false,
    chainCNIJsonData: [],
  })
})

void test('a network that was custom may get another type: the empty customCNI does not stand in the way', () => {
  const after = patched(create({ cniType: 'macvlan', macvlan: parent, customCNI: '' }))
  assert(!('customCNI' in (after['spec'] as object)))
})

void test('mutation copies inject annotations to labels', () => {
  const after = patched(macvlan({}, { [rdma]: 'fabric-a', other: 'x' }))
  assert.deepEqual((after['metadata'] as { labels: unknown }).labels, { [rdma]: 'fabric-a' })
})

void test('mutation of a coordinator fills defaults and writes prefix lengths', () => {
  const item = coordinator({
    hijackCIDR: ['198.18.9.9', 'fd00::1', '10.0.0.0/8'],
    policyRoutes: [{ dst: '203.0.113.7', gw: '10.77.0.253' }],
  })
  const after = patched(item)
  assert.deepEqual(after['spec'], {
    podCIDRType: 'cluster',
    mode: 'auto',
    tunePodRoutes: true,
    hostRuleTable: 500,
    podRPFilter: 0,
    txQueueLen: 0,
    vethLinkAddress: '',
    vethMTU: 1500,
    hijackCIDR: ['198.18.9.9/32', 'fd00::1/128', '10.0.0.0/8'],
    policyRoutes: [{ dst: '203.0.113.7/32', gw: '10.77.0.253' }],
  })
  // Nobody here would take it off again: the delete would hang.
  assert.equal((after['metadata'] as { finalizers?: unknown }).finalizers, undefined)
  assert.equal(answer('mutate', { ...item, object: after }).patch, undefined)
})

void test('an inject label goes with its annotation, one that was written by hand stays', () => {
  const before = patched(macvlan({}, { [rdma]: 'fabric-a' }))
  const after = { ...before, metadata: { ...(before['metadata'] as object), annotations: {} } }
  const kind = 'SpiderMultusConfig'
  const labelsOf = (item: Case) => (patched(item)['metadata'] as { labels: unknown }).labels
  assert.deepEqual(labelsOf({ kind, object: after, oldObject: before }), {})
  assert.deepEqual(labelsOf({ kind, object: after, oldObject: after }), { [rdma]: 'fabric-a' })
})

void test('a network that loses its name says that the attachment of that name stays', () => {
  const config = { cniType: 'macvlan', enableCoordinator: false, macvlan: parent }
  const object = multus(config)
  const oldObject = multus(config, { 'multus.spidernet.io/cr-name': 'left' })
  const { warnings } = answer('mutate', { kind: 'SpiderMultusConfig', object, oldObject })
  assert.deepEqual(warnings, [
    'metadata.annotations: NetworkAttachmentDefinition "left" of the name that was dropped stays: delete it when no pod uses it',
  ])
})

const warned: readonly (readonly [string, Case, readonly RegExp[]])[] = [
  [
    'the coordinator, which is on by default',
    macvlan({}),
    [/^spec\.enableCoordinator: .*: set it to false$/],
  ],
  [
    'a VLAN',
    create({ cniType: 'macvlan', enableCoordinator: false, macvlan: { ...parent, vlanID: 3 } }),
    [/^spec\.macvlan: .*ifacer.*name it alone in spec\.macvlan\.master$/],
  ],
  ['ipvlan', create({ cniType: 'ipvlan', ipvlan: parent }), [/^spec\.cniType "ipvlan" .*: write macvlan/]],
  ['nothing that is missing', create({ cniType: 'macvlan', enableCoordinator: false, macvlan: parent }), []],
]
for (const [what, item, expected] of warned) {
  void test(`a network that wants ${what} is accepted with ${expected.length} warnings`, () => {
    const { allowed, warnings = [] } = answer('mutate', item)
    assert(allowed)
    assert.equal(warnings.length, expected.length)
    for (const [index, pattern] of expected.entries()) assert.match(warnings[index] ?? '', pattern)
    assert(admit(item).allowed)
  })
}
