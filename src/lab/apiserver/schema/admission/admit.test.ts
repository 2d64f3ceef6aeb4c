import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { parseJson, stringifyJson } from '../../../../base/index.ts'
import { createCa, issueCertificate, type KeyPair } from '../../../../rpc/index.ts'
import { isObject, type JsonObject, objectAt, ownValue } from '../record.ts'
import type { AdmissionOutcome, AdmissionRequest } from './admission-types.ts'
import { admit } from './admit.ts'

type Answer = (review: JsonObject, path: string) => unknown

let ca: KeyPair
let server: Server
let answer: Answer = () => undefined
let asked: JsonObject[] = []
const never = new AbortController().signal

before(async () => {
  ca = await createCa('test', 1)
  const pair = await issueCertificate(ca, {
    commonName: 'hooks',
    dnsNames: ['hooks.kube-system.svc'],
    ipAddresses: ['127.0.0.1'],
    days: 1,
    usages: ['server'],
  })
  server = createServer({ cert: pair.certPem, key: pair.keyPem }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const review = parseJson(Buffer.concat(chunks).toString('utf8'))
      assert.ok(isObject(review))
      asked.push(review)
      const body = answer(review, request.url ?? '')
      if (body === undefined) return // never answers
      response.setHeader('content-type', 'application/json')
      response.end(typeof body === 'string' ? body : stringifyJson(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

after(() => {
  server.closeAllConnections()
  server.close()
})

const port = (): number => (server.address() as AddressInfo).port

const object = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'ns', labels: { app: 'web' } },
}

const request = (more: Partial<AdmissionRequest> = {}): AdmissionRequest => ({
  operation: 'CREATE',
  resource: { group: '', version: 'v1', plural: 'pods' },
  kind: 'Pod',
  subresource: '',
  name: 'p',
  namespace: 'ns',
  namespaceLabels: { team: 'a' },
  object,
  oldObject: undefined,
  userInfo: { username: 'admin' },
  dryRun: false,
  options: undefined,
  resolveService: () => Promise.resolve({ host: '127.0.0.1', port: port() }),
  ...more,
})

const allPods = {
  apiGroups: [''],
  apiVersions: ['v1'],
  operations: ['CREATE', 'UPDATE'],
  resources: ['pods'],
}
const hook = (name: string, more: JsonObject = {}): JsonObject => ({
  name,
  clientConfig: {
    url: `https://127.0.0.1:${port()}/${name}`,
    caBundle: Buffer.from(ca.certPem).toString('base64'),
  },
  rules: [allPods],
  ...more,
})
const configuration = (...webhooks: readonly JsonObject[]): JsonObject => ({
  metadata: { name: 'c' },
  webhooks,
})

const review = (seen: JsonObject, response: JsonObject): JsonObject => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  response: { uid: objectAt(seen, 'request')?.['uid'], ...response },
})
const patchOf = (operations: readonly unknown[]): JsonObject => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(stringifyJson(operations)).toString('base64'),
})

async function run(
  phase: 'mutating' | 'validating',
  webhooks: readonly JsonObject[],
  reply: Answer,
  more: Partial<AdmissionRequest> = {},
): Promise<AdmissionOutcome> {
  answer = reply
  asked = []
  return admit(phase, request(more), [configuration(...webhooks)], never)
}

const allow: Answer = (seen) => review(seen, { allowed: true })
const denialOf = (outcome: AdmissionOutcome): readonly [number, string, string] => {
  assert.ok(outcome.kind === 'denied')
  return [outcome.status.code, outcome.status.reason, outcome.status.message]
}

