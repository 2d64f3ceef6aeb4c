import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { at } from '../../test/support/api-server.ts'
import { ClusterKit } from '../../test/support/cluster-kit.ts'
import { type KubeObject, type Resource, resources } from '../api/index.ts'
import { parseJson } from '../base/index.ts'
import { ApiError, type KubeApi } from '../kube/index.ts'
import { registrations } from '../webhook/index.ts'
import { admissionRoutes, installWebhooks } from './admission.ts'

const never = new AbortController().signal
let kit: ClusterKit
before(async () => {
  kit = await ClusterKit.start()
})
after(() => kit[Symbol.asyncDispose]())

const settings = { enableIPv4: true, enableIPv6: true, enableSpiderSubnet: true, guardDeletion: false }
// Pods alone look into caches.
const noCaches = {} as Parameters<typeof admissionRoutes>[2]
const poolObject = (ips: readonly string[]) => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderIPPool',
  metadata: { name: 'p4', finalizers: ['spiderpool.spidernet.io'] },
  spec: { ipVersion: 4, subnet: '10.6.0.0/16', ips },
})
const reviewOf = (operation: string, object: unknown, oldObject: unknown = null) => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: { uid: 'r1', kind: { kind: 'SpiderIPPool' }, operation, name: 'p4', object, oldObject },
})

/** Sends a body to the route of pools. */
async function ask(
  mode: 'mutate' | 'validate',
  body: string,
  api: KubeApi = kit.api,
  signal: AbortSignal = never,
): Promise<{ readonly status: number; readonly text: string; readonly review: unknown }> {
  const pools = registrations.find(({ resource }) => resource.plural === 'spiderippools')
  const path = mode === 'mutate' ? pools?.mutatePath : pools?.validatePath
  const route = admissionRoutes(api, settings, noCaches).find((one) => one.path === path)
  assert.ok(route !== undefined)
  const request = { method: 'POST', path: route.path, query: new URLSearchParams(), headers: {} }
  const reply = await route.handle({ ...request, body: Buffer.from(body) }, signal)
  const isReview = reply.status === 200
  return { status: reply.status, text: reply.body, review: isReview ? parseJson(reply.body) : undefined }
}

/** An API server that fails each call in one way. */
function failing(fail: (signal: AbortSignal) => Promise<never>): KubeApi {
  const api: Pick<KubeApi, 'get' | 'listAll'> = {
    get: (_resource, _ref, signal) => fail(signal),
    listAll: (_resource, _options, signal) => fail(signal),
  }
  return api as KubeApi // a review makes no other call
}

void test('a good pool is allowed, one that overlaps a pool at the API server is refused', async () => {
  const created = JSON.stringify(reviewOf('CREATE', poolObject(['10.6.0.10-10.6.0.19'])))
  const { review } = await ask('validate', created)
  assert.equal(at(review, 'response.allowed'), true)
  const other = { ...poolObject(['10.6.0.15']), metadata: { name: 'other' } }
  await kit.api.create(resources.ipPool, other as KubeObject, never)
  const refused = await ask('validate', created)
  assert.equal(at(refused.review, 'response.allowed'), false)
  assert.match(refused.text, /other/)
  await kit.api.delete(resources.ipPool, { name: 'other' }, {}, never)
})

void test('a pool may not lose an address that a block at the API server records, though its status is empty', async () => {
  const block = {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPBlock',
    metadata: { name: 'v4-0a060000-26' },
    spec: {
      cidr: '10.6.0.0/26',
      term: 1,
      entries: { '10.6.0.12': JSON.stringify(entryOf('p4')), '10.6.0.30': JSON.stringify(entryOf('p5')) },
    },
  }
  await kit.api.create(resources.ipBlock, block, never)
  const shrink = (ips: readonly string[]) =>
    ask('validate', JSON.stringify(reviewOf('UPDATE', poolObject(ips), poolObject(['10.6.0.10-10.6.0.40']))))
  const refused = await shrink(['10.6.0.30'])
  assert.equal(at(refused.review, 'response.allowed'), false)
  assert.match(refused.text, /10\.6\.0\.12/)
  assert.equal(at((await shrink(['10.6.0.12'])).review, 'response.allowed'), true)
})

