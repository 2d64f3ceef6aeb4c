// The pod runtime of a lab node with real namespaces, pause processes and Debian's macvlan and host-local plugins.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { promisify } from 'node:util'
import { type EventObject, type KubeObject, type Pod, type Resource, resources } from '../../src/api/index.ts'
import { silentLogger, systemClock } from '../../src/base/index.ts'
import { ApiError, type KubeApi, type ObjectRef } from '../../src/kube/index.ts'
import { labPathsOf, nodePathsOf } from '../../src/lab/lab-paths.ts'
import { NodeRuntime } from '../../src/lab/node/node-runtime.ts'
import { createSandboxNetwork } from '../../src/lab/node/sandbox-network.ts'
import { SandboxStore } from '../../src/lab/node/sandbox-store.ts'
import { PauseRunner } from '../../src/lab/pause.ts'
import { isAlive } from '../../src/lab/process-table.ts'
import { buildTopology } from '../../src/lab/topology/build.ts'
import { planTopology } from '../../src/lab/topology/plan.ts'
import { removeTopology } from '../../src/lab/topology/remove.ts'
import { listMounts, prepareNamespaces } from '../../src/netlink/index.ts'

const root = join(import.meta.dirname, '../..')
const dir = realpathSync(mkdtempSync(join(tmpdir(), 'lab-runtime-')))
const paths = labPathsOf(dir)
const node1 = nodePathsOf(paths, 'node1')
const store = new SandboxStore(node1.sandboxesDir)
const signal = AbortSignal.timeout(120_000)
const run = promisify(execFile)
let pause: PauseRunner

/** An API server for pods and events, as far as a runtime speaks to it; what it answers is what a real one does. */
class PodApi implements Pick<KubeApi, 'create' | 'patch' | 'delete'> {
  readonly pods = new Map<string, Pod>()
  readonly events = new Map<string, EventObject>()
  listener: (old: Pod | undefined, now: Pod | undefined) => void = () => undefined

  add(pod: Pod): void {
    this.#set(pod.metadata.name, pod)
  }

  startDeletion(name: string): void {
    const pod = this.#get(name)
    const metadata = { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' }
    this.#set(name, { ...pod, metadata })
  }

  #get(name: string): Pod {
    const pod = this.pods.get(name)
    if (pod === undefined) throw new ApiError('find pod', { status: 404, reason: 'NotFound', message: name })
    return pod
  }

  #set(name: string, pod: Pod | undefined): void {
    const old = this.pods.get(name)
    if (pod === undefined) this.pods.delete(name)
    else this.pods.set(name, pod)
    setImmediate(() => this.listener(old, pod))
  }

  create<T extends KubeObject>(_resource: Resource, object: T): Promise<T> {
    this.events.set(object.metadata.name, object as unknown as EventObject)
    return Promise.resolve(object)
  }

  async patch<T extends KubeObject>(
    resource: Resource,
    ref: ObjectRef,
    patch: { readonly body: unknown },
  ): Promise<T> {
    const body = patch.body as Partial<Pod> & Partial<EventObject>
    if (resource === resources.event) {
      const event = { ...(this.events.get(ref.name) as EventObject), ...body }
      this.events.set(ref.name, event)
      return event as unknown as T
    }
    const pod = this.#get(ref.name)
    assert.equal(body.metadata?.uid, pod.metadata.uid)
    const now = { ...pod, status: { ...pod.status, ...body.status } }
    this.#set(ref.name, now)
    return now as unknown as T
  }

  async delete(_resource: Resource, ref: ObjectRef, options: { readonly uid?: string }): Promise<void> {
    assert.equal(options.uid, this.#get(ref.name).metadata.uid)
    this.#set(ref.name, undefined)
  }
}

const api = new PodApi()
let stopping = new AbortController()
let runtime: NodeRuntime

async function startRuntime(): Promise<void> {
  stopping = new AbortController()
  const network = createSandboxNetwork(node1, ['/usr/lib/cni'], silentLogger)
  runtime = new NodeRuntime({
    api: api as unknown as KubeApi,
    node: 'node1',
    hostIp: '10.6.0.12',
    paths: node1,
    pause,
    network,
    logger: silentLogger,
  })
  await runtime.load()
  api.listener = (old, now) => runtime.podChanged(old, now, stopping.signal)
  runtime.start([...api.pods.values()], stopping.signal)
}

async function stopRuntime(): Promise<void> {
  stopping.abort()
  await runtime.close()
}

function podOf(name: string, more: Partial<Pod['spec']> = {}, annotations: Record<string, string> = {}): Pod {
  return {
    metadata: { name, namespace: 'default', uid: `uid-${name}`, annotations },
    spec: { nodeName: 'node1', containers: [{ name: 'main', image: 'nginx' }], ...more },
  }
}

async function waitUntil<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const endMs = Date.now() + 20_000
  for (;;) {
    const found = look()
    if (found !== undefined && found !== false) return found
    assert.ok(Date.now() < endMs, `in vain waited for: ${what}`)
    await systemClock.sleep(20, signal)
  }
}

const running = (name: string): Promise<Pod> =>
  waitUntil(`${name} runs`, () => {
    const pod = api.pods.get(name)
    return pod?.status?.phase === 'Running' ? pod : undefined
  })

const gone = (name: string): Promise<boolean> => waitUntil(`${name} is gone`, () => !api.pods.has(name))

function writeNetwork(lastAddress: string): void {
  mkdirSync(node1.cniConfDir, { recursive: true })
  const range = { subnet: '10.6.0.0/16', rangeStart: '10.6.50.1', rangeEnd: lastAddress, gateway: '10.6.0.1' }
  const ipam = { type: 'host-local', ranges: [[range]], dataDir: join(dir, 'host-local') }
  const list = {
    cniVersion: '1.0.0',
    name: 'test',
    plugins: [{ type: 'macvlan', master: 'ens192', mode: 'bridge', ipam }],
  }
  writeFileSync(join(node1.cniConfDir, '10-test.conflist'), JSON.stringify(list))
}

