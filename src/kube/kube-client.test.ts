import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { ScriptedApi, sendJson, sendStatus, until } from '../../test/support/scripted-api.ts'
import { resources } from '../api/index.ts'
import { staticAccess } from './access/access.ts'
import { ApiError } from './api-error.ts'
import type { KubeApi } from './kube-api.ts'
import { KubeClient } from './kube-client.ts'

const { configMap } = resources
const ref = { name: 'a', namespace: 'ns' }
const soon = () => AbortSignal.timeout(5000)
const server = new ScriptedApi()
let client: KubeClient

before(() => server.start())
after(() => server.stop())
beforeEach(() => {
  server.requests.length = 0
  server.objects.clear()
  client = new KubeClient(staticAccess(server.url, {}, 'secret-token'), { random: { next: () => 0 } })
})
afterEach(() => client.close())

void test('get() reads an object, and gives undefined for 404', async () => {
  server.put('a', { data: { k: 'v' } })
  const found = await client.get(configMap, ref, soon())
  assert.equal(found?.metadata.uid, 'uid-a')
  assert.equal(await client.get(configMap, { ...ref, name: 'none' }, soon()), undefined)
  assert.equal(server.requests[0]?.headers.authorization, 'Bearer secret-token')
})

void test('integers beyond 2^53 survive a read and a write exactly', async () => {
  server.put('a', { totalIPCount: 9223372036854775807n })
  const found = await client.get(configMap, ref, soon())
  assert.equal((found as unknown as { totalIPCount: bigint }).totalIPCount, 9223372036854775807n)
  server.next(
    (seen) => seen.method === 'PUT',
    (response, seen) => sendJson(response, 200, seen.body),
  )
  assert.ok(found !== undefined)
  const written = await client.replace(configMap, found, soon())
  assert.equal((written as unknown as { totalIPCount: bigint }).totalIPCount, 9223372036854775807n)
})

void test('listAll() reads every page, and starts again when the continue token expired', async () => {
  for (let i = 0; i < 25; i += 1) server.put(`o${i}`)
  server.next(
    (seen) => seen.url.searchParams.has('continue'),
    (response) => sendStatus(response, 410, 'Expired'),
  )
  const all = await client.listAll(configMap, { namespace: 'ns', limit: 10 }, soon())
  assert.equal(all.items.length, 25)
  assert.equal(new Set(all.items.map((item) => item.metadata.name)).size, 25)
  assert.equal(server.requests.length, 5)
  assert.equal(all.items[0]?.kind, 'ConfigMap')
})

void test('an ApiError has status, reason, message and details of the server', async () => {
  server.next(
    (seen) => seen.method === 'PATCH',
    (response) =>
      sendJson(response, 409, { reason: 'Conflict', message: 'object was modified', details: { name: 'a' } }),
  )
  const patch = client.patch(configMap, ref, { type: 'merge', body: { data: null } }, soon())
  await assert.rejects(patch, (error) => {
    assert.ok(error instanceof ApiError)
    assert.deepEqual([error.status, error.reason, error.details], [409, 'Conflict', { name: 'a' }])
    assert.match(error.message, /Cannot patch ConfigMap "ns\/a": object was modified \(409 Conflict\)/)
    return true
  })
  assert.equal(server.requests[0]?.headers['content-type'], 'application/merge-patch+json')
})

void test('delete() sends its preconditions and succeeds when the object is gone', async () => {
  server.next(
    (seen) => seen.method === 'DELETE',
    (response) => sendStatus(response, 404, 'NotFound'),
  )
  await client.delete(configMap, ref, { uid: 'u1', propagation: 'Background' }, soon())
  assert.deepEqual(server.requests[0]?.body, {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    preconditions: { uid: 'u1' },
    propagationPolicy: 'Background',
  })
})

void test('429 is repeated after Retry-After, also for a write', async () => {
  const replies = [429, 503]
  const remove = server.always((seen, response) => {
    const status = seen.method === 'POST' ? replies.shift() : undefined
    if (status === undefined) return false
    sendStatus(response, status, 'TooManyRequests', {
      headers: { 'retry-after': status === 429 ? '1' : '0' },
    })
    return true
  })
  server.next(
    (seen) => seen.method === 'POST' && replies.length === 0,
    (response, seen) =>
      sendJson(response, 201, { ...(seen.body as object), metadata: { ...ref, resourceVersion: '1' } }),
  )
  const object = { metadata: ref }
  await client.create(configMap, object, soon())
  remove()
  const [first, second] = server.requests
  assert.equal(server.requests.length, 3)
  assert.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) >= 990)
})

