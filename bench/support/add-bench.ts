// The parts of bench:add: one pod at a time on a quiet system, addresses alone and the whole chain, and a burst of whole set-ups.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KubeObject, type Pod, resources, type SpiderEndpoint } from '../../src/api/index.ts'
import type { KubeClient } from '../../src/kube/index.ts'
import { blockSizes } from '../../src/ledger/index.ts'
import { kernelAddresses, recordedAddresses } from '../../test/integration/kernel-checker.ts'
import { kubectlPath, type Lab, waitFor } from '../../test/integration/lab-harness.ts'
import { inParallel } from '../../test/support/ipam-burst.ts'
import { createFloorObject } from './floor.ts'
import { type Call, launch, type Turn } from './launch.ts'
import { addressesOf, cniEnvironment, containerIdOf, ipamConfig, podArgs } from './plugin-call.ts'

const never = new AbortController().signal
const namespace = 'default'
const root = join(import.meta.dirname, '../..')
/** So long nothing is asked before a call that is to find the system quiet: views are written behind. */
const calmMs = 150
const blockIps = 2 ** (32 - blockSizes.v4)

export interface AddSetUp {
  readonly lab: Lab
  readonly api: KubeClient
  readonly node: string
  /** Another node, whose namespace stands for that of a pod where none is needed. */
  readonly other: string
}

/** A pod that exists, and the sandbox that its calls name. */
export interface BenchPod {
  readonly name: string
  readonly node: string
  readonly uid: string
  readonly containerId: string
}

export async function makePool(api: KubeClient, name: string, spec: object): Promise<void> {
  const apiVersion = 'spiderpool.spidernet.io/v2beta1'
  await api.create(
    resources.ipPool,
    { apiVersion, kind: 'SpiderIPPool', metadata: { name }, spec } as KubeObject,
    never,
  )
}

/** New pods without a call of CNI, which is ours to make: on the node's own network, and without an image. */
async function makePods(
  { api, node }: Pick<AddSetUp, 'api' | 'node'>,
  { prefix, count, pool }: { readonly prefix: string; readonly count: number; readonly pool: string },
): Promise<readonly BenchPod[]> {
  const spec = {
    nodeName: node,
    hostNetwork: true,
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', image: 'pause', imagePullPolicy: 'Never' }],
  }
  const annotations = { 'ipam.spidernet.io/ippool': JSON.stringify({ ipv4: [pool] }) }
  const labels = { bench: 'add' }
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
  const made = await inParallel(names, 8, (name) => {
    const metadata = { name, namespace, labels, annotations }
    return api.create(resources.pod, { apiVersion: 'v1', kind: 'Pod', metadata, spec } as KubeObject, never)
  })
  await waitFor('all pods wait for their image', 120_000, async () => {
    const { items } = await api.listAll<Pod>(resources.pod, { namespace, labelSelector: 'bench=add' }, never)
    return items.every(({ status }) => status?.containerStatuses !== undefined) ? true : undefined
  })
  return made.map(({ metadata: { name, uid = '' } }) => {
    return { name, node, uid, containerId: containerIdOf(uid) }
  })
}

interface PluginCall {
  readonly plugin: 'spiderpool' | 'spiderpool-meta'
  readonly command: 'ADD' | 'DEL' | 'STATUS'
  readonly pod: BenchPod
  readonly netns: string
}

/** What a container runtime starts. */
function callOf({ lab }: Pick<AddSetUp, 'lab'>, { plugin, command, pod, netns }: PluginCall): Call {
  const nodeDir = join(lab.dir, 'nodes', pod.node)
  return {
    file: join(nodeDir, 'cni/bin', plugin),
    env: cniEnvironment(
      nodeDir,
      { command, containerId: pod.containerId, netns, args: podArgs(namespace, pod.name, pod.uid) },
      `${join(nodeDir, 'cni/bin')}:/usr/lib/cni`,
    ),
    input: plugin === 'spiderpool' ? ipamConfig(command) : metaConfig(nodeDir),
  }
}

/** The one plugin of the list that the agent installed, as a runtime hands it over. */
function metaConfig(nodeDir: string): string {
  const folder = join(nodeDir, 'cni/net.d')
  const file = readdirSync(folder).find((name) => name.endsWith('list')) ?? ''
  const list = JSON.parse(readFileSync(join(folder, file), 'utf8')) as {
    cniVersion: string
    name: string
    plugins: readonly object[]
  }
  return JSON.stringify({ cniVersion: list.cniVersion, name: list.name, ...list.plugins[0] })
}

