import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crdManifests } from './crd-manifests.ts'
import type { CrdManifest } from './manifest.ts'
import type { Schema } from './schema.ts'

const versionOf = (crd: CrdManifest) => {
  const version = crd.spec.versions[0]
  assert(version !== undefined && crd.spec.versions.length === 1)
  return version
}
const crdOf = (kind: string): CrdManifest => {
  const found = crdManifests().find((crd) => crd.spec.names.kind === kind)
  assert(found !== undefined)
  return found
}
function* walk(schema: Schema, path: string): Generator<readonly [string, Schema]> {
  yield [path, schema]
  for (const [name, child] of Object.entries(schema.properties ?? {})) yield* walk(child, `${path}.${name}`)
  if (schema.items !== undefined) yield* walk(schema.items, `${path}[]`)
  if (schema.additionalProperties !== undefined) yield* walk(schema.additionalProperties, `${path}{}`)
}
const schemas = (crd: CrdManifest) => [...walk(versionOf(crd).schema.openAPIV3Schema, crd.spec.names.kind)]

const kinds: readonly (readonly [string, string, string, string, unknown])[] = [
  ['SpiderIPPool', 'spiderippools', 'sp', 'Cluster', { status: {} }],
  ['SpiderSubnet', 'spidersubnets', 'ss', 'Cluster', { status: {} }],
  ['SpiderReservedIP', 'spiderreservedips', 'sr', 'Cluster', {}],
  ['SpiderEndpoint', 'spiderendpoints', 'se', 'Namespaced', {}],
  ['SpiderMultusConfig', 'spidermultusconfigs', 'smc', 'Namespaced', undefined],
  ['SpiderCoordinator', 'spidercoordinators', 'scc', 'Cluster', { status: {} }],
  ['SpiderIPClaim', 'spideripclaims', 'sic', 'Namespaced', { status: {} }],
]
for (const [kind, plural, shortName, scope, subresources] of kinds) {
  void test(`the CRD of ${kind} has its names, scope and subresources`, () => {
    const { metadata, spec } = crdOf(kind)
    assert.equal(metadata.name, `${plural}.spiderpool.spidernet.io`)
    assert.equal(spec.group, 'spiderpool.spidernet.io')
    assert.deepEqual(spec.names, {
      categories: ['spiderpool'],
      kind,
      listKind: `${kind}List`,
      plural,
      shortNames: [shortName],
      singular: kind.toLowerCase(),
    })
    assert.equal(spec.scope, scope)
    assert.equal(versionOf(crdOf(kind)).name, 'v2beta1')
    assert.deepEqual(versionOf(crdOf(kind)).subresources, subresources)
  })
}

void test('kubectl get shows the columns of the reference', () => {
  const columns = (kind: string) =>
    (versionOf(crdOf(kind)).additionalPrinterColumns ?? []).map(({ name, priority }) =>
      priority === undefined ? name : `${name}:${priority}`,
    )
  assert.deepEqual(columns('SpiderIPPool'), [
    'VERSION',
    'SUBNET',
    'ALLOCATED-IP-COUNT',
    'TOTAL-IP-COUNT',
    'DEFAULT',
    'DISABLE:10',
    'NodeName:10',
    'MultusName:10',
    'APP-NAMESPACE:10',
  ])
  assert.deepEqual(columns('SpiderEndpoint'), ['INTERFACE', 'IPV4POOL', 'IPV4', 'IPV6POOL', 'IPV6', 'NODE'])
  assert.deepEqual(columns('SpiderIPBlock'), ['CIDR', 'TERM', 'AGE'])
  assert.deepEqual(columns('SpiderIPClaim'), ['PHASE', 'IPV4', 'IPV6', 'MAC', 'POD', 'AGE'])
  assert.deepEqual(columns('SpiderCoordinator'), [])
})

for (const crd of crdManifests()) {
  const kind = crd.spec.names.kind
  void test(`the schema of ${kind} is structural, sorted, and bounds what its rules read`, () => {
    for (const [path, schema] of schemas(crd)) {
      assert(schema.type !== undefined, `${path} has no type`)
      const names = Object.keys(schema.properties ?? {})
      assert.deepEqual(names, names.toSorted(), `${path}: properties in alphabetical order`)
      for (const name of schema.required ?? []) assert(names.includes(name), `${path}: required ${name}`)
      for (const rule of schema['x-kubernetes-validations'] ?? []) {
        assert.match(rule.message, /^[^\n]+$/, path)
        const field = rule.fieldPath?.slice(1)
        if (field !== undefined) assert(names.includes(field), `${path}: fieldPath ${field}`)
        // A rule on an unbounded string or list has no bounded cost: the API server refuses the CRD.
        if (schema.type === 'string') assert(schema.maxLength !== undefined, `${path}: maxLength`)
      }
    }
  })
}

void test('every rule that proposes a change of an object says so in words a person can follow', () => {
  const rules = crdManifests().flatMap((crd) =>
    schemas(crd).flatMap(([, schema]) => schema['x-kubernetes-validations'] ?? []),
  )
  assert(rules.length > 40)
  for (const { message } of rules) assert(message.length > 10, message)
})
