// Virtual machines of KubeVirt at an API server, by its kinds: the leader works with the rights of an installation.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  decodeAllocatedIps,
  defaultProductConfig,
  type KubeObject,
  type Pod,
  resources,
  type SpiderEndpoint,
  type SpiderIpBlock,
  type SpiderIpPool,
} from '../../src/api/index.ts'
import { toRpcFailure } from '../../src/controller/allocator/errors.ts'
import { DryRun } from '../../src/controller/index.ts'
import type { KubeClient } from '../../src/kube/index.ts'
import { entriesOf } from '../../src/ledger/index.ts'
import { type BareServer, startBareServer } from '../support/bare-server.ts'
import { adminClient, controllerKubeconfig, installKinds, LeaderKit, repeat } from '../support/leader-kit.ts'
import { installMachineKinds, Machines } from '../support/machines.ts'
import { recordedEntry } from '../support/recorded-entry.ts'
import { waitFor } from './lab-harness.ts'

const never = new AbortController().signal
const ns = 'machines'
const withinMs = 20_000

let server: BareServer
let api: KubeClient
let kubeconfig: string
let machines: Machines
let term = 0
/** The leader of the moment: the one before it has stopped, also when a test failed. */
let leading: LeaderKit | undefined

before(async () => {
  server = await startBareServer()
  api = await adminClient(server.kubeconfig)
  await installKinds(api)
  await installMachineKinds(api)
  kubeconfig = await controllerKubeconfig(server, api)
  const create = (resource: (typeof resources)[keyof typeof resources], object: KubeObject) =>
    repeat(() => api.create(resource, object, never))
  await create(resources.namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ns } })
  for (const name of ['node1', 'node2'])
    await create(resources.node, { apiVersion: 'v1', kind: 'Node', metadata: { name } })
  const pool: SpiderIpPool = {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name: 'vm4' },
    spec: { subnet: '10.40.0.0/16', ips: ['10.40.0.1-10.40.0.9'], gateway: '10.40.255.254' },
  }
  await create(resources.ipPool, pool)
  machines = new Machines(api, { namespace: ns, pool: 'vm4' })
})
after(async () => {
  await leading?.[Symbol.asyncDispose]()
  await api.close()
  await server.close()
})

async function lead(): Promise<LeaderKit> {
  await leading?.[Symbol.asyncDispose]()
  leading = undefined
  leading = await LeaderKit.start(kubeconfig, { term: ++term })
  return leading
}
const endpointOf = (name: string) =>
  api.get<SpiderEndpoint>(resources.endpoint, { name, namespace: ns }, never)
const entryOf = (ip: string) => recordedEntry(api, ip)
async function heldOf(name: string): Promise<readonly string[]> {
  const { items } = await api.listAll<SpiderIpBlock>(resources.ipBlock, {}, never)
  const entries = items.flatMap((block) => Object.entries(entriesOf(block)))
  return entries.flatMap(([ip, { pod }]) => (pod === `${ns}/${name}` ? [ip] : []))
}
const del = (leader: LeaderKit, pod: string, node = 'node1') =>
  leader.leadership.release(node, { containerId: `c-${pod}`, ifName: 'eth0', reason: 'detach' }, never)
const request = (podName: string) => ({
  containerId: `c-${podName}`,
  ifName: 'eth0',
  netns: '/run/netns/x',
  podNamespace: ns,
  podName,
  podUid: '',
  defaultIpv4Pools: [],
  defaultIpv6Pools: [],
  cleanGateway: false,
  budgetMs: 10_000,
})

/** The command that explains a pod finds what the machine of a launcher pod has. */
async function explained(name: string, ip: string): Promise<void> {
  const settings = { installNamespace: 'kube-system', clusterNetwork: '', config: defaultProductConfig }
  await using dryRun = await DryRun.open(api, settings, never)
  const pod = await api.get<Pod>(resources.pod, { name, namespace: ns }, never)
  assert.ok(pod !== undefined)
  assert.deepEqual(
    dryRun.heldBy(pod).map((one) => one.ip),
    [ip],
  )
}

/** A machine that runs in pod `NAME-a` on node1. @returns its instance and its address */
async function start(leader: LeaderKit, name: string) {
  const machine = await machines.machine(name)
  const instance = await machines.instance(name, machine)
  await machines.launcher(`${name}-a`, instance, 'node1')
  const [ip = ''] = await leader.add(`${ns}/${name}-a`)
  return { machine, instance, ip }
}

