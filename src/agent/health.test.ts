import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import test from 'node:test'
import { silentLogger } from '../base/index.ts'
import { serveHealth } from './health.ts'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  await new Promise((resolve) => server.close(resolve))
  return address.port
}

void test('probes: alive at once, ready when the agent is, with the reason until then', async () => {
  const port = await freePort()
  let reason: string | undefined = 'the controller has not been reached yet'
  const health = await serveHealth(port, () => reason, silentLogger)
  const ask = async (path: string, method = 'GET') => {
    const reply = await fetch(`http://127.0.0.1:${port}${path}`, { method })
    return `${reply.status} ${(await reply.text()).trim()}`
  }
  assert.equal(await ask('/healthz'), '200 ok')
  assert.equal(await ask('/readyz'), '503 the controller has not been reached yet')
  reason = undefined
  assert.equal(await ask('/readyz'), '200 ok')
  assert.equal(await ask('/metrics'), '404 use /healthz or /readyz')
  assert.equal(await ask('/healthz', 'POST'), '405 use GET')
  await assert.rejects(
    serveHealth(port, () => reason, silentLogger),
    { code: 'EADDRINUSE' },
  )
  await health?.close()
  await assert.rejects(ask('/healthz'))
})

void test('without a port nothing is served', async () => {
  assert.equal(await serveHealth(undefined, () => undefined, silentLogger), undefined)
})
