// Acceptance scenarios of spec/ipam.md section 21, each by its id: several NICs, routes, and pools that are edited in use.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { annotationKeys, type KubeObject, type Pod, resources } from '../../src/api/index.ts'
import { ApiError } from '../../src/kube/index.ts'
import { IpamRig } from '../support/ipam-rig.ts'
import { eventually } from '../support/workload-kit.ts'

let rig: IpamRig
before(async () => {
  rig = await IpamRig.start(['node1', 'master', 'worker1'])
})
after(() => rig?.[Symbol.asyncDispose]())

const usedOut = /all IP addresses used out/
/** A second NIC, net1. */
const twoNics = { [annotationKeys.multusNetworks]: 'kube-system/macvlan-vlan0-eth1' }

void test('A13 named multi-NIC', async () => {
  const routes = [{ dst: '10.99.0.0/16', gw: '10.113.0.2' }]
  await rig.pool('a13-v100', { subnet: '10.13.0.0/16', ips: ['10.13.1.1-10.13.1.9'], gateway: '10.13.0.1' })
  await rig.pool('a13-v200', {
    ...{ subnet: '10.113.0.0/16', ips: ['10.113.1.1-10.113.1.9'], gateway: '10.113.0.1', routes },
  })
  const items = [
    { interface: 'eth0', ipv4: ['a13-v100'] },
    { interface: 'net1', ipv4: ['a13-v200'], cleangateway: true },
  ]
  const pod = await rig.pod('a13', {
    annotations: { ...twoNics, [annotationKeys.ippools]: JSON.stringify(items) },
  })
  const first = await rig.add(pod)
  assert.deepEqual(first.ips, ['10.13.1.1/16'], first.msg)
  assert.deepEqual(first.routes, ['0.0.0.0/0 10.13.0.1'])
  const taken = [...(await rig.owners('a13-v100')), ...(await rig.owners('a13-v200'))]
  assert.deepEqual(taken, [
    ['10.13.1.1', 'default/a13 eth0'],
    ['10.113.1.1', 'default/a13 net1'],
  ])
  const second = await rig.add(pod, { nic: 'net1' })
  assert.deepEqual(second.ips, ['10.113.1.1/16'])
  assert.deepEqual(second.routes, ['10.99.0.0/16 10.113.0.2'])
  assert.deepEqual([...(await rig.owners('a13-v100')), ...(await rig.owners('a13-v200'))], taken)
})

void test('A14 partial multi-NIC exhaustion', async () => {
  await rig.pool('a14-v100', { subnet: '10.14.0.0/16', ips: ['10.14.1.1'] })
  await rig.pool('a14-v200', { subnet: '10.114.0.0/16', ips: ['10.114.1.1-10.114.1.5'] })
  const items = [
    { interface: 'eth0', ipv4: ['a14-v100'] },
    { interface: 'net1', ipv4: ['a14-v200'] },
  ]
  const labels = { app: 'a14' }
  const annotations = { ...twoNics, [annotationKeys.ippools]: JSON.stringify(items) }
  const podSpec = { nodeName: 'node1', containers: [{ name: 'c', image: 'pause' }] }
  const template = { metadata: { labels, annotations }, spec: podSpec }
  await rig.create(resources.deployment, 'a14', {
    spec: { replicas: 2, selector: { matchLabels: labels }, template },
  })
  const pods = await eventually('both pods are there', async () => {
    const found = await rig.kit.pods('a14')
    return found.length === 2 ? found : undefined
  })
  const inFull = async (pod: Pod) => [await rig.add(pod), await rig.add(pod, { nic: 'net1' })]
  const [one, other] = pods
  assert.ok(one !== undefined && other !== undefined)
  assert.deepEqual(
    (await inFull(one)).map(({ exitCode }) => exitCode),
    [0, 0],
  )
  for (let tries = 0; tries < 5; tries++) {
    for (const { msg } of await inFull(other)) assert.match(msg, usedOut)
    assert.equal((await rig.owners('a14-v100')).size, 1)
    assert.equal((await rig.owners('a14-v200')).size, 1, 'nothing is taken for a NIC that comes to nothing')
  }
  await rig.countIs('a14-v100', 1)
})

void test('A15 same pool on two NICs', async () => {
  await rig.pool('a15', { subnet: '10.15.0.0/16', ips: ['10.15.1.1-10.15.1.9'] })
  const pod = await rig.pod('a15', { ippool: { ipv4: ['a15'] }, annotations: twoNics })
  const ips = [await rig.add(pod), await rig.add(pod, { nic: 'net1' })].flatMap((one) => one.ips)
  assert.deepEqual(ips, ['10.15.1.1/16', '10.15.1.2/16'])
  assert.deepEqual((await rig.add(pod)).ips, ['10.15.1.1/16'], 'a repeat gives each NIC its own')
})

