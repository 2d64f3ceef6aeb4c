// One burst of ADDs and DELs through the plugin executable, for pods that exist beforehand, and what must be so after each.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  annotationKeys,
  type KubeObject,
  type Pod,
  resources,
  type SpiderEndpoint,
  type SpiderIpPool,
} from '../../src/api/index.ts'
import { collectionPath, type KubeClient } from '../../src/kube/index.ts'
import { recordedAddresses } from '../../test/integration/kernel-checker.ts'
import { kubectlPath, type Lab, waitFor } from '../../test/integration/lab-harness.ts'
import { inParallel } from '../../test/support/ipam-burst.ts'
import { type Call, launch, type Turn } from './launch.ts'
import { CpuMeter, rounded, WriteCounter } from './measure.ts'
import { addressesOf, cniEnvironment, containerIdOf, ipamConfig, podArgs } from './plugin-call.ts'

const never = new AbortController().signal
const namespace = 'default'
const label = 'bench=ipam'
const perDeployment = 10
const readyBudgetMs = 300_000
const settleBudgetMs = 120_000
/** A poll costs the API server a millisecond or two. */
const pollMs = 50
/** So long nothing more must happen before a burst begins. */
const calmMs = 2000

/** A pod, and its sandbox. */
export interface BenchPod {
  readonly pod: string
  readonly uid: string
  readonly node: string
  readonly containerId: string
}

export interface BenchSetUp {
  readonly lab: Lab
  readonly api: KubeClient
  readonly nodes: readonly string[]
  readonly pods: number
  /** An audit log tells of the writes; else watches do, which cost the API server and this process something. */
  readonly isAudited: boolean
  /** Calls of the plugin under way at any time, over all nodes. */
  readonly atOnce: number
  /** By family: the pool that all pods name. */
  readonly pools: { readonly v4: string; readonly v6?: string }
}

export interface Burst {
  /** From the first call to the last answer, seconds. */
  readonly wallSeconds: number
  /** From the first call until endpoints and counts are right too, seconds. */
  readonly settledSeconds: number
  readonly callMs: readonly number[]
  readonly failed: number
  readonly duplicates: number
  /** Events of watches until settled, by plural; none where an audit log tells. */
  readonly writes: Readonly<Record<string, number>>
  readonly cpuSeconds: Readonly<Record<string, number>>
  /** When it began and was settled, milliseconds since the epoch. */
  readonly fromMs: number
  readonly toMs: number
}

function deploymentOf(index: number, { pools }: BenchSetUp): KubeObject {
  const name = `bench-${index}`
  const labels = { app: name, bench: 'ipam' }
  const { v4, v6 } = pools
  const chosen = { ipv4: [v4], ...(v6 === undefined ? {} : { ipv6: [v6] }) }
  const annotations = { [annotationKeys.ippool]: JSON.stringify(chosen) }
  // With the node's own network the lab's kubelet makes no call of CNI, which is ours to make; without an image the pods are new
  // ones still, as pods are when they ask for addresses.
  const podSpec = {
    hostNetwork: true,
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', image: 'pause', imagePullPolicy: 'Never' }],
  }
  const template = { metadata: { labels, annotations }, spec: podSpec }
  const spec = { replicas: perDeployment, selector: { matchLabels: { app: name } }, template }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels: { bench: 'ipam' } },
    spec,
  } as KubeObject
}

/** Makes the Deployments, and returns when all their pods are on nodes and the cluster is calm. */
export async function makePods(setUp: BenchSetUp): Promise<readonly BenchPod[]> {
  const { api, pods } = setUp
  const deployments = Array.from({ length: pods / perDeployment }, (_, index) => deploymentOf(index, setUp))
  await inParallel(deployments, 8, (one) => api.create(resources.deployment, one, never))
  const waiting = await waitFor('all pods wait for their image', readyBudgetMs, async () => {
    const { items } = await api.listAll<Pod>(resources.pod, { namespace, labelSelector: label }, never)
    return items.length === pods && items.every(({ status }) => status?.containerStatuses !== undefined)
      ? items
      : undefined
  })
  await sleep(calmMs)
  return waiting.map(({ metadata, spec }) => ({
    pod: metadata.name,
    uid: metadata.uid ?? '',
    node: spec?.nodeName ?? '',
    containerId: containerIdOf(metadata.uid ?? ''),
  }))
}

/** The plugin wants a namespace that is not its own node's. */
function netnsFor({ node }: BenchPod, { lab, nodes }: BenchSetUp): string {
  return join(lab.dir, 'nodes', nodes.find((other) => other !== node) ?? '', 'netns')
}

function callOf(command: 'ADD' | 'DEL', sandbox: BenchPod, setUp: BenchSetUp): Call {
  const nodeDir = join(setUp.lab.dir, 'nodes', sandbox.node)
  const { pod, uid, containerId } = sandbox
  const netns = netnsFor(sandbox, setUp)
  return {
    file: join(nodeDir, 'cni/bin/spiderpool'),
    env: cniEnvironment(nodeDir, { command, containerId, netns, args: podArgs(namespace, pod, uid) }),
    input: ipamConfig(command),
  }
}

const written = [resources.ipBlock, resources.endpoint, resources.ipPool, resources.event]

