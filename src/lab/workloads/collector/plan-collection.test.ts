import assert from 'node:assert/strict'
import test from 'node:test'
import type { KubeObject } from '../../../api/index.ts'
import { OwnerGraph } from './owner-graph.ts'
import { blockersOf, type OwnerState, planCollection } from './plan-collection.ts'

const reference = (uid: string, blockOwnerDeletion = false) => {
  return { apiVersion: 'v1', kind: 'ConfigMap', name: uid, uid, blockOwnerDeletion }
}

function objectOf(
  uid: string,
  owners: readonly string[],
  more: Partial<KubeObject['metadata']> = {},
): KubeObject {
  return { metadata: { name: uid, uid, ownerReferences: owners.map((owner) => reference(owner)), ...more } }
}

interface Row {
  readonly title: string
  readonly states: readonly OwnerState[]
  readonly finalizers?: readonly string[]
  readonly hasDependents?: boolean
  readonly step: string
}

const rows: readonly Row[] = [
  { title: 'all owners are there', states: ['there', 'there'], step: 'keep' },
  { title: 'the only owner is gone', states: ['absent'], step: 'delete Background' },
  { title: 'one of two owners is gone', states: ['absent', 'there'], step: 'unlink to o1' },
  { title: 'one of two owners is going', states: ['there', 'going'], step: 'unlink to o0' },
  { title: 'nobody can tell about the owner', states: ['unknown'], step: 'keep' },
  {
    title: 'one is gone, and nobody can tell about the other',
    states: ['absent', 'unknown'],
    step: 'unlink to o1',
  },
  { title: 'the owner waits, and it has no dependents', states: ['going'], step: 'delete Background' },
  {
    title: 'the owner waits, and it has dependents',
    states: ['going'],
    hasDependents: true,
    step: 'delete Foreground',
  },
  {
    title: 'it asks for orphaning itself',
    states: ['absent'],
    finalizers: ['orphan'],
    step: 'delete Orphan',
  },
  {
    title: 'it asks for foreground deletion itself',
    states: ['absent'],
    finalizers: ['foregroundDeletion'],
    step: 'delete Foreground',
  },
  { title: 'it has no owners', states: [], step: 'keep' },
]

for (const { title, states, finalizers = [], hasDependents = false, step } of rows) {
  void test(`planCollection(): ${title}`, () => {
    const object = objectOf(
      'x',
      states.map((_, i) => `o${i}`),
      { finalizers },
    )
    const plan = planCollection(object, ({ uid }) => states[Number(uid.slice(1))] ?? 'unknown', hasDependents)
    const shown =
      plan.kind === 'delete'
        ? `delete ${plan.propagation}`
        : plan.kind === 'unlink'
          ? `unlink to ${plan.keep.map(({ uid }) => uid).join()}`
          : 'keep'
    assert.equal(shown, step)
  })
}

void test('planCollection() leaves alone what is being deleted already', () => {
  const going = objectOf('x', ['o0'], { deletionTimestamp: '2026-01-01T00:00:00Z' })
  assert.equal(planCollection(going, () => 'absent', false).kind, 'keep')
})

void test('blockersOf() are the dependents that say so of this owner', () => {
  const blocking = { metadata: { name: 'a', uid: 'a', ownerReferences: [reference('x', true)] } }
  const other = { metadata: { name: 'b', uid: 'b', ownerReferences: [reference('y', true), reference('x')] } }
  assert.deepEqual(blockersOf(objectOf('x', []), [blocking, other]), [blocking])
})

void test('OwnerGraph finds dependents by uid before the owner is seen, and forgets changed references', () => {
  const graph = new OwnerGraph()
  const resource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true }
  const uids = (owner: string) => graph.dependentsOf(owner).map(({ object }) => object.metadata.uid)
  graph.put(resource, objectOf('pod', ['rs']))
  assert.deepEqual(uids('rs'), ['pod'])
  graph.put(resource, objectOf('pod', ['other']))
  assert.deepEqual([uids('rs'), uids('other')], [[], ['pod']])
  graph.remove('pod')
  assert.deepEqual([uids('other'), graph.find('pod')], [[], undefined])
})
