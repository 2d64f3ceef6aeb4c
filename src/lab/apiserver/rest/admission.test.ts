import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import test, { after, before } from 'node:test'
import { at, TestServer } from '../../../../test/support/api-server.ts'

interface Review {
  readonly request: {
    readonly uid: string
    readonly operation: string
    readonly name: string
    readonly dryRun: boolean
    readonly object: { readonly data?: Record<string, string> } | null
    readonly oldObject: object | null
  }
}

let server: TestServer
let webhook: Server
let url = ''
const seen: string[] = []

before(async () => {
  server = await TestServer.start()
  const { certPem, keyPem } = server.keys.serving
  webhook = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    request.on('end', () => {
      const review: Review = JSON.parse(text)
      seen.push(`${request.url} ${review.request.operation} ${review.request.name}`)
      const answer = request.url?.startsWith('/mutate') === true ? mutated(review) : judged(review)
      response.end(JSON.stringify({ ...review, response: { uid: review.request.uid, ...answer } }))
    })
  })
  webhook.listen(0, '127.0.0.1')
  await once(webhook, 'listening')
  const address = webhook.address()
  assert.ok(address !== null && typeof address === 'object')
  url = `https://127.0.0.1:${address.port}`
})
after(async () => {
  webhook.closeAllConnections()
  webhook.close()
  await server[Symbol.asyncDispose]()
})

function mutated(_review: Review): object {
  const patch = [{ op: 'add', path: '/data/mutated', value: 'yes' }]
  return {
    allowed: true,
    patchType: 'JSONPatch',
    patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    warnings: ['was changed'],
  }
}

function judged({ request }: Review): object {
  if (request.operation === 'DELETE' && request.name === 'kept')
    return { allowed: false, status: { code: 403, message: 'kept is kept', reason: 'Forbidden' } }
  const isBad = request.object?.data?.['bad'] === 'yes'
  return isBad
    ? { allowed: false, status: { message: 'data.bad must not be "yes"' } }
    : { allowed: true, warnings: ['be careful'] }
}

const maps = '/api/v1/namespaces/default/configmaps'
const registration = '/apis/admissionregistration.k8s.io/v1'
const map = (name: string, data: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
})

function configuration(kind: 'Mutating' | 'Validating', name: string, target: string): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}WebhookConfiguration`,
    metadata: { name },
    webhooks: [
      {
        name: `${name}.example.com`,
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        timeoutSeconds: 2,
        clientConfig: { url: target, caBundle: Buffer.from(server.keys.ca.certPem).toString('base64') },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] }],
      },
    ],
  }
}

void test('webhooks change and judge what is written, and a refusal carries their message', async () => {
  const mutating = configuration('Mutating', 'm', `${url}/mutate`)
  const validating = configuration('Validating', 'v', `${url}/validate`)
  assert.equal(
    (await server.call('POST', `${registration}/mutatingwebhookconfigurations`, { body: mutating })).status,
    201,
  )
  const made = await server.call('POST', `${registration}/validatingwebhookconfigurations`, {
    body: validating,
  })
  assert.equal(made.status, 201, made.text)
  assert.equal(at(made.body, 'webhooks.0.failurePolicy'), 'Fail')

  const good = await server.call('POST', maps, { body: map('kept', { a: 'b' }) })
  assert.equal(good.status, 201, good.text)
  assert.deepEqual(at(good.body, 'data'), { a: 'b', mutated: 'yes' })
  assert.match(String(good.headers['warning']), /be careful/)
  const bad = await server.call('POST', maps, { body: map('bad', { bad: 'yes' }) })
  assert.equal(bad.status, 403)
  assert.match(String(bad.headers['warning']), /was changed/)
  assert.match(
    String(at(bad.body, 'message')),
    /"v\.example\.com" denied the request: data\.bad must not be "yes"/,
  )
  const kept = await server.call('DELETE', `${maps}/kept`)
  assert.equal(kept.status, 403)
  assert.match(String(at(kept.body, 'message')), /kept is kept/)
  const patch = { body: { data: { c: 'd' } }, contentType: 'application/merge-patch+json' }
  const patched = await server.call('PATCH', `${maps}/kept`, patch)
  assert.deepEqual(at(patched.body, 'data'), { a: 'b', c: 'd', mutated: 'yes' })
  assert.ok(
    seen.includes('/mutate?timeout=2s CREATE kept') && seen.includes('/validate?timeout=2s UPDATE kept'),
  )
})

void test('concurrent patches of one object all count, though webhooks take their time', async () => {
  const merge = { contentType: 'application/merge-patch+json' }
  const replies = await Promise.all(
    Array.from({ length: 5 }, (_, index) =>
      server.call('PATCH', `${maps}/kept`, { body: { data: { [`n${index}`]: 'x' } }, ...merge }),
    ),
  )
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]))
  const found = await server.call('GET', `${maps}/kept`)
  for (let index = 0; index < 5; index++) assert.equal(at(found.body, `data.n${index}`), 'x')
})

void test('a webhook that is away refuses by default, and is passed over with failurePolicy Ignore', async () => {
  const away = configuration('Validating', 'away', 'https://127.0.0.1:1/validate')
  const path = `${registration}/validatingwebhookconfigurations`
  assert.equal((await server.call('POST', path, { body: away })).status, 201)
  const refused = await server.call('POST', maps, { body: map('x') })
  assert.equal(refused.status, 500)
  assert.match(String(at(refused.body, 'message')), /failed calling webhook|webhook/)
  const ignore = [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }]
  const json = { contentType: 'application/json-patch+json' }
  assert.equal((await server.call('PATCH', `${path}/away`, { body: ignore, ...json })).status, 200)
  assert.equal((await server.call('POST', maps, { body: map('x') })).status, 201)
})
