import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { Toleration } from '../../../api/index.ts'
import type { LabNode, PodSpec, WorkloadPod } from '../model/kinds.ts'
import { chooseNode, type NodeLoad } from './choose-node.ts'
import { NodeCounts } from './node-counts.ts'
import { isSelected, isTolerated } from './node-fit.ts'
import { mustSchedule } from './scheduler.ts'

function node(name: string, more: Partial<LabNode> = {}): LabNode {
  return { metadata: { name, labels: { 'kubernetes.io/hostname': name, cores: '8' } }, ...more }
}

const pod = (spec: PodSpec = {}): WorkloadPod => ({ metadata: { name: 'p', uid: 'u' }, spec })
const load = (one: LabNode, podCount = 0, siblingCount = 0): NodeLoad => ({
  node: one,
  podCount,
  siblingCount,
})
const chosen = (spec: PodSpec, loads: readonly NodeLoad[]): string => {
  const choice = chooseNode(pod(spec), loads)
  return choice.kind === 'bind' ? choice.node : choice.message
}

void test('chooseNode() spreads by controller, then by number of pods, then by name', () => {
  assert.equal(chosen({}, [load(node('b')), load(node('a'))]), 'a')
  assert.equal(chosen({}, [load(node('a'), 2), load(node('b'), 1)]), 'b')
  assert.equal(chosen({}, [load(node('a'), 0, 1), load(node('b'), 50, 0)]), 'b')
})

void test('chooseNode() rather goes elsewhere than onto a PreferNoSchedule taint', () => {
  const avoided = node('a', { spec: { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] } })
  assert.equal(chosen({}, [load(avoided), load(node('b'), 90)]), 'b')
  assert.equal(chosen({}, [load(avoided)]), 'a')
})

void test('chooseNode() says of every node why it is not fit', () => {
  const nodes = [
    node('a', { spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] } }),
    node('b', { spec: { unschedulable: true } }),
    node('c'),
    node('d', { status: { allocatable: { pods: '2' } } }),
    node('e', { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } }),
  ]
  const message = chosen(
    { nodeSelector: { cores: '8' } },
    nodes.map((one) => load(one.metadata.name === 'c' ? { metadata: { name: 'c' } } : one, 2)),
  )
  assert.equal(
    message,
    "0/5 nodes are available: 1 Too many pods, 1 node(s) didn't match Pod's node affinity/selector, " +
      '1 node(s) had untolerated taint {gpu: yes}, 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, ' +
      '1 node(s) were unschedulable.',
  )
  assert.equal(chosen({}, []), '0/0 nodes are available: there is no node yet')
})

void test('isTolerated() follows key, operator, value and effect', () => {
  const taint = { key: 'k', value: 'v', effect: 'NoSchedule' }
  const rows: readonly [Toleration, boolean][] = [
    [{ key: 'k', value: 'v', effect: 'NoSchedule' }, true],
    [{ key: 'k', operator: 'Equal', value: 'v' }, true],
    [{ key: 'k', operator: 'Exists' }, true],
    [{ operator: 'Exists' }, true],
    [{ key: 'k', value: 'other' }, false],
    [{ key: 'k', value: 'v', effect: 'NoExecute' }, false],
    [{ key: 'other', operator: 'Exists' }, false],
    [{}, false],
  ]
  for (const [toleration, expected] of rows) {
    assert.equal(isTolerated(taint, [toleration]), expected, JSON.stringify(toleration))
  }
})

void test('isSelected() needs one term of which all conditions hold', () => {
  const wants = (...nodeSelectorTerms: object[]) =>
    isSelected(
      {
        affinity: {
          nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
        },
      },
      node('a'),
    )
  const has = { key: 'cores', operator: 'Exists' }
  assert.equal(wants({ matchExpressions: [has] }), true)
  assert.equal(wants({ matchExpressions: [has, { key: 'gpu', operator: 'Exists' }] }), false)
  assert.equal(
    wants({ matchExpressions: [{ key: 'gpu', operator: 'Exists' }] }, { matchExpressions: [has] }),
    true,
  )
  assert.equal(wants({ matchExpressions: [{ key: 'cores', operator: 'Gt', values: ['4'] }] }), true)
  assert.equal(wants({ matchExpressions: [{ key: 'cores', operator: 'Lt', values: ['4'] }] }), false)
  assert.equal(wants({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] }), true)
  assert.equal(wants({}), false, 'an empty term matches nothing')
  assert.equal(wants(), false, 'no term matches nothing')
})

void test('mustSchedule() leaves alone what has a node, is going, has ended, waits at a gate or is another scheduler’s', () => {
  assert.equal(mustSchedule(pod()), true)
  assert.equal(mustSchedule(pod({ nodeName: 'a' })), false)
  assert.equal(mustSchedule(pod({ schedulerName: 'mine' })), false)
  assert.equal(mustSchedule(pod({ schedulingGates: [{ name: 'g' }] })), false)
  assert.equal(mustSchedule({ ...pod(), status: { phase: 'Failed' } }), false)
  const going = { ...pod().metadata, deletionTimestamp: '2026-01-01T00:00:00Z' }
  assert.equal(mustSchedule({ ...pod(), metadata: going }), false)
})

void test('NodeCounts ends where it began, whatever order changes come in', () => {
  const one = (uid: string, nodeName?: string): WorkloadPod => ({
    metadata: { name: uid, uid },
    spec: nodeName === undefined ? {} : { nodeName },
  })
  const change = fc.tuple(
    fc.constantFrom('p', 'q'),
    fc.constantFrom('assume a', 'assume b', 'see a', 'see none', 'gone', 'forget'),
  )
  const law = fc.property(fc.array(change), (changes) => {
    const counts = new NodeCounts()
    for (const [uid, what] of changes) {
      if (what.startsWith('assume')) counts.assume(one(uid), what.slice(-1))
      else if (what === 'see a') counts.see(undefined, one(uid, 'a'))
      else if (what === 'see none') counts.see(undefined, one(uid))
      else if (what === 'gone') counts.see(one(uid), undefined)
      else counts.forget(uid)
    }
    assert.ok(counts.podCount('a') + counts.podCount('b') <= 2)
    assert.ok(counts.podCount('a') >= 0 && counts.podCount('b') >= 0)
    for (const uid of ['p', 'q']) counts.see(one(uid), undefined)
    const left = [counts.podCount('a'), counts.podCount('b'), counts.siblingCount(one('p'), 'a')]
    assert.deepEqual(left, [0, 0, 0])
  })
  fc.assert(law)
})
