// An allocator that grants an address at once: the RPC server and the authentication of a controller, with nothing behind them.
// Started by bench/agent.ts with a folder for its certificate; its first line is its port.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { controllerServerName, trustNames } from '../../src/api/index.ts'
import { silentLogger, systemClock } from '../../src/base/index.ts'
import { createAuthenticator } from '../../src/controller/trust/authenticate.ts'
import type { KubeApi } from '../../src/kube/index.ts'
import { createCa, issueCertificate, serveAllocator } from '../../src/rpc/index.ts'

const [dir = '', node = '', account = ''] = process.argv.slice(2)
const days = 1
/** Some time, so that calls of one agent overlap as they do with a real ledger. */
const answerMs = 20
const ca = await createCa('bench', days)
writeFileSync(join(dir, 'ca.crt'), ca.certPem)
const { certPem: cert, keyPem: key } = await issueCertificate(ca, {
  commonName: 'controller',
  dnsNames: [controllerServerName('kube-system')],
  ipAddresses: ['127.0.0.1'],
  days,
  usages: ['server'],
})
const review = {
  status: {
    authenticated: true,
    audiences: [trustNames.audience],
    user: {
      username: `system:serviceaccount:${account.replace('/', ':')}`,
      extra: { 'authentication.kubernetes.io/node-name': [node] },
    },
  },
}
const api = { request: () => Promise.resolve(review) } as unknown as KubeApi
let granted = 0
const server = await serveAllocator(
  {
    host: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    authenticate: createAuthenticator({ api, agentAccount: account, clock: systemClock }),
    handlers: {
      allocate: async (_caller, { ifName }) => {
        granted += 1
        const address = `10.66.${Math.floor(granted / 256) % 256}.${granted % 256}/16`
        await sleep(answerMs)
        return { ips: [{ version: 4, address, nic: ifName, pool: 'bench', vlan: 0 }], routes: [] }
      },
      release: () => sleep(answerMs),
      check: () => Promise.resolve(),
      nodeReport: () => Promise.resolve({ isAwaited: false }),
    },
  },
  silentLogger,
)
process.stdout.write(`${server.port}\n`)
