import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePorts, holdApiPort } from './ports.ts'

void test('labs that start at the same moment get ports of their own', async () => {
  const held = await Promise.all([holdApiPort(undefined), holdApiPort(undefined), holdApiPort(undefined)])
  assert.equal(new Set(held.map(({ port }) => port)).size, held.length)
  for (const one of held) await one[Symbol.asyncDispose]()
})

void test('a port that a lab was asked for is refused to another until that one listens or is gone', async () => {
  const [port] = await freePorts(1)
  const first = await holdApiPort(port)
  assert.equal(first.port, port)
  await assert.rejects(holdApiPort(port), /--port \d+: it is in use/)
  await first[Symbol.asyncDispose]()
  await using again = await holdApiPort(port)
  assert.equal(again.port, port)
})
