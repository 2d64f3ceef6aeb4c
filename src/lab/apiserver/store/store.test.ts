import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import fc from 'fast-check'
import type { ApiObject } from '../object.ts'
import { Collection } from './collection.ts'
import { type DurableLog, JournalError, type JournalRow } from './journal.ts'
import { Store } from './store.ts'

const resource = '/configmaps'
const deadline = () => AbortSignal.timeout(10_000)

function configMap(name: string, data: Record<string, unknown> = {}): ApiObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data }
}

async function inFolder(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'spiderpool-store-'))
  try {
    await work(join(folder, 'store.db'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

void test('a store opened again has every object that was durable, and goes on counting versions', () =>
  inFolder(async (path) => {
    const first = await Store.open(path, deadline())
    const made = first.put(resource, configMap('a', { big: 9_223_372_036_854_775_807n }), 0)
    first.put(resource, configMap('b'), 0)
    const removed = first.remove(resource, 'default/b', first.get(resource, 'default/b')?.version ?? 0)
    await first.durable(first.head)
    const { head } = first
    await first.close()
    const second = await Store.open(path, deadline())
    assert.equal(second.head, head)
    assert.equal(removed?.version, head)
    assert.equal(second.get(resource, 'default/a')?.text, made?.text)
    assert.match(made?.text ?? '', /"big":9223372036854775807[,}]/)
    assert.equal(second.get(resource, 'default/b'), undefined)
    assert.equal(second.changesSince(resource, head - 1), undefined, 'the history before the restart is gone')
    assert.deepEqual(second.changesSince(resource, head), [])
    await second.close()
  }))

void test('put() and remove() refuse a version that is not the stored one', () =>
  inFolder(async (path) => {
    const store = await Store.open(path, deadline())
    const first = store.put(resource, configMap('a'), 0)
    assert.ok(first)
    assert.equal(store.put(resource, configMap('a'), 0), undefined)
    const second = store.put(resource, configMap('a', { x: '1' }), first.version)
    assert.ok(second !== undefined && second.version > first.version)
    assert.equal(store.put(resource, configMap('a'), first.version), undefined)
    assert.equal(store.remove(resource, 'default/a', first.version), undefined)
    assert.equal(store.get(resource, 'default/a'), second)
    await store.close()
  }))

void test('listeners hear of a change after it is durable, in the order of versions', () =>
  inFolder(async (path) => {
    const store = await Store.open(path, deadline())
    const heard: number[] = []
    store.subscribe(resource, (event) => {
      assert.ok(event.version <= store.committed)
      heard.push(event.version)
    })
    const versions = Array.from({ length: 50 }, (_, i) => store.put(resource, configMap(`n${i}`), 0)?.version)
    assert.deepEqual(heard, [])
    await store.durable(store.head)
    assert.deepEqual(heard, versions)
    await store.close()
  }))

void test('listAt() gives objects as they were at an earlier version, and nothing once that is compacted', () =>
  inFolder(async (path) => {
    const store = await Store.open(path, deadline(), { events: 5, bytes: 1 << 20 })
    const a = store.put(resource, configMap('a', { v: '1' }), 0)
    const b = store.put(resource, configMap('b'), 0)
    assert.ok(a && b)
    const then = store.head
    store.put(resource, configMap('a', { v: '2' }), a.version)
    store.remove(resource, 'default/b', b.version)
    store.put(resource, configMap('c'), 0)
    assert.deepEqual(store.listAt(resource, then), [a, b])
    for (let i = 0; i < 5; i++) store.put(resource, configMap(`d${i}`), 0)
    assert.equal(store.listAt(resource, then), undefined)
    assert.equal(store.changesSince(resource, then), undefined)
    await store.close()
  }))

void test('a second store on the same file fails instead of sharing it', () =>
  inFolder(async (path) => {
    const first = await Store.open(path, deadline())
    await assert.rejects(Store.open(path, deadline()), JournalError)
    await first.close()
  }))

void test('Collection lists keys in order, whatever the order of changes', () => {
  const key = fc.constantFrom('a/x', 'a/y', 'a-b/x', 'b/x', 'b/y', 'c')
  const law = fc.property(fc.array(fc.tuple(key, fc.boolean())), (changes) => {
    const collection = new Collection()
    const model = new Set<string>()
    for (const [name, isAdd] of changes) {
      const record = {
        resource,
        key: name,
        namespace: '',
        name,
        version: 1,
        object: configMap(name),
        text: '',
      }
      if (isAdd) collection.set(record)
      else collection.delete(name)
      if (isAdd) model.add(name)
      else model.delete(name)
    }
    const keys = [...model].sort()
    assert.deepEqual(
      collection.list().map((record) => record.key),
      keys,
    )
    assert.deepEqual(
      collection.list('a').map((record) => record.key),
      keys.filter((name) => name.startsWith('a/')),
    )
    assert.equal(collection.size, model.size)
  })
  fc.assert(law)
})

/** A disk that refuses the commits with these numbers. */
class FaultyLog implements DurableLog {
  readonly loadedVersion = 0
  readonly loadedRows = []
  readonly died = new Promise<JournalError>(() => undefined)
  readonly rows: JournalRow[][] = []
  readonly #refused: ReadonlySet<number>
  #count = 0

  constructor(refused: readonly number[]) {
    this.#refused = new Set(refused)
  }

  commit(_version: number, rows: readonly JournalRow[]): Promise<void> {
    this.#count++
    if (this.#refused.has(this.#count))
      return Promise.reject(new JournalError('x', 'database or disk is full'))
    this.rows.push([...rows])
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

void test('writes that the disk refuses are taken back, their callers are told, and later ones go on', async () => {
  const log = new FaultyLog([2])
  const store = new Store(log)
  const heard: string[] = []
  store.subscribe(resource, ({ type, record }) => heard.push(`${type} ${record.name}`))
  const first = store.put(resource, configMap('a', { v: '1' }), 0)
  assert.ok(first)
  await store.durable(first.version)
  const second = store.put(resource, configMap('a', { v: '2' }), first.version)
  const other = store.put(resource, configMap('b'), 0)
  assert.ok(second && other)
  await assert.rejects(store.durable(second.version), /disk is full/)
  assert.equal(store.get(resource, 'default/a'), first)
  assert.equal(store.get(resource, 'default/b'), undefined)
  assert.deepEqual(store.changesSince(resource, first.version), [])
  const third = store.put(resource, configMap('a', { v: '3' }), first.version)
  assert.ok(third !== undefined && third.version > other.version)
  await store.durable(third.version)
  assert.deepEqual(heard, ['ADDED a', 'MODIFIED a'])
  assert.deepEqual(
    log.rows.map((rows) => rows.map(({ version }) => version)),
    [[first.version], [third.version]],
  )
  await store.close()
})
