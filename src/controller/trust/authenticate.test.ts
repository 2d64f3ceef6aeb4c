import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KubeObject, trustNames } from '../../api/index.ts'
import { type Clock, systemClock } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { CallerRefusedError, type RefusalReason } from '../../rpc/index.ts'
import { createAuthenticator } from './authenticate.ts'

const never = new AbortController().signal
const startMs = 1_800_000_000_000
const username = 'system:serviceaccount:kube-system:spiderpool-agent'
const onNode = { 'authentication.kubernetes.io/node-name': ['node1'] }
const onPod = {
  'authentication.kubernetes.io/pod-name': ['agent-x'],
  'authentication.kubernetes.io/pod-uid': ['uid-1'],
}

function tokenOf(claims: object = {}, more = ''): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = { aud: [trustNames.audience], exp: startMs / 1000 + 3600, ...claims }
  return `${encode({ alg: 'ES256' })}.${encode(body)}.c2ln${more}`
}

interface Server {
  /** `status` of the next reviews. */
  status: object
  pod?: KubeObject & { spec?: { nodeName?: string } }
  reviews: { token: string; audiences?: readonly string[] }[]
  hold?: Promise<void>
}

function authenticatorOf(server: Server) {
  const time = { nowMs: startMs }
  const clock: Clock = { ...systemClock, nowMs: () => time.nowMs }
  const api: Pick<KubeApi, 'get' | 'request'> = {
    get: async <T extends KubeObject>() => server.pod as T | undefined,
    request: async <T>(_method: string, _path: string, body: unknown) => {
      const { spec } = body as { spec: Server['reviews'][number] }
      server.reviews.push(spec)
      await server.hold
      return { status: server.status } as T
    },
  }
  const authenticate = createAuthenticator({
    api: api as KubeApi, // it makes no other call
    agentAccount: 'kube-system/spiderpool-agent',
    clock,
  })
  return { time, ask: (token: string, address = '10.0.0.1') => authenticate(token, address, never) }
}

const accepted = (extra: object = onNode, name = username) => ({
  authenticated: true,
  audiences: [trustNames.audience],
  user: { username: name, extra },
})

async function reasonOf(call: Promise<unknown>): Promise<RefusalReason | undefined> {
  try {
    await call
    return undefined
  } catch (error) {
    assert.ok(error instanceof CallerRefusedError, String(error))
    assert.notEqual(error.hint, '')
    return error.reason
  }
}

void test('a token is reviewed for our audience once a minute, and names its node', async () => {
  const server: Server = { status: accepted(), reviews: [] }
  const { ask, time } = authenticatorOf(server)
  const token = tokenOf()
  assert.deepEqual(await ask(token), { node: 'node1', username })
  await ask(token)
  assert.deepEqual(server.reviews, [{ token, audiences: ['spiderpool-controller'] }])
  time.nowMs += 61_000
  await ask(token)
  assert.equal(server.reviews.length, 2)
})

void test('a token without node claim is of the node of its pod, if that is still the same pod', async () => {
  const pod = { metadata: { name: 'agent-x', uid: 'uid-1' }, spec: { nodeName: 'node2' } }
  const server: Server = { status: accepted(onPod), reviews: [], pod }
  assert.equal((await authenticatorOf(server).ask(tokenOf())).node, 'node2')
  server.pod = { ...pod, metadata: { name: 'agent-x', uid: 'uid-2' } }
  assert.equal(await reasonOf(authenticatorOf(server).ask(tokenOf())), 'no-node')
  server.status = accepted({})
  assert.equal(await reasonOf(authenticatorOf(server).ask(tokenOf())), 'no-node')
})

void test('each reason to refuse is told apart', async () => {
  const server: Server = { status: accepted(), reviews: [] }
  const reason = (token: string) => reasonOf(authenticatorOf(server).ask(token))
  assert.equal(await reason('nonsense'), 'unknown-token')
  assert.equal(await reason('a.b.c'), 'unknown-token')
  assert.equal(await reason(tokenOf({ aud: ['https://kubernetes.default.svc'] })), 'wrong-audience')
  assert.equal(await reason(tokenOf({ aud: 7 })), 'wrong-audience')
  assert.equal(await reason(tokenOf({ exp: startMs / 1000 })), 'expired-token')
  assert.equal(server.reviews.length, 0, 'the API server is not asked about what a token says itself')
  server.status = { user: {}, error: 'invalid bearer token' }
  assert.equal(await reason(tokenOf()), 'unknown-token')
  server.status = { ...accepted(), audiences: [] }
  assert.equal(await reason(tokenOf()), 'wrong-audience')
  server.status = accepted(onNode, 'system:serviceaccount:default:default')
  assert.equal(await reason(tokenOf()), 'wrong-account')
})

void test('a refusal is remembered for seconds, a passing failure not at all', async () => {
  const server: Server = { status: {}, reviews: [] }
  const { ask, time } = authenticatorOf(server)
  const token = tokenOf()
  for (let i = 0; i < 3; i += 1) assert.equal(await reasonOf(ask(token)), 'unknown-token')
  assert.equal(server.reviews.length, 1)
  time.nowMs += 6_000
  server.status = accepted()
  assert.equal((await ask(token)).node, 'node1')
  server.hold = Promise.reject(new TypeError('the API server is away'))
  server.hold.catch(() => undefined)
  time.nowMs += 61_000
  await assert.rejects(ask(token), /away/)
  delete server.hold
  assert.equal((await ask(token)).node, 'node1')
})

void test('a flood of made-up tokens neither floods the API server nor keeps out who was known before', async () => {
  const server: Server = { status: accepted(), reviews: [] }
  const { ask, time } = authenticatorOf(server)
  const token = tokenOf()
  await ask(token)
  time.nowMs += 61_000
  const { promise, resolve } = Promise.withResolvers<void>()
  server.hold = promise
  const flood = Array.from({ length: 500 }, (_, index) =>
    reasonOf(ask(tokenOf({}, String(index)), '10.9.9.9')),
  )
  await new Promise((done) => setImmediate(done))
  assert.equal(server.reviews.length, 1 + 4)
  const again = ask(token, '10.9.9.9')
  await new Promise((done) => setImmediate(done))
  assert.equal(server.reviews.length, 1 + 4 + 1)
  resolve()
  assert.equal((await again).node, 'node1')
  const reasons = await Promise.all(flood)
  assert.equal(reasons.filter((reason) => reason === 'too-many-requests').length, 500 - 4 - 64)
})
