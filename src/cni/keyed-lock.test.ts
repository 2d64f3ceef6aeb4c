import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { KeyedLock } from './keyed-lock.ts'

void test('exclusive work of a key runs alone and in order, shared work together', async () => {
  const never = new AbortController().signal
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.boolean()), { maxLength: 20 }),
      async (jobs) => {
        const lock = new KeyedLock()
        const running = new Map<string, { shared: number; exclusive: number }>()
        const started: number[] = []
        const work = jobs.map(([key, isShared], index) =>
          lock.run(key, isShared ? 'shared' : 'exclusive', never, async () => {
            const now = running.get(key) ?? { shared: 0, exclusive: 0 }
            running.set(key, now)
            started.push(index)
            now[isShared ? 'shared' : 'exclusive']++
            assert.ok(now.exclusive === 0 || (now.exclusive === 1 && now.shared === 0))
            await new Promise((resolve) => setImmediate(resolve))
            now[isShared ? 'shared' : 'exclusive']--
          }),
        )
        await Promise.all(work)
        assert.equal(lock.size, 0)
        for (const key of ['a', 'b']) {
          const order = started.filter((index) => jobs[index]?.[0] === key)
          assert.deepEqual(
            order,
            order.toSorted((x, y) => x - y),
          )
        }
      },
    ),
    { numRuns: 30 },
  )
})

void test('a waiter that aborts leaves the line, and those behind it go on', async () => {
  const lock = new KeyedLock()
  const never = new AbortController().signal
  const hold = Promise.withResolvers<void>()
  const first = lock.run('k', 'shared', never, () => hold.promise)
  const abort = new AbortController()
  const second = lock.run('k', 'exclusive', abort.signal, async () => assert.fail('must not run'))
  const third = lock.run('k', 'shared', never, async () => 'went on')
  abort.abort()
  await assert.rejects(second, { name: 'AbortError' })
  assert.equal(await third, 'went on')
  hold.resolve()
  await first
  assert.equal(lock.size, 0)
})
