import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import https from 'node:https'
import net from 'node:net'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { until } from '../../test/support/scripted-api.ts'
import type { AllocateRequest, AllocateResponse } from '../api/index.ts'
import { InvalidInputError, silentLogger } from '../base/index.ts'
import { type AllocatorClientOptions, createAllocatorClient } from './allocator-client.ts'
import { AllocatorError, NotLeaderError } from './allocator-error.ts'
import { type AllocatorHandlers, type AllocatorServerOptions, serveAllocator } from './allocator-server.ts'
import type { RunningServer } from './https-server.ts'
import { createCa, issueCertificate, type KeyPair } from './pki.ts'
import { CallerRefusedError } from './refusal.ts'

interface Caller {
  readonly node: string
}

const request: AllocateRequest = {
  containerId: 'c1',
  ifName: 'eth0',
  netns: '/var/run/netns/x',
  podNamespace: 'default',
  podName: 'pod-1',
  podUid: 'uid-1',
  defaultIpv4Pools: ['pool-a', 'pool-*'],
  defaultIpv6Pools: [],
  cleanGateway: false,
  budgetMs: 3000,
}
const granted: AllocateResponse = {
  ips: [{ version: 4, address: '10.6.0.9/16', nic: 'eth0', pool: 'pool-a', vlan: 0, gateway: '10.6.0.1' }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.6.0.1', ifName: 'eth0' }],
}
const quiet: AllocatorHandlers<Caller> = {
  allocate: () => Promise.resolve(granted),
  release: () => Promise.resolve(),
  check: () => Promise.resolve(),
  nodeReport: () => Promise.resolve({ isAwaited: false }),
}
const soon = () => AbortSignal.timeout(8000)
const running = new Set<RunningServer>()
let ca: KeyPair
let certificate: KeyPair

before(async () => {
  ca = await createCa('test', 2)
  const names = { ipAddresses: ['127.0.0.1'], dnsNames: ['controller.test'] }
  certificate = await issueCertificate(ca, {
    commonName: 'controller',
    ...names,
    days: 1,
    usages: ['server'],
  })
})
after(async () => {
  for (const server of running) await server.close(AbortSignal.abort())
})

async function serve(
  handlers: Partial<AllocatorHandlers<Caller>> = {},
  more: Partial<AllocatorServerOptions<Caller>> = {},
): Promise<RunningServer> {
  const server = await serveAllocator<Caller>(
    {
      host: '127.0.0.1',
      port: 0,
      tls: { cert: certificate.certPem, key: certificate.keyPem },
      authenticate: (token) =>
        token.startsWith('good')
          ? Promise.resolve({ node: token.slice(5) })
          : Promise.reject(
              new CallerRefusedError(
                'unknown-token',
                'Cannot accept the caller: bad token',
                'Renew the token',
              ),
            ),
      handlers: { ...quiet, ...handlers },
      ...more,
    },
    silentLogger,
  )
  running.add(server)
  return server
}

const urlOf = (server: RunningServer) => `https://127.0.0.1:${server.port}`

function clientOf(servers: readonly (RunningServer | string)[], more: Partial<AllocatorClientOptions> = {}) {
  return createAllocatorClient({
    urls: servers.map((server) => (typeof server === 'string' ? server : urlOf(server))),
    ca: { pem: ca.certPem },
    token: () => Promise.resolve('good-node1'),
    logger: silentLogger,
    ...more,
  })
}

void test('every call reaches its handler with the node of the token, and the answer comes back', async () => {
  const seen: unknown[] = []
  const note = (caller: Caller, body: unknown) => {
    seen.push([caller.node, body])
    return Promise.resolve()
  }
  const server = await serve({
    allocate: async (caller, body) => {
      await note(caller, body.podName)
      return granted
    },
    release: note,
    check: note,
    nodeReport: async (caller, body) => {
      await note(caller, body)
      return { isAwaited: true }
    },
  })
  const client = clientOf([server])
  assert.deepEqual(await client.allocate(request, soon()), granted)
  await client.release({ containerId: 'c1', ifName: 'eth0', reason: 'undo' }, soon())
  await client.check({ containerId: 'c1', ifName: 'eth0', ips: ['10.6.0.9', 'fd00::1'] }, soon())
  const answer = await client.nodeReport(
    { takenAtMs: 5, answeredMs: 0, alive: [{ containerId: 'c1', ifName: 'eth0' }] },
    soon(),
  )
  assert.deepEqual(answer, { isAwaited: true })
  assert.deepEqual(seen, [
    ['node1', 'pod-1'],
    ['node1', { containerId: 'c1', ifName: 'eth0', reason: 'undo' }],
    ['node1', { containerId: 'c1', ifName: 'eth0', ips: ['10.6.0.9', 'fd00::1'] }],
    ['node1', { takenAtMs: 5, answeredMs: 0, alive: [{ containerId: 'c1', ifName: 'eth0' }] }],
  ])
  client.close()
})

void test('what waits for people is asked for again for 2 s, not for the whole budget', async () => {
  const failure = {
    code: 11,
    msg: 'the claim is Pending',
    details: 'ip-claim-pending: nothing',
    isWaiting: true,
  } as const
  let calls = 0
  const server = await serve(
    {
      allocate: () => {
        calls++
        return Promise.reject(new CallerRefusedError('no-token', 'it is pending', 'wait'))
      },
    },
    { toFailure: () => failure },
  )
  const client = clientOf([server])
  const call = client.allocate({ ...request, budgetMs: 60_000 }, AbortSignal.timeout(20_000))
  await assert.rejects(call, { message: /the claim is Pending/ })
  assert.ok(calls > 1)
  client.close()
})

void test('a refusal of the allocator arrives as it is, after one try', async () => {
  let calls = 0
  const server = await serve({
    allocate: () => {
      calls += 1
      return Promise.reject(
        new AllocatorError({ code: 100, msg: 'pool "a" is full', details: 'pool-exhausted: add' }),
      )
    },
  })
  const client = clientOf([server])
  await assert.rejects(client.allocate(request, soon()), (error) => {
    assert.ok(error instanceof AllocatorError)
    assert.deepEqual(
      [error.cniCode, error.message, error.details],
      [100, 'pool "a" is full', 'pool-exhausted: add'],
    )
    return true
  })
  assert.equal(calls, 1)
  client.close()
})

void test('a passing failure is repeated until it is over', async () => {
  let calls = 0
  const server = await serve({
    allocate: () => {
      calls += 1
      if (calls < 4) throw new AllocatorError({ code: 11, msg: 'not yet', details: 'try-again: later' })
      return Promise.resolve(granted)
    },
  })
  const client = clientOf([server])
  assert.deepEqual(await client.allocate(request, soon()), granted)
  assert.equal(calls, 4)
  client.close()
})

void test('the leader is found through the hint of another replica, and asked first from then on', async () => {
  const leader = await serve()
  let asked = 0
  const follower = await serve({
    allocate: () => {
      asked += 1
      throw new NotLeaderError(urlOf(leader))
    },
  })
  const client = clientOf([follower])
  assert.deepEqual(await client.allocate(request, soon()), granted)
  assert.deepEqual(await client.allocate(request, soon()), granted)
  assert.equal(asked, 1)
  client.close()
})

void test('a replica that is away is skipped, and a restart of the only one is waited for', async () => {
  const first = await serve()
  const second = await serve()
  const client = clientOf([first, second])
  await first.close(soon())
  assert.deepEqual(await client.allocate(request, soon()), granted)
  const { port } = second
  await second.close(soon())
  const waiting = client.allocate(request, soon())
  await new Promise((resolve) => setTimeout(resolve, 100))
  await serve({}, { port })
  assert.deepEqual(await waiting, granted)
  client.close()
})

void test('when the time is over the error has code 11 and tells what stood in the way', async () => {
  const gone = await serve()
  const url = urlOf(gone)
  await gone.close(soon())
  const client = clientOf([url])
  const startMs = performance.now()
  await assert.rejects(client.allocate({ ...request, budgetMs: 200 }, soon()), (error) => {
    assert.ok(error instanceof AllocatorError)
    assert.equal(error.cniCode, 11)
    assert.match(error.message, /ECONNREFUSED/)
    return true
  })
  assert.ok(performance.now() - startMs < 1000)
  const stop = new AbortController()
  const waiting = client.allocate({ ...request, budgetMs: 60_000 }, stop.signal)
  stop.abort(new DOMException('stopping', 'AbortError'))
  await assert.rejects(waiting, { name: 'AbortError' })
  client.close()
})

void test('a try that gets no answer is given up and repeated with what is left of the budget', async () => {
  const budgets: number[] = []
  const server = await serve({
    allocate: async (_caller, body, signal) => {
      budgets.push(body.budgetMs)
      if (budgets.length === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve))
      return granted
    },
  })
  const client = clientOf([server], { tryMs: 100 })
  assert.deepEqual(await client.allocate(request, soon()), granted)
  const [first = 0, second = 0] = budgets
  assert.ok(second <= first - 100, `${first} then ${second}`)
  client.close()
})

