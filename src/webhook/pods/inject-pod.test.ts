import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpiderMultusConfig } from '../../api/index.ts'
import { answer, type Case, ours, patched, settings } from '../testing/reviewing.ts'
import type { PodInjectSettings } from '../world.ts'

const rdma = 'cni.spidernet.io/rdma-resource-inject'
const network = 'cni.spidernet.io/network-resource-inject'
const networks = 'k8s.v1.cni.cncf.io/networks'
const crName = 'multus.spidernet.io/cr-name'

const inject: PodInjectSettings = {
  installNamespace: 'spiderpool',
  excludedNamespaces: [],
  includedNamespaces: [],
  trustedNamespaces: [],
  masterNics: false,
}
const config = (
  place: string,
  metadata: { readonly labels?: Record<string, string>; readonly annotations?: Record<string, string> },
  spec: object,
): SpiderMultusConfig => {
  const [namespace = '', name = ''] = place.split('/')
  return ours('SpiderMultusConfig', name, spec, { namespace, ...metadata }) as unknown as SpiderMultusConfig
}
const macvlan = (place: string, token: string, block: object = {}, annotations = {}): SpiderMultusConfig => {
  const macvlan = { master: ['ens192'], ...block }
  return config(place, { labels: { [network]: token }, annotations }, { cniType: 'macvlan', macvlan })
}
const vlan = (place: string, name: string): SpiderMultusConfig => {
  const block = { master: [name], vlanMode: 'auto' }
  return config(place, {}, { cniType: 'vlan', vlan: block })
}
const container = { name: 'main', image: 'x' }
interface Wish {
  readonly annotations?: Readonly<Record<string, string>>
  readonly containers?: readonly object[]
  readonly configs?: readonly SpiderMultusConfig[]
  readonly inNamespace?: Readonly<Record<string, string>>
  readonly settings?: Partial<PodInjectSettings>
}
function caseOf({ annotations = {}, containers = [container], configs = [], ...wish }: Wish): Case {
  const metadata = { name: 'p', namespace: 'train', annotations }
  const namespace = { metadata: { name: 'train', annotations: wish.inNamespace ?? {} } }
  const podInject = { ...inject, ...wish.settings }
  const world = { settings: { ...settings, podInject }, injection: { namespace, configs } }
  return { kind: 'Pod', object: { metadata, spec: { containers } }, world }
}
const after = (wish: Wish) => {
  const { metadata, spec } = patched(caseOf(wish)) as {
    readonly metadata: { readonly annotations?: Record<string, string> }
    readonly spec: { readonly containers: readonly { readonly resources?: unknown }[] }
  }
  return { networks: metadata.annotations?.[networks], resources: spec.containers[0]?.resources }
}

void test('the worked example of the specification: the token of the namespace, and the resource of the network', () => {
  const ibsriov = { resourceName: 'acme.io/ib_left', ippools: { ipv4: ['p'] } }
  const left = config('netops/ib-left', { labels: { [rdma]: 'fabric-a' } }, { cniType: 'ib-sriov', ibsriov })
  const wish = { configs: [left], inNamespace: { [rdma]: 'fabric-a' } }
  assert.deepEqual(after({ ...wish, settings: { trustedNamespaces: ['netops'] } }), {
    networks: 'netops/ib-left',
    resources: { limits: { 'acme.io/ib_left': '1' } },
  })
})

void test('what the user wrote into the annotation stays, in its form, and the user is told', () => {
  const configs = [macvlan('train/a', 't'), macvlan('train/b', 't')]
  const wish = (before: string) => ({ configs, annotations: { [network]: 't', [networks]: before } })
  assert.equal(after(wish('')).networks, 'train/a,train/b')
  assert.equal(after(wish('x, y@net7')).networks, 'x, y@net7,train/a,train/b')
  assert.equal(after(wish('b')).networks, 'b,train/a')
  assert.equal(
    after(wish('[{"name":"x"}]')).networks,
    '[{"name":"x"},{"namespace":"train","name":"a"},{"namespace":"train","name":"b"}]',
  )
  const { warnings = [] } = answer('mutate', caseOf(wish('x')))
  assert.deepEqual(warnings, [`${networks}: kept what was there, and added train/a, train/b`])
})

void test('networks of tenants that nobody trusts are left out aloud, and refused when there is no other', () => {
  const foreign = macvlan('evil/tap', 't')
  const annotations = { [network]: 't' }
  const both = { annotations, configs: [foreign, macvlan('spiderpool/a', 't')] }
  assert.equal(after(both).networks, 'spiderpool/a')
  assert.match(answer('mutate', caseOf(both)).warnings?.[0] ?? '', /left out evil\/tap/)
  const alone = answer('mutate', caseOf({ annotations, configs: [foreign] }))
  assert.equal(alone.allowed, false)
  assert.match(alone.status?.message ?? '', /selects only evil\/tap, .*not trusted.*trustedNamespaces/)
  const trusting = { annotations, configs: [foreign], settings: { trustedNamespaces: ['*'] } }
  assert.equal(after(trusting).networks, 'evil/tap')
})

void test('an attachment goes by the name that its SpiderMultusConfig gives it, also one with dots', () => {
  const named = macvlan('train/a', 't', {}, { [crName]: 'net-a' })
  assert.equal(after({ annotations: { [network]: 't' }, configs: [named] }).networks, 'train/net-a')
  const dotted = macvlan('train/a', 't', {}, { [crName]: 'net.a' })
  const wish = { annotations: { [network]: 't', [networks]: 'x' }, configs: [dotted] }
  assert.deepEqual(JSON.parse(after(wish).networks ?? ''), [
    { namespace: 'train', name: 'x' },
    { namespace: 'train', name: 'net.a' },
  ])
})

void test('a resource that a container asks for already is not asked for again; a pod without containers passes', () => {
  const block = { rdmaResourceName: 'acme.io/r', ippools: { ipv4: ['p'] } }
  const wish = { annotations: { [network]: 't' }, configs: [macvlan('train/a', 't', block)] }
  const asking = { name: 'b', resources: { limits: { 'acme.io/r': 2 } } }
  assert.equal(after({ ...wish, containers: [container, asking] }).resources, undefined)
  assert.deepEqual(after(wish).resources, { limits: { 'acme.io/r': '1' } })
  assert.equal(after({ ...wish, containers: [] }).networks, 'train/a')
})

void test('the pod asks the scheduler for its parent NICs, and for as many sub-interfaces as it names', () => {
  const configs = [vlan('train/v', 'eth5'), vlan('spiderpool/w', 'eth6')]
  const annotations = { [networks]: 'v,v@net7', 'v1.multus-cni.io/default-network': 'w' }
  const wish = { annotations, configs }
  assert.equal(after(wish).resources, undefined)
  const nics = { 'spidernet.io/eth5-nic': '1', 'spidernet.io/eth6-nic': '1' }
  assert.deepEqual(after({ ...wish, settings: { masterNics: true } }).resources, {
    limits: nics,
    requests: nics,
  })
  const slots = { 'spidernet.io/sub-eni': '3' }
  assert.deepEqual(after({ ...wish, settings: { subEniResource: 'spidernet.io/sub-eni' } }).resources, {
    limits: slots,
    requests: slots,
  })
})

void test('with injection off, or for a pod that asks for nothing, nothing is changed', () => {
  const object = { metadata: { name: 'p', annotations: { [rdma]: 'x' } }, spec: { containers: [container] } }
  assert.equal(answer('mutate', { kind: 'Pod', object }).patch, undefined)
  assert.equal(answer('mutate', caseOf({})).patch, undefined)
})
