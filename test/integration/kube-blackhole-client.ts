// The client side of kube-blackhole.test.ts: one cache for each label selector; prints its size and counters on each change.
import { readFileSync } from 'node:fs'
import { resources } from '../../src/api/index.ts'
import { silentLogger } from '../../src/base/index.ts'
import { createCache, KubeClient, staticAccess } from '../../src/kube/index.ts'

const [, , url = '', caFile = '', ...selectors] = process.argv
const client = new KubeClient(staticAccess(url, { ca: readFileSync(caFile, 'utf8') }))
for (const labelSelector of selectors) {
  const cache = createCache(client, resources.configMap, { namespace: 'ns', labelSelector }, silentLogger)
  const report = () => {
    process.stdout.write(
      `${JSON.stringify({ cache: labelSelector, size: cache.size, stats: cache.stats() })}\n`,
    )
  }
  cache.onChange(report)
  setInterval(report, 500)
}