/** Starts, all of which must succeed. */
async function callAll(calls: readonly Call[], atOnce = 1): Promise<readonly Turn[]> {
  const turns = await launch(calls, atOnce)
  const at = turns.findIndex(({ exitCode }) => exitCode !== 0)
  assert.equal(at, -1, `${calls[at]?.file} ${calls[at]?.env?.['CNI_COMMAND']}: ${turns[at]?.stdout}`)
  return turns
}

async function callOnce(call: Call): Promise<Turn> {
  const [turn] = await callAll([call])
  assert.ok(turn !== undefined)
  return turn
}

const addressOf = (turn: Turn): string => addressesOf(turn)[0] ?? ''

/** The ledger has exactly these, each once. */
function checkLedger({ lab }: Pick<AddSetUp, 'lab'>, addresses: readonly string[]): void {
  const recorded = recordedAddresses(kubectlPath, lab.kubeconfig).map(({ address }) => address)
  assert.deepEqual(recorded.toSorted(), addresses.toSorted())
  assert.equal(new Set(addresses).size, addresses.length)
}

export interface IdleIpam {
  readonly addMs: readonly number[]
  readonly floorMs: readonly number[]
  readonly statusMs: readonly number[]
  readonly pods: readonly BenchPod[]
}

/**
 * ADDs of the IPAM plugin one at a time, into one block that is half full on average, in turns with a create of an object of the
 * size of a SpiderEndpoint, and with a call that the agent answers without work.
 */
export async function idleIpam(setUp: AddSetUp, samples: number): Promise<IdleIpam> {
  const { lab, api, node, other } = setUp
  await makePool(api, 'idle', { subnet: '10.66.0.0/16', ips: [`10.66.0.128-10.66.0.${127 + blockIps}`] })
  const residents = Math.floor((blockIps - samples) / 2)
  const pods = await makePods({ api, node }, { prefix: 'idle', count: residents + samples, pool: 'idle' })
  const netns = join(lab.dir, 'nodes', other, 'netns')
  const add = (pod: BenchPod) => callOf(setUp, { plugin: 'spiderpool', command: 'ADD', pod, netns })
  const first = await callAll(pods.slice(0, residents).map(add))
  const given = first.map(addressOf)
  const measured = pods.slice(residents)
  const { items } = await api.list<SpiderEndpoint>(resources.endpoint, { limit: 1 }, never)
  const [model] = items
  if (model === undefined) throw new Error('No SpiderEndpoint was written')
  const result = { addMs: [] as number[], floorMs: [] as number[], statusMs: [] as number[], pods: measured }
  const create = async (index: number): Promise<void> => {
    result.floorMs.push(await createFloorObject(api, model, `idle-${index}`))
  }
  const allocate = async (pod: BenchPod): Promise<void> => {
    const turn = await callOnce(add(pod))
    result.addMs.push(turn.ms)
    given.push(addressOf(turn))
  }
  await create(-1) // opens its connection
  for (const [index, pod] of measured.entries()) {
    // Either comes first as often as the other.
    await sleep(calmMs)
    if (index % 2 === 0) await allocate(pod)
    else await create(index)
    await sleep(calmMs)
    if (index % 2 === 1) await allocate(pod)
    else await create(index)
    await sleep(calmMs)
    const { ms } = await callOnce(callOf(setUp, { plugin: 'spiderpool', command: 'STATUS', pod, netns }))
    result.statusMs.push(ms)
  }
  checkLedger(setUp, given)
  const blocks = await api.listAll<KubeObject>(resources.ipBlock, {}, never)
  assert.equal(blocks.items.length, 1, 'all addresses are of one block')
  await removePods(setUp, 'spiderpool', pods, () => '')
  return result
}

export interface WholeChain {
  readonly addMs: readonly number[]
  readonly delMs: readonly number[]
  readonly pods: readonly BenchPod[]
}

