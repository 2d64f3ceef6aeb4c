import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { diffJson } from './json-patch.ts'
import { registrations, webhookConfigurations } from './registrations.ts'
import { needsOf, review } from './review.ts'
import { admit, answer, bodyOf, type Case, emptyWorld, ours, patched, settings } from './testing/reviewing.ts'
import type { WebhookSettings } from './world.ts'

const good: Readonly<Record<string, unknown>> = {
  SpiderIPPool: {
    subnet: '10.6.0.0/16',
    ips: ['10.6.1.1-10.6.1.9', '10.6.2.1'],
    excludeIPs: ['10.6.1.3'],
    gateway: '10.6.0.1',
    routes: [{ dst: '10.9.0.0/16', gw: '10.6.0.2' }],
    podAffinity: {
      matchLabels: { app: 'x' },
      matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }],
    },
    nodeName: ['n'],
    default: true,
  },
  SpiderSubnet: { subnet: 'fd00:6::/64', ips: ['fd00:6::1-fd00:6::9'], gateway: 'fd00:6::ff' },
  SpiderReservedIP: { ips: ['10.6.1.1-10.6.1.9', '10.6.2.1'] },
  SpiderCoordinator: {
    podCIDRType: 'cluster',
    hijackCIDR: ['10.0.0.0/8'],
    policyRoutes: [{ dst: '10.9.0.0/16', gw: '10.6.0.2' }],
    podMACPrefix: '0a:1b',
    vethLinkAddress: '169.254.1.1',
  },
  SpiderMultusConfig: {
    cniType: 'macvlan',
    macvlan: { master: ['ens192'], vlanID: 3, bond: { name: 'b', mode: 1 }, ippools: { ipv4: ['p'] } },
    coordinator: { mode: 'auto', hijackCIDR: ['10.0.0.0/8'] },
    chainCNIJsonData: ['{"type":"x"}'],
  },
}
const kinds = Object.keys(good)
const caseOf = (kind: string, spec: unknown): Case => ({ kind, object: ours(kind, 'x', spec) })

for (const kind of kinds) {
  void test(`a good ${kind} is admitted, and mutating it twice changes nothing more`, () => {
    const item = caseOf(kind, good[kind])
    assert.deepEqual(admit(item), { uid: 'request-1', allowed: true })
    const once = patched(item)
    assert.deepEqual(patched({ ...item, object: once }), once)
  })
}

/** Paths of all values in a JSON value. */
function pathsOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  const members = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return [path, ...members.flatMap(([name, member]) => pathsOf(member, [...path, name]))]
}
function replaced(value: unknown, path: readonly string[], by: unknown): unknown {
  const [name, ...rest] = path
  if (name === undefined) return by
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value)
    ? [...value]
    : { ...(value as object) }
  const members = copy as Record<string, unknown>
  members[name] = replaced(members[name], rest, by)
  return copy
}

// Each replaces one value inside a good object; none of them is right anywhere but in free text.
const faults: readonly unknown[] = [
  null,
  true,
  -1,
  0.5,
  99999,
  2n ** 70n,
  '',
  ' ',
  'x y',
  '10.6.1.9-10.6.1.1',
  '10.6.1.1-10.6.1.2-10.6.1.3',
  '10.6.1.0/24',
  '10.7.0.1',
  '999.1.1.1',
  '10.6.01.1',
  'fd00::g',
  'fd00::1%eth0',
  '::ffff:10.6.0.1/99',
  '0.0.0.0/0',
  '::/0',
  'ff:ff',
  '{',
  'auto ',
  '\u0000',
  '😀'.repeat(60),
  'a'.repeat(5000),
  [],
  {},
  [null],
  [[]],
  [7],
  { a: 1 },
  [{}],
  [{ dst: 'x', gw: 'y' }],
  { matchExpressions: [{ key: '', operator: 'in' }] },
  { __proto__: null, constructor: 1 },
]
const anyFault = fc.constantFrom(...kinds).chain((kind) => {
  const spec = good[kind]
  const paths = fc.constantFrom(...pathsOf(spec))
  return fc.tuple(paths, fc.constantFrom(...faults)).map(([path, fault]) => ({
    item: caseOf(kind, replaced(spec, path, fault)),
    path,
    fault,
  }))
})

