import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod } from './core.ts'
import type { OwnerReference } from './meta.ts'
import { isAlive } from './pod-state.ts'
import { climbOwner, directOwner, groupOf } from './top-owner.ts'

const pod = (status: Pod['status'], restartPolicy?: string, deletionTimestamp?: string): Pod => ({
  metadata: { name: 'p', ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
  spec: restartPolicy === undefined ? {} : { restartPolicy },
  ...(status === undefined ? {} : { status }),
})

const alive: readonly (readonly [string, Pod, boolean])[] = [
  ['terminating', pod({ phase: 'Running' }, 'Always', '2026-11-21T00:00:00Z'), false],
  ['Succeeded, Never', pod({ phase: 'Succeeded' }, 'Never'), false],
  ['Succeeded, OnFailure', pod({ phase: 'Succeeded' }, 'OnFailure'), false],
  ['Succeeded, Always', pod({ phase: 'Succeeded' }, 'Always'), true],
  ['Failed, Never', pod({ phase: 'Failed' }, 'Never'), false],
  ['Failed, OnFailure', pod({ phase: 'Failed' }, 'OnFailure'), true],
  ['Failed, Evicted', pod({ phase: 'Failed', reason: 'Evicted' }, 'Always'), false],
  ['Pending', pod({ phase: 'Pending' }), true],
  ['Unknown', pod({ phase: 'Unknown' }, 'Never'), true],
  ['without status', pod(undefined), true],
]
for (const [name, object, wanted] of alive) {
  void test(`a pod that is ${name} is ${wanted ? '' : 'not '}alive`, () =>
    assert.equal(isAlive(object), wanted))
}

const reference = (apiVersion: string, kind: string, name: string): OwnerReference => ({
  apiVersion,
  kind,
  name,
  uid: `${name}-uid`,
  controller: true,
})
const owned = (by: OwnerReference): Pod => ({
  metadata: { name: 'p', namespace: 'ns', ownerReferences: [by] },
})

void test('a pod without controller is its own top owner', () => {
  const lone: Pod = { metadata: { name: 'p', namespace: 'ns', uid: 'u' } }
  assert.deepEqual(directOwner(lone), {
    owner: { apiVersion: 'v1', kind: 'Pod', namespace: 'ns', name: 'p', uid: 'u' },
    mayClimb: false,
  })
})

void test('a ReplicaSet leads to its Deployment, and stands for itself without one', () => {
  const { owner, mayClimb } = directOwner(owned(reference('apps/v1', 'ReplicaSet', 'rs')))
  assert(mayClimb)
  const deployment = reference('apps/v1', 'Deployment', 'web')
  assert.equal(climbOwner(owner, { metadata: { name: 'rs', ownerReferences: [deployment] } }).name, 'web')
  assert.equal(climbOwner(owner, { metadata: { name: 'rs' } }).name, 'rs')
  const rollout = reference('argoproj.io/v1alpha1', 'Rollout', 'roll')
  assert.equal(climbOwner(owner, { metadata: { name: 'rs', ownerReferences: [rollout] } }).name, 'rs')
})

void test('a Job leads to its CronJob; StatefulSets and third parties are not climbed', () => {
  const { owner, mayClimb } = directOwner(owned(reference('batch/v1', 'Job', 'job')))
  assert(mayClimb)
  const cron = reference('batch/v1', 'CronJob', 'cron')
  assert.equal(climbOwner(owner, { metadata: { name: 'job', ownerReferences: [cron] } }).kind, 'CronJob')
  assert(!directOwner(owned(reference('apps/v1', 'StatefulSet', 's'))).mayClimb)
  assert(!directOwner(owned(reference('other.io/v1', 'ReplicaSet', 'r'))).mayClimb)
})

void test('groupOf() is empty for the core group', () => {
  assert.equal(groupOf('v1'), '')
  assert.equal(groupOf('apps/v1'), 'apps')
})