void test('a read is repeated after a lost connection and after 500; a write never', async () => {
  server.put('a')
  server.next(
    () => true,
    (response) => response.socket?.destroy(),
  )
  server.next(
    () => true,
    (response) => sendStatus(response, 500, 'InternalError'),
  )
  assert.ok((await client.get(configMap, ref, soon())) !== undefined)
  assert.equal(server.requests.length, 3)
  server.requests.length = 0
  server.next(
    () => true,
    (response) => response.socket?.destroy(),
  )
  await assert.rejects(client.create(configMap, { metadata: ref }, soon()), (error) => {
    assert.ok(error instanceof ApiError)
    assert.deepEqual([error.status, error.reason, error.maybeApplied], [0, 'ConnectionLost', true])
    return true
  })
  assert.equal(server.requests.length, 1)
})

void test('a write waits for a server that is restarting, as nothing was sent', async () => {
  await server.stop()
  const patching = client.patch(configMap, ref, { type: 'merge', body: {} }, soon())
  server.next(
    (seen) => seen.method === 'PATCH',
    (response) => sendJson(response, 200, { metadata: { ...ref, resourceVersion: '2' } }),
  )
  await new Promise((resolve) => setTimeout(resolve, 120))
  await server.start()
  assert.equal((await patching).metadata.resourceVersion, '2')
})

void test('a patch that wants metadata alone asks for it first, and takes the whole object of a server that has no such form', async () => {
  let accept = ''
  server.next(
    (seen) => seen.method === 'PATCH',
    (response) => {
      accept = response.req.headers.accept ?? ''
      sendJson(response, 200, { metadata: { ...ref, resourceVersion: '2' }, data: { a: 'b' } })
    },
  )
  const patch = { type: 'merge' as const, body: {}, metadataOnly: true }
  const { metadata } = await client.patch(configMap, ref, patch, soon())
  assert.equal(metadata.resourceVersion, '2')
  const [first = '', second] = accept.split(',').map((one) => one.trim())
  assert.match(first, /^application\/json;as=PartialObjectMetadata;/)
  assert.equal(second, 'application/json')
})

void test('when the time of the caller runs out, the error tells what stood in the way', async () => {
  const remove = server.always((_seen, response) => {
    sendStatus(response, 503, 'ServiceUnavailable', { message: 'etcd is not ready' })
    return true
  })
  await assert.rejects(client.get(configMap, ref, AbortSignal.timeout(150)), /etcd is not ready \(503/)
  remove()
  const silent = server.always(() => true)
  await assert.rejects(client.get(configMap, ref, AbortSignal.timeout(50)), (error) => {
    assert.ok(error instanceof ApiError)
    return error.reason === 'Timeout'
  })
  silent()
})

void test('one try of a read is ended after its time and repeated on another connection', async () => {
  const quick = new KubeClient(staticAccess(server.url), { timeouts: { readMs: 60 } })
  server.put('a')
  server.next(
    () => true,
    () => undefined,
  )
  assert.ok((await quick.get(configMap, ref, soon())) !== undefined)
  await quick.close()
})

void test('background calls that hang do not hold up foreground calls', async () => {
  server.put('a')
  const remove = server.always((seen) => seen.url.pathname.endsWith('/slow'))
  const background: KubeApi = client.background()
  const stop = new AbortController()
  const slow = Array.from({ length: 50 }, () =>
    background.get(configMap, { ...ref, name: 'slow' }, stop.signal).catch(() => 'ended'),
  )
  await until(() => server.requests.length === 4, 'four background calls')
  assert.ok((await client.get(configMap, ref, soon())) !== undefined)
  stop.abort()
  await Promise.all(slow)
  assert.equal(server.requests.filter((seen) => seen.url.pathname.endsWith('/slow')).length, 4)
  remove()
})

void test('a name that would change the path is refused before anything is sent', async () => {
  for (const name of ['a/b', '..', '', 'a%2fb', 'x'.repeat(300)]) {
    await assert.rejects(
      client.get(configMap, { name, namespace: 'ns' }, soon()),
      /Cannot accept metadata\.name/,
    )
  }
  await assert.rejects(
    client.get(configMap, { name: 'a' }, soon()),
    /metadata\.namespace .* name the namespace|lives in/,
  )
  assert.equal(server.requests.length, 0)
})

void test('watch() gives events, and 410 in both forms as an error', async () => {
  server.put('a')
  const version = server.version
  const options = { namespace: 'ns', resourceVersion: version, timeoutSeconds: 60 }
  const stop = new AbortController()
  const events: string[] = []
  const watching = (async () => {
    for await (const event of client.watch(configMap, options, stop.signal)) events.push(event.type)
  })()
  await until(() => server.watches.size === 1, 'a watch')
  server.put('a')
  server.bookmark()
  server.remove('a')
  await until(() => events.length === 3, 'three events')
  assert.deepEqual(events, ['MODIFIED', 'BOOKMARK', 'DELETED'])
  server.write(
    '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n',
  )
  await assert.rejects(watching, (error) => error instanceof ApiError && error.status === 410)
  server.compact()
  const again = client.watch(configMap, options, stop.signal)
  await assert.rejects(again.next(), (error) => error instanceof ApiError && error.status === 410)
})
