import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockEntry, SpiderIpBlock } from '../../../api/index.ts'
import { ApiError, type KubeApi } from '../../../kube/index.ts'
import { BlockConflictError, BlockRefusedError, formatEntry } from '../../../ledger/index.ts'
import { KubeBlockStore } from './kube-block-store.ts'

const never = new AbortController().signal
const block: SpiderIpBlock = {
  metadata: { name: 'v4-0a000000-26', resourceVersion: '7' },
  spec: { cidr: '10.0.0.0/26', term: 1 },
}
const entry = (uid: string): BlockEntry => ({
  pool: 'p',
  nic: 'eth0',
  owner: { kind: 'pod', uid },
  pod: 'a/b',
  podUid: uid,
  node: 'n',
  since: 1,
  grant: { prefixBits: 16 },
})

/** An API server that answers every write in one way, and remembers what it was sent. */
function apiThat(answer: () => unknown): { readonly api: KubeApi; readonly bodies: unknown[] } {
  const bodies: unknown[] = []
  const write = (body: unknown) => {
    bodies.push(body)
    return Promise.resolve().then(answer)
  }
  const api: Partial<KubeApi> = {
    create: (_resource, object) => write(object) as Promise<typeof object>,
    patch: <T>(_resource: unknown, _ref: unknown, patch: { readonly body: unknown }) =>
      write(patch.body) as Promise<T>,
  }
  return { api: api as KubeApi, bodies }
}
const refusing = (status: number) =>
  apiThat(() => {
    throw new ApiError('write', { status, reason: 'Conflict', message: `status ${status}` })
  })

void test('patch() sends the version that was read as precondition, and only what changed', async () => {
  const { api, bodies } = apiThat(() => ({ ...block, metadata: { ...block.metadata, resourceVersion: '8' } }))
  const version = await new KubeBlockStore(api).patch(
    'v4-0a000000-26',
    '7',
    {
      term: 2,
      entries: {
        '10.0.0.1': { before: undefined, after: entry('u') },
        '10.0.0.2': { before: entry('u'), after: undefined },
        '10.0.0.3': { before: entry('u'), after: { ...entry('u'), node: 'm' } },
      },
      released: { '10.0.0.2': 5 },
    },
    never,
  )
  assert.equal(version, '8')
  assert.deepEqual(bodies, [
    {
      metadata: { resourceVersion: '7' },
      spec: {
        term: 2,
        entries: {
          '10.0.0.1': formatEntry(entry('u')),
          '10.0.0.2': null,
          '10.0.0.3': formatEntry({ ...entry('u'), node: 'm' }),
        },
        released: { '10.0.0.2': 5 },
      },
    },
  ])
})

void test('an answer without version is taken for a conflict: the next write would have no precondition', async () => {
  const { api } = apiThat(() => ({ ...block, metadata: { name: block.metadata.name } }))
  await assert.rejects(new KubeBlockStore(api).create(block, never), BlockConflictError)
})

const change = { term: 1, entries: {}, released: {} }
for (const [status, patchError, createError] of [
  [409, BlockConflictError, BlockConflictError],
  [404, BlockConflictError, BlockRefusedError],
  [406, BlockRefusedError, BlockRefusedError],
  [422, BlockRefusedError, BlockRefusedError],
  [413, BlockRefusedError, BlockRefusedError],
  [500, ApiError, ApiError],
  [0, ApiError, ApiError],
] as const) {
  void test(`status ${status} of a write becomes ${patchError.name}, of a creation ${createError.name}`, async () => {
    const store = new KubeBlockStore(refusing(status).api)
    await assert.rejects(store.patch('v4-0a000000-26', '7', change, never), patchError)
    await assert.rejects(store.create(block, never), createError)
  })
}

for (const message of [
  'etcdserver: request is too large',
  'rpc error: code = ResourceExhausted desc = trying to send message larger than max (2097289 vs. 2097152)',
]) {
  void test(`status 500 with "${message}" is a refusal: it would never succeed`, async () => {
    const { api } = apiThat(() => {
      throw new ApiError('write', { status: 500, reason: 'Unknown', message })
    })
    const store = new KubeBlockStore(api)
    await assert.rejects(store.patch('v4-0a000000-26', '7', change, never), BlockRefusedError)
    await assert.rejects(store.create(block, never), BlockRefusedError)
  })
}