void test('a new token is used at once after 401, and a new CA file after it changed', async () => {
  const server = await serve()
  const file = `${process.env['TMPDIR'] ?? '/tmp'}/rpc-ca-${process.pid}.pem`
  await writeFile(file, ca.certPem)
  const tokens = ['old', 'good-node2']
  const client = clientOf([server], {
    ca: { file },
    token: () => Promise.resolve(tokens.shift() ?? 'good-x'),
  })
  assert.deepEqual(await client.allocate(request, soon()), granted)
  const stranger = clientOf([server], { ca: { pem: (await createCa('other', 1)).certPem } })
  await assert.rejects(stranger.allocate({ ...request, budgetMs: 1500 }, soon()), /certificate/)
  client.close()
  stranger.close()
})

void test('createAllocatorClient() refuses what is no https URL', () => {
  for (const urls of [[], ['http://127.0.0.1'], ['nonsense']]) {
    assert.throws(() => clientOf(urls), InvalidInputError)
  }
})

void test('odd answers of a server are repeated and end in code 11, never in a crash', async () => {
  const bodies = [
    '',
    'x',
    '[]',
    '{"ips":1}',
    '{"ips":[{}],"routes":[]}',
    '{"ips":[],"routes":[{"dst":1}]}',
    'null',
  ]
  const answers = bodies.flatMap((body) => [200, 204, 500, 302].map((status) => ({ status, body })))
  let at = 0
  const options = { cert: certificate.certPem, key: certificate.keyPem }
  const odd = https.createServer(options, (_request, response) => {
    const { status, body } = answers[at++ % answers.length] ?? { status: 200, body: '' }
    response.writeHead(status)
    response.end(status === 204 ? undefined : body)
  })
  odd.listen(0, '127.0.0.1')
  await once(odd, 'listening')
  const address = odd.address()
  assert.ok(address !== null && typeof address === 'object')
  const client = clientOf([`https://127.0.0.1:${address.port}`], { random: { next: () => 0 } })
  for (let i = 0; i < answers.length; i += 1) {
    await assert.rejects(client.allocate({ ...request, budgetMs: 20 }, soon()), (error) => {
      return error instanceof AllocatorError && error.cniCode === 11
    })
  }
  client.close()
  odd.closeAllConnections()
  odd.close()
})

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

