import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { at, TestServer } from '../../../../test/support/api-server.ts'
import { type Clock, systemClock } from '../../../base/index.ts'

let server: TestServer
let offsetMs = 0
const clock: Clock = { ...systemClock, nowMs: () => Date.now() + offsetMs }
before(async () => {
  server = await TestServer.start({ clock })
})
after(() => server[Symbol.asyncDispose]())

const account = '/api/v1/namespaces/default/serviceaccounts/default'
const pods = '/api/v1/namespaces/default/pods'
const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node1' } }
const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'agent' },
  spec: { nodeName: 'node1', containers: [{ name: 'c', image: 'i' }] },
}

async function requestToken(spec: object): Promise<string> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }
  const reply = await server.call('POST', `${account}/token`, { body })
  assert.equal(reply.status, 201, reply.text)
  return String(at(reply.body, 'status.token'))
}

async function review(token: string, audiences?: string[]): Promise<unknown> {
  const spec = { token, ...(audiences === undefined ? {} : { audiences }) }
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec }
  const reply = await server.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { body })
  assert.equal(reply.status, 201, reply.text)
  return at(reply.body, 'status')
}

void test('anonymous requests reach health and version alone', async () => {
  for (const path of ['/healthz', '/readyz', '/livez', '/version'])
    assert.equal((await server.call('GET', path, { isAnonymous: true })).status, 200, path)
  for (const path of ['/api', '/apis', pods, '/openapi/v3']) {
    const reply = await server.call('GET', path, { isAnonymous: true })
    assert.equal(reply.status, 401, path)
    assert.equal(at(reply.body, 'reason'), 'Unauthorized')
  }
})

void test('the token of an account opens the server, and a changed or foreign one does not', async () => {
  const token = await requestToken({})
  assert.equal((await server.call('GET', pods, { token })).status, 200)
  const self = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const who = await server.call('POST', path, { token, body: self })
  assert.equal(at(who.body, 'status.userInfo.username'), 'system:serviceaccount:default:default')
  const broken = `${token.slice(0, -4)}AAAA`
  for (const wrong of [broken, 'x', 'a.b.c', ''])
    assert.equal((await server.call('GET', pods, { token: wrong })).status, 401, wrong)
})

void test('a token bound to a pod names its node, and ends with the pod', async () => {
  await server.call('POST', '/api/v1/nodes', { body: node })
  const made = await server.call('POST', pods, { body: pod })
  assert.equal(made.status, 201, made.text)
  const uid = String(at(made.body, 'metadata.uid'))
  const ref = { kind: 'Pod', apiVersion: 'v1', name: 'agent', uid }
  const token = await requestToken({ audiences: ['spiderpool'], boundObjectRef: ref })
  const status = await review(token, ['spiderpool', 'other'])
  assert.equal(at(status, 'authenticated'), true)
  assert.deepEqual(at(status, 'audiences'), ['spiderpool'])
  const extra = Object(at(status, 'user.extra'))
  assert.deepEqual(extra['authentication.kubernetes.io/node-name'], ['node1'])
  assert.deepEqual(extra['authentication.kubernetes.io/pod-name'], ['agent'])
  assert.deepEqual(extra['authentication.kubernetes.io/pod-uid'], [uid])
  assert.equal(at(await review(token), 'authenticated'), undefined, 'it is not for the API server')
  assert.equal((await server.call('GET', pods, { token })).status, 401)
  await server.call('DELETE', `${pods}/agent?gracePeriodSeconds=0`)
  const ended = await review(token, ['spiderpool'])
  assert.equal(at(ended, 'authenticated'), undefined)
  assert.match(String(at(ended, 'error')), /pod "agent" .* is gone/)
})

void test('a token expires', async () => {
  const token = await requestToken({ expirationSeconds: 600 })
  assert.equal((await server.call('GET', pods, { token })).status, 200)
  offsetMs = 601_000
  assert.equal((await server.call('GET', pods, { token })).status, 401)
  offsetMs = 0
})

void test('a token request is refused for what it cannot bind to', async () => {
  const send = async (spec: object) => {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }
    return (await server.call('POST', `${account}/token`, { body })).status
  }
  assert.equal(await send({ boundObjectRef: { kind: 'Pod', name: 'nope' } }), 404)
  assert.equal(await send({ boundObjectRef: { kind: 'Deployment', name: 'nope' } }), 400)
  assert.equal(await send({ boundObjectRef: { kind: 'Node', name: 'node1', uid: 'other' } }), 400)
  assert.equal(await send({ expirationSeconds: 5 }), 422)
})

void test('access reviews allow', async () => {
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb: 'list', resource: 'pods' } },
  }
  const reply = await server.call('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { body })
  assert.equal(at(reply.body, 'status.allowed'), true)
})
