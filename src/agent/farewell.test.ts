import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { silentLogger } from '../base/index.ts'
import { KubeClient, loadKubeconfig } from '../kube/index.ts'
import { removeConfAtUninstall } from './farewell.ts'
import { metaNetworkText } from './plugin-installer.ts'
import { servePlugins } from './socket/plugin-server.ts'

type Reply = number | 'silence' | 'nobody'

/** Lets an agent end before an API server that gives this reply. @returns what the configuration file is afterwards */
async function afterFarewell(
  reply: Reply,
  more: { readonly text?: string; readonly hasNextAgent?: boolean } = {},
): Promise<string | undefined> {
  const dir = mkdtempSync(join(tmpdir(), 'farewell-'))
  const socketPath = join(dir, 'agent/agent.sock')
  const file = join(dir, '00-spiderpool.conflist')
  writeFileSync(file, more.text ?? metaNetworkText())
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (reply === 'silence') return
    response.writeHead(Number(reply), { 'content-type': 'application/json' })
    const metadata = { name: 'spiderpool-controller-ca', namespace: 'ns', resourceVersion: '1' }
    const object = reply === 200 ? { kind: 'ConfigMap', metadata, data: {} } : { kind: 'Status', code: reply }
    response.end(JSON.stringify({ apiVersion: 'v1', ...object }))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const kubeconfig = join(dir, 'kubeconfig')
  writeFileSync(kubeconfig, kubeconfigOf(`http://127.0.0.1:${port}`))
  if (reply === 'nobody') server.close()
  const kube = new KubeClient(await loadKubeconfig(kubeconfig), { userAgent: 'test', logger: silentLogger })
  mkdirSync(join(dir, 'agent'), { mode: 0o700 })
  const next =
    more.hasNextAgent === true
      ? await servePlugins(socketPath, () => Promise.resolve({ exitCode: 0, stdout: '' }), silentLogger)
      : undefined
  try {
    const options = { confDir: dir, socketPath, namespace: 'ns' }
    await removeConfAtUninstall(options, { kube, logger: silentLogger })
    if (reply !== 'nobody')
      assert.equal(asked[0], 'GET /api/v1/namespaces/ns/configmaps/spiderpool-controller-ca')
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined
  } finally {
    await next?.close(0)
    await kube.close()
    server.close()
    server.closeAllConnections()
    rmSync(dir, { recursive: true })
  }
}

function kubeconfigOf(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    clusters: [{ name: 'a', cluster: { server } }],
    users: [{ name: 'a', user: {} }],
  })
}

for (const status of [404, 401, 403])
  void test(`an agent that ends takes its configuration off the node when the ConfigMap answers ${status}`, async () => {
    assert.equal(await afterFarewell(status), undefined)
  })

const away: readonly Reply[] = [200, 500, 503, 'silence', 'nobody']
for (const reply of away)
  void test(`the configuration stays when the API server gives ${reply}`, async () => {
    assert.equal(await afterFarewell(reply), metaNetworkText())
  })

void test('a configuration that somebody changed stays, and that of the next agent', async () => {
  assert.equal(await afterFarewell(404, { text: '{}' }), '{}')
  assert.equal(await afterFarewell(404, { hasNextAgent: true }), metaNetworkText())
})
