// What our client relies on, held to the embedded and to the real API server.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../src/base/index.ts'
import { loadKubeconfig } from '../../src/kube/index.ts'
import { loadKeys, startApiServer, writeAdminKubeconfig } from '../../src/lab/index.ts'
import { type ApiUnderTest, kubeApiConformance } from '../conformance/kube-api.ts'
import { startBareServer } from '../support/bare-server.ts'
import { serverUnderTest } from '../support/server-under-test.ts'

const historyEvents = 300

async function startEmbedded(): Promise<ApiUnderTest> {
  const dir = await mkdtemp(join(tmpdir(), 'kube-conformance-'))
  const keys = await loadKeys(join(dir, 'pki'), Date.now())
  const server = await startApiServer(
    {
      storeFolder: join(dir, 'apiserver'),
      host: '127.0.0.1',
      port: 0,
      keys: { ...keys.serving, caPem: keys.ca.certPem, tokenKeyPem: keys.tokenKeyPem },
      logger: silentLogger,
      history: { events: historyEvents, bytes: 64 * 1024 * 1024 },
    },
    AbortSignal.timeout(20_000),
  )
  const close = async () => {
    await server.close()
    await rm(dir, { recursive: true, force: true })
  }
  return {
    access: await loadKubeconfig(await writeAdminKubeconfig(dir, keys, server.url)),
    changesKept: historyEvents,
    close,
  }
}

async function startReal(): Promise<ApiUnderTest> {
  const server = await startBareServer()
  return { access: await loadKubeconfig(server.kubeconfig), close: () => server.close() }
}

if (serverUnderTest === 'real') kubeApiConformance('real', startReal)
else kubeApiConformance('embedded', startEmbedded)
