import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { connect } from 'node:tls'
import { at, type Reply, type Send, TestServer } from '../../../../test/support/api-server.ts'

let server: TestServer
before(async () => {
  server = await TestServer.start()
})
after(() => server[Symbol.asyncDispose]())

const maps = '/api/v1/namespaces/default/configmaps'
const seed = 20_260_101
const casesPerFault = 4

// A small generator of our own, so that a failing case can be named by seed and number.
function random(start: number): () => number {
  let state = start
  return () => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff
    return state / 0x7fffffff
  }
}

interface Fault {
  readonly name: string
  readonly method: string
  /** What the answer must name. */
  readonly says: RegExp
  readonly status: readonly number[]
  make(word: string, pick: (count: number) => number): { readonly path: string } & Send
}

const merge = 'application/merge-patch+json'
const json = 'application/json-patch+json'
const map = (metadata: unknown, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata,
  ...more,
})
const pod = (spec: unknown, metadata: object = { name: 'bad' }) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata,
  spec,
})
const pods = '/api/v1/namespaces/default/pods'
const good = { name: 'c', image: 'i' }
const post = (body: unknown, path = maps): { path: string } & Send => ({ path, body })
const raw = (text: string | Buffer, contentType = 'application/json'): { path: string } & Send => ({
  path: maps,
  raw: text,
  contentType,
})
const deep = (depth: number): unknown => (depth === 0 ? 1 : { a: deep(depth - 1) })