void test('every generated fault is answered; a refusal holds the field, the value and a remedy', () => {
  let refusals = 0
  const law = fc.property(anyFault, ({ item }) => {
    const mutation = answer('mutate', item)
    assert(mutation.allowed, 'a mutation never refuses')
    for (const response of [answer('validate', item), admit(item)]) {
      assert.equal(response.uid, 'request-1')
      if (response.allowed) continue
      refusals++
      assert.equal(response.status?.code, 422)
      const causes = response.status?.details?.causes ?? []
      assert(causes.length > 0)
      for (const { field, message } of causes) {
        assert.match(message, /^Cannot accept (\S+) (.*): it .+; .+/s)
        assert(message.startsWith(`Cannot accept ${field} `), message)
        assert(response.status?.message.includes(message))
      }
    }
    assert.deepEqual(admit(caseOf(item.kind, good[item.kind])), { uid: 'request-1', allowed: true })
  })
  fc.assert(law, { numRuns: 600, seed: 20261121 })
  assert(refusals > 400, `${refusals} refusals`)
})

void test('any body at all gets an answer', () => {
  const anyJson = fc.anything({ withBigInt: true, withNullPrototype: true })
  const bodies = fc.oneof(
    anyJson,
    fc.record({
      apiVersion: fc.constant('admission.k8s.io/v1'),
      kind: fc.constant('AdmissionReview'),
      request: anyJson,
    }),
    fc
      .record({ kind: fc.constantFrom(...kinds, 'Pod'), object: anyJson, oldObject: anyJson })
      .map(({ kind, object, oldObject }) => bodyOf({ kind, object, oldObject, operation: 'UPDATE' })),
    fc
      .record({ kind: fc.constantFrom(...kinds), spec: anyJson, metadata: anyJson, status: anyJson })
      .map(({ kind, ...object }) => bodyOf({ kind, object, oldObject: object })),
  )
  const law = fc.property(bodies, fc.constantFrom('mutate' as const, 'validate' as const), (body, mode) => {
    const { response } = review(mode, body, emptyWorld)
    assert.equal(typeof response.allowed, 'boolean')
    if (!response.allowed) assert((response.status?.message ?? '').length > 10)
    needsOf(mode, body, settings)
  })
  fc.assert(law, { numRuns: 600, seed: 20261121 })
})

void test('a body that is no review is answered 400', () => {
  for (const body of [
    undefined,
    null,
    7,
    [],
    {},
    { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1beta1' },
  ]) {
    assert.equal(review('validate', body, emptyWorld).response.status?.code, 400)
  }
  const pod = review('mutate', bodyOf({ kind: 'Service', object: { metadata: { name: 'p' } } }), emptyWorld)
  assert.equal(pod.response.status?.code, 400)
  assert.equal(pod.response.uid, 'request-1')
})

void test('needsOf() asks for what the rules of the kind look at, and for nothing else', () => {
  const pool = caseOf('SpiderIPPool', good['SpiderIPPool'])
  const changed = { ...pool, oldObject: pool.object }
  assert.deepEqual(needsOf('validate', bodyOf(pool), settings), { pools: true, subnets: true })
  assert.deepEqual(needsOf('validate', bodyOf(changed), { ...settings, enableSpiderSubnet: false }), {
    pools: true,
    subnets: false,
    usedIpsOf: 'x',
  })
  assert.deepEqual(needsOf('mutate', bodyOf(pool), settings), { pools: false, subnets: true })
  const removal: Case = { kind: 'SpiderIPPool', operation: 'DELETE', oldObject: pool.object }
  assert.deepEqual(needsOf('validate', bodyOf(removal), settings), { pools: false, subnets: false })
  assert.equal(needsOf('validate', bodyOf(removal), { ...settings, guardDeletion: true }).usedIpsOf, 'x')
  const network = caseOf('SpiderMultusConfig', good['SpiderMultusConfig'])
  assert.equal(needsOf('validate', bodyOf(network), settings).attachment?.name, 'x')
})

void test('diffJson() gives operations that make one value of the other', () => {
  const keys = fc.constantFrom('a', 'b/c', 'd~e', 'f')
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 3 }, fc.integer(), fc.array(fc.integer(), { maxLength: 2 }), tie('object')),
    object: fc.dictionary(keys, tie('value'), { noNullPrototype: true }),
  }))
  const anyObject = fc.dictionary(keys, value, { noNullPrototype: true })
  const law = fc.property(anyObject, anyObject, (before, after) => {
    const result = structuredClone({ root: before }) as Record<string, unknown>
    for (const operation of diffJson({ root: before }, { root: after })) {
      const names = operation.path.split('/').slice(1)
      const keys = names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
      const last = keys.pop() ?? ''
      let parent = result
      for (const key of keys) parent = parent[key] as Record<string, unknown>
      if (operation.op === 'remove') delete parent[last]
      else parent[last] = operation.value
    }
    assert.deepEqual({ ...result }, structuredClone({ root: after }))
  })
  fc.assert(law)
})