async function send(
  server: RunningServer,
  path: string,
  more: { method?: string; body?: string | Buffer; token?: string } = {},
): Promise<Answer> {
  const { method = 'POST', body = '', token = 'good-node1' } = more
  const headers = { ...(token === '' ? {} : { authorization: `Bearer ${token}` }) }
  const outgoing = https.request(`${urlOf(server)}${path}`, { method, headers, ca: ca.certPem, agent: false })
  outgoing.on('error', () => undefined)
  outgoing.end(body)
  const [response] = await once(outgoing, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode, headers: response.headers, text }
}

void test('unknown paths, wrong methods, missing tokens and long bodies are refused with a reason', async () => {
  const server = await serve()
  const unknown = await send(server, '/v1/nothing')
  assert.deepEqual([unknown.status, /ask one of .*allocate/.test(unknown.text)], [404, true])
  const method = await send(server, '/v1/allocate', { method: 'GET' })
  assert.deepEqual([method.status, method.headers['allow']], [405, 'POST'])
  assert.equal((await send(server, '/v1/allocate', { token: '' })).status, 401)
  const stranger = await send(server, '/v1/allocate', { token: 'bad', body: JSON.stringify(request) })
  assert.deepEqual([stranger.status, /Renew the token/.test(stranger.text)], [401, true])
  assert.equal((await send(server, '/v1/allocate', { body: Buffer.alloc(1024 * 1024 + 1, 32) })).status, 413)
  assert.equal((await send(server, '/v1/allocate', { body: JSON.stringify(request) })).status, 200)
})

