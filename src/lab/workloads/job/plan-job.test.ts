import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { Job, WorkloadPod } from '../model/kinds.ts'
import { formatIndexes, parseIndexes } from './indexes.ts'
import { indexKey, planJob, trackingFinalizer } from './plan-job.ts'

const startMs = Date.parse('2026-01-01T00:00:00Z')
const never = () => false

type Spec = NonNullable<Job['spec']>

function jobOf(spec: Partial<Spec>, status?: Job['status']): Job {
  const base = {
    metadata: { name: 'job', namespace: 'default', uid: 'j1' },
    spec: { parallelism: 1, ...spec },
  }
  return status === undefined ? base : { ...base, status }
}

function pod(name: string, phase: string, index?: number): WorkloadPod {
  return {
    metadata: {
      name,
      uid: `uid of ${name}`,
      creationTimestamp: new Date(startMs).toISOString(),
      finalizers: [trackingFinalizer],
      ...(index === undefined ? {} : { annotations: { [indexKey]: String(index) } }),
    },
    status: { phase },
  }
}

const plan = (job: Job, pods: readonly WorkloadPod[], nowMs = startMs) =>
  planJob({ job, pods, isTaken: never, nowMs })

void test('planJob() runs as many pods as parallelism and what is left to complete allow', () => {
  assert.equal(plan(jobOf({ parallelism: 3, completions: 5 }), []).create.length, 3)
  assert.equal(plan(jobOf({ parallelism: 3, completions: 2 }), []).create.length, 2)
  const almost = jobOf({ parallelism: 3, completions: 5 }, { succeeded: 4 })
  assert.equal(plan(almost, []).create.length, 1)
  assert.equal(plan(jobOf({ parallelism: 3, suspend: true }), []).create.length, 0)
  assert.equal(
    plan(jobOf({ parallelism: 1, completions: 5 }), [pod('a', 'Running'), pod('b', 'Running')]).remove.length,
    1,
  )
})

void test('planJob() replaces a failed pod after its back-off, and gives up past the limit', () => {
  const failed = pod('a', 'Failed')
  const counted = jobOf({ completions: 1, backoffLimit: 1 }, { failed: 0 })
  const early = plan(counted, [failed], startMs + 1000)
  assert.deepEqual([early.create.length, early.recheckMs], [0, 9000])
  assert.equal(plan(counted, [failed], startMs + 10_000).create.length, 1)
  const over = jobOf({ completions: 1, backoffLimit: 1 }, { failed: 2 })
  const types = plan(over, []).status.conditions?.map(({ type, reason }) => `${type} ${reason}`)
  assert.deepEqual(types, ['FailureTarget BackoffLimitExceeded', 'Failed BackoffLimitExceeded'])
})

void test('planJob() ends a job that is active longer than its deadline, after its pods are gone', () => {
  const job = jobOf({ completions: 1, activeDeadlineSeconds: 60 }, { startTime: '2026-01-01T00:00:00Z' })
  const late = plan(job, [pod('a', 'Running')], startMs + 60_000)
  assert.deepEqual([late.remove.length, late.status.conditions], [1, []])
  const done = plan(job, [], startMs + 61_000)
  assert.equal(done.status.conditions?.at(-1)?.reason, 'DeadlineExceeded')
})

void test('planJob() keeps one pod for each index that is not complete', () => {
  const job = jobOf({ completionMode: 'Indexed', completions: 4, parallelism: 4 }, { completedIndexes: '0' })
  const created = plan(job, [pod('b', 'Running', 2)]).create
  assert.deepEqual(
    created.map(({ index }) => index),
    [1, 3],
  )
  assert.match(created[0]?.name ?? '', /^job-1-\w{5}$/)
})

void test('planJob() lets an ended job be deleted after its time', () => {
  const complete = { type: 'Complete', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }
  const job = jobOf({ completions: 1, ttlSecondsAfterFinished: 30 }, { conditions: [complete] })
  assert.deepEqual([plan(job, []).isExpired, plan(job, []).recheckMs], [false, 30_000])
  assert.equal(plan(job, [], startMs + 30_000).isExpired, true)
})

void test('each pod is counted once, though the process may die between any two writes', () => {
  const choices = fc.infiniteStream(fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()))
  const law = fc.property(
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 1, max: 3 }),
    choices,
    (completions, parallelism, stream) => {
      let job = jobOf({ completions, parallelism, backoffLimit: 100 })
      let pods: WorkloadPod[] = []
      let nowMs = startMs
      let succeeded = 0
      for (let round = 0; round < 400; round++) {
        nowMs += 400_000
        const [diesFirst = false, diesSecond = false, isDeleted = false] = stream.next().value ?? []
        const now = planJob({ job, pods, isTaken: never, nowMs })
        pods.push(...now.create.map(({ name }) => pod(`${name} ${round}`, 'Pending')))
        if (diesFirst) continue
        job = { ...job, status: now.status }
        if (diesSecond) continue
        // An ended pod that lost its finalizer may be deleted by anybody at any time.
        pods = pods.flatMap((one) =>
          now.untrack.includes(one) ? (isDeleted ? [] : [untracked(one)]) : [one],
        )
        pods = pods.map((one) => {
          if (one.status?.phase !== 'Pending') return one
          if (!isDeleted) succeeded++
          return { ...one, status: { phase: isDeleted ? 'Failed' : 'Succeeded' } }
        })
      }
      assert.equal(job.status?.succeeded, succeeded)
      assert.equal(succeeded, completions)
      assert.equal(job.status?.conditions?.at(-1)?.type, 'Complete')
    },
  )
  fc.assert(law, { numRuns: 50 })
})

function untracked(one: WorkloadPod): WorkloadPod {
  return { ...one, metadata: { ...one.metadata, finalizers: [] } }
}

void test('parseIndexes() reads what formatIndexes() writes', () => {
  assert.equal(formatIndexes(new Set([5, 0, 1, 2, 7, 8])), '0-2,5,7-8')
  const law = fc.property(fc.uniqueArray(fc.nat(200)), (numbers) => {
    assert.deepEqual(
      parseIndexes(formatIndexes(new Set(numbers))),
      new Set(numbers.toSorted((a, b) => a - b)),
    )
  })
  fc.assert(law)
})
