import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import type { Resource } from '../../../src/api/index.ts'
import { at, type Check, eventually, expect, type Kit, listAt, textAt, versionOf } from './kit.ts'

const group = 'conformance.spiderpool.test'
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const crdName = `widgets.${group}`

const spec = {
  type: 'object',
  required: ['low', 'high'],
  properties: {
    low: { type: 'integer', minimum: 0, maximum: 100 },
    high: { type: 'integer', default: 50 },
    big: { type: 'integer', format: 'int64' },
    color: { type: 'string', enum: ['red', 'green'] },
    fixed: {
      type: 'string',
      'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'fixed cannot change' }],
    },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    tags: { type: 'array', maxItems: 3, items: { type: 'string', pattern: '^[a-z]+$' } },
    network: {
      type: 'string',
      maxLength: 64,
    },
  },
  'x-kubernetes-validations': [{ rule: 'self.low <= self.high', message: 'low must not exceed high' }],
}
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: crdName },
  spec: {
    group,
    scope: 'Namespaced',
    names: {
      plural: 'widgets',
      singular: 'widget',
      kind: 'Widget',
      listKind: 'WidgetList',
      shortNames: ['wd'],
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [{ name: 'LOW', type: 'integer', jsonPath: '.spec.low' }],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec,
              status: {
                type: 'object',
                properties: { phase: { type: 'string' }, total: { type: 'integer', format: 'int64' } },
              },
            },
          },
        },
      },
    ],
  },
}

const widgets: Resource = { group, version: 'v1', plural: 'widgets', kind: 'Widget', namespaced: true }

function widget(name: string, fields: object = {}, more: object = {}) {
  return {
    apiVersion: `${group}/v1`,
    kind: 'Widget',
    metadata: { name },
    spec: { low: 1, high: 2, ...fields },
    ...more,
  }
}