void suite('admit()', () => {
  test('sends a complete AdmissionReview', async () => {
    await run('validating', [hook('a.b.c')], allow, {
      subresource: '',
      oldObject: { kind: 'Pod' },
      operation: 'UPDATE',
    })
    const [first] = asked
    assert.equal(first?.['apiVersion'], 'admission.k8s.io/v1')
    const { uid, ...sent } = objectAt(first, 'request') ?? {}
    assert.match(String(uid), /^[0-9a-f-]{36}$/)
    assert.deepEqual(sent, {
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      requestKind: { group: '', version: 'v1', kind: 'Pod' },
      requestResource: { group: '', version: 'v1', resource: 'pods' },
      name: 'p',
      namespace: 'ns',
      operation: 'UPDATE',
      userInfo: { username: 'admin' },
      object,
      oldObject: { kind: 'Pod' },
      dryRun: false,
      options: null,
    })
  })

  test('applies the patches of mutating webhooks one after the other and gathers warnings', async () => {
    const outcome = await run('mutating', [hook('one.b.c'), hook('two.b.c')], (seen, path) => {
      const labels = objectAt(objectAt(objectAt(objectAt(seen, 'request'), 'object'), 'metadata'), 'labels')
      const count = Object.keys(labels ?? {}).length
      const name = path.startsWith('/one') ? 'one' : 'two'
      return review(seen, {
        ...patchOf([{ op: 'add', path: `/metadata/labels/${name}`, value: String(count) }]),
        warnings: [name],
      })
    })
    assert.ok(outcome.kind === 'allowed')
    assert.deepEqual(objectAt(objectAt(outcome.object, 'metadata'), 'labels'), {
      app: 'web',
      one: '1',
      two: '2',
    })
    assert.deepEqual(outcome.warnings, ['one', 'two'])
  })

  test('denies in the words of the webhook, with its code and reason', async () => {
    const status = { code: 422, reason: 'Invalid', message: 'spec.ips[0] "x": it is no address' }
    const outcome = await run('validating', [hook('a.b.c')], (seen) =>
      review(seen, { allowed: false, status }),
    )
    assert.deepEqual(denialOf(outcome), [
      422,
      'Invalid',
      'admission webhook "a.b.c" denied the request: spec.ips[0] "x": it is no address',
    ])
    const silent = await run('validating', [hook('a.b.c')], (seen) => review(seen, { allowed: false }))
    assert.deepEqual(denialOf(silent), [
      403,
      'Forbidden',
      'admission webhook "a.b.c" denied the request without explanation',
    ])
  })

  test('a denial stops the mutating webhooks after it', async () => {
    await run('mutating', [hook('a.b.c'), hook('d.e.f')], (seen) => review(seen, { allowed: false }))
    assert.equal(asked.length, 1)
  })

  test('reaches a service by its name through the resolver', async () => {
    const service = {
      service: { namespace: 'kube-system', name: 'hooks', path: '/x' },
      caBundle: Buffer.from(ca.certPem).toString('base64'),
    }
    const outcome = await run('validating', [hook('a.b.c', { clientConfig: service })], allow)
    assert.equal(outcome.kind, 'allowed')
    const unknown = await run('validating', [hook('a.b.c', { clientConfig: service })], allow, {
      resolveService: () => Promise.resolve(undefined),
    })
    assert.match(
      denialOf(unknown)[2],
      /failed calling webhook "a\.b\.c": service "kube-system\/hooks" has no endpoint/,
    )
  })

  test('does not trust a certificate of another authority', async () => {
    const other = await createCa('other', 1)
    const clientConfig = {
      url: `https://127.0.0.1:${port()}/x`,
      caBundle: Buffer.from(other.certPem).toString('base64'),
    }
    const outcome = await run('validating', [hook('a.b.c', { clientConfig })], allow)
    assert.equal(denialOf(outcome)[0], 500)
  })

  test('never asks about webhook configurations', async () => {
    const everything = { apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] }
    const resource = {
      group: 'admissionregistration.k8s.io',
      version: 'v1',
      plural: 'validatingwebhookconfigurations',
    }
    await run('validating', [hook('a.b.c', { rules: [everything] })], allow, {
      resource,
      namespace: undefined,
    })
    assert.equal(asked.length, 0)
  })

  test('an unreadable configuration refuses instead of passing', async () => {
    const outcome = await run(
      'validating',
      [hook('a.b.c', { matchConditions: [{ name: 'x', expression: 'authorizer.x()' }] })],
      allow,
    )
    assert.match(denialOf(outcome)[2], /matchConditions/)
  })
})

const conditions: readonly (readonly [string, string, JsonObject, Partial<AdmissionRequest>, number])[] = [
  ['true', 'true', {}, {}, 1],
  ['false', "object.metadata.name == 'q'", {}, {}, 0],
  ['of the request', "request.operation == 'CREATE'", {}, {}, 1],
  [
    'an equal part',
    'object.spec != oldObject.spec',
    {},
    { object: { spec: { a: [1, { b: 'c' }] } }, oldObject: { spec: { a: [1, { b: 'c' }] } } },
    0,
  ],
  [
    'a part that differs',
    'has(object.spec) != has(oldObject.spec) || (has(object.spec) && object.spec != oldObject.spec)',
    {},
    { object: { spec: { a: [1, { b: 'd' }] } }, oldObject: { spec: { a: [1, { b: 'c' }] } } },
    1,
  ],
  ['what fails, with Ignore', 'object.nope.x', { failurePolicy: 'Ignore' }, {}, 0],
]
void suite('matchConditions ask about', () => {
  for (const [what, expression, more, changed, calls] of conditions) {
    test(what, async () => {
      const matchConditions = [{ name: 'c', expression }]
      const outcome = await run('validating', [hook('a.b.c', { ...more, matchConditions })], allow, changed)
      assert.equal(outcome.kind, 'allowed')
      assert.equal(asked.length, calls)
    })
  }
  test('what fails, and refuse it with Fail, without a call', async () => {
    const matchConditions = [{ name: 'c', expression: 'object.nope.x' }]
    const outcome = await run('validating', [hook('a.b.c', { matchConditions })], allow)
    assert.match(denialOf(outcome)[2], /"a\.b\.c": matchCondition c: /)
    assert.equal(asked.length, 0)
  })
})

