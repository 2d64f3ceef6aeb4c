import assert from 'node:assert/strict'
import { test } from 'node:test'
import { annotationKeys, type Pod } from '../api/index.ts'
import { allocatorKit, failureOf, never, requestOf } from './allocator/testing/allocator-kit.ts'
import { isKnownWell, trimPod } from './known-pod.ts'

const ownerReference = (apiVersion: string, kind: string) => {
  return { ownerReferences: [{ apiVersion, kind, name: 'web', uid: 'o', controller: true }] }
}
function podOf(metadata: Partial<Pod['metadata']> = {}, node = 'node1'): Pod {
  return {
    metadata: { name: 'web-1', namespace: 'default', uid: 'u1', ...metadata },
    spec: { nodeName: node },
    status: { phase: 'Pending' },
  }
}
const asked = { uid: 'u1', node: 'node1' }

void test('isKnownWell() takes the very pod, alive, on the node, whose addresses are its own', () => {
  for (const owner of [{}, ownerReference('apps/v1', 'ReplicaSet'), ownerReference('batch/v1', 'Job')])
    assert.equal(isKnownWell(trimPod(podOf(owner)), asked), true, JSON.stringify(owner))
  const networks = (text: string) => ({ annotations: { [annotationKeys.multusNetworks]: text } })
  const others: readonly (readonly [string, Pod | undefined, typeof asked])[] = [
    ['unknown', undefined, asked],
    ['the runtime does not say its uid', podOf(), { uid: '', node: 'node1' }],
    ['another uid', podOf(), { uid: 'u2', node: 'node1' }],
    ['another node', podOf(), { uid: 'u1', node: 'node2' }],
    ['not bound yet', { metadata: podOf().metadata }, asked],
    ['running before', { ...podOf(), status: { phase: 'Running' } }, asked],
    ['terminating', podOf({ deletionTimestamp: '2026-01-01T00:00:00Z' }), asked],
    ['a replica that keeps its addresses', podOf(ownerReference('apps/v1', 'StatefulSet')), asked],
    ['a virtual machine', podOf(ownerReference('kubevirt.io/v1', 'VirtualMachineInstance')), asked],
    ['a third party', podOf(ownerReference('apps.kruise.io/v1', 'StatefulSet')), asked],
    ['a claim', podOf({ annotations: { [annotationKeys.ipClaim]: 'c' } }), asked],
    ['a claim of a network', podOf(networks('[{"name":"n","ipam-claim-reference":"c"}]')), asked],
    ['a claim, spelt otherwise', podOf(networks('[{"name":"n","ipam-claim\\u002dreference":"c"}]')), asked],
  ]
  for (const [what, pod, of] of others)
    assert.equal(isKnownWell(pod === undefined ? undefined : trimPod(pod), of), false, what)
})

void test('trimPod() keeps what an ADD reads, and holds what replicas share once', () => {
  const read = { [annotationKeys.ippool]: '{"ipv4":["p"]}', [annotationKeys.routes]: '[]' }
  const one = trimPod(podOf({ labels: { app: 'web' }, annotations: { ...read, note: 'long' } }))
  const two = trimPod(podOf({ uid: 'u2', labels: { app: 'web' }, annotations: { ...read, note: 'other' } }))
  assert.deepEqual(one.metadata.annotations, read)
  assert.deepEqual(one.metadata.labels, { app: 'web' })
  assert.equal(one.metadata.annotations, two.metadata.annotations)
  assert.equal(one.metadata.labels, two.metadata.labels)
  assert.equal(
    trimPod(podOf({ ...ownerReference('apps/v1', 'StatefulSet'), labels: { a: 'b' } })).metadata.labels,
    undefined,
  )
})

void test('an ADD rests on the cache where that is safe, and reads the pod where it is not', async () => {
  const { world, allocator } = await allocatorKit()
  world.addPool('p4', { subnet: '10.6.0.0/16', ips: ['10.6.0.1-10.6.0.9'], default: true })
  const add = (podUid: string) => allocator.allocate('node1', requestOf('web-1', { podUid }), never)
  world.cached.set('default/web-1', podOf())
  assert.equal((await add('u1')).ips[0]?.address, '10.6.0.1/16', 'nothing was there to read')
  assert.match((await failureOf(add('u2'))).msg, /does not exist/)
  world.cached.set('default/web-1', podOf(ownerReference('apps/v1', 'StatefulSet')))
  assert.match((await failureOf(add('u1'))).msg, /does not exist/)
})
