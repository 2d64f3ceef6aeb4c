import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { ScriptedApi, type Seen, sendStatus, until } from '../../test/support/scripted-api.ts'
import { resources } from '../api/index.ts'
import { silentLogger } from '../base/index.ts'
import { staticAccess } from './access/access.ts'
import { ApiError } from './api-error.ts'
import { createCache } from './cache.ts'
import { KubeClient } from './kube-client.ts'
import { maxLineBytes } from './wire/watch-stream.ts'

const seed = 20260202
const { configMap } = resources
const server = new ScriptedApi()
const soon = () => AbortSignal.timeout(10_000)

before(() => server.start())
after(() => server.stop())

type Reply = (response: ServerResponse) => void

const json =
  (status: number, text: string): Reply =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(text)
  }
const meta = (fields: string) => `{"metadata":{${fields}},"items":[]}`
const item = (fields: string) => `{"metadata":{"resourceVersion":"5"},"items":[{"metadata":{${fields}}}]}`

// Bodies that are no answer to a get or a list, whatever their status says.
const badBodies: readonly string[] = [
  '',
  'null',
  '[]',
  '7',
  '"text"',
  '{',
  '{"metadata":',
  '{}',
  '{"metadata":null}',
  '{"metadata":[]}',
  '{"metadata":5}',
  meta(''),
  meta('"resourceVersion":5'),
  meta('"resourceVersion":""'),
  meta('"resourceVersion":"5","continue":7'),
  '{"metadata":{"resourceVersion":"5"},"items":{}}',
  '{"metadata":{"resourceVersion":"5"},"items":"x"}',
  '{"metadata":{"resourceVersion":"5"},"items":[null]}',
  '{"metadata":{"resourceVersion":"5"},"items":[1,2]}',
  '{"metadata":{"resourceVersion":"5"},"items":[{}]}',
  '{"metadata":{"resourceVersion":"5"},"items":[[]]}',
  item('"name":7,"resourceVersion":"1"'),
  item('"name":"a"'),
  item('"name":"","resourceVersion":"1"'),
  item('"name":"a","resourceVersion":1'),
  item('"name":"a","resourceVersion":"1","uid":5'),
  item('"name":"a","resourceVersion":"1","namespace":{}'),
  item('"name":"a","resourceVersion":"1","labels":[]'),
  item('"name":"a","resourceVersion":"1","labels":{"x":1}'),
  item('"name":"a","resourceVersion":"1","finalizers":"x"'),
  item('"name":"a","resourceVersion":"1","annotations":7'),
  item('"name":"a","resourceVersion":"1","ownerReferences":{}'),
  item('"name":"a","resourceVersion":"1","deletionTimestamp":5'),
  '<html>502</html>',
  '\ufffd\u0000\u0001',
  `{"a":${'['.repeat(5000)}`,
  `{"n":${'9'.repeat(10_000)}e`,
]
const badStatuses = [400, 403, 404, 405, 409, 410, 418, 422, 429, 500, 501, 502, 503, 504]
const lineOf = (object: string, type = 'ADDED') => `{"type":"${type}","object":${object}}\n`

// Watch lines after which nobody knows what was missed.
const badLines: readonly string[] = [
  'null\n',
  '7\n',
  '[]\n',
  '{}\n',
  '{"type":5}\n',
  '{"type":"NEW","object":{}}\n',
  '{"type":"ADDED"}\n',
  'garbage\n',
  lineOf('null'),
  lineOf('[]'),
  lineOf('{}'),
  lineOf('{"metadata":{}}'),
  lineOf('{"metadata":{"resourceVersion":7}}'),
  lineOf('{"metadata":{"resourceVersion":""}}'),
  lineOf('{"metadata":{"resourceVersion":"1"}}'),
  lineOf('{"metadata":{"resourceVersion":"1","name":5}}', 'MODIFIED'),
  lineOf('{"metadata":{"resourceVersion":"1","name":""}}', 'DELETED'),
  lineOf('{}', 'BOOKMARK'),
  lineOf('{"metadata":{"resourceVersion":7}}', 'BOOKMARK'),
  lineOf('{"code":410}', 'ERROR'),
  lineOf('{"code":"x"}', 'ERROR'),
  lineOf('null', 'ERROR'),
  lineOf('{"code":500}', 'ERROR'),
  lineOf('{"code":-1}', 'ERROR'),
  lineOf('{"code":99999}', 'ERROR'),
  '{"type":"ADDED","obj\n',
  '\u0000\u0001\n',
  '{"type":"ADDED",\n"object"\n',
]

const ways: readonly ((text: string) => Reply)[] = [
  (text) => json(200, text),
  (text) => (response) => {
    // Longer announced than sent.
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text) + 10,
    })
    response.write(text)
    setImmediate(() => response.destroy())
  },
  () => (response) => response.socket?.resetAndDestroy(),
  (text) => (response) => {
    response.socket?.write(`HTTP/1.1 999 ${text.slice(0, 5).replace(/[^a-z]/g, '')}\r\n\r\n`)
    response.socket?.destroy()
  },
  () => (response) => {
    response.socket?.write('nonsense\r\n\r\n')
    response.socket?.end()
  },
]

