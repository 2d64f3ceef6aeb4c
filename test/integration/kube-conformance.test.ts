// The suite against the embedded API server; and, where SPIDERPOOL_CONFORMANCE_KUBECONFIG names one, against any other.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../src/base/index.ts'
import { loadKubeconfig } from '../../src/kube/index.ts'
import { loadKeys, startApiServer, writeAdminKubeconfig } from '../../src/lab/index.ts'
import { type ApiUnderTest, kubeApiConformance } from '../conformance/kube-api.ts'

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

kubeApiConformance('embedded', startEmbedded)
const other = process.env['SPIDERPOOL_CONFORMANCE_KUBECONFIG']
if (other !== undefined && other !== '') {
  kubeApiConformance(other, async () => ({
    access: await loadKubeconfig(other),
    close: () => Promise.resolve(),
  }))
}
