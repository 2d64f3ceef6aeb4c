import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { fieldOf, isMergedList, itemsOf, listMapKeysOf, mergeKeyOf } from '../patch/field-schema.ts'
import { isObject, type JsonObject, objectAt } from '../record.ts'
import { builtInSchema, type DocumentedKind, openApiV3 } from './documents.ts'
import { openApiV2 } from './openapi-v2.ts'

const builtIn = (group: string, kind: string, plural: string, namespaced = true): DocumentedKind => ({
  group,
  version: 'v1',
  kind,
  plural,
  namespaced,
  schema: undefined,
})
const custom: DocumentedKind = {
  group: 'example.com',
  version: 'v1',
  kind: 'Foo',
  plural: 'foos',
  namespaced: false,
  schema: {
    type: 'object',
    description: 'A foo.',
    properties: { spec: { type: 'object', properties: { a: { type: 'string' } } } },
  },
}
const kinds = [
  builtIn('', 'Pod', 'pods'),
  builtIn('', 'Namespace', 'namespaces', false),
  builtIn('apps', 'Deployment', 'deployments'),
  custom,
]

void test('the index names each group version, with a URL that changes when the document does', () => {
  const paths = objectAt(openApiV3(kinds).index, 'paths') ?? {}
  assert.deepEqual(Object.keys(paths), ['api/v1', 'apis/apps/v1', 'apis/example.com/v1'])
  const changed = { ...custom, schema: { type: 'object' } }
  const later = objectAt(openApiV3([...kinds.slice(0, 3), changed]).index, 'paths') ?? {}
  assert.deepEqual(later['api/v1'], paths['api/v1'])
  assert.notDeepEqual(later['apis/example.com/v1'], paths['apis/example.com/v1'])
})

void test('a document has the schema and the paths by which kubectl finds a kind and its fieldValidation', () => {
  const document = openApiV3(kinds).document('apis/example.com/v1') ?? {}
  const gvk = { group: 'example.com', version: 'v1', kind: 'Foo' }
  const schema = objectAt(objectAt(objectAt(document, 'components'), 'schemas'), 'com.example.v1.Foo') ?? {}
  assert.deepEqual(schema['x-kubernetes-group-version-kind'], [gvk])
  assert.deepEqual(Object.keys(objectAt(schema, 'properties') ?? {}), [
    'apiVersion',
    'kind',
    'spec',
    'metadata',
  ])
  const patch =
    objectAt(objectAt(objectAt(document, 'paths'), '/apis/example.com/v1/foos/{name}'), 'patch') ?? {}
  assert.deepEqual(patch['x-kubernetes-group-version-kind'], gvk)
  const parameters = Array.isArray(patch['parameters']) ? patch['parameters'] : []
  assert.ok(parameters.some((parameter) => isObject(parameter) && parameter['name'] === 'fieldValidation'))
})

void test('namespaced kinds have their paths below a namespace', () => {
  const paths = objectAt(openApiV3(kinds).document('api/v1'), 'paths') ?? {}
  assert.deepEqual(Object.keys(paths), [
    '/api/v1/namespaces/{namespace}/pods',
    '/api/v1/namespaces/{namespace}/pods/{name}',
    '/api/v1/namespaces',
    '/api/v1/namespaces/{name}',
  ])
})

void test('a group version that is not served has no document', () => {
  assert.equal(openApiV3(kinds).document('apis/nope/v1'), undefined)
})

const merged: readonly (readonly [string, string, string, string, readonly string[]])[] = [
  ['', 'Pod', 'spec.containers', 'name', ['name']],
  ['', 'Pod', 'spec.initContainers', 'name', ['name']],
  ['', 'Pod', 'spec.containers.env', 'name', ['name']],
  ['', 'Pod', 'spec.containers.ports', 'containerPort', ['containerPort', 'protocol']],
  ['', 'Pod', 'spec.containers.volumeMounts', 'mountPath', ['mountPath']],
  ['', 'Pod', 'spec.volumes', 'name', ['name']],
  ['', 'Pod', 'spec.imagePullSecrets', 'name', ['name']],
  ['', 'Pod', 'spec.hostAliases', 'ip', ['ip']],
  ['', 'Pod', 'status.conditions', 'type', ['type']],
  ['', 'Pod', 'status.podIPs', 'ip', ['ip']],
  ['', 'Pod', 'metadata.ownerReferences', 'uid', ['uid']],
  ['', 'Node', 'status.addresses', 'type', ['type']],
  ['', 'Service', 'spec.ports', 'port', ['port', 'protocol']],
  ['apps', 'Deployment', 'spec.template.spec.containers', 'name', ['name']],
  ['apps', 'StatefulSet', 'spec.template.spec.volumes', 'name', ['name']],
  ['apps', 'DaemonSet', 'status.conditions', 'type', ['type']],
  ['batch', 'CronJob', 'spec.jobTemplate.spec.template.spec.containers', 'name', ['name']],
  ['admissionregistration.k8s.io', 'ValidatingWebhookConfiguration', 'webhooks', 'name', ['name']],
]

const at = (schema: JsonObject, path: string): JsonObject | undefined => {
  let found: JsonObject | undefined = schema
  for (const key of path.split('.')) found = fieldOf(itemsOf(found) ?? found, key)
  return found
}

void suite('the built-in schemas name the merge keys of Kubernetes', () => {
  for (const [group, kind, path, mergeKey, keys] of merged) {
    test(`${kind} ${path}`, () => {
      const list = at(builtInSchema(group, 'v1', kind), path)
      assert.equal(mergeKeyOf(list), mergeKey)
      assert.ok(isMergedList(list))
      assert.deepEqual(listMapKeysOf(list), keys)
    })
  }
  for (const path of ['spec.tolerations', 'spec.containers.command']) {
    test(`Pod ${path} is replaced whole`, () => {
      assert.equal(isMergedList(at(builtInSchema('', 'v1', 'Pod'), path)), false)
    })
  }
})

void test('the OpenAPI v2 document is a protobuf message with version and title', () => {
  const text = Buffer.from(openApiV2()).toString('latin1')
  assert.ok(text.startsWith('\x0a\x032.0\x12'))
  assert.ok(text.includes('Spiderpool lab'))
})