void test('the registrations have the names and paths of the reference', () => {
  const of = (kind: string) => `spiderpool-spidernet-io-v2beta1-${kind}`
  const kinds = [
    'spidersubnet',
    'spiderippool',
    'spiderreservedip',
    'spidercoordinator',
    'spideripclaim',
    'spidermultusconfig',
  ]
  assert.deepEqual(
    registrations.map(({ name, mutatePath, validatePath }) => [name, mutatePath, validatePath]),
    [
      ...kinds.map((kind) => [
        `${kind}.spiderpool.spidernet.io`,
        `/mutate-${of(kind)}`,
        `/validate-${of(kind)}`,
      ]),
      ['pods.spiderpool.spidernet.io', '/mutate--v1-pod', undefined],
    ],
  )
})

interface Hook {
  readonly name: string
  readonly clientConfig: object
  readonly failurePolicy: string
  readonly matchConditions?: readonly unknown[]
  readonly namespaceSelector?: unknown
  readonly rules: readonly { readonly operations: readonly string[] }[]
}
const url = { kind: 'url' as const, baseUrl: 'https://127.0.0.1:5722', caBundle: 'Q0E=' }
function hooksOf(more: Partial<WebhookSettings> = {}): readonly (readonly Hook[])[] {
  const made = webhookConfigurations(url, { ...settings, ...more }) as unknown as readonly {
    readonly webhooks: readonly Hook[]
  }[]
  return made.map(({ webhooks }) => webhooks)
}

void test('webhookConfigurations() points the API server at a URL or a Service', () => {
  const [mutating = [], validating = []] = hooksOf()
  const pools = validating.find(({ name }) => name.startsWith('spiderippool.'))
  assert.deepEqual(pools?.clientConfig, {
    url: 'https://127.0.0.1:5722/validate-spiderpool-spidernet-io-v2beta1-spiderippool',
    caBundle: 'Q0E=',
  })
  assert.deepEqual(mutating[1]?.rules[0]?.operations, ['CREATE', 'UPDATE'])
  const service = {
    kind: 'service' as const,
    namespace: 'kube-system',
    name: 'spiderpool-controller',
    port: 5722,
    caBundle: '',
  }
  assert.match(
    JSON.stringify(webhookConfigurations(service, settings)),
    /"service":\{"namespace":"kube-system"/,
  )
})

void test('only what nobody can look at again fails closed: changes of a spec, and new subnets', () => {
  const [mutating = [], validating = []] = hooksOf({ guardDeletion: true })
  assert(mutating.every(({ failurePolicy }) => failurePolicy === 'Ignore'))
  const closed = validating.filter(({ failurePolicy }) => failurePolicy !== 'Ignore')
  assert.deepEqual(
    closed.map(({ name, rules, matchConditions = [] }) => [
      name.split('.spiderpool')[0],
      rules[0]?.operations.join(),
      matchConditions.length,
    ]),
    [
      ['spidersubnet', 'CREATE', 0],
      ['update.spidersubnet', 'UPDATE', 1],
      ['update.spiderippool', 'UPDATE', 1],
    ],
  )
  const names = [...mutating, ...validating].map(({ name }) => name)
  assert.equal(new Set(validating.map(({ name }) => name)).size, validating.length)
  assert(names.every((name) => name.split('.').length >= 3))
})

void test('deletions are asked about only with the guard on, pods only with injection on, and never those of ours', () => {
  const [, validating = []] = hooksOf()
  assert(validating.every(({ rules }) => !rules.some(({ operations }) => operations.includes('DELETE'))))
  const podInject = {
    installNamespace: 'ours',
    excludedNamespaces: ['metallb-system'],
    includedNamespaces: ['shop'],
    trustedNamespaces: [],
    masterNics: false,
  }
  const pods = hooksOf({ podInject })[0]?.find(({ name }) => name.startsWith('pods.'))
  assert.equal(pods?.failurePolicy, 'Ignore')
  assert.deepEqual(pods?.rules[0]?.operations, ['CREATE'])
  assert.deepEqual(pods?.namespaceSelector, {
    matchExpressions: [
      {
        key: 'kubernetes.io/metadata.name',
        operator: 'NotIn',
        values: ['kube-system', 'ours', 'metallb-system'],
      },
      { key: 'kubernetes.io/metadata.name', operator: 'In', values: ['shop'] },
    ],
  })
})
