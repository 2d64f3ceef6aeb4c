import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { ScriptedApi, sendJson, sendStatus, until } from '../../test/support/scripted-api.ts'
import { type KubeObject, resources } from '../api/index.ts'
import { silentLogger } from '../base/index.ts'
import { staticAccess } from './access/access.ts'
import { createCache } from './cache.ts'
import type { KubeCache } from './kube-api.ts'
import { KubeClient } from './kube-client.ts'

type Item = KubeObject & { readonly data?: unknown }

const soon = () => AbortSignal.timeout(5000)
const timing = { backoffFirstMs: 4, backoffCapMs: 20, shortWatchMs: 100 }
const server = new ScriptedApi()
let client: KubeClient
let cache: KubeCache<Item>
let changes: string[]

function open(options: { trim?: (item: Item) => Item; timing?: object } = {}): KubeCache<Item> {
  cache = createCache<Item>(
    client,
    resources.configMap,
    { namespace: 'ns', ...options, timing: { ...timing, ...options.timing } },
    silentLogger,
  )
  cache.onChange((old, now) => {
    const show = (item: Item | undefined) =>
      item === undefined ? '-' : `${item.metadata.name}/${item.metadata.uid}`
    changes.push(`${show(old)}>${show(now)}`)
  })
  return cache
}

before(() => server.start())
after(() => server.stop())
beforeEach(() => {
  server.objects.clear()
  server.compact()
  server.requests.length = 0
  changes = []
  client = new KubeClient(staticAccess(server.url), { random: { next: () => 0 } })
})
afterEach(async () => {
  await cache.close()
  await client.close()
})

const names = () => [...cache.values()].map((item) => item.metadata.name).sort()
const watching = () => until(() => server.watches.size === 1, 'a watch')

void test('the cache lists, then follows, and asks for bookmarks and for an end of the watch', async () => {
  server.put('a')
  await open().synced(soon())
  assert.deepEqual(names(), ['a'])
  await watching()
  server.put('b')
  server.remove('a')
  await until(() => changes.length === 3, 'three changes')
  assert.deepEqual(changes, ['->a/uid-a', '->b/uid-b', 'a/uid-a>-'])
  assert.equal(cache.get({ name: 'b', namespace: 'ns' })?.metadata.name, 'b')
  const query = server.requests.find((seen) => seen.url.searchParams.get('watch') === 'true')?.url
    .searchParams
  assert.equal(query?.get('allowWatchBookmarks'), 'true')
  const seconds = Number(query?.get('timeoutSeconds'))
  assert.ok(seconds >= 300 && seconds <= 600)
  assert.equal(server.requests[0]?.url.searchParams.get('limit'), '500')
})

void test('a dropped connection is resumed from the last version, bookmarks included, without a list', async () => {
  await open().synced(soon())
  await watching()
  server.put('a')
  server.bookmark()
  await until(() => cache.stats().bookmarks === 1, 'a bookmark')
  const version = server.version
  server.dropConnections()
  await until(() => server.requests.at(-1)?.url.searchParams.get('resourceVersion') === version, 'a resume')
  server.put('b')
  await until(() => cache.size === 2, 'the event after the resume')
  assert.equal(cache.stats().lists, 1)
  assert.deepEqual(changes, ['->a/uid-a', '->b/uid-b'])
})

void test('410 as a status and as an event both lead to a new list, which is compared with what was known', async () => {
  server.put('gone')
  server.put('stays')
  await open().synced(soon())
  await watching()
  server.objects.delete('gone')
  server.compact()
  server.write('{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n')
  await until(() => cache.stats().lists === 2, 'a second list')
  await watching()
  server.objects.delete('stays')
  server.next(
    (seen) => seen.url.searchParams.get('watch') === 'true',
    (response) => sendStatus(response, 410, 'Gone'),
  )
  server.dropConnections()
  await until(() => cache.stats().lists === 3, 'a third list')
  assert.equal(cache.size, 0)
  assert.deepEqual(changes.slice(2), ['gone/uid-gone>-', 'stays/uid-stays>-'])
  assert.equal(cache.stats().expired, 2)
})

void test('a server that answers 410 for ever is not asked in a tight loop', async () => {
  const remove = server.always((seen, response) => {
    if (seen.url.searchParams.get('watch') !== 'true') return false
    sendStatus(response, 410, 'Expired')
    return true
  })
  await open({ timing: { backoffFirstMs: 40, backoffCapMs: 80 } }).synced(soon())
  await new Promise((resolve) => setTimeout(resolve, 400))
  assert.ok(server.requests.length < 40, `${server.requests.length} requests in 400 ms`)
  remove()
  await watching()
})

void test('a server that limits its load is asked again when it said, and not before', async () => {
  server.next(
    (seen) => seen.url.searchParams.get('watch') === 'true',
    (response) => sendStatus(response, 429, 'TooManyRequests', { headers: { 'retry-after': '1' } }),
  )
  await open().synced(soon())
  await watching()
  const [first, second] = server.requests.filter((seen) => seen.url.searchParams.get('watch') === 'true')
  assert.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) >= 990)
  assert.equal(cache.stats().lists, 1)
})

