import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../../test/support/scripted-api.ts'
import { InvalidInputError, OperationError, type Retry, silentLogger } from '../base/index.ts'
import { createQueue, type QueueOptions } from './queue.ts'

class Later extends OperationError {
  override readonly code = 'LATER'
  override readonly retry: Retry = 'later'
}

const soon = () => AbortSignal.timeout(3000)
const queueOf = (options: Partial<QueueOptions<string>> & Pick<QueueOptions<string>, 'handle'>) =>
  createQueue<string>(
    { concurrency: 2, deadlineMs: 1000, backoffFirstMs: 2, backoffCapMs: 10, ...options },
    silentLogger,
  )

void test('a key waits once however often it is added, and one added while it runs, runs again', async () => {
  const runs: string[] = []
  const gate = Promise.withResolvers<void>()
  const queue = queueOf({
    concurrency: 1,
    handle: async (key) => {
      runs.push(key)
      await gate.promise
      return 'settled'
    },
  })
  for (let i = 0; i < 10; i += 1) for (const key of ['a', 'b']) assert.ok(queue.add(key))
  gate.resolve()
  await queue.idle()
  assert.deepEqual(runs, ['a', 'b', 'a'])
})

void test('never more than `concurrency` keys run at once, and never one key twice at once', async () => {
  const running = new Set<string>()
  let most = 0
  const queue = queueOf({
    concurrency: 3,
    handle: async (key) => {
      assert.ok(!running.has(key))
      running.add(key)
      most = Math.max(most, running.size)
      await new Promise((resolve) => setImmediate(resolve))
      running.delete(key)
      return 'settled'
    },
  })
  for (let i = 0; i < 300; i += 1) queue.add(`k${i % 20}`)
  await queue.idle()
  assert.equal(most, 3)
})

void test('a failed key is repeated after a growing delay; one that repeating cannot mend is not', async () => {
  const tries = new Map<string, number>()
  const queue = queueOf({
    handle: (key) => {
      const count = (tries.get(key) ?? 0) + 1
      tries.set(key, count)
      if (key === 'bad') throw new InvalidInputError('spec', 1, 'is wrong', 'mend it')
      if (count < 4) throw new Later('not yet', 'wait')
      return Promise.resolve('settled')
    },
  })
  queue.add('flaky')
  queue.add('bad')
  await until(() => tries.get('flaky') === 4, 'four tries')
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal(tries.get('bad'), 1)
  assert.deepEqual([queue.stats().failed, queue.stats().done], [4, 1])
})

void test('a handler may ask for another look after a time; the earliest time counts', async () => {
  let count = 0
  const queue = queueOf({
    handle: () => {
      count += 1
      return Promise.resolve(count < 3 ? { afterMs: 5 } : 'settled')
    },
  })
  queue.addAfter('a', 60_000)
  queue.addAfter('a', 5)
  queue.addAfter('a', 60_000)
  await until(() => count === 3, 'three looks')
})

void test('a full queue refuses keys and says so', () => {
  const queue = queueOf({ maxKeys: 3, concurrency: 1, handle: () => new Promise(() => undefined) })
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].map((key) => queue.add(key)),
    [true, true, true, true, false],
  )
  assert.equal(queue.add('b'), true)
  assert.equal(queue.stats().overflowed, 1)
})

void test('close() works off what is queued, drops what is delayed, and takes nothing more', async () => {
  const runs: string[] = []
  const queue = queueOf({
    concurrency: 1,
    handle: async (key) => {
      await new Promise((resolve) => setImmediate(resolve))
      runs.push(key)
      return 'settled'
    },
  })
  queue.add('a')
  queue.add('b')
  queue.addAfter('never', 5)
  await queue.close(soon())
  assert.deepEqual(runs, ['a', 'b'])
  assert.equal(queue.add('c'), false)
})

void test('close() aborts what runs when its own time is over', async () => {
  const queue = queueOf({
    handle: (_key, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  })
  queue.add('stuck')
  await queue.close(AbortSignal.timeout(20))
  assert.equal(queue.stats().running, 0)
})

void test('a run that takes too long has its signal aborted and is repeated', async () => {
  let count = 0
  const queue = queueOf({
    deadlineMs: 20,
    handle: (_key, signal) => {
      count += 1
      if (count > 1) return Promise.resolve('settled')
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    },
  })
  queue.add('slow')
  await until(() => count === 2, 'a second run')
})