const faults: readonly Fault[] = [
  {
    name: 'broken JSON',
    method: 'POST',
    says: /json parse error/,
    status: [400],
    make: (w) => raw(`{"${w}":`),
  },
  {
    name: 'no UTF-8',
    method: 'POST',
    says: /UTF-8/,
    status: [400],
    make: () => raw(Buffer.from([0x7b, 0xff, 0xfe])),
  },
  { name: 'no body', method: 'POST', says: /no body/, status: [400], make: () => raw('') },
  { name: 'a scalar body', method: 'POST', says: /not a JSON object/, status: [400], make: (w) => post(w) },
  { name: 'a list body', method: 'POST', says: /not a JSON object/, status: [400], make: (w) => post([w]) },
  {
    name: 'another kind',
    method: 'POST',
    says: /ConfigMap/,
    status: [400],
    make: (w) => post({ ...map({}), kind: w }),
  },
  {
    name: 'another version',
    method: 'POST',
    says: /apiVersion/,
    status: [400],
    make: (w) => post({ ...map({}), apiVersion: w }),
  },
  {
    name: 'metadata no object',
    method: 'POST',
    says: /metadata/,
    status: [400],
    make: (w) => post(map([w])),
  },
  {
    name: 'name no string',
    method: 'POST',
    says: /metadata\.name/,
    status: [400],
    make: (_w, n) => post(map({ name: n(99) })),
  },
  {
    name: 'labels no object',
    method: 'POST',
    says: /metadata\.labels/,
    status: [400],
    make: (w) => post(map({ name: 'a', labels: w })),
  },
  {
    name: 'label no string',
    method: 'POST',
    says: /metadata\.labels/,
    status: [400],
    make: (w, n) => post(map({ name: 'a', labels: { [w]: n(9) } })),
  },
  {
    name: 'owner without uid',
    method: 'POST',
    says: /ownerReferences\[0\]\.uid/,
    status: [422],
    make: (w) => post(map({ name: 'a', ownerReferences: [{ apiVersion: 'v1', kind: w, name: w }] })),
  },
  {
    name: 'finalizers no list',
    method: 'POST',
    says: /metadata\.finalizers/,
    status: [400],
    make: (w) => post(map({ name: 'a', finalizers: w })),
  },
  {
    name: 'time no time',
    method: 'POST',
    says: /metadata\.creationTimestamp/,
    status: [400],
    make: (w) => post(map({ name: 'a', creationTimestamp: w })),
  },
  {
    name: 'a bad name',
    method: 'POST',
    says: /metadata\.name/,
    status: [422],
    make: (w) => post(map({ name: `${w}_UPPER` })),
  },
  { name: 'no name', method: 'POST', says: /metadata\.name/, status: [422], make: () => post(map({})) },
  {
    name: 'a bad label value',
    method: 'POST',
    says: /metadata\.labels/,
    status: [422],
    make: (w) => post(map({ name: 'a', labels: { a: `${w} space` } })),
  },
  {
    name: 'a bad label key',
    method: 'POST',
    says: /metadata\.labels/,
    status: [422],
    make: (w) => post(map({ name: 'a', labels: { [`${w}/b/c`]: 'x' } })),
  },
  {
    name: 'a bad finalizer',
    method: 'POST',
    says: /metadata\.finalizers\[0\]/,
    status: [422],
    make: (w) => post(map({ name: 'a', finalizers: [`${w} space`] })),
  },
  {
    name: 'data no object',
    method: 'POST',
    says: /data/,
    status: [422],
    make: (w) => post(map({ name: 'a' }, { data: w })),
  },
  {
    name: 'data no string',
    method: 'POST',
    says: /data\[/,
    status: [422],
    make: (w, n) => post(map({ name: 'a' }, { data: { [w]: n(9) } })),
  },
  {
    name: 'another namespace',
    method: 'POST',
    says: /namespace/,
    status: [400],
    make: (w) => post(map({ name: 'a', namespace: w })),
  },
  {
    name: 'a missing namespace',
    method: 'POST',
    says: /not found/,
    status: [404],
    make: (w) => post(map({ name: 'a' }), `/api/v1/namespaces/${w}/configmaps`),
  },
  {
    name: 'a resourceVersion',
    method: 'POST',
    says: /resourceVersion/,
    status: [400],
    make: (_w, n) => post(map({ name: 'a', resourceVersion: String(n(9)) })),
  },
  {
    name: 'nested too deep',
    method: 'POST',
    says: /nested deeper/,
    status: [400],
    make: (_w, n) => post(map({ name: 'a' }, { data: deep(250 + n(50)) })),
  },
  {
    name: 'an object too large',
    method: 'POST',
    says: /too large.*1572864/,
    status: [413],
    make: (w) => post(map({ name: 'a' }, { data: { [w]: 'x'.repeat(1_600_000) } })),
  },
  {
    name: 'a body too large',
    method: 'POST',
    says: /too large.*3145728/,
    status: [413],
    make: () => raw('x'.repeat(3_200_000)),
  },
  {
    name: 'a foreign media type',
    method: 'POST',
    says: /media types/,
    status: [415],
    make: (w) => raw('{}', `application/${w}`),
  },
  {
    name: 'broken protobuf',
    method: 'POST',
    says: /protobuf/,
    status: [400],
    make: (_w, n) =>
      raw(
        Buffer.concat([Buffer.from('k8s\0'), Buffer.from([0x0a, 200 + n(50), 1])]),
        'application/vnd.kubernetes.protobuf',
      ),
  },
  {
    name: 'no protobuf',
    method: 'POST',
    says: /protobuf/,
    status: [400],
    make: (w) => raw(w, 'application/vnd.kubernetes.protobuf'),
  },
  {
    name: 'an unknown path',
    method: 'GET',
    says: /could not find/,
    status: [404],
    make: (w) => ({ path: `/apis/${w}/v1/things` }),
  },
  {
    name: 'a broken escape',
    method: 'GET',
    says: /escape/,
    status: [400],
    make: (w) => ({ path: `${maps}/${w}%ff%fe` }),
  },
  {
    name: 'a method that is none',
    method: 'PUT',
    says: /method/,
    status: [405],
    make: () => ({ path: maps, body: {} }),
  },
  {
    name: 'a bad label selector',
    method: 'GET',
    says: /labelSelector/,
    status: [400],
    make: (w) => ({ path: `${maps}?labelSelector=${w}%20in%20x` }),
  },
  {
    name: 'a bad field selector',
    method: 'GET',
    says: /fieldSelector/,
    status: [400],
    make: (w) => ({ path: `${maps}?fieldSelector=${w}` }),
  },
  {
    name: 'an unknown field',
    method: 'GET',
    says: /field label not supported/,
    status: [400],
    make: (w) => ({ path: `${maps}?fieldSelector=spec.${w}%3Dx` }),
  },
  {
    name: 'a bad limit',
    method: 'GET',
    says: /limit/,
    status: [400],
    make: (w) => ({ path: `${maps}?limit=${w}` }),
  },
  {
    name: 'a bad continue',
    method: 'GET',
    says: /continue/,
    status: [400],
    make: (w) => ({ path: `${maps}?continue=${w}` }),
  },
  {
    name: 'a bad version',
    method: 'GET',
    says: /resource version/,
    status: [400],
    make: (w) => ({ path: `${maps}?resourceVersion=${w}` }),
  },
  {
    name: 'a future version',
    method: 'GET',
    says: /Too large resource version/,
    status: [504],
    make: (_w, n) => ({ path: `${maps}?resourceVersion=${900_000 + n(999)}` }),
  },
  {
    name: 'a bad watch',
    method: 'GET',
    says: /watch/,
    status: [400],
    make: (w) => ({ path: `${maps}?watch=${w}` }),
  },
  {
    name: 'a bad dryRun',
    method: 'POST',
    says: /dryRun/,
    status: [400],
    make: (w) => post(map({ name: 'a' }), `${maps}?dryRun=${w}`),
  },
  {
    name: 'a bad propagation',
    method: 'DELETE',
    says: /propagationPolicy/,
    status: [400],
    make: (w) => ({ path: `${maps}/kept`, body: { propagationPolicy: w } }),
  },
  {
    name: 'a bad grace',
    method: 'DELETE',
    says: /gracePeriodSeconds/,
    status: [400],
    make: (_w, n) => ({ path: `${maps}/kept`, body: { gracePeriodSeconds: -1 - n(9) } }),
  },
  {
    name: 'a patch that is none',
    method: 'PATCH',
    says: /not an object/,
    status: [400],
    make: (w) => ({ path: `${maps}/kept`, body: w, contentType: merge }),
  },
  {
    name: 'a JSON patch of a missing path',
    method: 'PATCH',
    says: /path|json patch/i,
    status: [422],
    make: (w) => ({ path: `${maps}/kept`, body: [{ op: 'remove', path: `/${w}/x` }], contentType: json }),
  },
  {
    name: 'a JSON patch with a foreign operation',
    method: 'PATCH',
    says: /op/,
    status: [400, 422],
    make: (w) => ({ path: `${maps}/kept`, body: [{ op: w, path: '/data' }], contentType: json }),
  },
  {
    name: 'a patch of the kind',
    method: 'PATCH',
    says: /kind/,
    status: [400],
    make: (w) => ({ path: `${maps}/kept`, body: { kind: w }, contentType: merge }),
  },
  {
    name: 'a patch of the name',
    method: 'PATCH',
    says: /name/,
    status: [400],
    make: (w) => ({ path: `${maps}/kept`, body: { metadata: { name: w } }, contentType: merge }),
  },
  {
    name: 'a pod without containers',
    method: 'POST',
    says: /spec\.containers/,
    status: [422],
    make: () => post(pod({ containers: [] }), pods),
  },
  {
    name: 'a pod with a spec that is none',
    method: 'POST',
    says: /spec/,
    status: [400, 422],
    make: (w) => post(pod(w), pods),
  },
  {
    name: 'a container twice',
    method: 'POST',
    says: /containers\[1\]\.name/,
    status: [422],
    make: () => post(pod({ containers: [good, good] }), pods),
  },
  {
    name: 'a bad restart policy',
    method: 'POST',
    says: /spec\.restartPolicy/,
    status: [422],
    make: (w) => post(pod({ containers: [good], restartPolicy: w }), pods),
  },
  {
    name: 'prototype keys',
    method: 'POST',
    says: /metadata\.labels/,
    status: [400],
    make: (_w, n) => raw(`{"metadata":{"name":"a","labels":{"__proto__":${n(9)}}}}`),
  },
]

function checkRefusal(reply: Reply, fault: Fault, name: string): void {
  assert.ok(fault.status.includes(reply.status), `${name}: ${reply.status} ${reply.text.slice(0, 300)}`)
  assert.equal(at(reply.body, 'kind'), 'Status', name)
  assert.equal(at(reply.body, 'code'), reply.status, name)
  assert.match(String(at(reply.body, 'message')), fault.says, name)
}

void test('over 100 seeded malformed requests get a Status that names the problem, and the server goes on', async () => {
  const next = random(seed)
  const word = () => `w${Math.floor(next() * 0xffffff).toString(36)}`
  const pick = (count: number) => Math.floor(next() * count)
  assert.equal((await server.call('POST', maps, { body: map({ name: 'kept' }) })).status, 201)
  let count = 0
  for (const fault of faults) {
    for (let index = 0; index < casesPerFault; index++) {
      const { path, ...send } = fault.make(word(), pick)
      const name = `seed ${seed}, ${fault.name} ${index}`
      checkRefusal(await server.call(fault.method, path, send), fault, name)
      count++
    }
    const kept = await server.call('GET', `${maps}/kept`)
    assert.equal(kept.status, 200, `after ${fault.name}`)
  }
  assert.ok(count >= 100 && faults.length >= 30, `${count} cases of ${faults.length} kinds`)
  const made = await server.call('POST', maps, { body: map({ name: 'afterwards' }) })
  assert.equal(made.status, 201)
})

/** What the server says to bytes that are no request. */
function sendBytes(bytes: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const { certPem, keyPem } = server.keys.admin
  const socket = connect({
    host: '127.0.0.1',
    port: server.port,
    ca: server.keys.ca.certPem,
    cert: certPem,
    key: keyPem,
  })
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  socket.on('error', reject)
  socket.on('close', () => resolve(text))
  socket.on('secureConnect', () => socket.write(bytes))
  return promise
}

void test('bytes that are not HTTP, or headers without end, are refused with a Status, and the connection ends', async () => {
  assert.match(await sendBytes('NONSENSE\r\n\r\n'), /^HTTP\/1\.1 400 .*"kind":"Status".*not HTTP/s)
  const long = `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(40_000)}\r\n\r\n`
  assert.match(await sendBytes(long), /^HTTP\/1\.1 431 .*headers are longer/s)
  assert.equal((await server.call('GET', '/healthz')).status, 200)
})
