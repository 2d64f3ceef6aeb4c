import assert from 'node:assert/strict'
import { at, type Check, configMap, expect, type Kit, listAt, nameOf, textAt, versionOf } from './kit.ts'

/** Create, read, replace and delete; optimistic locking, preconditions, finalizers. On ConfigMaps. */
export function objectCases(kit: () => Kit, check: Check): void {
  const setUp = async () => {
    const ns = await kit().namespace()
    return { k: kit(), ns, path: `/api/v1/namespaces/${ns}/configmaps` }
  }
  const make = async (k: Kit, path: string, object: object) =>
    expect(await k.send('POST', path, { body: object }), 201)

  check('create fills in uid, version, creation time and namespace', async () => {
    const { k, ns, path } = await setUp()
    const made = await make(k, path, configMap('a', { data: { k: 'v' } }))
    assert.match(textAt(made, 'metadata.uid'), /^[0-9a-f-]{36}$/)
    assert.notEqual(versionOf(made), '')
    assert.match(textAt(made, 'metadata.creationTimestamp'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.equal(at(made, 'metadata.namespace'), ns)
    assert.deepEqual(expect(await k.send('GET', `${path}/a`), 200), made)
  })
  check('creating a name twice is 409 AlreadyExists', async () => {
    const { k, path } = await setUp()
    await make(k, path, configMap('a'))
    const refused = expect(await k.send('POST', path, { body: configMap('a') }), 409, 'AlreadyExists')
    assert.equal(at(refused, 'details.name'), 'a')
  })
  check('an object to be created must not carry a version', async () => {
    const { k, path } = await setUp()
    const body = configMap('a', {}, { resourceVersion: '5' })
    // Kubernetes answers 500 up to this day.
    const refused = expect(await k.send('POST', path, { body }), [400, 422, 500])
    assert.match(textAt(refused, 'message'), /resourceVersion/)
  })
  check('generateName gives distinct names with the prefix', async () => {
    const { k, path } = await setUp()
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'gen-' } }
    const names = new Set<string>()
    for (let i = 0; i < 10; i += 1) names.add(nameOf(await make(k, path, body)))
    assert.equal(names.size, 10)
    for (const name of names) assert.match(name, /^gen-[a-z0-9]{5,}$/)
  })
  check('an object without a name, and one with a bad name, is 422 Invalid', async () => {
    const { k, path } = await setUp()
    expect(
      await k.send('POST', path, { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} } }),
      422,
      'Invalid',
    )
    for (const name of ['A', 'a_b', '-a', 'a/b', 'x'.repeat(254)]) {
      expect(await k.send('POST', path, { body: configMap(name) }), 422, 'Invalid')
    }
  })
  check('bad labels are 422, with the field named', async () => {
    const { k, path } = await setUp()
    const body = configMap('a', {}, { labels: { k: 'not valid!' } })
    const refused = expect(await k.send('POST', path, { body }), 422, 'Invalid')
    assert.match(JSON.stringify(refused), /metadata\.labels/)
  })
  check('a body of another kind or namespace, and one that is no JSON, is 400', async () => {
    const { k, path } = await setUp()
    expect(
      await k.send('POST', path, { body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } } }),
      400,
    )
    expect(await k.send('POST', path, { body: configMap('a', {}, { namespace: 'other' }) }), 400)
    expect(await k.send('POST', path, { body: '{"apiVersion":"v1",' }), 400)
  })
  check('what is not there is 404 NotFound with its name; an unknown resource is 404', async () => {
    const { k, path } = await setUp()
    const missing = expect(await k.send('GET', `${path}/none`), 404, 'NotFound')
    assert.deepEqual([at(missing, 'details.name'), at(missing, 'code')], ['none', 404])
    expect(await k.send('PUT', `${path}/none`, { body: configMap('none') }), 404)
    expect(await k.send('DELETE', `${path}/never`), 404, 'NotFound')
    assert.equal((await k.send('GET', '/apis/no.such.group/v1/things')).status, 404)
  })
  check('creating in a namespace that is not there is 404', async () => {
    const path = `/api/v1/namespaces/${kit().unique('none')}/configmaps`
    expect(await kit().send('POST', path, { body: configMap('a') }), 404, 'NotFound')
  })
  check('a replace with a stale version is 409 Conflict and changes nothing', async () => {
    const { k, path } = await setUp()
    const first = await make(k, path, configMap('a', { data: { n: '1' } }))
    const second = expect(
      await k.send('PUT', `${path}/a`, { body: { ...(first as object), data: { n: '2' } } }),
      200,
    )
    assert.notEqual(versionOf(second), versionOf(first))
    expect(
      await k.send('PUT', `${path}/a`, { body: { ...(first as object), data: { n: '3' } } }),
      409,
      'Conflict',
    )
    assert.equal(at(expect(await k.send('GET', `${path}/a`), 200), 'data.n'), '2')
  })
  check('a replace without a version is unconditional', async () => {
    const { k, path } = await setUp()
    await make(k, path, configMap('a', { data: { n: '1' } }))
    const changed = expect(
      await k.send('PUT', `${path}/a`, { body: configMap('a', { data: { n: '2' } }) }),
      200,
    )
    assert.equal(at(changed, 'data.n'), '2')
  })
  check('a replace that changes nothing keeps the version', async () => {
    const { k, path } = await setUp()
    const made = await make(k, path, configMap('a', { data: { n: '1' } }))
    assert.equal(versionOf(expect(await k.send('PUT', `${path}/a`, { body: made }), 200)), versionOf(made))
  })
  check('a replace with another name than the path is 400, with another uid 409', async () => {
    const { k, path } = await setUp()
    const made = await make(k, path, configMap('a'))
    expect(await k.send('PUT', `${path}/a`, { body: configMap('b') }), 400)
    const metadata = { ...(at(made, 'metadata') as object), uid: '00000000-0000-0000-0000-000000000000' }
    expect(await k.send('PUT', `${path}/a`, { body: { ...(made as object), metadata } }), 409, 'Conflict')
  })
  check('of many writers with one version exactly one wins', async () => {
    const { k, path } = await setUp()
    const made = await make(k, path, configMap('a'))
    const write = (n: number) =>
      k.send('PUT', `${path}/a`, { body: { ...(made as object), data: { n: String(n) } } })
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => write(n)))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.equal(answers.filter(({ status }) => status === 409).length, 19)
  })
  check('delete honours the preconditions uid and resourceVersion', async () => {
    const { k, path } = await setUp()
    const made = await make(k, path, configMap('a'))
    const remove = (preconditions: object) =>
      k.send('DELETE', `${path}/a`, { body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions } })
    expect(await remove({ uid: '00000000-0000-0000-0000-000000000000' }), 409, 'Conflict')
    expect(await remove({ resourceVersion: '1' }), 409, 'Conflict')
    expect(await remove({ uid: at(made, 'metadata.uid'), resourceVersion: versionOf(made) }), 200)
    expect(await k.send('GET', `${path}/a`), 404)
  })
  check('a new object of the same name has another uid', async () => {
    const { k, path } = await setUp()
    const first = await make(k, path, configMap('a'))
    expect(await k.send('DELETE', `${path}/a`), 200)
    const second = await make(k, path, configMap('a'))
    assert.notEqual(at(first, 'metadata.uid'), at(second, 'metadata.uid'))
  })
  check('a finalizer keeps a deleted object, marked, until it is taken off', async () => {
    const { k, path } = await setUp()
    const made = await make(k, path, configMap('a', {}, { finalizers: ['conformance.test/hold'] }))
    expect(await k.send('DELETE', `${path}/a`), [200, 202])
    const held = expect(await k.send('GET', `${path}/a`), 200)
    assert.match(textAt(held, 'metadata.deletionTimestamp'), /Z$/)
    assert.equal(at(held, 'metadata.uid'), at(made, 'metadata.uid'))
    expect(await k.patch(`${path}/a`, 'merge', { metadata: { labels: { still: 'writable' } } }), 200)
    expect(
      await k.patch(`${path}/a`, 'merge', {
        metadata: { finalizers: ['conformance.test/hold', 'x.test/new'] },
      }),
      422,
    )
    expect(await k.patch(`${path}/a`, 'merge', { metadata: { finalizers: null } }), 200)
    expect(await k.send('GET', `${path}/a`), 404)
  })
  check('deletion time and creation time cannot be written', async () => {
    const { k, path } = await setUp()
    const made = await make(k, path, configMap('a', {}, { deletionTimestamp: '2020-01-01T00:00:00Z' }))
    assert.equal(at(made, 'metadata.deletionTimestamp'), undefined)
    const deletion = { metadata: { deletionTimestamp: '2020-01-01T00:00:00Z' } }
    const refused = expect(await k.patch(`${path}/a`, 'merge', deletion), 422, 'Invalid')
    assert.match(textAt(refused, 'message'), /deletionTimestamp.*immutable/)
    const creation = { metadata: { creationTimestamp: '2000-01-01T00:00:00Z' } }
    expect(await k.patch(`${path}/a`, 'merge', creation), 200)
    assert.deepEqual(expect(await k.send('GET', `${path}/a`), 200), made)
  })
  check('owner references are kept as they are', async () => {
    const { k, path } = await setUp()
    const owner = await make(k, path, configMap('owner'))
    const uid = at(owner, 'metadata.uid')
    const reference = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'owner',
      uid,
      controller: true,
      blockOwnerDeletion: true,
    }
    const made = await make(k, path, configMap('a', {}, { ownerReferences: [reference] }))
    assert.deepEqual(listAt(made, 'metadata.ownerReferences'), [reference])
  })
  check('an owner reference without a uid is 422', async () => {
    const { k, path } = await setUp()
    const incomplete = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner' }
    expect(
      await k.send('POST', path, { body: configMap('b', {}, { ownerReferences: [incomplete] }) }),
      422,
      'Invalid',
    )
  })
  check('a terminating namespace takes no new objects: 403', async () => {
    const { k, ns, path } = await setUp()
    await make(k, path, configMap('a', {}, { finalizers: ['conformance.test/hold'] }))
    expect(await k.send('DELETE', `/api/v1/namespaces/${ns}`), [200, 202])
    const space = expect(await k.send('GET', `/api/v1/namespaces/${ns}`), 200)
    assert.equal(at(space, 'status.phase'), 'Terminating')
    const refused = expect(await k.send('POST', path, { body: configMap('b') }), 403, 'Forbidden')
    assert.match(textAt(refused, 'message'), /terminat/)
    expect(await k.patch(`${path}/a`, 'merge', { metadata: { finalizers: null } }), 200)
  })
  check('a dry run answers as the real call would, and stores nothing', async () => {
    const { k, path } = await setUp()
    const body = configMap('a')
    assert.notEqual(
      at(expect(await k.send('POST', `${path}?dryRun=All`, { body }), 201), 'metadata.uid'),
      undefined,
    )
    expect(await k.send('GET', `${path}/a`), 404)
  })
  check('an object beyond the limit of a request is 413 or 422', async () => {
    const { k, path } = await setUp()
    // Not by much: a server may close a connection whose body it does not read to the end.
    const body = configMap('big', { data: { big: 'x'.repeat(3 * 1024 * 1024) } })
    expect(await k.send('POST', path, { body }), [413, 422])
  })
}
