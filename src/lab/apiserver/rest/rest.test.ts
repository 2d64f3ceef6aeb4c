import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { at, type Reply, TestServer } from '../../../../test/support/api-server.ts'

let server: TestServer
before(async () => {
  server = await TestServer.start()
})
after(() => server[Symbol.asyncDispose]())

const maps = '/api/v1/namespaces/default/configmaps'
const pods = '/api/v1/namespaces/default/pods'
const configMap = (name: string, data: Record<string, string> = {}, extra: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...extra },
  data,
})
const pod = (name: string, spec: object = {}, extra: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...extra },
  spec: { containers: [{ name: 'c', image: 'busybox' }], ...spec },
})

async function must(status: number, reply: Promise<Reply>): Promise<Reply> {
  const found = await reply
  assert.equal(found.status, status, found.text)
  return found
}

void test('create sets uid, creationTimestamp and resourceVersion, and answers 409 AlreadyExists the second time', async () => {
  const made = await must(201, server.call('POST', maps, { body: configMap('one', { a: 'b' }) }))
  assert.match(String(at(made.body, 'metadata.uid')), /^[0-9a-f-]{36}$/)
  assert.match(String(at(made.body, 'metadata.creationTimestamp')), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  assert.match(String(at(made.body, 'metadata.resourceVersion')), /^\d+$/)
  const again = await must(409, server.call('POST', maps, { body: configMap('one') }))
  assert.equal(at(again.body, 'reason'), 'AlreadyExists')
  assert.deepEqual(at(again.body, 'details'), { name: 'one', kind: 'configmaps' })
  assert.equal(at(again.body, 'message'), 'configmaps "one" already exists')
})

void test('an update with a stale resourceVersion answers 409 Conflict, without one it wins', async () => {
  const made = await must(201, server.call('POST', maps, { body: configMap('stale') }))
  const version = String(at(made.body, 'metadata.resourceVersion'))
  await must(200, server.call('PUT', `${maps}/stale`, { body: configMap('stale', { a: '1' }) }))
  const stale = configMap('stale', { a: '2' }, { resourceVersion: version })
  const refused = await must(409, server.call('PUT', `${maps}/stale`, { body: stale }))
  assert.equal(at(refused.body, 'reason'), 'Conflict')
  const patch = { body: { metadata: { resourceVersion: version }, data: { a: '3' } } }
  const type = { contentType: 'application/merge-patch+json' }
  await must(409, server.call('PATCH', `${maps}/stale`, { ...patch, ...type }))
  const otherUid = configMap('stale', {}, { uid: 'another' })
  await must(409, server.call('PUT', `${maps}/stale`, { body: otherUid }))
  const now = await must(200, server.call('GET', `${maps}/stale`))
  assert.equal(at(now.body, 'data.a'), '1')
})

void test('an update that changes nothing keeps the resourceVersion', async () => {
  const made = await must(201, server.call('POST', maps, { body: configMap('same', { a: 'b' }) }))
  const put = await must(200, server.call('PUT', `${maps}/same`, { body: configMap('same', { a: 'b' }) }))
  assert.equal(at(put.body, 'metadata.resourceVersion'), at(made.body, 'metadata.resourceVersion'))
})

void test('generateName makes names with a suffix, and a name over 63 characters is cut for it', async () => {
  const body = { ...configMap(''), metadata: { generateName: 'made-' } }
  const first = await must(201, server.call('POST', maps, { body }))
  const second = await must(201, server.call('POST', maps, { body }))
  assert.match(String(at(first.body, 'metadata.name')), /^made-[a-z0-9]{5}$/)
  assert.notEqual(at(first.body, 'metadata.name'), at(second.body, 'metadata.name'))
  const long = { ...configMap(''), metadata: { generateName: 'x'.repeat(80) } }
  const cut = await must(201, server.call('POST', maps, { body: long }))
  assert.equal(String(at(cut.body, 'metadata.name')).length, 63)
})

void test('a deployment counts generations of its spec alone, and its status is a subresource', async () => {
  const path = '/apis/apps/v1/namespaces/default/deployments'
  const body = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: pod('x').spec },
    },
    status: { replicas: 7 },
  }
  const made = await must(201, server.call('POST', path, { body }))
  assert.equal(at(made.body, 'metadata.generation'), 1)
  assert.equal(at(made.body, 'spec.replicas'), 1)
  assert.equal(at(made.body, 'status.replicas'), undefined)
  const merge = { contentType: 'application/merge-patch+json' }
  const patch = (text: object, sub = '') =>
    must(200, server.call('PATCH', `${path}/web${sub}`, { body: text, ...merge }))
  const labelled = await patch({ metadata: { labels: { a: 'b' } }, status: { replicas: 9 } })
  assert.equal(at(labelled.body, 'metadata.generation'), 1)
  assert.equal(at(labelled.body, 'status.replicas'), undefined)
  const scaled = await patch({ spec: { replicas: 3 } })
  assert.equal(at(scaled.body, 'metadata.generation'), 2)
  const status = await patch({ spec: { replicas: 5 }, status: { replicas: 3 } }, '/status')
  assert.equal(at(status.body, 'spec.replicas'), 3)
  assert.equal(at(status.body, 'status.replicas'), 3)
  assert.equal(at(status.body, 'metadata.generation'), 2)
  const scale = await must(200, server.call('GET', `${path}/web/scale`))
  assert.equal(at(scale.body, 'status.selector'), 'app=web')
  const more = { ...scale.body, spec: { replicas: 4 } }
  await must(200, server.call('PUT', `${path}/web/scale`, { body: more }))
  const after4 = await must(200, server.call('GET', `${path}/web`))
  assert.equal(at(after4.body, 'spec.replicas'), 4)
  const moved = { spec: { selector: { matchLabels: { app: 'other' } } } }
  const refused = await must(422, server.call('PATCH', `${path}/web`, { body: moved, ...merge }))
  const fields = JSON.stringify(at(refused.body, 'details.causes'))
  assert.match(fields, /"field":"spec\.selector"/)
  assert.match(fields, /"field":"spec\.template\.metadata\.labels"/)
})

