// What setting up one pod takes, step by step: addresses alone, one at a time, beside one write of an object of the size of a
// SpiderEndpoint; the whole chain of meta-plugin, macvlan and addresses, one at a time; and a burst of whole chains.
// Usage: npm run bench:add [-- --server embedded|real] [--samples 40] [--burst 100] [--at-once 32] [--json]
// Needs root and a C compiler; brings a lab of its own up and down. The steps are those that agent and controller log (`stepsMs`).
// The last line is one JSON object.
import { setUpMachine } from '../scripts/setup.ts'
import { KubeClient, loadKubeconfig } from '../src/kube/index.ts'
import { median, quantile, rounded } from './support/measure.ts'
import { oneOf, optionsOf, whole } from './support/options.ts'
import { whenStopped } from './support/when-stopped.ts'

const values = optionsOf(import.meta.filename, {
  server: 'embedded',
  samples: '40',
  burst: '100',
  'at-once': '32',
  json: false,
})
const server = oneOf('server', values.server, ['embedded', 'real'])
const samples = whole('samples', values.samples, { least: 4, most: 60 })
const burst = whole('burst', values.burst, { least: 2, most: 1000 })
const atOnce = whole('at-once', values['at-once'], { least: 1, most: 256 })

setUpMachine()
// The harness reads it when it is loaded.
process.env['SPIDERPOOL_TEST_SERVER'] = server
const { labUp } = await import('../test/integration/lab-harness.ts')
const { burstChain, chainPool, idleChain, idleIpam, makePool } = await import('./support/add-bench.ts')
const { defineFloor } = await import('./support/floor.ts')
const { chainStepsOf, combineSteps, ipamStepsOf, loggedAdds } = await import('./support/step-logs.ts')

const mean = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length

const spread = (times: readonly number[]) => ({
  medianMs: rounded(median(times), 1),
  p95Ms: rounded(quantile(times, 0.95), 1),
  maxMs: rounded(Math.max(...times), 1),
})

function table(title: string, steps: Readonly<Record<string, number>>, totalMs: number): string {
  const rows = Object.entries(steps).map(([name, ms]) => {
    return `  ${name.padEnd(48)} ${ms.toFixed(1).padStart(8)} ms ${((100 * ms) / totalMs).toFixed(0).padStart(4)} %`
  })
  return `${title}: ${totalMs.toFixed(1)} ms\n${rows.join('\n')}\n`
}

const [node, other] = ['node0', 'node1']
const lab = labUp([node, other])
const isOver = whenStopped(lab.down)
const api = new KubeClient(await loadKubeconfig(lab.kubeconfig))
try {
  const setUp = { lab, api, node, other }
  await defineFloor(api)
  const ipam = await idleIpam(setUp, samples)
  await makePool(api, chainPool, {
    subnet: '10.6.0.0/16',
    gateway: '10.6.0.1',
    ips: ['10.6.200.1-10.6.204.254'],
  })
  const chain = await idleChain(setUp, samples)
  const many = await burstChain(setUp, { count: burst, atOnce })
  const logged = loggedAdds(lab)
  const stepsOf = (made: typeof ipam | typeof chain, of: typeof ipamStepsOf, by = median) =>
    combineSteps(
      made.pods.map(({ containerId }, index) => of(logged.get(containerId), made.addMs[index] ?? 0)),
      by,
    )
  const ratioToFloor = rounded(median(ipam.addMs) / median(ipam.floorMs))
  const result = {
    bench: 'add',
    ...{ server, samples, burst, atOnce },
    ratioToFloor,
    isMet: ratioToFloor <= 1.3,
    floor: spread(ipam.floorMs),
    withoutWork: spread(ipam.statusMs),
    ipam: { ...spread(ipam.addMs), stepsMs: stepsOf(ipam, ipamStepsOf) },
    chain: { ...spread(chain.addMs), stepsMs: stepsOf(chain, chainStepsOf), del: spread(chain.delMs) },
    burstChain: {
      wallSeconds: rounded(many.wallSeconds),
      podsPerSecond: rounded(burst / many.wallSeconds, 1),
      ...spread(many.addMs),
      meanMs: rounded(mean(many.addMs), 1),
      // Means add up, and some wait where others work.
      meanStepsMs: stepsOf(many, chainStepsOf, mean),
    },
  }
  if (!values.json) {
    process.stdout.write(
      `one create of a SpiderEndpoint-sized object: ${result.floor.medianMs} ms; a call without work: ` +
        `${result.withoutWork.medianMs} ms; an ADD of addresses alone: ${ratioToFloor} × one create\n`,
    )
    process.stdout.write(
      table('addresses alone, one pod at a time', result.ipam.stepsMs, result.ipam.medianMs),
    )
    process.stdout.write(
      table('whole set-up, one pod at a time', result.chain.stepsMs, result.chain.medianMs),
    )
    const title = `whole set-up, ${burst} pods, ${atOnce} at once, means (${result.burstChain.podsPerSecond} pods/s)`
    process.stdout.write(table(title, result.burstChain.meanStepsMs, result.burstChain.meanMs))
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
} finally {
  await api.close()
  isOver()
  lab.down()
}
