// 1000 pods over 10 nodes for exactly 1000 addresses, through the real plugin executable and Debian's macvlan.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { doubledAddresses, kernelAddresses, pings, recordedAddresses } from './kernel-checker.ts'
import { kubectlPath, type Lab, labUp, waitFor } from './lab-harness.ts'

const nodes = Array.from({ length: 10 }, (_, index) => `node${index}`)
const deployments = 100
const replicas = 10
const podCount = deployments * replicas
const gateway = '10.6.0.1'

const pool = `apiVersion: spiderpool.spidernet.io/v2beta1
kind: SpiderIPPool
metadata: {name: burst}
spec:
  subnet: 10.6.0.0/16
  gateway: ${gateway}
  ips: ["10.6.100.1-10.6.103.232"]
`

function deployment(index: number): string {
  return `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: burst-${index}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: burst-${index}}}
  template:
    metadata:
      labels: {app: burst-${index}, burst: "true"}
      annotations: {ipam.spidernet.io/ippool: '{"ipv4":["burst"]}'}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: pause, image: pause}]
`
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string }
    readonly status: { readonly phase?: string; readonly podIP?: string }
  }[]
}

/** Counts the writes to a resource by the watch events they make. */
function countWrites(kubeconfig: string, resource: string): { stop(): number } {
  const args = ['get', resource, '-A', '--watch-only', '-o', 'name']
  const child = spawn(kubectlPath, args, { env: { ...process.env, KUBECONFIG: kubeconfig } })
  let lines = 0
  child.stdout.on('data', (chunk: Buffer) => {
    lines += chunk.toString().split('\n').length - 1
  })
  return {
    stop: () => {
      child.kill('SIGKILL')
      return lines
    },
  }
}

/** Milliseconds of each successful call of a plugin, as the agents logged them. */
function callTimes(dir: string, plugin: string, command: string): readonly number[] {
  return nodes
    .flatMap((node) => readFileSync(join(dir, 'logs', `agent-${node}.log`), 'utf8').split('\n'))
    .filter((line) => line.includes('"plugin call done"'))
    .map((line) => JSON.parse(line) as { plugin: string; command: string; durationMs: number })
    .filter((call) => call.plugin === plugin && call.command === command)
    .map(({ durationMs }) => durationMs)
    .sort((a, b) => a - b)
}

function percentiles(times: readonly number[]): string {
  const at = (part: number) =>
    times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Number.NaN
  return `${times.length} calls, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`
}

let lab: Lab | undefined
before(() => {
  lab = labUp(nodes)
})
after(() => lab?.down())

void test('1000 pods take exactly 1000 addresses, none twice, and give all of them back', async (t) => {
  assert.ok(lab !== undefined)
  const { kubectl, json, kubeconfig, podNamespaces } = lab
  kubectl(['apply', '-f', '-'], pool)
  const counters = ['spideripblocks', 'spiderendpoints', 'spiderippools'].map(
    (resource) => [resource, countWrites(kubeconfig, resource)] as const,
  )
  const startedMs = performance.now()
  kubectl(['apply', '-f', '-'], Array.from({ length: deployments }, (_, index) => deployment(index)).join(''))
  const pods = await waitFor('all pods run', 300_000, () => {
    const { items } = json<PodList>(['get', 'pods', '-l', 'burst=true'])
    const running = items.filter(({ status }) => status.phase === 'Running' && status.podIP !== undefined)
    return running.length === podCount ? running : undefined
  })
  t.diagnostic(`${podCount} pods ran after ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)

  for (const [resource, counter] of counters) {
    const writes = counter.stop()
    t.diagnostic(`${resource}: ${writes} writes, ${(writes / podCount).toFixed(2)} per pod`)
  }
  t.diagnostic(`IPAM ADD in the agent: ${percentiles(callTimes(lab.dir, 'spiderpool', 'ADD'))}`)
  t.diagnostic(`whole ADD with macvlan: ${percentiles(callTimes(lab.dir, 'spiderpool-meta', 'ADD'))}`)

  const claimed = pods.map(({ status }) => status.podIP ?? '').sort()
  assert.equal(new Set(claimed).size, podCount, 'no address stands in two pods')
  const namespaces = podNamespaces()
  const kernel = kernelAddresses(namespaces)
  assert.deepEqual(doubledAddresses(kernel), [])
  assert.deepEqual(kernel.map(({ address }) => address).sort(), claimed, 'the kernel has what the pods say')
  const recorded = recordedAddresses(kubectlPath, kubeconfig)
  assert.deepEqual(
    recorded.map(({ address }) => address).sort(),
    claimed,
    'the ledger has what the kernel has',
  )
  const byPod = new Map(
    pods.map(({ metadata, status }) => [
      `${metadata.namespace}/${metadata.name}`,
      { ...metadata, ...status },
    ]),
  )
  for (const { address, pod, podUid } of recorded) {
    assert.equal(byPod.get(pod)?.podIP, address)
    assert.equal(byPod.get(pod)?.uid, podUid)
  }
  const silent = namespaces.filter((path) => pings(path, gateway) === 0)
  assert.deepEqual(silent, [], 'every namespace pings its gateway')

  const deletedMs = performance.now()
  kubectl(['delete', 'deployment', '--all', '--wait=false'])
  await waitFor('everything is gone', 300_000, () => {
    if (json<PodList>(['get', 'pods', '-l', 'burst=true']).items.length > 0) return undefined
    if (json<PodList>(['get', 'spiderendpoints', '-A']).items.length > 0) return undefined
    if (recordedAddresses(kubectlPath, kubeconfig).length > 0) return undefined
    return podNamespaces().length === 0 ? true : undefined
  })
  t.diagnostic(`all gone after ${((performance.now() - deletedMs) / 1000).toFixed(1)} s`)
  await waitFor('the pool counts nothing', 20_000, () => {
    const { status } = json<{ status: { allocatedIPCount: number } }>(['get', 'spiderippool', 'burst'])
    return status.allocatedIPCount === 0 ? true : undefined
  })
})