/** Runs the calls, and waits until endpoints and pools count `expected` pods. */
async function burst(
  command: 'ADD' | 'DEL',
  sandboxes: readonly BenchPod[],
  setUp: BenchSetUp,
): Promise<{ readonly results: readonly Turn[]; readonly burst: Burst }> {
  const { api, lab } = setUp
  const counter = setUp.isAudited ? undefined : await WriteCounter.start(api, written)
  const cpu = new CpuMeter(new Map([...lab.pids(), ['bench', process.pid]]))
  const fromMs = Date.now()
  const calls = sandboxes.map((sandbox) => callOf(command, sandbox, setUp))
  const results = await launch(calls, setUp.atOnce)
  const startedMs = Math.min(...results.map(({ endedMs, ms }) => endedMs - ms))
  const wallSeconds = (Math.max(...results.map(({ endedMs }) => endedMs)) - startedMs) / 1000
  const expected = command === 'ADD' ? sandboxes.length : 0
  const endMs = performance.now() + settleBudgetMs
  const isSettled = async (): Promise<boolean> =>
    (await endpointCount(setUp)) === expected && (await areCountsRight(expected, setUp))
  while (!(await isSettled())) {
    assert.ok(performance.now() < endMs, `not settled within ${settleBudgetMs} ms after ${command}`)
    await sleep(pollMs)
  }
  const settledSeconds = (performance.now() - startedMs) / 1000
  const toMs = Date.now()
  const plugin = results.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / 1000
  const cpuSeconds = { ...cpu.read(), plugin: rounded(plugin) }
  const writes = counter?.counts() ?? {}
  await counter?.stop()
  const ips = results.flatMap(addressesOf)
  const outcome = {
    ...{ wallSeconds, settledSeconds, writes, cpuSeconds, fromMs, toMs },
    callMs: results.map(({ ms }) => ms),
    failed: results.filter(({ exitCode }) => exitCode !== 0).length,
    duplicates: ips.length - new Set(ips).size,
  }
  return { results, burst: outcome }
}

function requireSuccess(command: string, results: readonly Turn[]): void {
  const bad = results.find(({ exitCode }) => exitCode !== 0)
  assert.equal(bad, undefined, `a ${command} failed: ${bad?.stdout}`)
}

async function areCountsRight(expected: number, { api, pools }: BenchSetUp): Promise<boolean> {
  for (const name of Object.values(pools)) {
    const pool = await api.get<SpiderIpPool>(resources.ipPool, { name }, never)
    if ((pool?.status?.allocatedIPCount ?? 0) !== expected) return false
  }
  return true
}

async function endpointCount({ api }: BenchSetUp): Promise<number> {
  const path = `${collectionPath(resources.endpoint)}?limit=1`
  interface Page {
    readonly items: readonly unknown[]
    readonly metadata: { readonly remainingItemCount?: number }
  }
  const { items, metadata } = await api.request<Page>('GET', path, undefined, never)
  return items.length + (metadata.remainingItemCount ?? 0)
}

/** ADD for all, and the check: answers, ledger and endpoints say the same, each address once. */
export async function addAll(sandboxes: readonly BenchPod[], setUp: BenchSetUp): Promise<Burst> {
  const { results, burst: added } = await burst('ADD', sandboxes, setUp)
  requireSuccess('ADD', results)
  const families = setUp.pools.v6 === undefined ? 1 : 2
  const answered = results
    .flatMap((turn, index) => addressesOf(turn).map((ip) => `${ip} ${namespace}/${sandboxes[index]?.pod}`))
    .sort()
  assert.equal(answered.length, families * sandboxes.length)
  assert.equal(added.duplicates, 0)
  const recorded = recordedAddresses(kubectlPath, setUp.lab.kubeconfig)
  assert.deepEqual(recorded.map(({ address, pod }) => `${address} ${pod}`).sort(), answered)
  const { items } = await setUp.api.listAll<SpiderEndpoint>(resources.endpoint, {}, never)
  const shown = items.flatMap(({ metadata, status }) =>
    status.current.ips
      .flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])
      .filter((ip) => ip !== undefined && ip !== '')
      .map((ip) => `${ip?.split('/')[0]} ${namespace}/${metadata.name}`),
  )
  assert.deepEqual(shown.sort(), answered)
  return added
}

/** The pods go, as their Deployments do, and then DEL is called for each: nothing is left. */
export async function deleteAll(sandboxes: readonly BenchPod[], setUp: BenchSetUp): Promise<Burst> {
  const { api, lab } = setUp
  const { items } = await api.listAll<KubeObject>(
    resources.deployment,
    { namespace, labelSelector: label },
    never,
  )
  await inParallel(items, 8, ({ metadata: { name } }) =>
    api.delete(resources.deployment, { namespace, name }, { propagation: 'Background' }, never),
  )
  await waitFor('all pods are gone', readyBudgetMs, async () => {
    const { items: left } = await api.list(
      resources.pod,
      { namespace, labelSelector: label, limit: 1 },
      never,
    )
    return left.length === 0 ? true : undefined
  })
  const { results, burst: deleted } = await burst('DEL', sandboxes, setUp)
  requireSuccess('DEL', results)
  assert.deepEqual(recordedAddresses(kubectlPath, lab.kubeconfig), [])
  return deleted
}
