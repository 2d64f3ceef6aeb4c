import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { Deployment, PodTemplate, ReplicaSet } from '../model/kinds.ts'
import { planDeploymentStatus } from './deployment-status.ts'
import { type DeploymentStep, isOfTemplate, planDeployment, revisionKey } from './plan-deployment.ts'
import { limitsOf, sizeOf } from './rollout-limits.ts'

const template = (image: string): PodTemplate => ({
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'web', image }] },
})

type Spec = NonNullable<Deployment['spec']>

function deployment(image: string, spec: Partial<Spec> = {}): Deployment {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'd1', generation: 1 },
    spec: { replicas: 3, template: template(image), ...spec },
  }
}

function replicaSet(image: string, size: number, available: number, revision = 1): ReplicaSet {
  return {
    metadata: {
      name: `web-${image}`,
      uid: `uid of ${image}`,
      creationTimestamp: `2026-01-01T00:00:0${revision}Z`,
      annotations: { [revisionKey]: String(revision) },
    },
    spec: { replicas: size, template: template(image) },
    status: { replicas: size, readyReplicas: available, availableReplicas: available },
  }
}

const show = (step: DeploymentStep): string => {
  switch (step.kind) {
    case 'create':
      return `create ${step.replicas} as ${step.revision}`
    case 'scale':
      return `${step.set.metadata.name} to ${step.replicas}`
    case 'number':
      return `${step.set.metadata.name} is ${step.revision}`
    default:
      return `forget ${step.set.metadata.name}`
  }
}

const strategy = (maxSurge: number | string, maxUnavailable: number | string): Partial<Spec> => ({
  strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
})
const recreate: Partial<Spec> = { strategy: { type: 'Recreate' } }

interface Row {
  readonly title: string
  readonly spec?: Partial<Spec>
  readonly sets: readonly ReplicaSet[]
  readonly hasOldPods?: boolean
  readonly steps: readonly string[]
}

const rows: readonly Row[] = [
  { title: 'nothing is there', sets: [], steps: ['create 3 as 1'] },
  { title: 'all is well', sets: [replicaSet('b', 3, 3)], steps: [] },
  { title: 'it was scaled up', spec: { replicas: 5 }, sets: [replicaSet('b', 3, 3)], steps: ['web-b to 5'] },
  {
    title: 'it was scaled down',
    spec: { replicas: 1 },
    sets: [replicaSet('b', 3, 3)],
    steps: ['web-b to 1'],
  },
  {
    title: 'a new template comes, by default one pod more',
    sets: [replicaSet('a', 3, 3)],
    steps: ['create 1 as 2'],
  },
  {
    title: 'the new pod is not available yet',
    sets: [replicaSet('a', 3, 3), replicaSet('b', 1, 0, 2)],
    steps: [],
  },
  {
    title: 'the new pod is available, one old pod goes',
    sets: [replicaSet('a', 3, 3), replicaSet('b', 1, 1, 2)],
    steps: ['web-a to 2'],
  },
  {
    title: 'without surge an old pod goes first',
    spec: strategy(0, 1),
    sets: [replicaSet('a', 3, 3), replicaSet('b', 0, 0, 2)],
    steps: ['web-a to 2'],
  },
  {
    title: 'broken pods of an old template go at once',
    sets: [replicaSet('a', 2, 1), replicaSet('0', 1, 0), replicaSet('b', 1, 1, 2)],
    spec: strategy(1, 1),
    steps: ['web-0 to 0', 'web-a to 1'],
  },
  {
    title: 'an old template comes back and gets the highest number',
    sets: [replicaSet('b', 0, 0, 1), replicaSet('a', 3, 3, 2)],
    steps: ['web-b is 3', 'web-b to 1'],
  },
  {
    title: 'Recreate ends the old pods first',
    spec: recreate,
    sets: [replicaSet('a', 3, 3)],
    hasOldPods: true,
    steps: ['web-a to 0'],
  },
  {
    title: 'Recreate waits until they are gone',
    spec: recreate,
    sets: [replicaSet('a', 0, 0)],
    hasOldPods: true,
    steps: [],
  },
  {
    title: 'Recreate then starts the new',
    spec: recreate,
    sets: [replicaSet('a', 0, 0)],
    steps: ['create 3 as 2'],
  },
  { title: 'it is paused', spec: { paused: true }, sets: [replicaSet('a', 3, 3)], steps: [] },
  {
    title: 'it is paused and scaled',
    spec: { paused: true, replicas: 4 },
    sets: [replicaSet('a', 3, 3)],
    steps: ['web-a to 4'],
  },
  {
    title: 'the history is longer than its limit',
    spec: { revisionHistoryLimit: 1 },
    sets: [replicaSet('0', 0, 0, 1), replicaSet('a', 0, 0, 2), replicaSet('b', 3, 3, 3)],
    steps: ['forget web-0'],
  },
]

for (const { title, spec, sets, hasOldPods = false, steps } of rows) {
  void test(`planDeployment(): ${title}`, () => {
    const plan = planDeployment({ deployment: deployment('b', spec), sets, hasOldPods })
    assert.deepEqual(plan.steps.map(show), steps)
  })
}

void test('limitsOf() rounds surge up and unavailability down, and always allows one step', () => {
  const limits = (replicas: number, surge: number | string, unavailable: number | string) => {
    const { surge: most, maxUnavailable } = limitsOf(
      deployment('a', { replicas, ...strategy(surge, unavailable) }),
    )
    return [most, maxUnavailable]
  }
  assert.deepEqual(limits(10, '25%', '25%'), [3, 2])
  assert.deepEqual(limits(1, '25%', '25%'), [1, 0])
  assert.deepEqual(limits(4, 0, 0), [0, 1])
  assert.deepEqual(limits(4, '50%', 9), [2, 4])
})

