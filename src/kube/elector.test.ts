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
  /** A status to refuse a request with, or to carry it out and lose the answer. */
  trouble: ((seen: Seen) => number | 'answer-lost' | undefined) | undefined

  constructor() {
    this.api.always((seen, response) => {
      if (this.isDown) return true
      const trouble = this.trouble?.(seen)
      if (trouble === 'answer-lost') {
        this.write(seen, (seen.body as { spec: Spec }).spec)
        response.destroy()
        return true
      }
      if (trouble !== undefined) {
        sendStatus(response, trouble, 'Trouble')
        return true
      }
      if (seen.method === 'GET') {
        if (this.spec === undefined) sendStatus(response, 404, 'NotFound')
        else sendJson(response, 200, this.lease())
        return true
      }
      const body = seen.body as { metadata: { resourceVersion?: string }; spec: Spec }
      if (seen.method === 'POST' && this.spec !== undefined) sendStatus(response, 409, 'AlreadyExists')
      else if (seen.method === 'PATCH' && this.spec === undefined) sendStatus(response, 404, 'NotFound')
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
  server.trouble = undefined
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

/** Stands still as under SIGSTOP: no timer runs, no answer is read. */
function freeze(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

void test('a frozen leader that wakes after another took the lease leaves it alone', async () => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  freeze(1100)
  server.version += 1
  server.spec = { holderIdentity: 'other', leaseTransitions: 2, leaseDurationSeconds: 3600 }
  const [term] = one.terms
  assert.deepEqual([term?.isHeld(), term?.isOurs()], [false, false], 'before anything else ran')
  await until(() => term?.signal.aborted === true, 'the term ends', 500)
  await sleep(200)
  assert.equal(server.spec.holderIdentity, 'other')
  assert.equal(one.terms.length, 1)
})

void test('a frozen leader that wakes before anybody took the lease leads on, in this term or a higher one', async () => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  freeze(1100)
  await until(() => one.terms.at(-1)?.isHeld() === true, 'it leads')
  assert.equal(one.terms.at(-1)?.number, server.spec?.leaseTransitions)
})

void test('a lease is not taken early when the wall clock is set forward, nor late when it is set back', async (t) => {
  const realNow = Date.now.bind(Date)
  for (const jumpMs of [3_600_000, -3_600_000]) {
    server.version += 1
    server.spec = { holderIdentity: `dead${jumpMs}`, leaseTransitions: 3, leaseDurationSeconds: 1 }
    const startMs = performance.now()
    const one = candidate('one')
    await sleep(100)
    const clock = t.mock.method(Date, 'now', () => realNow() + jumpMs)
    await until(() => one.terms.length === 1, 'one leads')
    const tookMs = performance.now() - startMs
    clock.mock.restore()
    assert.ok(tookMs >= 950 && tookMs < 5000, `${jumpMs}: ${tookMs}`)
    one.stop.abort()
    await one.run
  }
})

void test('a leader whose wall clock is set forward holds nothing until it renewed, and leads on', async (t) => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  const realNow = Date.now.bind(Date)
  t.mock.method(Date, 'now', () => realNow() + 3_600_000)
  assert.equal(one.terms[0]?.isHeld(), false)
  await until(() => one.terms.at(-1)?.isHeld() === true, 'it leads')
})

void test('a leader whose wall clock is set back stops in time all the same', async (t) => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  await until(() => server.patches >= 2, 'a renewal')
  const startMs = performance.now()
  server.isDown = true
  const realNow = Date.now.bind(Date)
  t.mock.method(Date, 'now', () => realNow() - 3_600_000)
  await until(() => one.terms[0]?.signal.aborted === true, 'the term ends')
  assert.ok(performance.now() - startMs < 950)
})

for (const trouble of ['answer-lost', 403, 409, 429, 500] as const) {
  void test(`renewals that end with ${trouble} for a while do not end the term`, async () => {
    const one = candidate('one')
    await until(() => one.terms.length === 1, 'one leads')
    let left = 4
    server.trouble = (seen) => (seen.method === 'PATCH' && left-- > 0 ? trouble : undefined)
    await until(() => left < 0, 'the trouble passes')
    await until(() => server.patches > 2, 'renewals go on')
    assert.equal(one.terms[0]?.isHeld(), true)
    assert.equal(one.terms.length, 1)
  })
}

void test('a leader that is refused for good stops before its lease ends', async () => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  const startMs = performance.now()
  server.trouble = () => 403
  await until(() => one.terms[0]?.signal.aborted === true, 'the term ends')
  assert.ok(performance.now() - startMs < 950)
})

for (const trouble of ['answer-lost', 403, 500] as const) {
  void test(`a lease that could not be taken because of ${trouble} is taken later`, async () => {
    server.spec = { leaseTransitions: 5 }
    let left = 3
    server.trouble = (seen) => (seen.method === 'PATCH' && left-- > 0 ? trouble : undefined)
    const one = candidate('one')
    await until(() => one.terms.length === 1, 'one leads')
    const [term] = one.terms
    assert.equal(term?.number, server.spec.leaseTransitions)
    assert.ok((term?.number ?? 0) >= 6)
  })
}

void test('a lease that somebody deletes goes back to its leader, in a higher term; a candidate that knew him waits', async () => {
  const one = candidate('one')
  await until(() => one.terms.length === 1, 'one leads')
  const two = candidate('two')
  await sleep(150)
  server.spec = undefined
  await until(() => one.terms.length === 2, 'one leads again')
  assert.equal(two.terms.length, 0)
  assert.deepEqual(
    one.terms.map(({ number }) => number),
    [1, 2],
  )
})

void test('a lease deleted by somebody whose leader is dead too is made anew when it would have ended', async () => {
  server.spec = { holderIdentity: 'dead', leaseTransitions: 7, leaseDurationSeconds: 1 }
  const startMs = performance.now()
  const one = candidate('one')
  await sleep(100)
  server.spec = undefined
  await until(() => one.terms.length === 1, 'one leads')
  assert.ok(performance.now() - startMs >= 950)
  assert.equal(one.terms[0]?.number, 8)
})

void test('a term that is given up is ours until the lease goes back, and not any more from then on', async () => {
  const seen: (boolean | undefined)[] = []
  const terms: Term[] = []
  const one = candidate('one', {
    lead: async (term) => {
      terms.push(term)
      await new Promise((resolve) => term.signal.addEventListener('abort', resolve))
      seen.push(term.isHeld(), term.isOurs())
    },
  })
  await until(() => terms.length === 1, 'one leads')
  server.trouble = (request) => {
    const { spec } = request.body as { spec: Spec }
    if (spec.holderIdentity === null) seen.push(terms[0]?.isOurs())
    return undefined
  }
  one.stop.abort()
  await one.run
  assert.deepEqual(seen, [false, true, false])
})
