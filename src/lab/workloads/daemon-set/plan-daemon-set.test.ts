import assert from 'node:assert/strict'
import test from 'node:test'
import type { DaemonSet, LabNode, PodSpec, WorkloadPod } from '../model/kinds.ts'
import { type DaemonPlan, nodeOf, planDaemonSet } from './plan-daemon-set.ts'
import { specOn } from './reconcile-daemon-set.ts'

const early = '2026-01-01T00:00:00Z'
const label = 'controller-revision-hash'

function node(name: string, spec: LabNode['spec'] = {}): LabNode {
  return { metadata: { name, labels: { 'kubernetes.io/hostname': name } }, spec: spec ?? {} }
}

const nodes = [node('master'), node('node1'), node('node2')]

interface Shape {
  readonly hash?: string
  readonly isReady?: boolean
  readonly isGoing?: boolean
  readonly isBound?: boolean
  readonly name?: string
}

function pod(on: string, shape: Shape = {}): WorkloadPod {
  const { hash = 'new', isReady = true, isGoing = false, isBound = true, name = `ds-${on}` } = shape
  const ready = { type: 'Ready', status: 'True', lastTransitionTime: early }
  return {
    metadata: { name, labels: { [label]: hash }, ...(isGoing ? { deletionTimestamp: early } : {}) },
    spec: isBound ? { nodeName: on } : specOn(on, {}),
    status: { phase: 'Running', conditions: isReady ? [ready] : [] },
  }
}

function plan(
  pods: readonly WorkloadPod[],
  more: {
    readonly nodes?: readonly LabNode[]
    readonly spec?: PodSpec
    readonly set?: DaemonSet['spec']
  } = {},
): DaemonPlan {
  const template = { spec: more.spec ?? {} }
  return planDaemonSet({
    set: { metadata: { name: 'ds', uid: 'u' }, spec: { ...more.set, template } },
    pods,
    nodes: more.nodes ?? nodes,
    hash: 'new',
    hashOf: ({ metadata }) => metadata.labels?.[label] ?? '',
    isTaken: () => false,
    nowMs: Date.parse(early) + 1000,
  })
}

const created = ({ create }: DaemonPlan) => create.map((one) => one.node)
const removed = ({ remove }: DaemonPlan) => remove.map(({ metadata }) => metadata.name)

void test('planDaemonSet() wants one pod on each node, and finds those that are not bound yet', () => {
  assert.deepEqual(created(plan([])), ['master', 'node1', 'node2'])
  const some = [pod('master'), pod('node2', { isBound: false })]
  assert.deepEqual(created(plan(some)), ['node1'])
  assert.equal(nodeOf(pod('node2', { isBound: false })), 'node2')
})

void test('planDaemonSet() keeps to nodeSelector and taints, and tolerates what DaemonSets tolerate', () => {
  const selected = plan([], { spec: { nodeSelector: { 'kubernetes.io/hostname': 'node1' } } })
  assert.deepEqual(created(selected), ['node1'])
  const tainted = [
    node('a', { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] }),
    node('b', {
      unschedulable: true,
      taints: [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }],
    }),
    node('c', { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' }] }),
  ]
  assert.deepEqual(created(plan([], { nodes: tainted })), ['b', 'c'])
})

void test('planDaemonSet() leaves a pod where a later NoSchedule taint came, and takes it away for NoExecute', () => {
  const taint = (effect: string) => [node('a', { taints: [{ key: 'k', effect }] })]
  assert.deepEqual(removed(plan([pod('a')], { nodes: taint('NoSchedule') })), [])
  assert.deepEqual(removed(plan([pod('a')], { nodes: taint('NoExecute') })), ['ds-a'])
})

void test('planDaemonSet() waits for a pod that is going, and removes doubles and pods of lost nodes', () => {
  assert.deepEqual(created(plan([pod('master', { isGoing: true }), pod('node1'), pod('node2')])), [])
  const doubled = [
    pod('master'),
    pod('master', { name: 'second', isReady: false }),
    pod('node1'),
    pod('node2'),
  ]
  assert.deepEqual(removed(plan(doubled)), ['second'])
  assert.deepEqual(removed(plan([...['master', 'node1', 'node2', 'lost'].map((on) => pod(on))])), ['ds-lost'])
})

void test('planDaemonSet() replaces old templates one at a time, those that are not ready at once', () => {
  const old = ['master', 'node1', 'node2'].map((on) => pod(on, { hash: 'old' }))
  assert.deepEqual(removed(plan(old)), ['ds-master'])
  const busy = [pod('master', { isReady: false }), ...old.slice(1)]
  assert.deepEqual(removed(plan(busy)), [])
  const broken = [pod('master'), pod('node1', { hash: 'old', isReady: false }), pod('node2', { hash: 'old' })]
  assert.deepEqual(removed(plan(broken)), ['ds-node1'])
  const two = { updateStrategy: { rollingUpdate: { maxUnavailable: '60%' } } }
  assert.deepEqual(removed(plan(old, { set: two })), ['ds-master', 'ds-node1'])
  assert.deepEqual(removed(plan(old, { set: { updateStrategy: { type: 'OnDelete' } } })), [])
})

void test('planDaemonSet() counts what kubectl rollout status reads', () => {
  const { status } = plan([pod('master'), pod('node1', { hash: 'old' }), pod('node2', { isReady: false })])
  assert.deepEqual(
    [status.desiredNumberScheduled, status.currentNumberScheduled, status.updatedNumberScheduled],
    [3, 3, 2],
  )
  assert.deepEqual([status.numberReady, status.numberAvailable, status.numberUnavailable], [2, 2, 1])
})

void test('specOn() adds its node to each term that the template has', () => {
  const terms = [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }]
  const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } }
  const spec = specOn('n1', { affinity: { nodeAffinity: required } })
  const result =
    spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms
  const matchFields = [{ key: 'metadata.name', operator: 'In', values: ['n1'] }]
  assert.deepEqual(result, [{ ...terms[0], matchFields }])
})
