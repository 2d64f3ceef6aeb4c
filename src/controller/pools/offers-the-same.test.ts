import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectMeta, SpiderIpPool } from '../../api/index.ts'
import { offersTheSame } from './offers-the-same.ts'

const metadata: ObjectMeta = { name: 'p4', uid: 'P', generation: 3, resourceVersion: '7', labels: { a: 'b' } }
const poolOf = (more: Partial<ObjectMeta> = {}, status: SpiderIpPool['status'] = {}): SpiderIpPool => ({
  metadata: { ...metadata, ...more },
  spec: { subnet: '10.6.0.0/16' },
  status,
})

void test('a write of the status, or of a finalizer, is no other offer', () => {
  const written = poolOf({ resourceVersion: '8', annotations: {} }, { allocatedIPCount: 1 })
  assert.equal(offersTheSame(poolOf(), written), true)
  assert.equal(offersTheSame(poolOf(), poolOf({ finalizers: ['x'] })), true)
})

void test('a pool that comes, goes, is made anew, or is changed is another offer', () => {
  assert.equal(offersTheSame(undefined, poolOf()), false)
  assert.equal(offersTheSame(poolOf(), undefined), false)
  const changes: readonly Partial<ObjectMeta>[] = [
    ...[{ uid: 'Q' }, { generation: 4 }, { deletionTimestamp: 'now' }],
    ...[{ labels: {} }, { labels: { a: 'c' } }, { annotations: { a: 'b' } }],
  ]
  for (const change of changes) assert.equal(offersTheSame(poolOf(), poolOf(change)), false)
})

void test('without a generation any change may be one of the spec', () => {
  const { generation: _, ...bare } = metadata
  const pool: SpiderIpPool = { metadata: bare, spec: { subnet: '10.6.0.0/16' } }
  assert.equal(offersTheSame(pool, { ...pool, spec: { subnet: '10.7.0.0/16' } }), false)
})