const badReply: fc.Arbitrary<Reply> = fc.oneof(
  fc.tuple(fc.constantFrom(...badBodies), fc.constantFrom(...ways)).map(([text, way]) => way(text)),
  fc
    .tuple(fc.constantFrom(...badBodies), fc.constantFrom(...badStatuses))
    .map(([text, status]) => json(status, text)),
)

void test('150 seeded bad answers to get, list and patch each end in an ApiError or an absent object; then all is well', async () => {
  const client = new KubeClient(staticAccess(server.url), {
    random: { next: () => 0 },
    timeouts: { readMs: 300, writeMs: 300 },
  })
  server.put('a', { data: {} })
  const ref = { name: 'a', namespace: 'ns' }
  let current: Reply | undefined
  const remove = server.always((_seen: Seen, response) => {
    if (current === undefined) return false
    current(response)
    return true
  })
  const calls: readonly ((signal: AbortSignal) => Promise<unknown>)[] = [
    (signal) => client.get(configMap, ref, signal),
    (signal) => client.listAll(configMap, { namespace: 'ns' }, signal),
    (signal) => client.patch(configMap, ref, { type: 'merge', body: {} }, signal),
  ]
  for (const [index, reply] of fc.sample(badReply, { seed, numRuns: 150 }).entries()) {
    current = reply
    const call = calls[index % calls.length] ?? calls[0]
    try {
      const found = await call?.(AbortSignal.timeout(20))
      // A get of a bare object with only list members cannot be told from a map; 404 is an absent object.
      assert.ok(found === undefined, JSON.stringify(found))
    } catch (error) {
      assert.ok(error instanceof ApiError, String(error))
      assert.notEqual(error.hint, '')
      assert.match(error.message, /^Cannot (read|list|patch) /)
    }
  }
  current = undefined
  assert.equal((await client.get(configMap, ref, soon()))?.metadata.name, 'a')
  remove()
  await client.close()
})

void test('120 seeded bad lists and watches never end a cache: it holds exactly what the server has afterwards', async () => {
  const client = new KubeClient(staticAccess(server.url), {
    timeouts: { readMs: 300, writeMs: 300 },
    random: { next: () => 0 },
  })
  const timing = { backoffFirstMs: 1, backoffCapMs: 2, shortWatchMs: 0 }
  const cache = createCache(client, configMap, { namespace: 'ns', timing }, silentLogger)
  await cache.synced(soon())
  const isWatch = (seen: Seen) => seen.url.searchParams.get('watch') === 'true'
  const scenario = fc.oneof(
    fc.constantFrom(...badLines).map((line) => ({ kind: 'line' as const, line })),
    badReply.map((reply) => ({ kind: 'list' as const, reply })),
    badReply.map((reply) => ({ kind: 'watch' as const, reply })),
  )
  for (const [index, bad] of fc.sample(scenario, { seed, numRuns: 120 }).entries()) {
    await until(() => server.watches.size === 1, `a watch before case ${index}`)
    if (bad.kind === 'line') server.write(bad.line)
    else if (bad.kind === 'watch') {
      server.next(isWatch, bad.reply)
      server.dropConnections()
    } else {
      server.next((seen) => !isWatch(seen), bad.reply)
      server.write(lineOf('{"code":410}', 'ERROR'))
    }
    const name = `case-${index}`
    server.put(name)
    await until(() => cache.get({ name, namespace: 'ns' }) !== undefined, `${name} ${JSON.stringify(bad)}`)
  }
  server.remove('case-0')
  await until(() => cache.get({ name: 'case-0', namespace: 'ns' }) === undefined, 'the last deletion')
  assert.deepEqual(
    [...cache.values()].map((object) => object.metadata.name).sort(),
    [...server.objects.keys()].sort(),
  )
  await cache.close()
  await client.close()
})

void test('a giant line of a watch is refused before it fills the memory', async () => {
  const client = new KubeClient(staticAccess(server.url))
  const cache = createCache(
    client,
    configMap,
    { namespace: 'ns', timing: { backoffFirstMs: 1, backoffCapMs: 2 } },
    silentLogger,
  )
  await cache.synced(soon())
  await until(() => server.watches.size === 1, 'a watch')
  const chunk = 'x'.repeat(1024 * 1024)
  for (let sent = 0; sent <= maxLineBytes; sent += chunk.length) {
    server.write(chunk)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => cache.stats().watchFailures === 1, 'the refusal')
  await until(() => cache.stats().lists === 2, 'a new list')
  await cache.close()
  await client.close()
})

void test('a server that refuses to resume for other reasons than 410 is asked for a list after some tries', async () => {
  const client = new KubeClient(staticAccess(server.url))
  const cache = createCache(
    client,
    configMap,
    { namespace: 'ns', timing: { backoffFirstMs: 1, backoffCapMs: 2 } },
    silentLogger,
  )
  await cache.synced(soon())
  await until(() => server.watches.size === 1, 'a watch')
  const remove = server.always((seen, response) => {
    if (seen.url.searchParams.get('watch') !== 'true' || cache.stats().lists > 1) return false
    sendStatus(response, 504, 'Timeout', { message: 'Too large resource version' })
    return true
  })
  server.dropConnections()
  await until(() => cache.stats().lists === 2, 'a second list')
  remove()
  await cache.close()
  await client.close()
})