void test('A22 pool edited in use', async () => {
  const ips = ['10.22.168.151-10.22.168.153']
  await rig.pool('a22', { subnet: '10.22.0.0/16', ips, gateway: '10.22.0.1' })
  const running = await rig.pod('a22-1', { ippool: { ipv4: ['a22'] } })
  const before = await rig.add(running)
  assert.deepEqual(before.gateways, ['10.22.0.1'], before.msg)
  const change = (spec: object) => rig.kit.change(resources.ipPool, 'a22', { spec })
  for (const shrunk of [{ ips: ['10.22.168.152-10.22.168.153'] }, { excludeIPs: ['10.22.168.151'] }]) {
    await assert.rejects(change(shrunk), (error) => {
      assert.ok(error instanceof ApiError)
      assert.match(error.message, /10\.22\.168\.151/)
      assert.match(error.message, /default\/a22-1/)
      return true
    })
  }
  await change({ gateway: '10.22.0.2' })
  const next = await eventually('a new pod gets the new gateway', async () => {
    const pod = await rig.pod(`a22-${Math.random().toString(36).slice(2)}`, { ippool: { ipv4: ['a22'] } })
    const added = await rig.add(pod)
    if (added.gateways[0] === '10.22.0.2') return added
    await rig.end(pod)
    return undefined
  })
  assert.deepEqual(next.routes, ['0.0.0.0/0 10.22.0.2'])
  const again = await rig.add(running)
  assert.deepEqual([again.ips, again.routes], [before.ips, before.routes], 'the running pod is unaffected')
  assert.equal(await rig.check(running, before), 0)
})

void test('A24 custom routes', async () => {
  await rig.pool('a24', { subnet: '10.24.0.0/16', ips: ['10.24.168.151'] })
  const routes = [
    { dst: '10.7.0.0/16', gw: '10.24.0.9' },
    { dst: '192.168.0.0/24', gw: '172.16.0.1' },
  ]
  const annotations = { [annotationKeys.routes]: JSON.stringify(routes) }
  const added = await rig.add(await rig.pod('a24', { ippool: { ipv4: ['a24'] }, annotations }))
  assert.deepEqual(added.ips, ['10.24.168.151/16'], added.msg)
  assert.deepEqual(added.routes, ['10.7.0.0/16 10.24.0.9'])
  assert.match(await rig.eventOf('a24', /RouteIgnored/), /192\.168\.0\.0\/24 via 172\.16\.0\.1/)
})

void test('pods get addresses of the node that they are on, as the document on AWS says', async () => {
  const file = join(import.meta.dirname, '../../fixtures/seeds/aws.yaml')
  const objects = parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as Manifest)
  for (const { kind, metadata, spec } of objects) {
    if (kind === 'SpiderMultusConfig') {
      await rig.create(resources.multusConfig, metadata.name, { spec }, metadata.namespace)
    }
    if (kind === 'SpiderIPPool') await rig.pool(metadata.name, spec as never)
  }
  const app = objects.find(({ metadata }) => metadata.name === 'nginx-lb')
  const annotations = app?.spec.template?.metadata?.annotations ?? {}
  assert.deepEqual(annotations, { 'v1.multus-cni.io/default-network': 'kube-system/ipvlan-ens5' })
  const onNode = async (node: string) => {
    const { ips, routes, msg } = await rig.add(await rig.pod(`aws-${node}`, { node, annotations }))
    return [...ips, ...routes, ...(msg === '' ? [] : [msg])]
  }
  assert.deepEqual(await onNode('master'), [
    ...['172.31.28.16/20', '2406:da1e:c4:ed01:c57d::/64'],
    ...['0.0.0.0/0 172.31.16.1', '::/0 2406:da1e:c4:ed01::1'],
  ])
  assert.deepEqual(await onNode('worker1'), [
    ...['172.31.32.176/24', '2406:da1e:c4:ed02:7a2e::/64'],
    ...['0.0.0.0/0 172.31.32.1', '::/0 2406:da1e:c4:ed02::1'],
  ])
  const [refusal = ''] = await onNode('node1')
  assert.match(refusal, /no IPPool available, .*master-v4: unmatched Node name/)
})

interface Manifest extends KubeObject {
  readonly spec: { readonly template?: { readonly metadata?: Partial<KubeObject['metadata']> } }
}
