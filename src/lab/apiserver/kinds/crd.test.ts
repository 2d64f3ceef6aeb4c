import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { at, type Reply, TestServer } from '../../../../test/support/api-server.ts'

let server: TestServer
before(async () => {
  server = await TestServer.start()
})
after(() => server[Symbol.asyncDispose]())

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const merge = { contentType: 'application/merge-patch+json' }

const schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1 },
        color: { type: 'string', default: 'red' },
        fixed: {
          type: 'string',
          'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'is fixed' }],
        },
      },
    },
    status: { type: 'object', properties: { count: { type: 'integer' } } },
  },
}

const version = (name: string, storage: boolean) => ({
  name,
  served: true,
  storage,
  schema: { openAPIV3Schema: schema },
  subresources: {
    status: {},
    scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.count' },
  },
  additionalPrinterColumns: [
    { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
    { name: 'Who', type: 'string', jsonPath: ".metadata.annotations['example\\.com/who']", priority: 1 },
  ],
})

const definition = (plural: string, kind: string) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.example.com` },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural, kind, shortNames: [plural.slice(0, 2)] },
    versions: [version('v1', true), version('v1beta1', false)],
  },
})

const object = (kind: string, name: string, spec: object, extra: object = {}) => ({
  apiVersion: 'example.com/v1',
  kind,
  metadata: { name, ...extra },
  spec,
})

async function must(status: number, reply: Promise<Reply>): Promise<Reply> {
  const found = await reply
  assert.equal(found.status, status, found.text)
  return found
}

void test('a definition is served at once, with its discovery, and its objects are checked and filled', async () => {
  const made = await must(201, server.call('POST', crds, { body: definition('boxes', 'Box') }))
  assert.equal(at(made.body, 'status.conditions.1.type'), 'Established')
  const listed = await must(200, server.call('GET', '/apis/example.com/v1'))
  assert.match(listed.text, /"name":"boxes".*"name":"boxes\/status".*"name":"boxes\/scale"/)
  const path = '/apis/example.com/v1/namespaces/default/boxes'
  const missing = await must(422, server.call('POST', path, { body: object('Box', 'a', {}) }))
  assert.equal(at(missing.body, 'details.causes.0.field'), 'spec.size')
  assert.match(
    String(at(missing.body, 'message')),
    /^Box\.example\.com "a" is invalid: spec\.size: Required value/,
  )
  const body = object('Box', 'a', { size: 2, fixed: 'x', unknown: 1 })
  const good = await must(201, server.call('POST', path, { body }))
  assert.deepEqual(at(good.body, 'spec'), { size: 2, fixed: 'x', color: 'red' })
  assert.match(String(good.headers['warning']), /unknown field \\"spec.unknown\\"/)
  const strict = await must(400, server.call('POST', `${path}?fieldValidation=Strict`, { body }))
  assert.match(String(at(strict.body, 'message')), /strict decoding error: unknown field "spec\.unknown"/)
  const moved = { body: { spec: { fixed: 'y' } }, ...merge }
  const refused = await must(422, server.call('PATCH', `${path}/a`, moved))
  assert.match(String(at(refused.body, 'message')), /is fixed/)
  const status = await must(
    200,
    server.call('PATCH', `${path}/a/status`, { body: { status: { count: 5 } }, ...merge }),
  )
  assert.equal(at(status.body, 'metadata.generation'), 1)
  const scaled = await must(
    200,
    server.call('PATCH', `${path}/a/scale`, { body: { spec: { replicas: 7 } }, ...merge }),
  )
  assert.equal(at(scaled.body, 'spec.replicas'), 7)
  assert.equal(at(scaled.body, 'status.replicas'), 5)
  const other = await must(200, server.call('GET', '/apis/example.com/v1beta1/namespaces/default/boxes/a'))
  assert.equal(at(other.body, 'apiVersion'), 'example.com/v1beta1')
  assert.equal(at(other.body, 'spec.size'), 7)
  assert.equal(at(other.body, 'metadata.generation'), 2)
})

void test('Tables of custom resources have the columns of the definition', async () => {
  await must(201, server.call('POST', crds, { body: definition('cans', 'Can') }))
  const path = '/apis/example.com/v1/namespaces/default/cans'
  const annotations = { annotations: { 'example.com/who': 'me' } }
  await must(201, server.call('POST', path, { body: object('Can', 'a', { size: 3 }, annotations) }))
  const table = { headers: { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } }
  const reply = await must(200, server.call('GET', path, table))
  assert.deepEqual(at(reply.body, 'rows.0.cells'), ['a', 3, 'me'])
  assert.equal(at(reply.body, 'columnDefinitions.2.priority'), 1)
})

void test('a definition that cannot be evaluated is refused with its field', async () => {
  const bad = definition('jars', 'Jar')
  const rule = { rule: 'self.nope(', message: 'x' }
  const broken = {
    ...version('v1', true),
    schema: { openAPIV3Schema: { ...schema, 'x-kubernetes-validations': [rule] } },
  }
  const body = { ...bad, spec: { ...bad.spec, versions: [broken] } }
  const refused = await must(422, server.call('POST', crds, { body }))
  assert.match(String(at(refused.body, 'details.causes.0.field')), /^spec\.versions\[0\]\.schema/)
  const twice = { ...definition('others', 'Box') }
  const taken = await must(422, server.call('POST', crds, { body: twice }))
  assert.match(String(at(taken.body, 'message')), /boxes of kind Box already/)
})

void test('deleting a definition removes its objects first, and waits for their finalizers', async () => {
  await must(201, server.call('POST', crds, { body: definition('mugs', 'Mug') }))
  const path = '/apis/example.com/v1/namespaces/default/mugs'
  const held = { finalizers: ['example.com/hold'] }
  await must(201, server.call('POST', path, { body: object('Mug', 'free', { size: 1 }) }))
  await must(201, server.call('POST', path, { body: object('Mug', 'held', { size: 1 }, held) }))
  const deleted = await must(200, server.call('DELETE', `${crds}/mugs.example.com`))
  assert.ok(at(deleted.body, 'metadata.deletionTimestamp'))
  await must(405, server.call('POST', path, { body: object('Mug', 'new', { size: 1 }) }))
  const left = await must(200, server.call('GET', path))
  assert.equal(at(left.body, 'items.length'), 1)
  await must(
    200,
    server.call('PATCH', `${path}/held`, { body: { metadata: { finalizers: null } }, ...merge }),
  )
  // The definition goes first; its path is served until the registry has heard of that.
  const gone = async () => (await server.call('GET', path)).status === 404
  for (const endMs = performance.now() + 10_000; performance.now() < endMs && !(await gone()); )
    await new Promise((resolve) => setTimeout(resolve, 10))
  await must(404, server.call('GET', `${crds}/mugs.example.com`))
  await must(404, server.call('GET', path))
})

void test('custom resources and their definitions are served again after a restart', async () => {
  await server.stop()
  await server.open()
  const found = await must(200, server.call('GET', '/apis/example.com/v1/namespaces/default/boxes/a'))
  assert.equal(at(found.body, 'spec.color'), 'red')
  const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
  const groups = await must(200, server.call('GET', '/apis', { headers: { Accept: aggregated } }))
  assert.match(String(groups.headers['content-type']), /as=APIGroupDiscoveryList/)
  assert.match(groups.text, /"name":"example\.com"/)
  const plain = await must(200, server.call('GET', '/apis'))
  assert.match(plain.text, /"groupVersion":"example\.com\/v1beta1"/)
  const openApi = await must(200, server.call('GET', '/openapi/v3'))
  assert.match(openApi.text, /apis\/example\.com\/v1/)
})
