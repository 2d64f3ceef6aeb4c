import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AllocateRequest, AllocateResponse } from '../api/index.ts'
import type { Term } from '../kube/index.ts'
import { NotLeaderError } from '../rpc/index.ts'
import { LeaderGate, type Leading } from './leader-gate.ts'

const never = new AbortController().signal
const caller = { node: 'node1', username: 'agent' }
const answer: AllocateResponse = { ips: [], routes: [] }
const request: AllocateRequest = {
  containerId: 'c',
  ifName: 'eth0',
  netns: '/n',
  podNamespace: 'default',
  podName: 'p',
  podUid: 'u',
  defaultIpv4Pools: [],
  defaultIpv6Pools: [],
  cleanGateway: false,
  budgetMs: 1000,
}
const release = { containerId: 'c', ifName: 'eth0', reason: 'detach' } as const
const report = { takenAtMs: 0, answeredMs: 0, alive: [] }

/** A term whose lease a test lets run out, with or without anybody noticing. */
function termOf(): { readonly term: Term; expire(): void; end(): void } {
  const ended = new AbortController()
  let isOurs = true
  return {
    term: {
      number: 1,
      signal: ended.signal,
      isHeld: () => isOurs && !ended.signal.aborted,
      isOurs: () => isOurs,
    },
    expire: () => {
      isOurs = false
    },
    end: () => ended.abort(new DOMException('over', 'AbortError')),
  }
}

/** Answers from memory, and notes that it was asked. */
function leading(more: Partial<Leading> = {}): Leading & { readonly asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    allocate: () => {
      asked.push('allocate')
      return Promise.resolve(answer)
    },
    release: () => {
      asked.push('release')
      return Promise.resolve()
    },
    check: () => void asked.push('check'),
    nodeReport: () => {
      asked.push('nodeReport')
      return { isAwaited: false }
    },
    haltReason: undefined,
    ...more,
  }
}

async function askAll(gate: LeaderGate<Leading>): Promise<readonly string[]> {
  const handlers = gate.handlers()
  const calls = [
    handlers.allocate(caller, request, never),
    handlers.release(caller, release, never),
    handlers.check(caller, { containerId: 'c', ifName: 'eth0', ips: [] }, never),
    handlers.nodeReport(caller, report, never),
  ]
  const results = await Promise.allSettled(calls)
  return results.map((result) => {
    if (result.status === 'fulfilled') return 'answered'
    assert.ok(result.reason instanceof NotLeaderError)
    return result.reason.leaderUrl ?? 'no leader'
  })
}

void test('every call is answered by the replica that leads, and by no other', async () => {
  const gate = new LeaderGate<Leading>()
  assert.deepEqual(await askAll(gate), Array(4).fill('no leader'))
  gate.noteLeader('https://other')
  assert.deepEqual(await askAll(gate), Array(4).fill('https://other'))
  const { term } = termOf()
  gate.open(leading(), term)
  assert.deepEqual(await askAll(gate), Array(4).fill('answered'))
  gate.close()
  assert.throws(() => gate.requireLeader(), NotLeaderError)
})

void test('once the lease has run out nothing is even asked of memory, though nobody has closed the gate yet', async () => {
  const gate = new LeaderGate<Leading>()
  const { term, expire } = termOf()
  const leadership = leading()
  gate.open(leadership, term)
  expire()
  assert.deepEqual(await askAll(gate), Array(4).fill('no leader'))
  assert.deepEqual(leadership.asked, [])
})

void test('an answer that was found before the lease ran out is not given after it', async () => {
  const gate = new LeaderGate<Leading>()
  const { term, expire } = termOf()
  const slow = Promise.withResolvers<AllocateResponse>()
  gate.open(leading({ allocate: () => slow.promise }), term)
  const waiting = gate.handlers().allocate(caller, request, never)
  expire()
  slow.resolve(answer)
  await assert.rejects(waiting, NotLeaderError)
})

void test('an answer that is there when the process is told to end still goes out', async () => {
  const gate = new LeaderGate<Leading>()
  const { term, end } = termOf()
  const slow = Promise.withResolvers<AllocateResponse>()
  gate.open(leading({ allocate: () => slow.promise }), term)
  const waiting = gate.handlers().allocate(caller, request, never)
  end()
  slow.resolve(answer)
  assert.deepEqual(await waiting, answer)
  await assert.rejects(gate.handlers().allocate(caller, request, never), NotLeaderError)
})

void test('what waits for an API server that is away is let go when the term ends', async () => {
  const gate = new LeaderGate<Leading>()
  const { term, expire, end } = termOf()
  const hanging: Leading['allocate'] = (_node, _request, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new TypeError('let go')), { once: true })
    })
  gate.open(leading({ allocate: hanging }), term)
  const waiting = gate.handlers().allocate(caller, request, never)
  expire()
  end()
  await assert.rejects(waiting, NotLeaderError)
})

void test('a refusal of the leader stays what it is', async () => {
  const gate = new LeaderGate<Leading>()
  const { term } = termOf()
  gate.open(leading({ allocate: () => Promise.reject(new TypeError('no')) }), term)
  await assert.rejects(gate.handlers().allocate(caller, request, never), TypeError)
})

void test('the probes say who leads, and where', async () => {
  const gate = new LeaderGate<Leading>()
  const ask = async () => {
    const probe = {
      method: 'GET',
      path: '',
      query: new URLSearchParams(),
      headers: {},
      body: Buffer.alloc(0),
    }
    const replies = await Promise.all(gate.probes().map((route) => route.handle(probe, never)))
    return replies.map(({ status, headers }) => [status, headers?.['x-spiderpool-leader']])
  }
  assert.deepEqual(await ask(), [
    [200, undefined],
    [503, undefined],
    [503, undefined],
  ])
  gate.noteLeader('https://other')
  assert.deepEqual(await ask(), [
    [200, undefined],
    [200, undefined],
    [503, 'https://other'],
  ])
  const { term, expire } = termOf()
  gate.open(leading(), term)
  assert.deepEqual((await ask())[2], [200, undefined])
  expire()
  assert.deepEqual((await ask())[2], [503, 'https://other'])
})
