import assert from 'node:assert/strict'
import { at, type Check, configMap, type Event, expect, type Kit, listAt, nameOf, versionOf } from './kit.ts'

const typesAndNames = (events: readonly Event[]) =>
  events.filter(({ type }) => type !== 'BOOKMARK').map(({ type, object }) => `${type} ${nameOf(object)}`)
const query = (fields: Record<string, string | number | boolean>) =>
  `?${new URLSearchParams(Object.entries(fields).map(([k, v]) => [k, String(v)] as [string, string]))}`

/** Lists, selectors, pages, watches, bookmarks and expiry. On ConfigMaps and Pods. */
export function listCases(kit: () => Kit, check: Check): void {
  const setUp = async (names: readonly string[] = []) => {
    const ns = await kit().namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps`
    const make = async (name: string, labels: Record<string, string> = { suite: 'yes' }) =>
      expect(await kit().send('POST', path, { body: configMap(name, {}, { labels }) }), 201)
    for (const name of names) await make(name)
    return { k: kit(), ns, path, make }
  }
  const namesOf = (list: unknown) =>
    listAt(list, 'items')
      .map(nameOf)
      .filter((name) => name !== 'kube-root-ca.crt')

  check('a list has a kind, a version, and its items in order of their names', async () => {
    const { k, path } = await setUp(['b', 'a', 'c'])
    const list = expect(await k.send('GET', path), 200)
    assert.equal(at(list, 'kind'), 'ConfigMapList')
    assert.notEqual(versionOf(list), '')
    assert.deepEqual(namesOf(list), ['a', 'b', 'c'])
  })
  check('a list over all namespaces holds the objects of each', async () => {
    const one = await setUp(['x'])
    const two = await setUp(['x'])
    const list = expect(
      await one.k.send('GET', `/api/v1/configmaps${query({ labelSelector: 'suite=yes' })}`),
      200,
    )
    const spaces = new Set(listAt(list, 'items').map((item) => at(item, 'metadata.namespace')))
    assert.ok(spaces.has(one.ns) && spaces.has(two.ns))
  })
  check('label selectors: equality, sets, existence, and their refusals', async () => {
    const { k, path, make } = await setUp()
    await make('a', { tier: 'web', env: 'prod' })
    await make('b', { tier: 'db', env: 'prod' })
    await make('c', { tier: 'web' })
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ['tier=web', ['a', 'c']],
      ['tier==db', ['b']],
      ['tier!=web', ['b']],
      ['tier in (web,db),env', ['a', 'b']],
      ['tier notin (web)', ['b']],
      ['!env,tier', ['c']],
      ['env', ['a', 'b']],
      ['tier=web,env=prod', ['a']],
    ]
    for (const [labelSelector, wanted] of cases) {
      const list = expect(await k.send('GET', `${path}${query({ labelSelector })}`), 200)
      assert.deepEqual(namesOf(list), wanted, labelSelector)
    }
    for (const labelSelector of ['tier in web', 'a=b=c=', '=x', 'tier in (a']) {
      expect(await k.send('GET', `${path}${query({ labelSelector })}`), 400)
    }
  })
  check('field selectors: name and namespace; an unknown field is 400', async () => {
    const { k, ns, path } = await setUp(['a', 'b'])
    const byName = expect(await k.send('GET', `${path}${query({ fieldSelector: 'metadata.name=b' })}`), 200)
    assert.deepEqual(namesOf(byName), ['b'])
    const both = `metadata.namespace=${ns},metadata.name!=a`
    assert.deepEqual(
      namesOf(expect(await k.send('GET', `/api/v1/configmaps${query({ fieldSelector: both })}`), 200)),
      ['b'],
    )
    expect(await k.send('GET', `${path}${query({ fieldSelector: 'data.x=1' })}`), 400)
  })
  check('field selectors: pods by spec.nodeName and status.phase', async () => {
    const { k, ns } = await setUp()
    const path = `/api/v1/namespaces/${ns}/pods`
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } }
    expect(await k.send('POST', `/api/v1/namespaces/${ns}/serviceaccounts`, { body: account }), [201, 409])
    for (const [name, nodeName] of [
      ['p1', 'no-such-node-1'],
      ['p2', 'no-such-node-2'],
    ] as const) {
      const spec = { nodeName, automountServiceAccountToken: false, containers: [{ name: 'c', image: 'x' }] }
      expect(
        await k.send('POST', path, { body: { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec } }),
        201,
      )
    }
    const found = expect(
      await k.send('GET', `${path}${query({ fieldSelector: 'spec.nodeName=no-such-node-1' })}`),
      200,
    )
    assert.deepEqual(namesOf(found), ['p1'])
    const pending = expect(
      await k.send('GET', `${path}${query({ fieldSelector: 'status.phase=Pending' })}`),
      200,
    )
    assert.deepEqual(namesOf(pending), ['p1', 'p2'])
    for (const name of ['p1', 'p2'])
      expect(await k.send('DELETE', `${path}/${name}${query({ gracePeriodSeconds: 0 })}`), 200)
  })
  check('pages show one version: objects made meanwhile are not in them', async () => {
    const { k, path, make } = await setUp(['a', 'b', 'c', 'd', 'e'])
    const select = { labelSelector: 'suite=yes', limit: 2 }
    const first = expect(await k.send('GET', path + query(select)), 200)
    await make('b2')
    expect(await k.send('DELETE', `${path}/e`), 200)
    const token = String(at(first, 'metadata.continue'))
    const second = expect(await k.send('GET', path + query({ ...select, continue: token })), 200)
    const third = expect(
      await k.send('GET', path + query({ ...select, continue: String(at(second, 'metadata.continue')) })),
      200,
    )
    assert.deepEqual([first, second, third].map(namesOf), [['a', 'b'], ['c', 'd'], ['e']])
    assert.equal(versionOf(second), versionOf(first))
    assert.ok([undefined, ''].includes(at(third, 'metadata.continue') as string | undefined))
  })
  check('a continue token that is none is refused', async () => {
    const { k, path } = await setUp(['a'])
    expect(await k.send('GET', path + query({ limit: 1, continue: 'nonsense' })), [400, 410])
  })
  check('a watch from the version of a list gives exactly what came after it, in order', async () => {
    const { k, path, make } = await setUp(['old'])
    const version = versionOf(expect(await k.send('GET', path), 200))
    await make('new')
    expect(await k.patch(`${path}/new`, 'merge', { data: { x: '1' } }), 200)
    expect(await k.send('DELETE', `${path}/old`), 200)
    const watch =
      path + query({ watch: true, resourceVersion: version, timeoutSeconds: 10, labelSelector: 'suite' })
    const events = await k.watch(watch, (seen) => seen.length >= 3)
    assert.deepEqual(typesAndNames(events), ['ADDED new', 'MODIFIED new', 'DELETED old'])
    assert.equal(at(events[1]?.object, 'data.x'), '1')
    // The version of an event is one to resume from; that of a deletion is new.
    const resumed =
      path +
      query({
        watch: true,
        resourceVersion: versionOf(events[0]?.object),
        timeoutSeconds: 10,
        labelSelector: 'suite',
      })
    const rest = await k.watch(resumed, (seen) => seen.length >= 2)
    assert.deepEqual(typesAndNames(rest), ['MODIFIED new', 'DELETED old'])
    assert.notEqual(versionOf(events[2]?.object), version)
  })
  check('a watch without a version begins with what is there', async () => {
    const { k, path, make } = await setUp(['a', 'b'])
    const select = { labelSelector: 'suite=yes', watch: true, timeoutSeconds: 10 }
    const watching = k.watch(path + query(select), (seen) => seen.length >= 3)
    const early = await k.watch(path + query(select), (seen) => seen.length >= 2)
    assert.deepEqual(typesAndNames(early).sort(), ['ADDED a', 'ADDED b'])
    await make('c')
    assert.deepEqual(typesAndNames(await watching).at(-1), 'ADDED c')
  })
  check(
    'an object that leaves the selector of a watch is DELETED for it, one that enters is ADDED',
    async () => {
      const { k, path } = await setUp(['a'])
      const version = versionOf(expect(await k.send('GET', path), 200))
      expect(await k.patch(`${path}/a`, 'merge', { metadata: { labels: { suite: 'no' } } }), 200)
      expect(await k.patch(`${path}/a`, 'merge', { metadata: { labels: { suite: 'yes' } } }), 200)
      const select = { labelSelector: 'suite=yes', watch: true, resourceVersion: version, timeoutSeconds: 10 }
      const events = await k.watch(path + query(select), (seen) => seen.length >= 2)
      assert.deepEqual(typesAndNames(events), ['DELETED a', 'ADDED a'])
    },
  )
  check('a watch of one object by name sees that one alone', async () => {
    const { k, path } = await setUp(['a', 'b'])
    const version = versionOf(expect(await k.send('GET', path), 200))
    for (const name of ['b', 'a'])
      expect(await k.patch(`${path}/${name}`, 'merge', { data: { x: '1' } }), 200)
    const select = {
      fieldSelector: 'metadata.name=a',
      watch: true,
      resourceVersion: version,
      timeoutSeconds: 5,
    }
    assert.deepEqual(typesAndNames(await k.watch(path + query(select), (seen) => seen.length >= 1)), [
      'MODIFIED a',
    ])
  })
  check(
    'a watch ends by itself after timeoutSeconds, with a bookmark before that when asked for',
    async () => {
      const { k, path, make } = await setUp(['a'])
      const version = versionOf(expect(await k.send('GET', path), 200))
      const select = { watch: true, resourceVersion: version, allowWatchBookmarks: true, timeoutSeconds: 5 }
      const startMs = performance.now()
      const watching = k.watch(`${path}${query(select)}`, () => false, 15_000)
      await make('b')
      const events = await watching
      assert.ok(performance.now() - startMs < 12_000)
      const bookmarks = events.filter(({ type }) => type === 'BOOKMARK')
      assert.ok(bookmarks.length >= 1, 'no bookmark came')
      const after = versionOf(bookmarks.at(-1)?.object)
      const resumed = path + query({ watch: true, resourceVersion: after, timeoutSeconds: 1 })
      assert.deepEqual(typesAndNames(await k.watch(resumed, () => false)), [])
    },
  )
  check('a watch that did not ask for bookmarks gets none', async () => {
    const { k, path } = await setUp()
    const version = versionOf(expect(await k.send('GET', path), 200))
    const events = await k.watch(
      path + query({ watch: true, resourceVersion: version, timeoutSeconds: 4 }),
      () => false,
    )
    assert.equal(events.filter(({ type }) => type === 'BOOKMARK').length, 0)
  })
  check('versions that are no longer kept are 410, for a watch and for a page', async (t) => {
    const { k, path } = await setUp(['a', 'b', 'c'])
    const { changesKept } = k.api
    if (changesKept === undefined) return t.skip('only on embedded: a history that can be made short')
    const list = expect(await k.send('GET', path + query({ limit: 1 })), 200)
    for (let i = 0; i <= changesKept; i += 1)
      expect(await k.patch(`${path}/b`, 'merge', { data: { n: String(i) } }), 200)
    const watch = path + query({ watch: true, resourceVersion: versionOf(list), timeoutSeconds: 5 })
    const [first] = await k.watch(watch, (seen) => seen.length >= 1)
    assert.equal(at(first?.object, 'code'), 410, JSON.stringify(first))
    const page = path + query({ limit: 1, continue: String(at(list, 'metadata.continue')) })
    expect(await k.send('GET', page), 410, 'Expired')
  })
  check('the answer to Accept: Table has columns and rows', async () => {
    const { k, path } = await setUp(['a'])
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
    const table = expect(await k.send('GET', path + query({ labelSelector: 'suite=yes' }), { accept }), 200)
    assert.equal(at(table, 'kind'), 'Table')
    assert.equal(at(listAt(table, 'columnDefinitions')[0], 'name'), 'Name')
    assert.equal(listAt(listAt(table, 'rows')[0], 'cells')[0], 'a')
  })
}