void test('a machine keeps its address while it is stopped, and loses it when it is deleted', async () => {
  const first = await lead()
  const { machine, ip } = await start(first, 'stopped')
  const shown = await waitFor('its endpoint', withinMs, () => endpointOf('stopped'))
  assert.equal(shown.metadata.ownerReferences, undefined)
  assert.equal(shown.status.ownerControllerType, 'VirtualMachineInstance')
  assert.equal(shown.status.ownerControllerName, 'stopped')
  assert.equal(shown.status.current.ips[0]?.ipv4, `${ip}/16`)
  assert.equal(await endpointOf('stopped-a'), undefined)
  await waitFor('its record in the pool', withinMs, async () => {
    const pool = await api.get<SpiderIpPool>(resources.ipPool, { name: 'vm4' }, never)
    const record = decodeAllocatedIps(pool?.status?.allocatedIPs).get(ip)
    return record?.pod === `${ns}/stopped` && record.podUid === shown.status.current.uid ? true : undefined
  })
  await machines.remove(resources.virtualMachineInstance, 'stopped')
  // A real control plane does it, too.
  await machines.remove(resources.pod, 'stopped-a').catch(() => undefined)
  await del(first, 'stopped-a')
  assert.deepEqual(await heldOf('stopped'), [ip])
  const instance = await machines.instance('stopped', machine)
  await machines.launcher('stopped-b', instance, 'node2')
  assert.deepEqual(await first.add(`${ns}/stopped-b`, {}, 'node2'), [ip])
  await machines.remove(resources.virtualMachineInstance, 'stopped')
  await machines.remove(resources.pod, 'stopped-b').catch(() => undefined)
  await del(first, 'stopped-b', 'node2')
  // A scan of the reclaimer: each leader begins with one.
  await lead()
  await waitFor('that endpoint again', withinMs, () => endpointOf('stopped'))
  assert.deepEqual(await heldOf('stopped'), [ip], 'it is only stopped')
  await machines.remove(resources.virtualMachine, 'stopped')
  await lead()
  await waitFor('nothing held', withinMs, async () =>
    (await heldOf('stopped')).length === 0 ? true : undefined,
  )
  await waitFor('no endpoint', withinMs, async () =>
    (await endpointOf('stopped')) === undefined ? true : undefined,
  )
})

void test('A26 a machine migrates: both pods have the address, over a change of the leader, then the target alone', async () => {
  const first = await lead()
  const { instance, ip } = await start(first, 'moving')
  await machines.launcher('moving-x', instance, 'node2')
  const refused = await first.add(`${ns}/moving-x`, {}, 'node2').then(() => undefined, toRpcFailure)
  assert.equal(refused?.code, 11)
  assert.match(refused.msg, /pod moving-a uses them/)
  const migration = await machines.migration('move', 'moving')
  await machines.launcher('moving-b', instance, 'node2', migration)
  const { ips } = await first.leadership.allocate('node2', request('moving-b'), never)
  assert.deepEqual([ips[0]?.address, ips[0]?.isProbeOff], [`${ip}/16`, true])
  const second = await lead()
  const attachments = (await entryOf(ip))?.attachments?.map(({ podName, active }) => [podName, active])
  assert.deepEqual(attachments, [
    ['moving-a', true],
    ['moving-b', false],
  ])
  await explained('moving-b', ip)
  await machines.launcher('moving-c', instance, 'node1', migration)
  const third = await second.add(`${ns}/moving-c`).then(() => undefined, toRpcFailure)
  assert.match(third?.msg ?? '', /a machine migrates between two pods only/)
  await machines.finish('moving-a')
  await del(second, 'moving-a')
  const entry = await entryOf(ip)
  assert.deepEqual(
    entry?.attachments?.map(({ podName, active }) => [podName, active]),
    [['moving-b', true]],
  )
  await waitFor('the endpoint of the target', withinMs, async () => {
    const { node, uid } = (await endpointOf('moving'))?.status.current ?? {}
    return node === 'node2' && uid === entry.podUid ? true : undefined
  })
  await machines.remove(resources.virtualMachine, 'moving')
  await machines.remove(resources.virtualMachineInstance, 'moving').catch(() => undefined)
  await machines.remove(resources.pod, 'moving-b').catch(() => undefined)
  await waitFor('the pod gone', withinMs, async () => {
    const found = await api.get(resources.pod, { name: 'moving-b', namespace: ns }, never)
    return found === undefined || found.metadata.deletionTimestamp !== undefined ? true : undefined
  })
  await del(second, 'moving-b', 'node2')
  assert.deepEqual(await heldOf('moving'), [])
})

void test('a migration that fails leaves the source its address', async () => {
  const leader = await lead()
  const { instance, ip } = await start(leader, 'staying')
  const migration = await machines.migration('stay', 'staying')
  await machines.launcher('staying-b', instance, 'node2', migration)
  assert.deepEqual(await leader.add(`${ns}/staying-b`, {}, 'node2'), [ip])
  await machines.finish('staying-b', 'Failed')
  await del(leader, 'staying-b', 'node2')
  assert.deepEqual(
    (await entryOf(ip))?.attachments?.map(({ podName, active }) => [podName, active]),
    [['staying-a', true]],
  )
})

void test('the migration of another machine, and a forged owner, lead to no address of a machine', async () => {
  const leader = await lead()
  const { instance, ip } = await start(leader, 'victim')
  const other = await machines.instance('other')
  const migration = await machines.migration('of-other', 'other')
  await machines.launcher('victim-b', instance, 'node2', migration)
  const refused = await leader.add(`${ns}/victim-b`, {}, 'node2').then(() => undefined, toRpcFailure)
  assert.match(refused?.msg ?? '', /migration "of-other" is of "other"/)
  // An instance that says it is the victim's: the uid is right, the name is its own.
  const pretender = await machines.instance('pretender', { ...instance, kind: 'VirtualMachine' })
  for (const [pod, owner] of [
    ['forged-uid', { ...other, metadata: { ...other.metadata, name: 'victim' } }],
    ['pretends', pretender],
  ] as const) {
    await machines.launcher(pod, owner, 'node1').catch(() => undefined)
    const found = await api.get(resources.pod, { name: pod, namespace: ns }, never)
    // A real control plane collects a pod whose owner does not exist.
    if (found === undefined) continue
    const got = await leader.add(`${ns}/${pod}`).catch((error: unknown) => {
      if (toRpcFailure(error).code === 105) return [''] // collected meanwhile
      throw error
    })
    assert.equal(got.indexOf(ip), -1, `${pod} got ${ip}`)
  }
  assert.equal((await entryOf(ip))?.attachments?.length, 1)
})