/** Whole set-ups of pods, macvlan and address, one at a time, on a quiet system. */
export async function idleChain(setUp: AddSetUp, samples: number): Promise<WholeChain> {
  const pods = await makePods(setUp, { prefix: 'chain', count: samples, pool: chainPool })
  using sandboxes = new Sandboxes(setUp.lab)
  sandboxes.make(pods)
  const turns: Turn[] = []
  for (const pod of pods) {
    await sleep(calmMs)
    turns.push(await callOnce(chainCall(setUp, 'ADD', pod, sandboxes)))
  }
  checkChain(setUp, turns.map(addressOf), sandboxes)
  const deleted = await removePods(setUp, 'spiderpool-meta', pods, sandboxes.pathOf)
  assert.deepEqual(sandboxes.addresses(), [])
  return { addMs: turns.map(({ ms }) => ms), delMs: deleted.map(({ ms }) => ms), pods }
}

/** As many at once as a node's runtime may ask for. */
export async function burstChain(
  setUp: AddSetUp,
  { count, atOnce }: { readonly count: number; readonly atOnce: number },
): Promise<WholeChain & { readonly wallSeconds: number }> {
  const half = Math.floor(count / 2)
  const { node, other } = setUp
  const pods = [
    ...(await makePods(setUp, { prefix: 'burst-a', count: half, pool: chainPool })),
    ...(await makePods(
      { ...setUp, node: other },
      { prefix: 'burst-b', count: count - half, pool: chainPool },
    )),
  ].toSorted((a, b) => (a.uid < b.uid ? -1 : 1))
  assert.notEqual(node, other)
  using sandboxes = new Sandboxes(setUp.lab)
  sandboxes.make(pods)
  await sleep(2000)
  const startedMs = performance.now()
  const calls = pods.map((pod) => chainCall(setUp, 'ADD', pod, sandboxes))
  const added = await callAll(calls, atOnce)
  const wallSeconds = (Math.max(...added.map(({ endedMs }) => endedMs)) - startedMs) / 1000
  checkChain(setUp, added.map(addressOf), sandboxes)
  const deleted = await removePods(setUp, 'spiderpool-meta', pods, sandboxes.pathOf)
  assert.deepEqual(sandboxes.addresses(), [])
  return { addMs: added.map(({ ms }) => ms), delMs: deleted.map(({ ms }) => ms), pods, wallSeconds }
}

export const chainPool = 'chain'

function chainCall(setUp: AddSetUp, command: 'ADD' | 'DEL', pod: BenchPod, sandboxes: Sandboxes): Call {
  return callOf(setUp, { plugin: 'spiderpool-meta', command, pod, netns: sandboxes.pathOf(pod) })
}

/** Answers, ledger and kernel say the same. */
function checkChain(setUp: AddSetUp, answered: readonly string[], sandboxes: Sandboxes): void {
  checkLedger(setUp, answered)
  assert.deepEqual(sandboxes.addresses().toSorted(), answered.toSorted())
}

/** The pods go, DEL is called for each, and then nothing is allocated. */
async function removePods(
  setUp: AddSetUp,
  plugin: PluginCall['plugin'],
  pods: readonly BenchPod[],
  netnsOf: (pod: BenchPod) => string,
): Promise<readonly Turn[]> {
  const { lab, api } = setUp
  await inParallel(pods, 8, ({ name }) =>
    api.delete(resources.pod, { namespace, name }, { gracePeriodSeconds: 0 }, never),
  )
  const turns = await callAll(
    pods.map((pod) => callOf(setUp, { plugin, command: 'DEL', pod, netns: netnsOf(pod) })),
  )
  await waitFor('no address is left', 30_000, () =>
    recordedAddresses(kubectlPath, lab.kubeconfig).length === 0 ? true : undefined,
  )
  return turns
}

/** Network namespaces for pods, as a runtime makes them. */
class Sandboxes implements Disposable {
  readonly #folder: string
  readonly #made: string[] = []

  constructor(lab: Lab) {
    this.#folder = join(lab.dir, 'bench-pods')
    mkdirSync(this.#folder, { recursive: true })
  }

  pathOf = ({ name }: BenchPod): string => join(this.#folder, name)

  make(pods: readonly BenchPod[]): void {
    for (const pod of pods) {
      execFileSync(join(root, 'build/native/lab-pause'), ['--once', this.pathOf(pod)])
      this.#made.push(this.pathOf(pod))
    }
  }

  /** Global addresses in them, as the kernel has them. */
  addresses(): readonly string[] {
    return kernelAddresses(this.#made).map(({ address }) => address)
  }

  [Symbol.dispose](): void {
    for (const path of this.#made) execFileSync('umount', [path])
  }
}