void test('the server may restart on its port: the cache goes on', async () => {
  server.put('a')
  await open().synced(soon())
  await watching()
  await server.stop()
  server.put('b')
  await new Promise((resolve) => setTimeout(resolve, 50))
  await server.start()
  await until(() => cache.size === 2, 'the object made while away')
})

void test('an object of the same name with another uid arrives as delete, then add', async () => {
  server.put('a', {}, 'one')
  await open().synced(soon())
  await watching()
  server.put('a', {}, 'two')
  await until(() => changes.length === 3, 'changes')
  assert.deepEqual(changes, ['->a/one', 'a/one>-', '->a/two'])
  server.put('a', {}, 'three')
  server.compact()
  server.dropConnections()
  await until(() => changes.length === 5, 'changes of the list')
  assert.deepEqual(changes.slice(3), ['a/two>-', '->a/three'])
})

void test('trim runs on listed and watched objects, and only what it keeps is held', async () => {
  server.put('a', { data: 'large' })
  await open({ trim: ({ metadata }) => ({ metadata }) }).synced(soon())
  await watching()
  server.put('b', { data: 'large' })
  await until(() => cache.size === 2, 'both')
  for (const item of cache.values()) assert.equal(item.data, undefined)
})

void test('a large collection is listed in pages, and a page that expired starts the list again', async () => {
  for (let i = 0; i < 1234; i += 1) server.put(`o${i}`)
  server.next(
    (seen) => seen.url.searchParams.has('continue'),
    (response) => sendStatus(response, 410, 'Expired'),
  )
  await open().synced(soon())
  assert.equal(cache.size, 1234)
  assert.equal(server.requests.filter((seen) => seen.url.searchParams.get('watch') === null).length, 5)
})

void test('a watch that ends cleanly is opened again from where it was', async () => {
  await open({ timing: { shortWatchMs: 0 } }).synced(soon())
  await watching()
  server.put('a')
  await until(() => cache.size === 1, 'a')
  for (const watch of server.watches) watch.end()
  await until(() => cache.stats().watchesOpened === 2, 'a second watch')
  await watching()
  assert.equal(cache.stats().lists, 1)
  assert.equal(cache.stats().watchFailures, 0)
})

void test('a watch that went silent behind its usual bookmarks is opened again; a quiet one is not', async () => {
  const quickGuard = { silence: { shortestMs: 60, graceMs: 20 } }
  await open({ timing: quickGuard }).synced(soon())
  await watching()
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.equal(cache.stats().watchesOpened, 1)
  server.bookmark()
  await new Promise((resolve) => setTimeout(resolve, 20))
  server.bookmark()
  await until(() => cache.stats().silentWatches >= 1, 'the guard')
  await until(() => cache.stats().watchesOpened >= 2, 'a new watch')
  server.put('a')
  await until(() => cache.size === 1, 'the event')
  assert.equal(cache.stats().lists, 1)
})

void test('a listener that throws does not stop the cache', async () => {
  open()
  cache.onChange(() => {
    throw new TypeError('broken listener')
  })
  await cache.synced(soon())
  await watching()
  server.put('a')
  await until(() => cache.size === 1, 'a')
})

void test('synced() gives up with its signal, and close() ends a cache that never synced', async () => {
  const remove = server.always((_seen, response) => {
    sendStatus(response, 403, 'Forbidden')
    return true
  })
  open()
  await assert.rejects(cache.synced(AbortSignal.timeout(30)), { name: 'TimeoutError' })
  const waiting = cache.synced(soon())
  await Promise.all([assert.rejects(waiting, { name: 'AbortError' }), cache.close()])
  remove()
})

void test('a burst of 10,000 events arrives whole and in order', async () => {
  await open({ trim: ({ metadata }) => ({ metadata }) }).synced(soon())
  await watching()
  let last = 0
  let isOrdered = true
  cache.onChange((_old, now) => {
    const at = Number(now?.metadata.resourceVersion?.slice(1))
    if (at < last) isOrdered = false
    last = at
  })
  for (let i = 0; i < 10_000; i += 1) server.put(`o${i % 1000}`, { data: 'x'.repeat(100) })
  await until(() => cache.stats().events === 10_000, 'all events')
  assert.ok(isOrdered)
  assert.equal(cache.size, 1000)
})

void test('a list answer that is no list is refused, and a good one after it is taken', async () => {
  server.put('a')
  server.next(
    () => true,
    (response) =>
      sendJson(response, 200, { items: [{ metadata: { name: 7 } }], metadata: { resourceVersion: '1' } }),
  )
  await open().synced(soon())
  assert.deepEqual(names(), ['a'])
  assert.ok(cache.stats().listFailures >= 1 || server.requests.length >= 2)
})
