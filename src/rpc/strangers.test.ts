import assert from 'node:assert/strict'
import { once } from 'node:events'
import https from 'node:https'
import net from 'node:net'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { until } from '../../test/support/scripted-api.ts'
import type { AllocateRequest } from '../api/index.ts'
import { silentLogger } from '../base/index.ts'
import { createAllocatorClient } from './allocator-client.ts'
import { type AllocatorServerOptions, serveAllocator } from './allocator-server.ts'
import type { Route, RunningServer } from './https-server.ts'
import { createCa, issueCertificate, type KeyPair } from './pki.ts'
import { CallerRefusedError, type RefusalReason } from './refusal.ts'

// What people do to a port that everybody can reach: here with small limits, test/integration/agent-trust.test.ts with real ones.
const request: AllocateRequest = {
  containerId: 'c1',
  ifName: 'eth0',
  netns: '/var/run/netns/x',
  podNamespace: 'default',
  podName: 'pod-1',
  podUid: 'uid-1',
  defaultIpv4Pools: [],
  defaultIpv6Pools: [],
  cleanGateway: false,
  budgetMs: 5000,
}
const granted = { ips: [], routes: [] }
const soon = () => AbortSignal.timeout(8000)
const running = new Set<RunningServer>()
let ca: KeyPair
let certificate: KeyPair
before(async () => {
  ca = await createCa('test', 2)
  const names = { ipAddresses: ['127.0.0.1'], dnsNames: ['controller.test'] }
  certificate = await issueCertificate(ca, { commonName: 'c', ...names, days: 1, usages: ['server'] })
})
after(async () => {
  for (const server of running) await server.close(AbortSignal.abort())
})

async function serve(more: Partial<AllocatorServerOptions<string>>): Promise<RunningServer> {
  const options: AllocatorServerOptions<string> = {
    host: '127.0.0.1',
    port: 0,
    tls: { cert: certificate.certPem, key: certificate.keyPem },
    authenticate: (token) =>
      token === 'good'
        ? Promise.resolve('node1')
        : Promise.reject(
            new CallerRefusedError('unknown-token', 'Cannot accept the caller', 'Renew the token'),
          ),
    handlers: {
      allocate: () => Promise.resolve(granted),
      release: () => Promise.resolve(),
      check: () => Promise.resolve(),
      nodeReport: () => Promise.resolve({ isAwaited: false }),
    },
    ...more,
  }
  const server = await serveAllocator<string>(options, silentLogger)
  running.add(server)
  return server
}

const urlOf = (server: RunningServer) => `https://127.0.0.1:${server.port}`
const clientOf = (server: RunningServer) =>
  createAllocatorClient({
    urls: [urlOf(server)],
    ca: { pem: ca.certPem },
    token: () => Promise.resolve('good'),
    logger: silentLogger,
    random: { next: () => 0 },
  })

/** Sends one POST on a connection of its own. @returns the status */
async function send(server: RunningServer, path: string, body: string, token = ''): Promise<number> {
  const headers = { ...(token === '' ? {} : { authorization: `Bearer ${token}` }) }
  const options = { method: 'POST', headers, ca: ca.certPem, agent: false }
  const outgoing = https.request(`${urlOf(server)}${path}`, options)
  outgoing.on('error', () => undefined)
  outgoing.end(body)
  const [response] = await once(outgoing, 'response')
  response.resume()
  return response.statusCode
}

void test('a caller that sends its request too slowly is cut off and counted while others are served', async () => {
  const reasons: RefusalReason[] = []
  const limits = { headersTimeoutMs: 300, requestTimeoutMs: 300 }
  const server = await serve({ limits, onRefused: (reason) => reasons.push(reason) })
  const token = 'Authorization: Bearer good\r\n'
  const heads = [
    '',
    'POST /v1/allocate HTTP/1.1\r\nHo',
    `POST /v1/allocate HTTP/1.1\r\nHost: x\r\n${token}Content-Length: 100\r\n\r\n{`,
  ]
  const closings = heads.map(async (head) => {
    const slow = tls.connect({
      host: '127.0.0.1',
      port: server.port,
      ca: ca.certPem,
      servername: 'controller.test',
    })
    const closed = once(slow.on('error', () => undefined).resume(), 'close')
    await once(slow, 'secureConnect')
    slow.write(head)
    await closed
  })
  assert.equal(await send(server, '/v1/allocate', JSON.stringify(request), 'good'), 200)
  await Promise.all(closings)
  assert.deepEqual(reasons, ['too-slow', 'too-slow', 'too-slow'])
})

void test('a stranger is turned away before his body is read, and counted by reason', async () => {
  const reasons: RefusalReason[] = []
  const server = await serve({ onRefused: (reason) => reasons.push(reason) })
  const socket = tls.connect({
    host: '127.0.0.1',
    port: server.port,
    ca: ca.certPem,
    servername: 'controller.test',
  })
  const closed = once(
    socket.on('error', () => undefined),
    'close',
  )
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  socket.write(
    'POST /v1/allocate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer bad\r\nContent-Length: 1000000\r\n\r\n{',
  )
  await closed
  assert.match(text, /^HTTP\/1\.1 401 .*Renew the token/s)
  assert.equal(await send(server, '/v1/allocate', ''), 401)
  assert.deepEqual(reasons, ['unknown-token', 'no-token'])
})

void test('a stranger who opens many connections displaces his own, never one that showed a token', async () => {
  const reasons: RefusalReason[] = []
  const limits = { maxUntrustedPerAddress: 4 }
  const server = await serve({ limits, onRefused: (reason) => reasons.push(reason) })
  const client = clientOf(server)
  assert.deepEqual(await client.allocate(request, soon()), granted)
  const sockets = Array.from({ length: 50 }, () => net.connect(server.port, '127.0.0.1'))
  for (const socket of sockets) socket.on('error', () => undefined).resume()
  await until(() => reasons.length === 46, '46 dropped connections')
  assert.equal(server.stats().untrustedConnections, 4)
  // On the connection that it has, and on new ones.
  for (let i = 0; i < 10; i += 1) assert.deepEqual(await client.allocate(request, soon()), granted)
  assert.equal(await send(server, '/v1/allocate', JSON.stringify(request), 'good'), 200)
  for (const socket of sockets) socket.destroy()
  await until(() => server.stats().untrustedConnections === 0, 'no connections')
  client.close()
})

void test('bodies of strangers share a limited room, which is given back', async () => {
  const route: Route = {
    method: 'POST',
    path: '/open',
    maxBodyBytes: 1000,
    deadlineMs: 1000,
    handle: ({ body }) => Promise.resolve({ status: 200, body: String(body.length) }),
  }
  const reasons: RefusalReason[] = []
  const limits = { maxUntrustedBodyBytes: 100 }
  const server = await serve({ routes: [route], limits, onRefused: (reason) => reasons.push(reason) })
  assert.equal(await send(server, '/open', 'x'.repeat(101)), 503)
  for (let i = 0; i < 3; i += 1) assert.equal(await send(server, '/open', 'x'.repeat(100)), 200)
  assert.equal(await send(server, '/v1/allocate', JSON.stringify(request), 'good'), 200)
  assert.deepEqual(reasons, ['too-many-requests'])
})