void test('further routes are served with limits of their own, and one that throws costs only its own request', async () => {
  const server = await serve(
    {},
    {
      routes: [
        {
          method: 'GET',
          path: '/healthz',
          maxBodyBytes: 0,
          deadlineMs: 1000,
          handle: ({ query }) =>
            Promise.resolve({ status: 200, body: `ok ${query.get('v')}`, contentType: 'text/plain' }),
        },
        {
          method: 'POST',
          path: '/mutate-pod',
          maxBodyBytes: 10,
          deadlineMs: 1000,
          handle: ({ body }) => {
            if (body.length === 0) throw new TypeError('broken')
            return Promise.resolve({ status: 200, body: '{}' })
          },
        },
      ],
    },
  )
  assert.equal((await send(server, '/healthz?v=1', { method: 'GET', token: '' })).text, 'ok 1')
  assert.equal((await send(server, '/mutate-pod', { body: 'x'.repeat(11), token: '' })).status, 413)
  assert.equal((await send(server, '/mutate-pod', { token: '' })).status, 500)
  assert.equal((await send(server, '/mutate-pod', { body: '{}', token: '' })).status, 200)
})

void test('a new authority is read when the certificate is not trusted, and the call succeeds', async () => {
  const other = await createCa('next', 1)
  const next = await issueCertificate(other, {
    commonName: 'c',
    dnsNames: ['controller.test'],
    days: 1,
    usages: ['server'],
  })
  const server = await serve()
  let bundle = ''
  let reads = 0
  const read = () => {
    reads += 1
    if (reads === 2) bundle = ca.certPem
    return Promise.resolve(bundle)
  }
  const client = clientOf([server], { ca: { read }, servername: 'controller.test' })
  assert.deepEqual(await client.allocate(request, soon()), granted)
  assert.equal(reads, 2, 'the first time nothing was published')
  server.setCertificate({ cert: next.certPem, key: next.keyPem })
  bundle = other.certPem + ca.certPem
  const fresh = clientOf([server], { ca: { read }, servername: 'controller.test' })
  assert.deepEqual(await fresh.allocate(request, soon()), granted)
  const stale = clientOf([server], {
    ca: { read: () => Promise.resolve(reads++ > 4 ? bundle : ca.certPem) },
    servername: 'controller.test',
  })
  assert.deepEqual(await stale.allocate(request, soon()), granted)
  const misled = clientOf([server], { ca: { read }, servername: 'another.name' })
  await assert.rejects(misled.allocate({ ...request, budgetMs: 1500 }, soon()), AllocatorError)
  for (const one of [client, fresh, stale, misled]) one.close()
})

void test('connections beyond the limit are dropped, and those that speak no TLS do no harm', async () => {
  const server = await serve({}, { limits: { maxConnections: 2 } })
  const sockets = Array.from({ length: 6 }, () => net.connect(server.port, '127.0.0.1'))
  const closings = sockets.map((socket) => once(socket.on('error', () => undefined).resume(), 'close'))
  await until(() => server.stats().droppedConnections === 4, 'four dropped connections')
  for (const socket of sockets) socket.write('GET / HTTP/1.0\r\n\r\n')
  await Promise.all(closings)
  assert.equal((await send(server, '/v1/allocate', { body: JSON.stringify(request) })).status, 200)
})

void test('close() lets a call under way finish', async () => {
  const { promise, resolve } = Promise.withResolvers<AllocateResponse>()
  const started = Promise.withResolvers<void>()
  const server = await serve({
    allocate: () => {
      started.resolve()
      return promise
    },
  })
  const answer = send(server, '/v1/allocate', { body: JSON.stringify(request) })
  await started.promise
  const closing = server.close(soon())
  resolve(granted)
  assert.equal((await answer).status, 200)
  await closing
})

void test('a port in use is refused with a reason, and setCertificate() serves a new certificate', async () => {
  const server = await serve()
  await assert.rejects(serve({}, { port: server.port }), /Cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/)
  const next = await issueCertificate(ca, {
    commonName: 'renewed',
    ipAddresses: ['127.0.0.1'],
    days: 1,
    usages: ['server'],
  })
  server.setCertificate({ cert: next.certPem, key: next.keyPem })
  const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca: ca.certPem })
  await once(socket, 'secureConnect')
  assert.equal(socket.getPeerCertificate().subject.CN, 'renewed')
  socket.destroy()
})