const wrongAnswers: readonly (readonly [string, Answer])[] = [
  ['another uid', (seen) => review(seen, { allowed: true, uid: 'x' })],
  ['no AdmissionReview', () => ({})],
  [
    'another version',
    (seen) => ({ ...review(seen, { allowed: true }), apiVersion: 'admission.k8s.io/v1beta1' }),
  ],
  ['no response', () => ({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' })],
  ['no verdict', (seen) => review(seen, {})],
  ['no JSON', () => 'nonsense'],
  ['a patch without type', (seen) => review(seen, { allowed: true, patch: 'W10=' })],
  [
    'a patch that is no JSON',
    (seen) => review(seen, { allowed: true, patch: 'eA==', patchType: 'JSONPatch' }),
  ],
  ['an answer over the limit', () => `"${'x'.repeat(5 * 1024 * 1024)}"`],
  ['no answer in time', () => undefined],
]

void suite('failurePolicy decides about', () => {
  for (const [name, reply] of wrongAnswers) {
    test(name, async () => {
      const quick = { timeoutSeconds: 1 }
      const failed = await run('validating', [hook('a.b.c', quick)], reply)
      const [code, reason, message] = denialOf(failed)
      assert.equal(code, 500)
      assert.equal(reason, 'InternalError')
      assert.match(message, /^Internal error occurred: failed calling webhook "a\.b\.c": /)
      const ignored = await run('validating', [hook('a.b.c', { ...quick, failurePolicy: 'Ignore' })], reply)
      assert.equal(ignored.kind, 'allowed')
    })
  }

  test('but not about a patch that does not fit', async () => {
    const reply: Answer = (seen) => review(seen, patchOf([{ op: 'remove', path: '/nope' }]))
    const outcome = await run('mutating', [hook('a.b.c', { failurePolicy: 'Ignore' })], reply)
    assert.equal(denialOf(outcome)[0], 500)
  })
})

const everything = { apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'] }
const clusterScoped = { namespace: undefined, resource: { group: '', version: 'v1', plural: 'nodes' } }
const inNamespace = (values: readonly string[]): JsonObject => ({
  matchExpressions: [{ key: 'team', operator: 'In', values }],
})

const matching: readonly (readonly [string, JsonObject, Partial<AdmissionRequest>, boolean])[] = [
  ['its resource', {}, {}, true],
  ['another resource', {}, { resource: { group: '', version: 'v1', plural: 'nodes' } }, false],
  ['another group', {}, { resource: { group: 'x.io', version: 'v1', plural: 'pods' } }, false],
  ['another operation', {}, { operation: 'DELETE', object: undefined, oldObject: object }, false],
  [
    'all with stars',
    { rules: [everything] },
    { operation: 'DELETE', object: undefined, oldObject: object },
    true,
  ],
  ['a star without subresources', { rules: [everything] }, { subresource: 'status' }, false],
  ['all subresources', { rules: [{ ...everything, resources: ['*/*'] }] }, { subresource: 'status' }, true],
  [
    'one subresource of all',
    { rules: [{ ...everything, resources: ['*/status'] }] },
    { subresource: 'status' },
    true,
  ],
  [
    'another subresource',
    { rules: [{ ...allPods, resources: ['pods/status'] }] },
    { subresource: 'binding' },
    false,
  ],
  ['the scope Namespaced', { rules: [{ ...everything, scope: 'Namespaced' }] }, {}, true],
  ['the scope Cluster', { rules: [{ ...everything, scope: 'Cluster' }] }, {}, false],
  ['the scope Cluster of a node', { rules: [{ ...everything, scope: 'Cluster' }] }, clusterScoped, true],
  ['its namespaces', { namespaceSelector: inNamespace(['a']) }, {}, true],
  ['other namespaces', { namespaceSelector: inNamespace(['b']) }, {}, false],
  [
    'cluster-scoped objects whatever the namespaces',
    { rules: [everything], namespaceSelector: inNamespace(['b']) },
    clusterScoped,
    true,
  ],
  ['its labels', { objectSelector: { matchLabels: { app: 'web' } } }, {}, true],
  ['other labels', { objectSelector: { matchLabels: { app: 'db' } } }, {}, false],
  [
    'old labels',
    { objectSelector: { matchLabels: { app: 'web' } } },
    { object: { metadata: {} }, oldObject: object, operation: 'UPDATE' },
    true,
  ],
]

void suite('a webhook sees', () => {
  for (const [name, more, change, wanted] of matching) {
    test(`${name}: ${wanted ? 'yes' : 'no'}`, async () => {
      await run('validating', [hook('a.b.c', more)], allow, change)
      assert.equal(asked.length, wanted ? 1 : 0)
    })
  }
})

void test('the uid of each call is its own', async () => {
  await run('validating', [hook('a.b.c'), hook('d.e.f')], allow)
  const uids = asked.map((item) => ownValue(objectAt(item, 'request') ?? {}, 'uid'))
  assert.equal(new Set(uids).size, 2)
})
