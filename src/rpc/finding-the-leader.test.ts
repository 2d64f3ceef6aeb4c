import assert from 'node:assert/strict'
import { createServer as createTcpServer, type Server } from 'node:net'
import { after, before, test } from 'node:test'
import { until } from '../../test/support/scripted-api.ts'
import type { AllocateRequest, AllocateResponse } from '../api/index.ts'
import { OperationError, type Retry, silentLogger, systemClock } from '../base/index.ts'
import { type AllocatorClientOptions, createAllocatorClient } from './allocator-client.ts'
import { leaderHeader, leadingPath, NotLeaderError } from './allocator-error.ts'
import { serveAllocator } from './allocator-server.ts'
import type { RunningServer } from './https-server.ts'
import { LeaderFinder } from './leader-finder.ts'
import { createCa, issueCertificate, type KeyPair } from './pki.ts'
import { type Place, Replicas } from './replicas.ts'

class NotKnown extends OperationError {
  override readonly code = 'UNAUTHENTICATED'
  override readonly retry: Retry = 'later'
}

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
  budgetMs: 20_000,
}
const granted: AllocateResponse = { ips: [], routes: [] }
const soon = () => AbortSignal.timeout(18_000)
const running = new Set<RunningServer>()
const silent = new Set<Server>()
let ca: KeyPair
let certificate: KeyPair

before(async () => {
  ca = await createCa('test', 2)
  certificate = await issueCertificate(ca, {
    commonName: 'controller',
    dnsNames: ['controller.test'],
    days: 1,
    usages: ['server'],
  })
})
after(async () => {
  for (const server of running) await server.close(AbortSignal.abort())
  for (const server of silent) server.close()
})

interface ReplicaState {
  /** Port of the leader that it knows; its own for a leader. */
  leader: number | undefined
}

/** A replica as the controller serves it: it is known by the name `controller.test` alone. */
async function replica(state: ReplicaState, host = '127.0.0.1', port = 0): Promise<RunningServer> {
  let own = 0
  const hint = () => (state.leader === undefined ? undefined : `https://127.0.0.1:${state.leader}`)
  const requireServing = () => {
    if (state.leader !== own) throw new NotLeaderError(hint())
  }
  const server = await serveAllocator<string>(
    {
      host,
      port,
      tls: { cert: certificate.certPem, key: certificate.keyPem },
      authenticate: (token) =>
        token === 'good' ? Promise.resolve(token) : Promise.reject(new NotKnown('bad token', 'renew it')),
      requireServing,
      handlers: {
        allocate: () => Promise.resolve(granted),
        release: () => Promise.resolve(),
        check: () => Promise.resolve(),
        nodeReport: () => Promise.resolve({ isAwaited: false }),
      },
      routes: [
        {
          method: 'GET',
          path: leadingPath,
          maxBodyBytes: 0,
          deadlineMs: 1000,
          handle: () => {
            const leader = hint()
            const headers = leader === undefined ? {} : { [leaderHeader]: leader }
            return Promise.resolve({ status: state.leader === own ? 200 : 503, body: '', headers })
          },
        },
      ],
    },
    silentLogger,
  )
  own = server.port
  running.add(server)
  return server
}

/** Takes connections and never says a word, as a frozen process does. */
async function frozen(host = '127.0.0.1', port = 0): Promise<number> {
  const server = createTcpServer((socket) => socket.on('error', () => undefined))
  silent.add(server)
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  server.unref()
  return address.port
}

function clientOf(urls: readonly string[], more: Partial<AllocatorClientOptions> = {}) {
  return createAllocatorClient({
    urls,
    ca: { pem: ca.certPem },
    servername: 'controller.test',
    token: () => Promise.resolve('good'),
    logger: silentLogger,
    ...more,
  })
}

void test('a call that waits for a frozen replica goes to another as soon as that one leads', async () => {
  const state: ReplicaState = { leader: undefined }
  const stuck = await frozen()
  const other = await replica(state)
  state.leader = stuck // the standby does not know better yet
  const client = clientOf([`https://127.0.0.1:${stuck}`, `https://127.0.0.1:${other.port}`])
  const startMs = performance.now()
  const waiting = client.allocate(request, soon())
  setTimeout(() => {
    state.leader = other.port
  }, 2500)
  assert.deepEqual(await waiting, granted)
  const tookMs = performance.now() - startMs
  assert.ok(tookMs >= 2500 && tookMs < 10_000, `${tookMs} ms: before the try of 15 s ended`)
  client.close()
})

