import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '../base/index.ts'
import { Dispatcher } from './dispatch.ts'
import type { IpamPlugin } from './ipam/ipam-plugin.ts'
import type { MetaPlugin } from './meta/meta-plugin.ts'

const config = { cniVersion: '1.0.0', name: 'n', type: 'spiderpool-meta' }
const call = (containerId: string, command: string) => ({
  plugin: 'spiderpool-meta' as const,
  env: {
    ...{ CNI_COMMAND: command, CNI_CONTAINERID: containerId, CNI_IFNAME: 'eth0' },
    ...{ CNI_NETNS: '/run/netns/x', CNI_PATH: '/opt/cni/bin', CNI_ARGS: '' },
  },
  stdin: new TextEncoder().encode(JSON.stringify(config)),
})

void test('a DEL does not wait for ADDs that wait', async () => {
  const adds = Promise.withResolvers<object>()
  const meta = { add: () => adds.promise, del: () => Promise.resolve() } as unknown as MetaPlugin
  const dispatcher = new Dispatcher({
    ipam: {} as IpamPlugin,
    meta,
    logger: silentLogger,
    notReady: () => undefined,
  })
  const { signal } = new AbortController()
  const waiting = Array.from({ length: 40 }, (_, n) => dispatcher.answer(call(`a${n}`, 'ADD'), signal))
  assert.equal((await dispatcher.answer(call('d', 'DEL'), signal)).exitCode, 0)
  adds.resolve({})
  for (const answer of await Promise.all(waiting)) assert.equal(answer.exitCode, 0)
})
