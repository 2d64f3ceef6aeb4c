import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { ReplicaSet, WorkloadPod } from '../model/kinds.ts'
import { isActive } from '../model/pod-facts.ts'
import { planReplicaSet, removalOrder } from './plan-replica-set.ts'

const nowMs = Date.parse('2026-01-01T01:00:00Z')
const early = '2026-01-01T00:00:00Z'
const never = () => false

function setOf(replicas: number, more: Partial<ReplicaSet['metadata']> = {}): ReplicaSet {
  return {
    metadata: { name: 'web-abc', namespace: 'default', uid: 'u1', generation: 3, ...more },
    spec: { replicas, template: { metadata: { labels: { app: 'web' } } } },
  }
}

interface Shape {
  readonly name?: string
  readonly node?: string
  readonly phase?: string
  readonly readyAt?: string
  readonly isGoing?: boolean
  readonly cost?: string
}

function pod({ name = 'p', node, phase = 'Running', readyAt, isGoing, cost }: Shape): WorkloadPod {
  const ready = { type: 'Ready', status: 'True', lastTransitionTime: readyAt ?? '' }
  return {
    metadata: {
      name,
      uid: `uid of ${name}`,
      labels: { app: 'web' },
      creationTimestamp: early,
      ...(isGoing === true ? { deletionTimestamp: early } : {}),
      ...(cost === undefined ? {} : { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } }),
    },
    spec: node === undefined ? {} : { nodeName: node },
    status: { phase, conditions: readyAt === undefined ? [] : [ready] },
  }
}

const shapes = fc.record({
  node: fc.constantFrom('a', 'b', undefined),
  phase: fc.constantFrom('Pending', 'Running', 'Failed', 'Succeeded'),
  readyAt: fc.constantFrom(early, undefined),
  isGoing: fc.boolean(),
})
const pods = fc.array(shapes, { maxLength: 20 }).map((list) =>
  list.map(({ node, readyAt, ...shape }, i) =>
    pod({
      ...shape,
      name: `p${i}`,
      ...(node === undefined ? {} : { node }),
      ...(readyAt === undefined ? {} : { readyAt }),
    }),
  ),
)

void test('planReplicaSet() brings the active pods to the wanted number in one step, and never does both', () => {
  const law = fc.property(pods, fc.nat(20), (there, replicas) => {
    const plan = planReplicaSet(setOf(replicas), there, never, nowMs)
    const active = there.filter(isActive).length
    assert.equal(active + plan.create.length - plan.remove.length, replicas)
    assert.ok(plan.create.length === 0 || plan.remove.length === 0)
    assert.ok(plan.remove.every(isActive))
    const used = new Set(there.map(({ metadata }) => metadata.name))
    assert.ok(plan.create.every((name) => !used.has(name)))
  })
  fc.assert(law)
})

void test('planReplicaSet() leaves the pods of a set that is being deleted alone', () => {
  const plan = planReplicaSet(setOf(5, { deletionTimestamp: early }), [pod({})], never, nowMs)
  assert.deepEqual([plan.create, plan.remove], [[], []])
})

void test('planReplicaSet() counts a ready pod as available after minReadySeconds, and says when to look again', () => {
  const set = { ...setOf(1), spec: { replicas: 1, minReadySeconds: 30 } }
  const since = new Date(nowMs - 10_000).toISOString()
  const plan = planReplicaSet(set, [pod({ node: 'a', readyAt: since })], never, nowMs)
  assert.deepEqual([plan.status.readyReplicas, plan.status.availableReplicas, plan.recheckMs], [1, 0, 20_000])
  const later = planReplicaSet(set, [pod({ node: 'a', readyAt: since })], never, nowMs + 20_000)
  assert.deepEqual([later.status.availableReplicas, later.recheckMs], [1, undefined])
})

void test('removalOrder() gives up pods as Kubernetes does', () => {
  const ordered = [
    pod({ name: 'no node', phase: 'Pending' }),
    pod({ name: 'pending', node: 'a', phase: 'Pending' }),
    pod({ name: 'not ready', node: 'a' }),
    pod({ name: 'cheap', node: 'b', readyAt: early, cost: '-5' }),
    pod({ name: 'crowded', node: 'a', readyAt: early }),
    pod({ name: 'young', node: 'b', readyAt: '2026-01-01T00:30:00Z' }),
    pod({ name: 'old', node: 'b', readyAt: early }),
  ]
  const shuffled = [3, 6, 0, 5, 2, 4, 1].map((i) => ordered[i]).filter((one) => one !== undefined)
  const named = removalOrder(shuffled).map(({ metadata }) => metadata.name)
  const expected = ordered.map(({ metadata }) => metadata.name)
  // Two pods are on b beside the cheap one: the crowd on each node is three.
  assert.deepEqual(named.slice(0, 4), expected.slice(0, 4))
  assert.deepEqual(
    named.filter((name) => ['young', 'old'].includes(name)),
    ['young', 'old'],
  )
})