void test('a name with several addresses is as many replicas, each known by the name in its certificate', async () => {
  const state: ReplicaState = { leader: 0 }
  const leader = await replica(state, '127.0.0.3')
  state.leader = leader.port
  await frozen('127.0.0.2', leader.port)
  const asked: string[] = []
  const resolve = (name: string) => {
    asked.push(name)
    return Promise.resolve(['127.0.0.2', '127.0.0.3'])
  }
  const client = createAllocatorClient({
    urls: [`https://controller.test:${leader.port}`],
    ca: { pem: ca.certPem },
    token: () => Promise.resolve('good'),
    logger: silentLogger,
    tryMs: 300,
    resolve,
  })
  assert.deepEqual(await client.allocate(request, soon()), granted)
  assert.deepEqual([...new Set(asked)], ['controller.test'])
  client.close()
})

void test('a replica that does not lead names the leader also to one whose token it cannot look up', async () => {
  const state: ReplicaState = { leader: 1 }
  const standby = await replica(state)
  const client = clientOf([`https://127.0.0.1:${standby.port}`], { token: () => Promise.resolve('other') })
  const call = client.allocate({ ...request, budgetMs: 300 }, soon())
  await assert.rejects(call, /127\.0\.0\.1:1\b|does not lead/)
  client.close()
})

void test('many calls that fail at one replica turn to the next, not past it', () => {
  const replicas = new Replicas(['https://127.0.0.1:1', 'https://127.0.0.1:2', 'https://[::1]:3'], undefined)
  const first = replicas.current
  for (let call = 0; call < 5; call += 1) replicas.turnFrom(first)
  assert.equal(replicas.current.port, 2)
  const hinted = replicas.placeOfHint('https://127.0.0.1:9')
  assert.ok(hinted !== undefined)
  replicas.follow(hinted)
  replicas.turnFrom(first)
  assert.equal(replicas.current.port, 9, 'a call that failed earlier, elsewhere')
  replicas.turnFrom(hinted)
  assert.equal(replicas.current.port, 3)
  assert.equal(replicas.current.host, '::1')
  assert.equal(replicas.placeOfHint('http://127.0.0.1:9'), undefined)
  assert.equal(replicas.placeOfHint('nonsense'), undefined)
})

void test('a name that cannot be resolved stays what it is, and its new addresses are found later', async () => {
  let answers: readonly string[] | undefined
  const replicas = new Replicas(['https://controller.test:7'], undefined, () =>
    answers === undefined ? Promise.reject(new TypeError('no answer')) : Promise.resolve(answers),
  )
  await systemClock.sleep(5, soon())
  assert.deepEqual(replicas.othersThan(replicas.current), [])
  assert.equal(replicas.current.servername, 'controller.test')
  answers = ['10.0.0.1', '10.0.0.2']
  await until(() => replicas.othersThan(replicas.current).length === 2, 'both addresses', 9000)
  const pod = replicas.placeOfHint('https://10.0.0.2:7')
  assert.ok(pod !== undefined)
  assert.equal(pod.servername, 'controller.test', 'an address goes by the name of all')
  assert.equal(replicas.othersThan(pod).length, 1, 'and is the same place')
})

void test('calls that are answered in time make nobody ask who leads', async () => {
  const replicas = new Replicas(['https://127.0.0.1:1', 'https://127.0.0.1:2'], undefined)
  const asked: Place[] = []
  const ask = (place: Place) => {
    asked.push(place)
    return Promise.resolve(place)
  }
  const finder = new LeaderFinder({ replicas, ask, clock: systemClock, random: { next: () => 0 } })
  const quick = finder.wait(replicas.current, () => assert.fail('it waits no longer'))
  quick()
  await systemClock.sleep(1500, soon())
  assert.equal(asked.length, 0)
  const found = new Promise<Place>((resolve) => finder.wait(replicas.current, resolve))
  assert.equal((await found).port, 2)
  finder.close()
})