void test('finalizers hold a deleted object until the last one is removed', async () => {
  const body = configMap('held', {}, { finalizers: ['example.com/hold'] })
  await must(201, server.call('POST', maps, { body }))
  const deleted = await must(200, server.call('DELETE', `${maps}/held`))
  assert.ok(at(deleted.body, 'metadata.deletionTimestamp'))
  const merge = { contentType: 'application/merge-patch+json' }
  const more = { metadata: { finalizers: ['example.com/hold', 'example.com/new'] } }
  await must(422, server.call('PATCH', `${maps}/held`, { body: more, ...merge }))
  const none = { metadata: { finalizers: null } }
  await must(200, server.call('PATCH', `${maps}/held`, { body: none, ...merge }))
  await must(404, server.call('GET', `${maps}/held`))
})

void test('DELETE checks uid and resourceVersion preconditions and marks for propagation', async () => {
  await must(201, server.call('POST', maps, { body: configMap('pre') }))
  const wrong = { preconditions: { uid: 'other' } }
  const refused = await must(409, server.call('DELETE', `${maps}/pre`, { body: wrong }))
  assert.match(String(at(refused.body, 'message')), /Precondition failed: UID/)
  const wrongVersion = { preconditions: { resourceVersion: '1' } }
  await must(409, server.call('DELETE', `${maps}/pre`, { body: wrongVersion }))
  const foreground = { propagationPolicy: 'Foreground' }
  const marked = await must(200, server.call('DELETE', `${maps}/pre`, { body: foreground }))
  assert.deepEqual(at(marked.body, 'metadata.finalizers'), ['foregroundDeletion'])
  const background = { propagationPolicy: 'Background' }
  const gone = await must(200, server.call('DELETE', `${maps}/pre`, { body: background }))
  assert.equal(at(gone.body, 'status'), 'Success')
})

void test('a placed pod is deleted gracefully and goes with grace 0; an unplaced one goes at once', async () => {
  await must(201, server.call('POST', pods, { body: pod('unplaced') }))
  await must(200, server.call('DELETE', `${pods}/unplaced`))
  await must(404, server.call('GET', `${pods}/unplaced`))
  await must(201, server.call('POST', pods, { body: pod('placed', { nodeName: 'node1' }) }))
  const marked = await must(200, server.call('DELETE', `${pods}/placed`))
  assert.equal(at(marked.body, 'metadata.deletionGracePeriodSeconds'), 30)
  const repeated = await must(200, server.call('DELETE', `${pods}/placed`))
  assert.equal(at(repeated.body, 'metadata.resourceVersion'), at(marked.body, 'metadata.resourceVersion'))
  await must(200, server.call('DELETE', `${pods}/placed?gracePeriodSeconds=0`))
  await must(404, server.call('GET', `${pods}/placed`))
})

