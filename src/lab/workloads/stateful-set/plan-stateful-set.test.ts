import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { StatefulSet, WorkloadPod } from '../model/kinds.ts'
import { planStatefulSet, type StatefulStep, type StatefulView } from './plan-stateful-set.ts'

const early = '2026-01-01T00:00:00Z'
const label = 'controller-revision-hash'

type Spec = NonNullable<StatefulSet['spec']>

function setOf(spec: Partial<Spec>): StatefulSet {
  return { metadata: { name: 'db', namespace: 'default', uid: 's1' }, spec: { replicas: 3, ...spec } }
}

type State = 'ready' | 'starting' | 'going' | 'failed'

function pod(ordinal: number, state: State = 'ready', revision = 'new'): WorkloadPod {
  const ready = { type: 'Ready', status: 'True', lastTransitionTime: early }
  return {
    metadata: {
      name: `db-${ordinal}`,
      labels: { [label]: revision },
      ...(state === 'going' ? { deletionTimestamp: early } : {}),
    },
    status: {
      phase: state === 'failed' ? 'Failed' : state === 'starting' ? 'Pending' : 'Running',
      conditions: state === 'ready' ? [ready] : [],
    },
  }
}

function viewOf(set: StatefulSet, pods: readonly WorkloadPod[], currentRevision = 'old'): StatefulView {
  return {
    set,
    pods,
    currentRevision,
    updateRevision: 'new',
    revisionOf: ({ metadata }) => metadata.labels?.[label] ?? '',
    nowMs: Date.parse(early) + 60_000,
  }
}

const show = (step: StatefulStep): string =>
  step.kind === 'create' ? `+${step.ordinal} ${step.revision}` : `-${step.pod.metadata.name} ${step.why}`

interface Row {
  readonly title: string
  readonly spec?: Partial<Spec>
  readonly pods: readonly WorkloadPod[]
  readonly steps: readonly string[]
}

const parallel = { podManagementPolicy: 'Parallel' }
const partition = (number: number): Partial<Spec> => ({
  updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: number } },
})

const rows: readonly Row[] = [
  { title: 'pods are made one after the other', pods: [], steps: ['+0 new'] },
  { title: 'the next waits for the one before', pods: [pod(0, 'starting')], steps: [] },
  { title: 'the one before is ready', pods: [pod(0)], steps: ['+1 new'] },
  { title: 'Parallel makes all', spec: parallel, pods: [pod(1, 'starting')], steps: ['+0 new', '+2 new'] },
  { title: 'ordinals start at 5', spec: { ordinals: { start: 5 } }, pods: [pod(5)], steps: ['+6 new'] },
  { title: 'a pod that is going keeps its name until it is gone', pods: [pod(0, 'going')], steps: [] },
  {
    title: 'Parallel waits for that, too',
    spec: { ...parallel, replicas: 1 },
    pods: [pod(0, 'going')],
    steps: [],
  },
  { title: 'a finished pod makes room', pods: [pod(0, 'failed')], steps: ['-db-0 finished'] },
  {
    title: 'the highest goes first, one at a time',
    spec: { replicas: 1 },
    pods: [pod(0), pod(1), pod(2)],
    steps: ['-db-2 scale'],
  },
  {
    title: 'and the next after it is gone',
    spec: { replicas: 1 },
    pods: [pod(0), pod(1), pod(2, 'going')],
    steps: [],
  },
  {
    title: 'Parallel gives up all at once',
    spec: { ...parallel, replicas: 1 },
    pods: [pod(0), pod(1), pod(2)],
    steps: ['-db-2 scale', '-db-1 scale'],
  },
  {
    title: 'an update begins at the highest',
    pods: [pod(0, 'ready', 'old'), pod(1, 'ready', 'old'), pod(2, 'ready', 'old')],
    steps: ['-db-2 update'],
  },
  {
    title: 'an update waits for each pod',
    pods: [pod(0, 'ready', 'old'), pod(1, 'ready', 'old'), pod(2, 'starting')],
    steps: [],
  },
  {
    title: 'pods below the partition keep their revision',
    spec: partition(2),
    pods: [pod(0, 'ready', 'old'), pod(1, 'ready', 'old'), pod(2)],
    steps: [],
  },
  {
    title: 'and are made again by it',
    spec: partition(2),
    pods: [pod(0, 'ready', 'old')],
    steps: ['+1 old'],
  },
  {
    title: 'OnDelete updates nothing by itself',
    spec: { updateStrategy: { type: 'OnDelete' } },
    pods: [pod(0, 'ready', 'old'), pod(1), pod(2)],
    steps: [],
  },
]

for (const { title, spec = {}, pods, steps } of rows) {
  void test(`planStatefulSet(): ${title}`, () => {
    assert.deepEqual(planStatefulSet(viewOf(setOf(spec), pods)).map(show), steps)
  })
}

const moves = fc.infiniteStream(fc.constantFrom('ready', 'gone', 'wait', 'fail'))

void test('however pods behave, an ordinal never has two, order is kept, and the set arrives', () => {
  const law = fc.property(fc.nat(5), fc.nat(3), moves, (replicas, start, stream) => {
    const set = setOf({ replicas, ordinals: { start } })
    let pods: WorkloadPod[] = [pod(start, 'ready', 'old'), pod(start + 4, 'ready', 'old')]
    for (let round = 0; round < 300; round++) {
      for (const step of planStatefulSet(viewOf(set, pods))) {
        if (step.kind === 'create') {
          assert.ok(!pods.some(({ metadata }) => metadata.name === `db-${step.ordinal}`))
          const lower = pods.filter(({ metadata }) => Number(metadata.name.slice(3)) < step.ordinal)
          assert.equal(lower.length, step.ordinal - start, 'a pod is made after those below it')
          pods.push(pod(step.ordinal, 'starting', step.revision))
        } else
          pods = pods.map((one) => (one === step.pod ? { ...pod(0, 'going'), metadata: going(one) } : one))
      }
      const move = stream.next().value
      pods = pods.flatMap((one) => moved(one, round > 250 ? 'settle' : (move ?? 'wait')))
    }
    const left = pods.map(({ metadata }) => `${metadata.name} ${metadata.labels?.[label]}`).sort()
    assert.deepEqual(
      left,
      Array.from({ length: replicas }, (_, i) => `db-${start + i} new`),
    )
  })
  fc.assert(law, { numRuns: 60 })
})

function going({ metadata }: WorkloadPod): WorkloadPod['metadata'] {
  return { ...metadata, deletionTimestamp: early }
}

function moved(one: WorkloadPod, move: string): readonly WorkloadPod[] {
  const { metadata } = one
  const isGoing = metadata.deletionTimestamp !== undefined
  if (isGoing) return move === 'gone' || move === 'settle' ? [] : [one]
  if (one.status?.phase === 'Pending' && (move === 'ready' || move === 'settle'))
    return [{ ...pod(0), metadata }]
  if (one.status?.phase === 'Pending' && move === 'fail') return [{ ...pod(0, 'failed'), metadata }]
  return [one]
}