before(async () => {
  assert.equal(process.getuid?.(), 0, 'this test needs root')
  execFileSync('sh', [join(root, 'scripts/build-native.sh')])
  pause = new PauseRunner(join(root, 'build/native/lab-pause'))
  await prepareNamespaces()
  await buildTopology(planTopology(['master', 'node1']), paths, pause, signal)
  mkdirSync(node1.cniCacheDir, { recursive: true })
  await startRuntime()
})

after(async () => {
  await stopRuntime()
  await removeTopology(dir, systemClock, AbortSignal.timeout(20_000))
  rmSync(dir, { recursive: true })
})

void test('a pod on a node without a network waits, with an event that says so, and starts when one is there', async () => {
  api.add(podOf('early'))
  const event = await waitUntil('an event', () => [...api.events.values()][0])
  assert.equal(event.reason, 'FailedCreatePodSandBox')
  assert.match(event.message, /no network configuration in .*net\.d/)
  assert.equal(api.pods.get('early')?.status?.phase, 'Pending')
  const waiting = api.pods.get('early')?.status?.containerStatuses?.[0]?.state?.waiting?.reason
  assert.equal(waiting, 'ContainerCreating')
  writeNetwork('10.6.50.2')
  const pod = await running('early')
  assert.deepEqual(pod.status?.podIPs, [{ ip: '10.6.50.1' }])
  assert.match(pod.status?.message ?? '', /no image was pulled/)
})

void test('a pod is a real process in a namespace that reaches the gateway and the other node', async () => {
  const [record] = await store.list()
  assert.ok(record?.process !== undefined && isAlive(record.process))
  for (const target of ['10.6.0.1', '10.6.0.11']) {
    const { stdout } = await run('nsenter', [`--net=${record.netnsPath}`, 'ping', '-n', '-c1', '-W2', target])
    assert.match(stdout, /1 received/)
  }
})

void test('a pod beyond the last address waits, leaves nothing of its tries, and starts when one is freed', async () => {
  api.add(podOf('second'))
  await running('second')
  api.add(podOf('third'))
  const event = await waitUntil('a second failure', () =>
    [...api.events.values()].find(
      ({ message, count }) => /no IP addresses available/.test(message) && count === 2,
    ),
  )
  assert.equal(event.involvedObject.name, 'third')
  api.startDeletion('early')
  await gone('early')
  const pod = await running('third')
  assert.equal(pod.status?.podIP, '10.6.50.1')
  assert.equal((await store.list()).length, 2)
})

void test('a restarted runtime takes its pods over, and removes what belongs to pods that went meanwhile', async () => {
  const before = await store.list()
  await stopRuntime()
  const kept = before.find(({ name }) => name === 'second')
  api.pods.delete('third')
  await startRuntime()
  await waitUntil('the orphan is gone', () => readdirSync(node1.sandboxesDir).length === 1)
  assert.deepEqual(await store.list(), [kept])
  assert.ok(kept?.process !== undefined && isAlive(kept.process))
})

void test('a pod whose process is killed gets a new sandbox', async () => {
  const [old] = await store.list()
  assert.ok(old?.process !== undefined)
  process.kill(old.process.pid, 'SIGKILL')
  await waitUntil('a new sandbox', () => {
    const [name] = readdirSync(node1.sandboxesDir)
    return name !== undefined && name !== old.containerId
  })
  assert.ok([...api.events.values()].some(({ reason }) => reason === 'SandboxChanged'))
  await waitUntil('the new one is ready', () => api.pods.get('second')?.status?.phase === 'Running')
})

void test('a command that an annotation asks for runs in the namespace, and its exit code ends the pod', async () => {
  const annotations = { 'lab.spiderpool.io/run': 'true' }
  const file = join(dir, 'seen')
  const command = ['/bin/sh', '-c', `ip -o -4 addr show dev eth0 > ${file}; exit 3`]
  const spec = { restartPolicy: 'Never', containers: [{ name: 'main', command }] }
  api.add(podOf('job', spec, annotations))
  const pod = await waitUntil('the job ends', () => {
    const found = api.pods.get('job')
    return found?.status?.phase === 'Failed' ? found : undefined
  })
  assert.equal(pod.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 3)
  const { stdout } = await run('cat', [file])
  assert.match(stdout, /10\.6\.50\./)
  await waitUntil('its sandbox is removed', () => readdirSync(node1.sandboxesDir).length === 1)
})

void test('a pod of the host network runs without a sandbox', async () => {
  api.add(podOf('host', { hostNetwork: true }))
  assert.equal((await running('host')).status?.podIP, '10.6.0.12')
  assert.equal(readdirSync(node1.sandboxesDir).length, 1)
})

void test('after all pods are deleted no sandbox, process, mount, link or address is left', async () => {
  const names = [...api.pods.keys()]
  for (const name of names) api.startDeletion(name)
  for (const name of names) await gone(name)
  assert.deepEqual(readdirSync(node1.sandboxesDir), [])
  const mounts = listMounts(node1.dir)
  assert.deepEqual(mounts, [node1.netns])
  const { stdout } = await run('nsenter', [`--net=${node1.netns}`, 'ip', '-o', 'link'])
  assert.equal(stdout.trim().split('\n').length, 2)
  const leases = readdirSync(join(dir, 'host-local', 'test')).filter((file) => file.startsWith('10.'))
  assert.deepEqual(leases, [])
})