void test('binding places a pod once, and the spec of a pod stays otherwise', async () => {
  await must(201, server.call('POST', pods, { body: pod('bound') }))
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'bound' },
    target: { name: 'node1' },
  }
  await must(201, server.call('POST', `${pods}/bound/binding`, { body: binding }))
  await must(409, server.call('POST', `${pods}/bound/binding`, { body: binding }))
  const found = await must(200, server.call('GET', `${pods}?fieldSelector=spec.nodeName%3Dnode1`))
  assert.deepEqual(at(found.body, 'items.0.metadata.name'), 'bound')
  const merge = { contentType: 'application/merge-patch+json' }
  const moved = { spec: { nodeName: 'node2' } }
  await must(422, server.call('PATCH', `${pods}/bound`, { body: moved, ...merge }))
})

void test('asking for the log of a pod, or for a shell in it, is answered with what to do instead', async () => {
  await must(201, server.call('POST', pods, { body: pod('silent') }))
  const log = await must(400, server.call('GET', `${pods}/silent/log?container=c`))
  assert.match(String(at(log.body, 'message')), /no log; see: kubectl describe pod/)
  const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1' }
  const shell = await must(400, server.call('POST', `${pods}/silent/exec?command=sh`, { headers }))
  assert.match(String(at(shell.body, 'message')), /spiderpoolctl lab exec NAMESPACE\/POD -- COMMAND/)
})

void test('lists come in consistent pages, and select by labels and fields', async () => {
  const path = '/api/v1/namespaces/kube-public/secrets'
  const secret = (name: string, labels: object) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, labels },
    stringData: { k: 'v' },
  })
  for (const name of ['a', 'b', 'c', 'd', 'e'])
    await must(201, server.call('POST', path, { body: secret(name, { n: name, set: 'x' }) }))
  const first = await must(200, server.call('GET', `${path}?limit=2`))
  assert.deepEqual(at(first.body, 'metadata.remainingItemCount'), 3)
  await must(200, server.call('DELETE', `${path}/d`))
  await must(201, server.call('POST', path, { body: secret('cc', {}) }))
  const token = String(at(first.body, 'metadata.continue'))
  const second = await must(200, server.call('GET', `${path}?limit=9&continue=${token}`))
  const items = at(second.body, 'items')
  assert.ok(Array.isArray(items))
  assert.deepEqual(
    items.map((item) => at(item, 'metadata.name')),
    ['c', 'd', 'e'],
  )
  assert.equal(at(second.body, 'metadata.resourceVersion'), at(first.body, 'metadata.resourceVersion'))
  const selected = await must(200, server.call('GET', `${path}?labelSelector=n%20in%20(a,b),set,!q`))
  assert.equal(at(selected.body, 'items.length'), 2)
  const typed = await must(200, server.call('GET', `${path}?fieldSelector=type%3DOpaque,metadata.name!%3Da`))
  assert.equal(at(typed.body, 'items.0.metadata.name'), 'b')
  await must(200, server.call('DELETE', `${path}?labelSelector=set`))
  const rest = await must(200, server.call('GET', path))
  assert.equal(at(rest.body, 'items.0.metadata.name'), 'cc')
})

void test('creation in a missing namespace answers 404, in a terminating one 403 with its cause', async () => {
  const missing = await must(
    404,
    server.call('POST', '/api/v1/namespaces/nope/configmaps', { body: configMap('a') }),
  )
  assert.equal(at(missing.body, 'message'), 'namespaces "nope" not found')
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'going' } }
  const made = await must(201, server.call('POST', '/api/v1/namespaces', { body: namespace }))
  assert.deepEqual(at(made.body, 'spec.finalizers'), ['kubernetes'])
  await must(200, server.call('GET', '/api/v1/namespaces/going/serviceaccounts/default'))
  const going = await must(200, server.call('DELETE', '/api/v1/namespaces/going'))
  assert.equal(at(going.body, 'status.phase'), 'Terminating')
  const refused = await must(
    403,
    server.call('POST', '/api/v1/namespaces/going/configmaps', { body: configMap('a') }),
  )
  assert.equal(at(refused.body, 'details.causes.0.reason'), 'NamespaceTerminating')
  const done = { ...namespace, spec: { finalizers: [] } }
  await must(200, server.call('PUT', '/api/v1/namespaces/going/finalize', { body: done }))
  await must(404, server.call('GET', '/api/v1/namespaces/going'))
  await must(403, server.call('DELETE', '/api/v1/namespaces/default'))
})

