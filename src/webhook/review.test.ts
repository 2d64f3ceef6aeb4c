import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { diffJson } from './json-patch.ts'
import { registrations, webhookConfigurations } from './registrations.ts'
import { needsOf, review } from './review.ts'
import { admit, answer, bodyOf, type Case, emptyWorld, ours, patched, settings } from './testing/reviewing.ts'

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
  const pod = review('mutate', bodyOf({ kind: 'Pod', object: { metadata: { name: 'p' } } }), emptyWorld)
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

void test('the registrations have the names, paths and operations of the reference', () => {
  assert.deepEqual(
    registrations.map(({ name, mutatePath, validate }) => [name, mutatePath, validate.length]),
    [
      ['spidersubnet.spiderpool.spidernet.io', '/mutate-spiderpool-spidernet-io-v2beta1-spidersubnet', 3],
      ['spiderippool.spiderpool.spidernet.io', '/mutate-spiderpool-spidernet-io-v2beta1-spiderippool', 3],
      [
        'spiderreservedip.spiderpool.spidernet.io',
        '/mutate-spiderpool-spidernet-io-v2beta1-spiderreservedip',
        2,
      ],
      [
        'spidercoordinator.spiderpool.spidernet.io',
        '/mutate-spiderpool-spidernet-io-v2beta1-spidercoordinator',
        2,
      ],
      [
        'spidermultusconfig.spiderpool.spidernet.io',
        '/mutate-spiderpool-spidernet-io-v2beta1-spidermultusconfig',
        2,
      ],
    ],
  )
})

void test('webhookConfigurations() points the API server at a URL or a Service', () => {
  const target = { kind: 'url' as const, baseUrl: 'https://127.0.0.1:5722', caBundle: 'Q0E=' }
  const [mutating, validating] = webhookConfigurations(target) as unknown as readonly {
    readonly kind: string
    readonly webhooks: readonly {
      readonly clientConfig: object
      readonly rules: readonly { readonly operations: unknown }[]
    }[]
  }[]
  assert.equal(mutating?.kind, 'MutatingWebhookConfiguration')
  assert.deepEqual(validating?.webhooks[1]?.clientConfig, {
    url: 'https://127.0.0.1:5722/validate-spiderpool-spidernet-io-v2beta1-spiderippool',
    caBundle: 'Q0E=',
  })
  assert.deepEqual(mutating?.webhooks[1]?.rules[0]?.operations, ['CREATE', 'UPDATE'])
  const service = {
    kind: 'service' as const,
    namespace: 'kube-system',
    name: 'spiderpool-controller',
    port: 5722,
    caBundle: '',
  }
  assert.match(JSON.stringify(webhookConfigurations(service)), /"service":\{"namespace":"kube-system"/)
})