void test('isOfTemplate() looks past the hash label and the null that some clients send', () => {
  const set = replicaSet('a', 1, 1)
  const labels = { app: 'web', 'pod-template-hash': 'xyz' }
  const hashed = { ...set, spec: { ...set.spec, template: { ...template('a'), metadata: { labels } } } }
  const given = JSON.parse('{"metadata":{"creationTimestamp":null,"labels":{"app":"web"}}}') as PodTemplate
  assert.ok(isOfTemplate(hashed, { ...template('a'), ...given }))
  assert.ok(!isOfTemplate(hashed, template('b')))
})

/** Applies the steps to the sets, as the API server and the ReplicaSet controller would. */
function applySteps(
  sets: readonly ReplicaSet[],
  steps: readonly DeploymentStep[],
  image: string,
): ReplicaSet[] {
  let next = [...sets]
  for (const step of steps) {
    if (step.kind === 'create') next.push(replicaSet(image, step.replicas, 0, step.revision))
    else if (step.kind === 'forget') next = next.filter((set) => set !== step.set)
    else if (step.kind === 'scale')
      next = next.map((set) => (set === step.set ? resized(set, step.replicas) : set))
  }
  return next
}

function resized(set: ReplicaSet, size: number): ReplicaSet {
  const available = Math.min(set.status?.availableReplicas ?? 0, size)
  const status = { replicas: size, readyReplicas: available, availableReplicas: available }
  return { ...set, spec: { ...set.spec, replicas: size }, status }
}

function withAvailable(set: ReplicaSet, available: number): ReplicaSet {
  const size = sizeOf(set)
  const status = { replicas: size, readyReplicas: available, availableReplicas: available }
  return { ...set, status }
}

const amount = fc.oneof(fc.nat(4), fc.constantFrom('25%', '50%', '100%'))

void test('a rolling update keeps to its limits at every step, and ends with the new template alone', () => {
  const law = fc.property(
    fc.integer({ min: 1, max: 12 }),
    amount,
    amount,
    fc.infiniteStream(fc.boolean()),
    (replicas, surge, unavailable, becomesReady) => {
      const target = deployment('b', { replicas, ...strategy(surge, unavailable) })
      const limits = limitsOf(target)
      let sets: ReplicaSet[] = [replicaSet('a', replicas, replicas)]
      for (let round = 0; round < 400; round++) {
        const { steps } = planDeployment({ deployment: target, sets, hasOldPods: false })
        sets = applySteps(sets, steps, 'b')
        const total = sets.reduce((sum, set) => sum + sizeOf(set), 0)
        assert.ok(total <= limits.replicas + limits.surge, `${total} pods`)
        const available = sets.reduce((sum, set) => sum + (set.status?.availableReplicas ?? 0), 0)
        assert.ok(available >= limits.minAvailable, `${available} available of ${limits.minAvailable}`)
        sets = sets.map((set) => {
          const now = set.status?.availableReplicas ?? 0
          return now < sizeOf(set) && becomesReady.next().value === true ? withAvailable(set, now + 1) : set
        })
      }
      const left = sets.filter((set) => sizeOf(set) > 0).map((set) => [set.metadata.name, sizeOf(set)])
      assert.deepEqual(left, [['web-b', replicas]])
    },
  )
  fc.assert(law, { numRuns: 60 })
})

void test('the status of a complete rollout is what kubectl rollout status waits for', () => {
  const target = deployment('b')
  const current = replicaSet('b', 3, 3)
  const seen = { deployment: target, sets: [current], current, limits: limitsOf(target), nowMs: 0 }
  const { status, recheckMs } = planDeploymentStatus(seen)
  const conditions = status.conditions?.map(({ type, status: is, reason }) => `${type}=${is} ${reason}`)
  assert.deepEqual(conditions, [
    'Available=True MinimumReplicasAvailable',
    'Progressing=True NewReplicaSetAvailable',
  ])
  assert.deepEqual(
    [status.observedGeneration, status.replicas, status.updatedReplicas, status.availableReplicas],
    [1, 3, 3, 3],
  )
  assert.equal(recheckMs, undefined)
})

void test('a rollout that does not move for its deadline says so', () => {
  const start = Date.parse('2026-01-01T00:00:00Z')
  const current = replicaSet('b', 3, 0)
  const first = deployment('b', { progressDeadlineSeconds: 60 })
  const base = { sets: [current], current, limits: limitsOf(first) }
  const started = planDeploymentStatus({ ...base, deployment: first, nowMs: start })
  assert.equal(started.recheckMs, 60_000)
  const waiting = { ...first, status: started.status }
  const half = planDeploymentStatus({ ...base, deployment: waiting, nowMs: start + 30_000 })
  assert.equal(half.recheckMs, 30_000)
  const late = planDeploymentStatus({
    ...base,
    deployment: { ...first, status: half.status },
    nowMs: start + 60_000,
  })
  const progressing = late.status.conditions?.find(({ type }) => type === 'Progressing')
  assert.deepEqual([progressing?.status, progressing?.reason], ['False', 'ProgressDeadlineExceeded'])
  const still = { ...first, status: late.status }
  const later = planDeploymentStatus({ ...base, deployment: still, nowMs: start + 61_000 })
  assert.equal(later.status.conditions?.find(({ type }) => type === 'Progressing')?.status, 'False')
})
