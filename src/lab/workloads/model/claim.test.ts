import assert from 'node:assert/strict'
import test from 'node:test'
import type { KubeObject } from '../../../api/index.ts'
import { planClaims, selectorText } from './claim.ts'

const owner = { metadata: { name: 'web', namespace: 'default', uid: 'mine' } }
const selector = { matchLabels: { app: 'web' } }

function candidate(name: string, app: string, controller?: string, isGoing = false): KubeObject {
  const reference = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'any', controller: true }
  return {
    metadata: {
      name,
      labels: { app },
      ...(controller === undefined ? {} : { ownerReferences: [{ ...reference, uid: controller }] }),
      ...(isGoing ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
  }
}

const names = (objects: readonly KubeObject[]) => objects.map(({ metadata }) => metadata.name)

void test('planClaims() goes by the uid of the controller, not by its name', () => {
  const claims = planClaims(owner, selector, [
    candidate('own', 'web', 'mine'),
    candidate('strayed', 'db', 'mine'),
    candidate('others', 'web', 'theirs'),
    candidate('free', 'web'),
    candidate('free but going', 'web', undefined, true),
    candidate('free of another app', 'db'),
  ])
  assert.deepEqual(names(claims.owned), ['own'])
  assert.deepEqual(names(claims.release), ['strayed'])
  assert.deepEqual(names(claims.adopt), ['free'])
})

void test('planClaims() adopts nothing for an owner that is being deleted, nor for an empty selector', () => {
  const going = { metadata: { ...owner.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }
  assert.deepEqual(planClaims(going, selector, [candidate('free', 'web')]).adopt, [])
  assert.deepEqual(planClaims(owner, {}, [candidate('free', 'web')]).adopt, [])
  assert.deepEqual(planClaims(owner, undefined, [candidate('free', 'web')]).adopt, [])
})

void test('selectorText() writes all operators as a list query has them', () => {
  const text = selectorText({
    matchLabels: { app: 'web' },
    matchExpressions: [
      { key: 'tier', operator: 'In', values: ['a', 'b'] },
      { key: 'zone', operator: 'NotIn', values: ['x'] },
      { key: 'kept', operator: 'Exists' },
      { key: 'old', operator: 'DoesNotExist' },
    ],
  })
  assert.equal(text, 'app=web,tier in (a,b),zone notin (x),kept,!old')
})
