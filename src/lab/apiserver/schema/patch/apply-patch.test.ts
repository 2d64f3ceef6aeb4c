import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { builtInSchema } from '../openapi/documents.ts'
import { type JsonObject, objectAt } from '../record.ts'
import { applyPatch, type PatchTarget } from './apply-patch.ts'
import { PatchError } from './patch-error.ts'

const target = (group: string, kind: string, more: Partial<PatchTarget> = {}): PatchTarget => ({
  kind,
  schema: builtInSchema(group, 'v1', kind),
  isCustom: false,
  nowMs: 0,
  ...more,
})
const pod = target('', 'Pod')

const container = (name: string, more: JsonObject = {}): JsonObject => ({ name, image: `${name}:1`, ...more })
const podWith = (spec: JsonObject): JsonObject => ({ metadata: { name: 'p' }, spec })

const merges: readonly (readonly [string, JsonObject, JsonObject, JsonObject])[] = [
  [
    'containers by name',
    { containers: [container('a'), container('b')] },
    { containers: [{ name: 'b', image: 'b:2' }] },
    { containers: [container('a'), { name: 'b', image: 'b:2' }] },
  ],
  [
    'env by name inside a container',
    {
      containers: [
        container('a', {
          env: [
            { name: 'X', value: '1' },
            { name: 'Y', value: '2' },
          ],
        }),
      ],
    },
    { containers: [{ name: 'a', env: [{ name: 'Y', value: '3' }] }] },
    {
      containers: [
        container('a', {
          env: [
            { name: 'X', value: '1' },
            { name: 'Y', value: '3' },
          ],
        }),
      ],
    },
  ],
  [
    'ports by containerPort',
    { containers: [container('a', { ports: [{ containerPort: 80, protocol: 'TCP' }] })] },
    { containers: [{ name: 'a', ports: [{ containerPort: 80, name: 'http' }, { containerPort: 81 }] }] },
    {
      containers: [
        container('a', {
          ports: [{ containerPort: 80, protocol: 'TCP', name: 'http' }, { containerPort: 81 }],
        }),
      ],
    },
  ],
  [
    'volumeMounts by mountPath',
    { containers: [container('a', { volumeMounts: [{ name: 'v', mountPath: '/a' }] })] },
    { containers: [{ name: 'a', volumeMounts: [{ name: 'w', mountPath: '/a' }] }] },
    { containers: [container('a', { volumeMounts: [{ name: 'w', mountPath: '/a' }] })] },
  ],
  [
    'tolerations as a whole',
    { tolerations: [{ key: 'a' }, { key: 'b' }] },
    { tolerations: [{ key: 'c' }] },
    { tolerations: [{ key: 'c' }] },
  ],
  [
    'command as a whole',
    { containers: [container('a', { command: ['x', 'y'] })] },
    { containers: [{ name: 'a', command: ['z'] }] },
    { containers: [container('a', { command: ['z'] })] },
  ],
  ['a null removes', { hostname: 'x', nodeName: 'n' }, { hostname: null }, { nodeName: 'n' }],
  [
    'a deleted item',
    { containers: [container('a'), container('b')] },
    { containers: [{ $patch: 'delete', name: 'a' }] },
    { containers: [container('b')] },
  ],
  [
    'a replaced list',
    { containers: [container('a'), container('b')] },
    { containers: [{ $patch: 'replace' }, container('c')] },
    { containers: [container('c')] },
  ],
  [
    'a replaced object',
    { nodeSelector: { a: 'b' }, securityContext: { runAsUser: 1, fsGroup: 2 } },
    { securityContext: { $patch: 'replace', runAsUser: 3 } },
    { nodeSelector: { a: 'b' }, securityContext: { runAsUser: 3 } },
  ],
  [
    'a volume that changes its source',
    { volumes: [{ name: 'v', emptyDir: {} }] },
    { volumes: [{ $retainKeys: ['name', 'hostPath'], name: 'v', hostPath: { path: '/x' } }] },
    { volumes: [{ name: 'v', hostPath: { path: '/x' } }] },
  ],
  [
    'the order that kubectl asks for',
    { containers: [container('a'), container('b')] },
    {
      '$setElementOrder/containers': [{ name: 'c' }, { name: 'b' }, { name: 'a' }],
      containers: [container('c')],
    },
    { containers: [container('c'), container('b'), container('a')] },
  ],
  [
    'items that the order leaves out stay in place',
    { containers: [container('a'), container('x'), container('b')] },
    {
      '$setElementOrder/containers': [{ name: 'a' }, { name: 'b' }],
      containers: [{ name: 'b', image: 'b:2' }],
    },
    { containers: [container('a'), container('x'), { name: 'b', image: 'b:2' }] },
  ],
]

