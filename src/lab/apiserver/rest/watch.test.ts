import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { connect } from 'node:tls'
import { at, TestServer } from '../../../../test/support/api-server.ts'

let server: TestServer
before(async () => {
  server = await TestServer.start({ historyEvents: 40 })
})
after(() => server[Symbol.asyncDispose]())

const maps = '/api/v1/namespaces/default/configmaps'
const body = (name: string, labels: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels },
})
const create = (name: string, labels: Record<string, string> = {}) =>
  server.call('POST', maps, { body: body(name, labels) })
const merge = { contentType: 'application/merge-patch+json' }
const version = async () => String(at((await server.call('GET', maps)).body, 'metadata.resourceVersion'))

void test('a watch tells creation, change and deletion in order, from the version that was asked for', async () => {
  const from = await version()
  await create('w1')
  const watch = await server.watch(`${maps}?watch=1&resourceVersion=${from}`)
  await server.call('PATCH', `${maps}/w1`, { body: { data: { a: 'b' } }, ...merge })
  await server.call('DELETE', `${maps}/w1`)
  const events = [await watch.next(), await watch.next(), await watch.next()]
  assert.deepEqual(
    events.map(({ type }) => type),
    ['ADDED', 'MODIFIED', 'DELETED'],
  )
  const versions = events.map(({ object }) => Number(at(object, 'metadata.resourceVersion')))
  assert.deepEqual(
    versions,
    versions.toSorted((a, b) => a - b),
  )
  assert.equal(await version(), String(versions[2]))
  watch.close()
})

void test('an object that begins or ends to match the selector is added or deleted for that watch', async () => {
  const watch = await server.watch(
    `${maps}?watch=true&labelSelector=in%3Dyes&resourceVersion=${await version()}`,
  )
  await create('w2', { in: 'no' })
  const label = (value: string) =>
    server.call('PATCH', `${maps}/w2`, { body: { metadata: { labels: { in: value } } }, ...merge })
  await label('yes')
  const added = await watch.next()
  assert.equal(added.type, 'ADDED')
  const left = await label('no')
  const deleted = await watch.next()
  assert.equal(deleted.type, 'DELETED')
  assert.equal(at(deleted.object, 'metadata.labels.in'), 'yes')
  assert.equal(at(deleted.object, 'metadata.resourceVersion'), at(left.body, 'metadata.resourceVersion'))
  watch.close()
})

void test('without a version a watch begins with what is there; sendInitialEvents ends that with a bookmark', async () => {
  await create('w3', { set: 'initial' })
  const plain = await server.watch(`${maps}?watch=1&labelSelector=set%3Dinitial`)
  assert.equal((await plain.next()).type, 'ADDED')
  plain.close()
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
  const streamed = await server.watch(`${maps}?${query}&labelSelector=set%3Dinitial`)
  assert.equal((await streamed.next()).type, 'ADDED')
  const bookmark = await streamed.next()
  assert.equal(bookmark.type, 'BOOKMARK')
  assert.equal(
    Reflect.get(Object(at(bookmark.object, 'metadata.annotations')), 'k8s.io/initial-events-end'),
    'true',
  )
  streamed.close()
})

void test('a watch from a compacted version gets one ERROR event with code 410, and a list page HTTP 410', async () => {
  const page = await server.call('GET', `${maps}?limit=1`)
  const token = String(at(page.body, 'metadata.continue'))
  const old = await version()
  for (let index = 0; index < 45; index++) await create(`fill-${index}`)
  const watch = await server.watch(`${maps}?watch=1&resourceVersion=${old}`)
  const event = await watch.next()
  assert.equal(event.type, 'ERROR')
  assert.equal(at(event.object, 'code'), 410)
  assert.equal(at(event.object, 'reason'), 'Expired')
  await watch.ended
  const next = await server.call('GET', `${maps}?limit=1&continue=${token}`)
  assert.equal(next.status, 410)
  assert.equal(at(next.body, 'reason'), 'Expired')
})

void test('a watch ends after timeoutSeconds, and one of a single object by name sees that alone', async () => {
  const query = 'watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dw5'
  const watch = await server.watch(`${maps}?${query}&resourceVersion=${await version()}`)
  await create('w4')
  await create('w5')
  assert.equal(at((await watch.next()).object, 'metadata.name'), 'w5')
  await watch.ended
})

void test('a watch goes on over a restart of the server when nothing was missed, and gets 410 otherwise', async () => {
  const from = await version()
  await server.stop()
  await server.open()
  const watch = await server.watch(`${maps}?watch=1&resourceVersion=${from}`)
  await create('after-restart')
  assert.equal(at((await watch.next()).object, 'metadata.name'), 'after-restart')
  watch.close()
  await server.stop()
  await server.open()
  const late = await server.watch(`${maps}?watch=1&resourceVersion=${from}`)
  assert.equal(at((await late.next()).object, 'code'), 410)
  late.close()
})

void test('a watcher that reads nothing is cut off, and the writers do not notice', {
  timeout: 20_000,
}, async () => {
  const { ca, admin } = server.keys
  const socket = connect({
    host: '127.0.0.1',
    port: server.port,
    ca: ca.certPem,
    cert: admin.certPem,
    key: admin.keyPem,
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => socket.destroy())
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  socket.pause()
  socket.write(`GET ${maps}?watch=1&resourceVersion=${await version()} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await create('large')
  const text = 'x'.repeat(1_000_000)
  for (let index = 0; index < 60; index++) {
    const data = { data: { text, index: String(index) } }
    const reply = await server.call('PATCH', `${maps}/large`, { body: data, ...merge })
    assert.equal(reply.status, 200)
  }
  socket.resume()
  await closed
})