function entryOf(pool: string) {
  return {
    pool,
    nic: 'eth0',
    owner: { kind: 'pod', uid: 'U1' },
    pod: 'default/a',
    podUid: 'U1',
    node: 'node1',
    since: 1,
    grant: { prefixBits: 16 },
  }
}

void test('a review is refused with a reason and a remedy when the API server fails', async () => {
  const failure = { status: 500, reason: 'InternalError', message: 'etcd is away' }
  const api = failing(() => Promise.reject(new ApiError('list spiderippools', failure)))
  const { status, review } = await ask('validate', JSON.stringify(reviewOf('CREATE', poolObject([]))), api)
  assert.equal(status, 200)
  assert.equal(at(review, 'response.uid'), 'r1')
  assert.equal(at(review, 'response.allowed'), false)
  assert.equal(at(review, 'response.status.code'), 503)
  assert.match(String(at(review, 'response.status.message')), /etcd is away.*; repeat it/)
})

void test('a review is answered at its deadline when the API server is slow', async () => {
  const slow = failing((signal) => {
    const { promise, reject } = Promise.withResolvers<never>()
    signal.addEventListener('abort', () => reject(signal.reason as Error))
    return promise
  })
  const body = JSON.stringify(reviewOf('CREATE', poolObject([])))
  const { status, review } = await ask('validate', body, slow, AbortSignal.timeout(20))
  assert.equal(status, 200)
  assert.equal(at(review, 'response.status.code'), 503)
})

void test('whatever comes as a body is answered, with 400 when it is no JSON', async () => {
  assert.equal((await ask('validate', '{')).status, 400)
  const law = fc.asyncProperty(fc.json(), fc.constantFrom('mutate', 'validate'), async (body, mode) => {
    const { status, review } = await ask(mode, body)
    assert.equal(status, 200)
    assert.equal(at(review, 'response.allowed'), false)
  })
  await fc.assert(law, { numRuns: 100 })
  const deep = fc.record({ metadata: fc.anything(), spec: fc.anything(), status: fc.anything() })
  const objects = fc.asyncProperty(
    deep,
    deep,
    fc.constantFrom('CREATE', 'UPDATE', 'DELETE'),
    async (a, b, operation) => {
      const text = JSON.stringify(reviewOf(operation, a, b), (_key, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      )
      for (const mode of ['mutate', 'validate'] as const) assert.equal((await ask(mode, text)).status, 200)
    },
  )
  await fc.assert(objects, { numRuns: 30 })
})

const configurations: readonly Resource[] = ['Mutating', 'Validating'].map((kind) => ({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: `${kind.toLowerCase()}webhookconfigurations`,
  kind: `${kind}WebhookConfiguration`,
  namespaced: false,
}))

void test('webhooks are filled, mended, and pointed at who leads; labels of others stay, and the objects are not made', async () => {
  const install = (baseUrl: string, caBundle = 'Q0E=') =>
    installWebhooks({ kind: 'url', baseUrl, caBundle }, settings, kit.api, never)
  await assert.rejects(install('https://127.0.0.1:1'), {
    code: 'WEBHOOKS_MISSING',
    message: /"spiderpool-controller"/,
  })
  for (const resource of configurations) {
    const { group, version, kind } = resource
    const object = { apiVersion: `${group}/${version}`, kind, metadata: { name: 'spiderpool-controller' } }
    await kit.api.create(resource, object, never)
  }
  // They would answer nobody: no object of ours is written while they are there.
  await Promise.all([install('https://127.0.0.1:1'), install('https://127.0.0.1:1')])
  for (const resource of configurations) {
    const { items } = await kit.api.listAll(resource, {}, never)
    const [found] = items
    assert.ok(found !== undefined && items.length === 1)
    const ref = { name: found.metadata.name }
    const body = { metadata: { labels: { mine: 'yes' } }, webhooks: [] }
    await kit.api.patch(resource, ref, { type: 'merge', body }, never)
    await install('https://127.0.0.1:2')
    const mended = await kit.api.get(resource, ref, never)
    assert.equal(at(mended, 'metadata.labels.mine'), 'yes')
    assert.match(String(at(mended, 'webhooks.0.clientConfig.url')), /^https:\/\/127\.0\.0\.1:2\//)
  }
  for (const resource of configurations)
    await kit.api.delete(resource, { name: 'spiderpool-controller' }, {}, never)
})