void suite('a strategic patch merges', () => {
  for (const [name, base, patch, wanted] of merges) {
    test(name, () => {
      assert.deepEqual(applyPatch('strategic', podWith(base), { spec: patch }, pod), podWith(wanted))
    })
  }
})

void test('a strategic patch joins finalizers, removes them by name and merges owners by uid', () => {
  const owner = { uid: 'u1', kind: 'A', name: 'a', apiVersion: 'v1' }
  const base = { metadata: { finalizers: ['a', 'b'], ownerReferences: [owner] } }
  const patch = {
    metadata: {
      '$deleteFromPrimitiveList/finalizers': ['a'],
      '$setElementOrder/finalizers': ['c', 'b'],
      finalizers: ['c'],
      ownerReferences: [
        { uid: 'u1', controller: true },
        { uid: 'u2', kind: 'B', name: 'b', apiVersion: 'v1' },
      ],
    },
  }
  assert.deepEqual(applyPatch('strategic', base, patch, pod), {
    metadata: {
      finalizers: ['c', 'b'],
      ownerReferences: [
        { ...owner, controller: true },
        { uid: 'u2', kind: 'B', name: 'b', apiVersion: 'v1' },
      ],
    },
  })
})

void test('a strategic patch merges conditions by type and templates of workloads as pods', () => {
  const base = {
    spec: {
      template: { spec: { containers: [container('a')] } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } },
    },
    status: {
      conditions: [
        { type: 'Available', status: 'False' },
        { type: 'Progressing', status: 'True' },
      ],
    },
  }
  const patch = {
    spec: {
      template: { spec: { containers: [{ name: 'a', image: 'a:2' }] } },
      strategy: { $retainKeys: ['type'], type: 'Recreate' },
    },
    status: { conditions: [{ type: 'Available', status: 'True' }] },
  }
  assert.deepEqual(applyPatch('strategic', base, patch, target('apps', 'Deployment')), {
    spec: {
      template: { spec: { containers: [{ name: 'a', image: 'a:2' }] } },
      strategy: { type: 'Recreate' },
    },
    status: {
      conditions: [
        { type: 'Available', status: 'True' },
        { type: 'Progressing', status: 'True' },
      ],
    },
  })
})

const refused: readonly (readonly [
  string,
  'merge' | 'strategic' | 'apply' | 'json',
  unknown,
  PatchTarget,
  number,
])[] = [
  ['a strategic patch of a custom resource', 'strategic', {}, { ...pod, isCustom: true }, 415],
  [
    'a strategic patch without the merge key',
    'strategic',
    { spec: { containers: [{ image: 'x' }] } },
    pod,
    422,
  ],
  ['an unknown $patch directive', 'strategic', { spec: { $patch: 'spin' } }, pod, 422],
  ['a patch that is no object', 'merge', [1], pod, 400],
  ['a JSON patch that leaves no object', 'json', [{ op: 'replace', path: '', value: 3 }], pod, 422],
  ['an apply without a field manager', 'apply', { metadata: {} }, pod, 400],
  [
    'an apply with managedFields',
    'apply',
    { metadata: { managedFields: [{}] } },
    { ...pod, fieldManager: 'm' },
    400,
  ],
]

void suite('applyPatch() refuses', () => {
  for (const [name, type, patch, place, status] of refused) {
    test(name, () => {
      assert.throws(
        () => applyPatch(type, podWith({ containers: [container('a')] }), patch, place),
        (error: unknown) => error instanceof PatchError && error.status === status && error.hint !== '',
      )
    })
  }
})

const apply = (
  base: JsonObject | undefined,
  config: JsonObject,
  fieldManager: string,
  place = pod,
): JsonObject => applyPatch('apply', base, config, { ...place, fieldManager })
const withoutRecord = (object: JsonObject): JsonObject => {
  const { managedFields, ...metadata } = objectAt(object, 'metadata') ?? {}
  assert.ok(Array.isArray(managedFields))
  return { ...object, metadata }
}

void test('apply creates, changes and removes what the same manager applied', () => {
  const first = apply(
    undefined,
    { metadata: { name: 'p', labels: { a: '1', b: '2' } }, spec: { hostname: 'x', nodeName: 'n' } },
    'me',
  )
  assert.deepEqual(withoutRecord(first), {
    metadata: { name: 'p', labels: { a: '1', b: '2' } },
    spec: { hostname: 'x', nodeName: 'n' },
  })
  const second = apply(first, { metadata: { name: 'p', labels: { a: '3' } }, spec: { nodeName: 'n' } }, 'me')
  assert.deepEqual(withoutRecord(second), {
    metadata: { name: 'p', labels: { a: '3' } },
    spec: { nodeName: 'n' },
  })
  const third = apply(second, { metadata: { name: 'p' }, spec: {} }, 'me')
  assert.deepEqual(withoutRecord(third), { metadata: { name: 'p' }, spec: {} })
})

