import assert from 'node:assert/strict'
import { at, type Check, configMap, expect, type Kit, listAt, patchTypes, versionOf } from './kit.ts'

const labels = { app: 'conformance' }

function deployment(name: string) {
  const containers = [
    { name: 'a', image: 'one', env: [{ name: 'X', value: '1' }] },
    { name: 'b', image: 'two' },
  ]
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  }
}

/** The four kinds of patch, and the scale subresource. */
export function patchCases(kit: () => Kit, check: Check): void {
  const setUp = async (object: object = configMap('a', { data: { keep: '1', drop: '2' } })) => {
    const ns = await kit().namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps`
    const made = expect(await kit().send('POST', path, { body: object }), 201)
    return { k: kit(), ns, path: `${path}/a`, made }
  }

  check('merge patch: null removes, absent keeps, the rest is set', async () => {
    const { k, path } = await setUp()
    const after = expect(await k.patch(path, 'merge', { data: { drop: null, add: '3' } }), 200)
    assert.deepEqual(at(after, 'data'), { keep: '1', add: '3' })
  })
  check('merge patch: a stale version is 409, another uid is 422, and nothing is changed', async () => {
    const { k, path, made } = await setUp()
    expect(await k.patch(path, 'merge', { data: { keep: '5' } }), 200)
    const stale = { metadata: { resourceVersion: versionOf(made) }, data: { keep: '9' } }
    expect(await k.patch(path, 'merge', stale), 409, 'Conflict')
    const other = { metadata: { uid: '00000000-0000-0000-0000-000000000000' }, data: { keep: '9' } }
    expect(await k.patch(path, 'merge', other), 422, 'Invalid')
    assert.equal(at(expect(await k.send('GET', path), 200), 'data.keep'), '5')
  })
  check('merge patch: the current version as precondition is accepted', async () => {
    const { k, path, made } = await setUp()
    const patch = { metadata: { resourceVersion: versionOf(made) }, data: { keep: '9' } }
    expect(await k.patch(path, 'merge', patch), 200)
  })
  check('merge patch: no change keeps the version', async () => {
    const { k, path, made } = await setUp()
    assert.equal(
      versionOf(expect(await k.patch(path, 'merge', { data: { keep: '1' } }), 200)),
      versionOf(made),
    )
  })
  check('JSON patch: test, add, replace, remove, copy and move in order', async () => {
    const { k, path } = await setUp()
    const after = expect(
      await k.patch(path, 'json', [
        { op: 'test', path: '/data/keep', value: '1' },
        { op: 'add', path: '/metadata/labels', value: { 'a.b/c': 'x' } },
        { op: 'replace', path: '/metadata/labels/a.b~1c', value: 'y' },
        { op: 'copy', from: '/data/keep', path: '/data/copied' },
        { op: 'move', from: '/data/drop', path: '/data/moved' },
        { op: 'remove', path: '/data/keep' },
      ]),
      200,
    )
    assert.deepEqual(at(after, 'data'), { copied: '1', moved: '2' })
    assert.deepEqual(at(after, 'metadata.labels'), { 'a.b/c': 'y' })
  })
  check('JSON patch: a failed test or an absent path is 422 and changes nothing', async () => {
    const { k, path, made } = await setUp()
    const failing = [
      { op: 'replace', path: '/data/keep', value: '9' },
      { op: 'test', path: '/data/drop', value: 'other' },
    ]
    expect(await k.patch(path, 'json', failing), 422)
    expect(await k.patch(path, 'json', [{ op: 'remove', path: '/data/none' }]), 422)
    assert.equal(versionOf(expect(await k.send('GET', path), 200)), versionOf(made))
  })
  check('a patch that is none is 400, an unknown type of patch 415, of an absent object 404', async () => {
    const { k, path } = await setUp()
    expect(await k.patch(path, 'json', { op: 'add' }), 400)
    expect(await k.send('PATCH', path, { type: patchTypes.merge, body: '{"data":' }), 400)
    assert.equal((await k.send('PATCH', path, { type: 'text/plain', body: '{}' })).status, 415)
    expect(await k.patch(`${path}-none`, 'merge', {}), 404)
  })
  check('a patch cannot rename or move an object', async () => {
    const { k, path } = await setUp()
    const renamed = await k.patch(path, 'merge', { metadata: { name: 'other' } })
    assert.ok([400, 409, 422].includes(renamed.status), `status ${renamed.status}`)
  })
  check('strategic merge patch: lists of containers merge by name, $patch removes one', async () => {
    const k = kit()
    const base = `/apis/apps/v1/namespaces/${await k.namespace()}/deployments`
    expect(await k.send('POST', base, { body: deployment('d') }), 201)
    const spec = (containers: unknown) => ({ spec: { template: { spec: { containers } } } })
    const first = expect(
      await k.patch(
        `${base}/d`,
        'strategic',
        spec([
          { name: 'b', image: 'three' },
          { name: 'c', image: 'new' },
        ]),
      ),
      200,
    )
    const images = (object: unknown) =>
      Object.fromEntries(
        listAt(object, 'spec.template.spec.containers').map((item) => [
          String(at(item, 'name')),
          at(item, 'image'),
        ]),
      )
    assert.deepEqual(images(first), { a: 'one', b: 'three', c: 'new' })
    const second = expect(
      await k.patch(`${base}/d`, 'strategic', spec([{ name: 'a', $patch: 'delete' }])),
      200,
    )
    assert.deepEqual(images(second), { b: 'three', c: 'new' })
    const nested = spec([{ name: 'b', env: [{ name: 'Y', value: '2' }] }])
    expect(await k.patch(`${base}/d`, 'strategic', nested), 200)
    const merged = expect(await k.patch(`${base}/d`, 'merge', spec([{ name: 'z', image: 'only' }])), 200)
    assert.deepEqual(images(merged), { z: 'only' })
  })
  check(
    'apply creates what is absent, changes what is there, and drops what its manager no longer names',
    async () => {
      const k = kit()
      const path = `/api/v1/namespaces/${await k.namespace()}/configmaps/applied`
      const apply = (data: object) =>
        k.patch(`${path}?fieldManager=conformance&force=true`, 'apply', configMap('applied', { data }))
      expect(await apply({ a: '1', b: '2' }), 201)
      const second = expect(await apply({ a: '3' }), 200)
      assert.deepEqual(at(second, 'data'), { a: '3' })
      expect(await k.patch(path, 'apply', configMap('applied')), [400, 422])
    },
  )
  check('the scale subresource reads and sets the replicas alone', async () => {
    const k = kit()
    const base = `/apis/apps/v1/namespaces/${await k.namespace()}/deployments`
    expect(await k.send('POST', base, { body: deployment('d') }), 201)
    const scale = expect(await k.send('GET', `${base}/d/scale`), 200)
    assert.deepEqual([at(scale, 'kind'), at(scale, 'status.selector')], ['Scale', 'app=conformance'])
    expect(await k.patch(`${base}/d/scale`, 'merge', { spec: { replicas: 2 } }), 200)
    assert.equal(at(expect(await k.send('GET', `${base}/d`), 200), 'spec.replicas'), 2)
    expect(await k.patch(`${base}/d`, 'merge', { spec: { replicas: 0 } }), 200)
  })
}