void test('dryRun=All answers as a write would and stores nothing', async () => {
  await must(201, server.call('POST', `${maps}?dryRun=All`, { body: configMap('dry') }))
  await must(404, server.call('GET', `${maps}/dry`))
  await must(201, server.call('POST', maps, { body: configMap('dry') }))
  const put = { body: configMap('dry', { a: 'b' }) }
  const changed = await must(200, server.call('PUT', `${maps}/dry?dryRun=All`, put))
  assert.equal(at(changed.body, 'data.a'), 'b')
  await must(200, server.call('DELETE', `${maps}/dry?dryRun=All`))
  const kept = await must(200, server.call('GET', `${maps}/dry`))
  assert.equal(at(kept.body, 'data.a'), undefined)
})

void test('patches of every type change an object; a failed JSON patch test changes nothing', async () => {
  await must(201, server.call('POST', pods, { body: pod('patched', {}, { labels: { a: '1', b: '2' } }) }))
  const patch = (type: string, body: unknown, status = 200) =>
    must(
      status,
      server.call('PATCH', `${pods}/patched?fieldManager=t`, { contentType: `application/${type}`, body }),
    )
  const merged = await patch('merge-patch+json', { metadata: { labels: { a: null, c: '3' } } })
  assert.deepEqual(at(merged.body, 'metadata.labels'), { b: '2', c: '3' })
  await patch('json-patch+json', [{ op: 'test', path: '/metadata/labels/b', value: 'x' }], 422)
  const replaced = await patch('json-patch+json', [{ op: 'replace', path: '/metadata/labels/b', value: 'x' }])
  assert.equal(at(replaced.body, 'metadata.labels.b'), 'x')
  const image = { spec: { containers: [{ name: 'c', image: 'other' }] } }
  const strategic = await patch('strategic-merge-patch+json', image)
  assert.equal(at(strategic.body, 'spec.containers.0.image'), 'other')
  assert.equal(at(strategic.body, 'spec.containers.0.terminationMessagePath'), '/dev/termination-log')
  const applied = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'patched', labels: { d: '4' } } }
  const after4 = await patch('apply-patch+yaml', applied)
  assert.equal(at(after4.body, 'metadata.labels.d'), '4')
  const fresh = { ...configMap('applied', { a: 'b' }) }
  const type = { contentType: 'application/apply-patch+yaml' }
  await must(201, server.call('PATCH', `${maps}/applied?fieldManager=t`, { body: fresh, ...type }))
  await patch('xml', {}, 415)
})

void test('integers beyond 2^53 come back exactly', async () => {
  const raw = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"x":9223372036854775807}'
  const made = await must(201, server.call('POST', maps, { raw }))
  assert.match(made.text, /"x":9223372036854775807/)
  const merge = { contentType: 'application/merge-patch+json' }
  const patched = await must(
    200,
    server.call('PATCH', `${maps}/big`, { body: { data: { a: 'b' } }, ...merge }),
  )
  assert.match(patched.text, /"x":9223372036854775807/)
})

void test('Tables and metadata alone are answered where they are asked for', async () => {
  await must(201, server.call('POST', pods, { body: pod('shown', { nodeName: 'node1' }) }))
  const table = { headers: { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' } }
  const listed = await must(200, server.call('GET', `${pods}?fieldSelector=metadata.name%3Dshown`, table))
  assert.equal(at(listed.body, 'kind'), 'Table')
  assert.deepEqual(at(listed.body, 'rows.0.cells.0'), 'shown')
  assert.deepEqual(at(listed.body, 'rows.0.cells.2'), 'Pending')
  assert.equal(at(listed.body, 'rows.0.object.kind'), 'PartialObjectMetadata')
  const partial = { headers: { Accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io' } }
  const one = await must(200, server.call('GET', `${pods}/shown`, partial))
  assert.equal(at(one.body, 'kind'), 'PartialObjectMetadata')
  assert.equal(at(one.body, 'spec'), undefined)
  await must(406, server.call('GET', `${pods}/shown`, { headers: { Accept: 'application/xml' } }))
})
