import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { ScriptedApi, type Seen, sendJson, sendStatus, until } from '../../test/support/scripted-api.ts'
import { silentLogger } from '../base/index.ts'
import { staticAccess } from './access/access.ts'
import { type ElectionHandlers, elect, type Term } from './elector.ts'
import { KubeClient } from './kube-client.ts'

interface Spec {
  holderIdentity?: string | null
  leaseTransitions?: number
  leaseDurationSeconds?: number
  renewTime?: string
}

// One Lease with optimistic locking, over HTTP.
class LeaseServer {
  readonly api: ScriptedApi = new ScriptedApi()
  spec: Spec | undefined
  version = 1
  isDown = false
  patches = 0

  constructor() {
    this.api.always((seen, response) => {
      if (this.isDown) return true
      if (seen.method === 'GET') {
        if (this.spec === undefined) sendStatus(response, 404, 'NotFound')
        else sendJson(response, 200, this.lease())
        return true
      }
      const body = seen.body as { metadata: { resourceVersion?: string }; spec: Spec }
      if (seen.method === 'POST' && this.spec !== undefined) sendStatus(response, 409, 'AlreadyExists')
      else if (seen.method === 'PATCH' && body.metadata.resourceVersion !== String(this.version)) {
        sendStatus(response, 409, 'Conflict')
      } else {
        this.write(seen, body.spec)
        sendJson(response, 200, this.lease())
      }
      return true
    })
  }

  lease() {
    const metadata = { name: 'leader', namespace: 'ns', uid: 'u', resourceVersion: String(this.version) }
    return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: this.spec }
  }

  write(seen: Seen, spec: Spec): void {
    if (seen.method === 'PATCH') this.patches += 1
    this.version += 1
    this.spec = { ...this.spec, ...spec }
    if (this.spec.holderIdentity === null) delete this.spec.holderIdentity
  }
}

const times = { leaseSeconds: 1, renewMs: 60, retryMs: 30 }
let server: LeaseServer
let client: KubeClient
let stops: AbortController[]
let runs: Promise<void>[]

beforeEach(async () => {
  server = new LeaseServer()
  await server.api.start()
  client = new KubeClient(staticAccess(server.api.url), { timeouts: { readMs: 200, writeMs: 200 } })
  stops = []
  runs = []
})
afterEach(async () => {
  server.isDown = false
  for (const stop of stops) stop.abort(new DOMException('the test is over', 'AbortError'))
  await Promise.all(runs)
  await client.close()
  await server.api.stop()
})

function candidate(identity: string, handlers: Partial<ElectionHandlers> = {}) {
  const stop = new AbortController()
  const terms: Term[] = []
  const run = elect(
    client,
    { name: 'leader', namespace: 'ns', identity, ...times, logger: silentLogger },
    {
      lead: async (term) => {
        terms.push(term)
        if (!term.signal.aborted)
          await new Promise((resolve) => term.signal.addEventListener('abort', resolve))
      },
      ...handlers,
    },
    stop.signal,
  )
  stops.push(stop)
  runs.push(run)
  return { stop, terms, run }
}

void test('of two candidates one leads; the other takes over as soon as the lease is given back', async () => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  const seen: (string | undefined)[] = []
  const two = candidate('two', { onLeader: (identity) => seen.push(identity) })
  await until(() => seen.includes('one'), 'two sees one')
  await until(() => server.patches >= 3, 'renewals')
  assert.equal(two.terms.length, 0)
  const startMs = performance.now()
  one.stop.abort()
  await until(() => two.terms.length === 1, 'two leads')
  assert.ok(performance.now() - startMs < 500)
  assert.equal(one.terms[0]?.isHeld(), false)
  assert.deepEqual([one.terms[0]?.number, two.terms[0]?.number], [1, 2])
})

void test('the same identity gets its lease again at once, in a higher term', async () => {
  server.spec = { holderIdentity: 'one', leaseTransitions: 7, leaseDurationSeconds: 3600 }
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads again')
  assert.equal(one.terms[0]?.number, 8)
})

void test('the lease of a dead leader is taken after its duration, measured from when it was last seen to change', async () => {
  server.spec = {
    holderIdentity: 'dead',
    leaseTransitions: 3,
    leaseDurationSeconds: 1,
    renewTime: '1970-01-01T00:00:00.000000Z',
  }
  const startMs = performance.now()
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  assert.ok(performance.now() - startMs >= 950)
  assert.equal(one.terms[0]?.number, 4)
})

void test('a leader that cannot renew stops before its lease ends, and leads again later in a higher term', async () => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  await until(() => server.patches >= 2, 'a renewal')
  const startMs = performance.now()
  server.isDown = true
  await until(() => one.terms[0]?.signal.aborted === true, 'the term ends')
  assert.ok(performance.now() - startMs < 950)
  assert.equal(one.terms[0]?.isHeld(), false)
  server.isDown = false
  await until(() => one.terms.length === 2, 'leads again')
  assert.ok((one.terms[1]?.number ?? 0) > (one.terms[0]?.number ?? 0))
})

void test('a lease whose version changed in the last moment is given back all the same', async () => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  server.version += 1
  one.stop.abort()
  await one.run
  assert.equal(server.spec?.holderIdentity, undefined)
})

void test('a leader that was deposed notices at its next renewal', async () => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  server.version += 1
  server.spec = { holderIdentity: 'other', leaseTransitions: 9, leaseDurationSeconds: 3600 }
  await until(() => one.terms[0]?.signal.aborted === true, 'the term ends', 500)
  assert.equal(server.spec.holderIdentity, 'other')
})

void test('a second process of the same identity deposes the first, because the term tells them apart', async () => {
  const one = candidate('twin')
  await until(() => one.terms.length === 1, 'one leads')
  const two = candidate('twin')
  await until(() => two.terms.length >= 1, 'two leads')
  await until(() => one.terms[0]?.signal.aborted === true, 'one stops')
  two.stop.abort()
})

void test('a change of the lease that is no deposition, such as a label, does not end the term', async () => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  server.version += 5
  const before = server.patches
  await until(() => server.patches > before + 1, 'renewals go on')
  assert.equal(one.terms[0]?.isHeld(), true)
  assert.equal(one.terms.length, 1)
})

void test('a process that stood still past its lease knows that it does not hold it before any timer ran', async () => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  const [term] = one.terms
  const end = performance.now() + 1100
  while (performance.now() < end) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  assert.equal(term?.isHeld(), false)
  await until(() => term?.signal.aborted === true, 'the term ends', 500)
})

void test('leading that returns or fails gives the lease back and is tried again', async () => {
  let count = 0
  const one = candidate('one', {
    lead: () => {
      count += 1
      if (count === 1) throw new TypeError('broken')
      return Promise.resolve()
    },
  })
  await until(() => count >= 3, 'three terms')
  one.stop.abort()
  await one.run
  assert.equal(server.spec?.holderIdentity, undefined)
  assert.equal(server.spec?.leaseTransitions, count)
})

void test('terms grow strictly over many candidates, and no two hold at one time', async () => {
  const numbers: number[] = []
  let held = 0
  let most = 0
  const lead = async (term: Term) => {
    numbers.push(term.number)
    held += 1
    most = Math.max(most, held)
    await new Promise((resolve) => setTimeout(resolve, 5))
    held -= 1
  }
  for (const name of ['a', 'b', 'c', 'd']) candidate(name, { lead })
  await until(() => numbers.length >= 12, 'twelve terms')
  assert.equal(most, 1)
  for (let i = 1; i < numbers.length; i += 1) assert.ok((numbers[i] ?? 0) > (numbers[i - 1] ?? 0))
})