/** A CustomResourceDefinition: structural validation, pruning, defaults, CEL, status, generation, large integers. */
export function customCases(kit: () => Kit, check: Check): void {
  const setUp = async (object?: object) => {
    const base = `/apis/${group}/v1/namespaces/${await kit().namespace()}/widgets`
    const made =
      object === undefined ? undefined : expect(await kit().send('POST', base, { body: object }), 201)
    return { k: kit(), base, made, path: `${base}/a` }
  }
  const refuse = async (object: object, wanted: RegExp) => {
    const { k, base } = await setUp()
    const refused = expect(await k.send('POST', base, { body: object }), 422, 'Invalid')
    assert.match(JSON.stringify(refused), wanted)
    assert.ok(listAt(refused, 'details.causes').length > 0)
  }

  before(async () => {
    await kit().send('DELETE', `${crds}/${crdName}`)
    for (let tries = 0; ; tries += 1) {
      const { status } = await kit().send('POST', crds, { body: definition })
      if (status === 201) break
      assert.ok(tries < 100, `the definition is refused with ${status}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    for (let tries = 0; ; tries += 1) {
      const found = await kit().send('GET', `${crds}/${crdName}`)
      const conditions = (at(found.body, 'status.conditions') ?? []) as readonly unknown[]
      const isReady = conditions.some(
        (one) => at(one, 'type') === 'Established' && at(one, 'status') === 'True',
      )
      if (isReady && (await kit().send('GET', `/apis/${group}/v1/widgets`)).status === 200) break
      assert.ok(tries < 100, 'the definition is never established')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })
  after(async () => {
    await kit().send('DELETE', `${crds}/${crdName}`)
  })

  check('a definition shows in discovery with its names and the status subresource', async () => {
    const list = expect(await kit().send('GET', `/apis/${group}/v1`), 200)
    const found = listAt(list, 'resources').map((item) => at(item, 'name'))
    assert.deepEqual([...found].sort(), ['widgets', 'widgets/status'])
    const main = listAt(list, 'resources').find((item) => at(item, 'name') === 'widgets')
    assert.deepEqual(
      [at(main, 'kind'), at(main, 'namespaced'), at(main, 'shortNames')],
      ['Widget', true, ['wd']],
    )
  })
  check('defaults are filled in and unknown fields pruned, but not where they are preserved', async () => {
    const object = { ...widget('a'), spec: { low: 1, unknown: 1, free: { any: { thing: [1] } } }, odd: true }
    const { made } = await setUp(object)
    assert.deepEqual(at(made, 'spec'), { low: 1, high: 50, free: { any: { thing: [1] } } })
    assert.equal(at(made, 'odd'), undefined)
  })
  check('values against the schema are 422 with the field named', async () => {
    await refuse(widget('a', { low: 'x' }), /spec\.low/)
    await refuse(widget('a', { low: 1.5 }), /spec\.low/)
    await refuse(widget('a', { low: 101, high: 200 }), /spec\.low/)
    await refuse(widget('a', { color: 'blue' }), /spec\.color/)
    await refuse(widget('a', { tags: ['ok', 'Not'] }), /spec\.tags\[1\]/)
    await refuse(widget('a', { tags: ['a', 'b', 'c', 'd'] }), /spec\.tags/)
    await refuse({ ...widget('a'), spec: { high: 5 } }, /spec\.low/)
  })
  check('a CEL rule refuses with its message, on create and on update', async () => {
    await refuse(widget('a', { low: 9, high: 3 }), /low must not exceed high/)
    const { k, path } = await setUp(widget('a'))
    const refused = expect(await k.patch(path, 'merge', { spec: { low: 60, high: 3 } }), 422, 'Invalid')
    assert.match(textAt(refused, 'message'), /low must not exceed high/)
  })
  check('a CEL rule on oldSelf holds for updates alone', async () => {
    const { k, path } = await setUp(widget('a', { fixed: 'x' }))
    assert.match(
      JSON.stringify(expect(await k.patch(path, 'merge', { spec: { fixed: 'y' } }), 422)),
      /fixed cannot change/,
    )
    expect(await k.patch(path, 'merge', { spec: { fixed: 'x', low: 2 } }), 200)
  })
  check('a definition whose rule does not compile is refused', async () => {
    const broken = structuredClone(definition)
    const name = `gadgets.${group}`
    Object.assign(broken.metadata, { name })
    Object.assign(broken.spec.names, {
      plural: 'gadgets',
      singular: 'gadget',
      kind: 'Gadget',
      listKind: 'GadgetList',
      shortNames: [],
    })
    Object.assign(broken.spec.versions[0]?.schema.openAPIV3Schema.properties.spec ?? {}, {
      'x-kubernetes-validations': [{ rule: 'self.low <=', message: 'x' }],
    })
    expect(await kit().send('POST', crds, { body: broken }), 422, 'Invalid')
  })
  check(
    'a patch and a watch that want metadata alone get it, with the version, and nothing else',
    async () => {
      const { k, made } = await setUp(widget('a'))
      const ref = { name: 'a', namespace: textAt(made, 'metadata.namespace') }
      const patch = { type: 'merge', body: { spec: { low: 2 } }, metadataOnly: true } as const
      const signal = AbortSignal.timeout(10_000)
      const patched = await k.client.patch(widgets, ref, patch, signal)
      assert.deepEqual(Object.keys(patched).sort(), ['apiVersion', 'kind', 'metadata'])
      assert.notEqual(versionOf(patched), versionOf(made))
      const from = { resourceVersion: versionOf(made), timeoutSeconds: 10, metadataOnly: true }
      for await (const { type, object } of k.client.watch(
        widgets,
        { ...from, namespace: ref.namespace },
        signal,
      )) {
        if (type === 'BOOKMARK') continue
        assert.deepEqual([type, versionOf(object)], ['MODIFIED', versionOf(patched)])
        assert.deepEqual(Object.keys(object).sort(), ['apiVersion', 'kind', 'metadata'])
        return
      }
      assert.fail('the watch ended')
    },
  )
  check('generation starts at 1, grows with spec alone', async () => {
    const { k, path, made } = await setUp(widget('a'))
    assert.equal(at(made, 'metadata.generation'), 1)
    const labelled = expect(await k.patch(path, 'merge', { metadata: { labels: { x: 'y' } } }), 200)
    assert.equal(at(labelled, 'metadata.generation'), 1)
    const changed = expect(await k.patch(path, 'merge', { spec: { low: 2 } }), 200)
    assert.equal(at(changed, 'metadata.generation'), 2)
    const status = expect(await k.patch(`${path}/status`, 'merge', { status: { phase: 'up' } }), 200)
    assert.equal(at(status, 'metadata.generation'), 2)
    assert.notEqual(versionOf(status), versionOf(changed))
  })
  check('status is ignored by writes of the object, and all but status by writes of the status', async () => {
    const { k, path, made } = await setUp(widget('a', {}, { status: { phase: 'forged' } }))
    assert.equal(at(made, 'status'), undefined)
    const body = { ...(made as object), spec: { low: 7, high: 9 }, status: { phase: 'up' } }
    const afterStatus = expect(await k.send('PUT', `${path}/status`, { body }), 200)
    assert.deepEqual([at(afterStatus, 'spec.low'), at(afterStatus, 'status.phase')], [1, 'up'])
    const main = { ...(afterStatus as object), spec: { low: 2, high: 9 }, status: { phase: 'down' } }
    const afterMain = expect(await k.send('PUT', path, { body: main }), 200)
    assert.deepEqual([at(afterMain, 'spec.low'), at(afterMain, 'status.phase')], [2, 'up'])
  })
  check('a stale version is 409 for object and status alike, as they share one version', async () => {
    const { k, path, made } = await setUp(widget('a'))
    expect(await k.patch(`${path}/status`, 'merge', { status: { phase: 'up' } }), 200)
    expect(
      await k.send('PUT', path, { body: { ...(made as object), spec: { low: 2, high: 2 } } }),
      409,
      'Conflict',
    )
    const stale = { ...(made as object), status: { phase: 'late' } }
    expect(await k.send('PUT', `${path}/status`, { body: stale }), 409, 'Conflict')
    const patch = { metadata: { resourceVersion: versionOf(made) }, status: { phase: 'late' } }
    expect(await k.patch(`${path}/status`, 'merge', patch), 409, 'Conflict')
  })
  check('status is validated against its schema', async () => {
    const { k, path } = await setUp(widget('a'))
    expect(await k.patch(`${path}/status`, 'merge', { status: { phase: 5 } }), 422, 'Invalid')
  })
  check('a replace of a custom object needs a version', async () => {
    const { k, path } = await setUp(widget('a'))
    expect(await k.send('PUT', path, { body: widget('a', { low: 2 }) }), 422, 'Invalid')
  })
  check('64-bit integers come back exactly, in object, list, status and watch', async () => {
    const { k, base, path, made } = await setUp(widget('a', { big: 9223372036854775807n }))
    const big = 9223372036854775807n
    assert.equal(at(made, 'spec.big'), big)
    expect(await k.patch(`${path}/status`, 'merge', { status: { total: 9007199254740993n } }), 200)
    const listed = listAt(expect(await k.send('GET', base), 200), 'items')[0]
    assert.deepEqual([at(listed, 'spec.big'), at(listed, 'status.total')], [big, 9007199254740993n])
    const query = `?watch=true&timeoutSeconds=5&resourceVersion=${encodeURIComponent(versionOf(made))}`
    const [event] = await k.watch(base + query, (events) => events.length >= 1)
    assert.deepEqual(
      [at(event?.object, 'spec.big'), at(event?.object, 'status.total')],
      [big, 9007199254740993n],
    )
    const touched = expect(await k.patch(path, 'merge', { metadata: { labels: { a: 'b' } } }), 200)
    assert.equal(at(touched, 'spec.big'), big)
  })
  check(
    'a body of another version or kind is refused, a strategic patch of a custom object 415',
    async () => {
      const { k, base, path } = await setUp(widget('a'))
      expect(await k.send('POST', base, { body: { ...widget('b'), apiVersion: `${group}/v9` } }), 400)
      expect(await k.send('POST', base, { body: { ...widget('b'), kind: 'Gadget' } }), [400, 422])
      expect(await k.patch(path, 'strategic', { spec: { low: 2 } }), 415)
    },
  )
  check('printer columns show in the Table', async () => {
    const { k, base } = await setUp(widget('a', { low: 2 }))
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
    const table = expect(await k.send('GET', base, { accept }), 200)
    const columns = listAt(table, 'columnDefinitions').map((column) => at(column, 'name'))
    assert.deepEqual(columns.slice(0, 2), ['Name', 'LOW'])
    assert.deepEqual(listAt(listAt(table, 'rows')[0], 'cells').slice(0, 2), ['a', 2])
  })
  check('the OpenAPI v3 document of the group names the kind', async () => {
    const found = async (): Promise<unknown> => {
      const index = expect(await kit().send('GET', '/openapi/v3'), 200)
      return (at(index, 'paths') as Record<string, unknown>)?.[`apis/${group}/v1`]
    }
    // A real server publishes it a while after the definition.
    const url = textAt(await eventually('the document is listed', found), 'serverRelativeURL')
    const document = expect(await kit().send('GET', url), 200)
    assert.match(JSON.stringify(at(document, 'components')), /Widget/)
  })
}