void test('apply leaves what others wrote or apply too', () => {
  const live = { metadata: { name: 'p', labels: { live: 'yes' } }, spec: { priority: 0 } }
  const mine = apply(live, { metadata: { labels: { a: '1', shared: 'x' } } }, 'me')
  const both = apply(mine, { metadata: { labels: { shared: 'x' } } }, 'you')
  const less = apply(both, { metadata: {} }, 'me')
  assert.deepEqual(objectAt(objectAt(less, 'metadata'), 'labels'), { live: 'yes', shared: 'x' })
  assert.deepEqual(objectAt(less, 'spec'), { priority: 0 })
})

void test('the first apply of kubectl removes what it applied on the client side before', () => {
  const config = {
    metadata: { name: 'p', labels: { a: '1', b: '2' } },
    spec: { hostname: 'x', nodeName: 'n' },
  }
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(config) }
  const live = { ...config, metadata: { ...config.metadata, annotations } }
  const next = { metadata: { name: 'p', labels: { a: '1' } }, spec: { nodeName: 'n' } }
  assert.deepEqual(withoutRecord(apply(live, next, 'kubectl')), {
    ...next,
    metadata: { ...next.metadata, annotations },
  })
  assert.deepEqual(withoutRecord(apply(live, next, 'other')), live)
})

void test('apply merges containers by name and removes the one that is applied no more', () => {
  const first = apply(undefined, podWith({ containers: [container('a'), container('b')] }), 'me')
  const sidecar = applyPatch('strategic', first, { spec: { containers: [container('s')] } }, pod)
  const second = apply(sidecar, podWith({ containers: [{ name: 'a', image: 'a:2' }] }), 'me')
  assert.deepEqual(objectAt(second, 'spec'), { containers: [{ name: 'a', image: 'a:2' }, container('s')] })
})

void test('apply takes ports by number and protocol, and a selector as a whole', () => {
  const service = target('', 'Service')
  const ports = [
    { port: 53, protocol: 'TCP' },
    { port: 53, protocol: 'UDP' },
  ]
  const first = apply(undefined, { spec: { ports, selector: { a: 'b', c: 'd' } } }, 'me', service)
  const second = apply(
    first,
    {
      spec: {
        ports: [
          { port: 53, name: 'dns' },
          { port: 53, protocol: 'UDP' },
        ],
        selector: { a: 'b' },
      },
    },
    'me',
    service,
  )
  assert.deepEqual(objectAt(second, 'spec'), {
    ports: [
      { port: 53, protocol: 'TCP', name: 'dns' },
      { port: 53, protocol: 'UDP' },
    ],
    selector: { a: 'b' },
  })
})

void test('the record of apply is FieldsV1 with one entry a manager, and its time stays when nothing changes', () => {
  const first = apply(
    undefined,
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [container('a')] } },
    'me',
  )
  const entry = {
    manager: 'me',
    operation: 'Apply',
    apiVersion: 'v1',
    time: '1970-01-01T00:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: {
      'f:spec': { 'f:containers': { 'k:{"name":"a"}': { '.': {}, 'f:name': {}, 'f:image': {} } } },
    },
  }
  assert.deepEqual(objectAt(first, 'metadata'), { name: 'p', managedFields: [entry] })
  const { metadata, ...rest } = first
  assert.ok(metadata)
  const config = { ...rest, metadata: { name: 'p' } }
  assert.deepEqual(applyPatch('apply', first, config, { ...pod, fieldManager: 'me', nowMs: 5000 }), first)
})

void test('apply of a custom resource follows the list types of its schema', () => {
  const schema: JsonObject = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: {
          set: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
          plain: { type: 'array', items: { type: 'string' } },
          keyed: {
            type: 'array',
            items: { type: 'object', properties: { id: { type: 'integer' } } },
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['id'],
          },
        },
      },
    },
  }
  const place: PatchTarget = { kind: 'Foo', schema, isCustom: true, nowMs: 0 }
  const live = { spec: { set: ['live'], plain: ['live'], keyed: [{ id: 1, live: true }] } }
  const first = apply(
    live,
    { spec: { set: ['a', 'b'], plain: ['a'], keyed: [{ id: 1, x: 1 }, { id: 2 }] } },
    'me',
    place,
  )
  assert.deepEqual(first['spec'], {
    set: ['live', 'a', 'b'],
    plain: ['a'],
    keyed: [{ id: 1, live: true, x: 1 }, { id: 2 }],
  })
  const second = apply(first, { spec: { set: ['b'], plain: ['b'], keyed: [{ id: 1 }] } }, 'me', place)
  assert.deepEqual(second['spec'], { set: ['live', 'b'], plain: ['b'], keyed: [{ id: 1, live: true }] })
})
