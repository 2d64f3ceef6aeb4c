// A cluster that the reference project ran on, and what the leader makes of it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text as textFrom } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import {
  annotationKeys,
  decodeAllocatedIps,
  type EventObject,
  implementationLabel,
  type KubeObject,
  type Pod,
  type Resource,
  resources,
  type SpiderEndpoint,
  type SpiderIpPool,
  spiderFinalizer,
} from '../../src/api/index.ts'
import { toRpcFailure } from '../../src/controller/allocator/errors.ts'
import type { KubeClient } from '../../src/kube/index.ts'
import { type BareServer, startBareServer } from '../support/bare-server.ts'
import { runKilledLeader } from '../support/killed-leader.ts'
import { adminClient, controllerKubeconfig, installKinds, LeaderKit, repeat } from '../support/leader-kit.ts'
import { recordedEntry } from '../support/recorded-entry.ts'
import { agentLabels, ReferenceCluster, referenceEndpoint, textOf } from '../support/reference-cluster.ts'
import { waitFor } from './lab-harness.ts'

const never = new AbortController().signal
const ns = 'race'
const workload = { kind: 'Deployment', name: 'web' }
const ctl = join(import.meta.dirname, '../../src/bin/spiderpoolctl.ts')
const fixture = join(import.meta.dirname, '../../fixtures/reference-objects.yaml')

let server: BareServer
let api: KubeClient
/** Of the controller's account: it works with the rights of an installation, and no others. */
let kubeconfig: string
let reference: ReferenceCluster
let term = 0

before(async () => {
  server = await startBareServer()
  api = await adminClient(server.kubeconfig)
  await installKinds(api)
  kubeconfig = await controllerKubeconfig(server, api)
  reference = new ReferenceCluster(api)
  await reference.namespace(ns)
  await repeat(() =>
    api.create(resources.node, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node1' } }, never),
  )
})
after(async () => {
  await api.close()
  await server.close()
})

const lead = (): Promise<LeaderKit> => LeaderKit.start(kubeconfig, { term: ++term })
const poolOf = (name: string) => api.get<SpiderIpPool>(resources.ipPool, { name }, never)
const endpointOf = (name: string) =>
  api.get<SpiderEndpoint>(resources.endpoint, { name, namespace: ns }, never)

const entryOf = (ip: string) => recordedEntry(api, ip)

async function eventsOf(kind: string, name: string, reason: string): Promise<readonly string[]> {
  const { items } = await api.listAll<EventObject>(resources.event, {}, never)
  return items
    .filter((event) => event.reason === reason && event.involvedObject.kind === kind)
    .filter(({ involvedObject }) => involvedObject.name === name)
    .map(({ message = '' }) => message)
}

/** A pod that may take addresses of the pool. */
async function newPod(name: string, pool: string): Promise<string> {
  const annotations = { [annotationKeys.ippool]: JSON.stringify({ ipv4: [pool] }) }
  await reference.createPod({ namespace: ns, name }, { annotations })
  return `${ns}/${name}`
}

/** Gives a pod of the reference the annotation by which it asked for its pool. */
async function asks(pod: string, pool: string): Promise<void> {
  const [namespace = '', name = ''] = pod.split('/')
  const annotations = { [annotationKeys.ippool]: JSON.stringify({ ipv4: [pool] }) }
  await api.patch(
    resources.pod,
    { namespace, name },
    { type: 'merge', body: { metadata: { annotations } } },
    never,
  )
}

const refPod = (name: string, ip: string, pool: string, parts: 'both' | 'record' | 'endpoint' = 'both') => ({
  namespace: ns,
  name,
  workload,
  parts,
  nics: [{ name: 'eth0', ipv4: [ip, pool] as const }],
})

/** Runs the operator's command line. */
async function runCtl(
  ...args: readonly string[]
): Promise<{ readonly code: unknown; readonly text: string }> {
  const child = spawn(process.execPath, [ctl, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [text, [code]] = await Promise.all([textFrom(child.stdout), once(child, 'exit')])
  return { code, text }
}

async function refusalOf(work: Promise<unknown>) {
  try {
    await work
  } catch (error) {
    return toRpcFailure(error)
  }
  return assert.fail('it did not fail')
}

void test('objects as the reference left them are taken, and freed when their pods are gone', async () => {
  for (const document of parseAllDocuments(readFileSync(fixture, 'utf8'))) {
    const { status, ...object } = document.toJS() as KubeObject & { status: { allocatedIPs?: string } }
    const { resourceVersion: _, uid: __, ...metadata } = object.metadata
    if (metadata.namespace !== undefined && metadata.namespace !== ns) {
      await reference.namespace(metadata.namespace).catch(() => undefined)
    }
    if (object.kind === 'SpiderIPPool') {
      await api.create(resources.ipPool, { ...object, metadata }, never)
      await reference.writeRecords(metadata.name, status.allocatedIPs)
    } else await api.create(resources.endpoint, { ...object, metadata, status } as SpiderEndpoint, never)
  }
  await using leader = await lead()
  const pool = (await poolOf('race10-v4'))?.metadata
  assert.equal(pool?.name, 'race10-v4')
  await waitFor('records of gone pods freed', 30_000, async () => {
    const status = (await poolOf('race10-v4'))?.status
    const isOurs = status?.allocatedIPsView !== undefined
    return isOurs && status?.allocatedIPs === undefined && status.allocatedIPCount === 0 ? true : undefined
  })
  await waitFor('endpoints of gone pods gone', 30_000, async () => {
    const { items } = await api.list(resources.endpoint, { namespace: 'race10' }, never)
    return items.length === 0 ? true : undefined
  })
  await newPod('fresh', 'race10-v4')
  assert.deepEqual((await leader.add(`${ns}/fresh`)).length, 1)
})

void test('subnets and coordinators with the finalizer of the reference go when they are deleted', async () => {
  const { subnet, coordinator } = resources
  const make = async (resource: Resource, name: string, spec: object, finalizers = [spiderFinalizer]) => {
    const apiVersion = 'spiderpool.spidernet.io/v2beta1'
    const object = { apiVersion, kind: resource.kind, metadata: { name, finalizers }, spec }
    await api.create<KubeObject>(resource, object, never)
  }
  const remove = (resource: Resource, name: string) => api.delete(resource, { name }, {}, never)
  await make(subnet, 'left', { subnet: '10.251.0.0/16' })
  await make(subnet, 'held', { subnet: '10.252.0.0/16' }, [spiderFinalizer, 'example.com/hold'])
  await make(subnet, 'stays', { subnet: '10.253.0.0/16' })
  for (const name of ['left', 'later']) await make(coordinator, name, { podCIDRType: 'none' })
  // Deleted while nobody led, and while somebody does.
  await Promise.all([remove(subnet, 'left'), remove(subnet, 'held'), remove(coordinator, 'left')])
  await using _leader = await lead()
  await remove(coordinator, 'later')
  const leftOf = async (resource: Resource) => {
    const { items } = await api.listAll(resource, {}, never)
    return items
      .map(({ metadata }) => `${metadata.name} ${metadata.finalizers?.join()}`)
      .sort()
      .join('; ')
  }
  const wanted = `held example.com/hold; stays ${spiderFinalizer}`
  await waitFor('subnets gone', 30_000, async () => (await leftOf(subnet)) === wanted || undefined)
  await waitFor('coordinators gone', 30_000, async () => (await leftOf(coordinator)) === '' || undefined)
})

void test('a pool that is deleted while pods have its addresses names one of them in an Event', async () => {
  await reference.pool('in-use', '10.250.0.0/16', ['10.250.0.1-10.250.0.3'])
  await newPod('user', 'in-use')
  await using leader = await lead()
  await leader.add(`${ns}/user`)
  await api.delete(resources.ipPool, { name: 'in-use' }, {}, never)
  const told = async () => (await eventsOf('SpiderIPPool', 'in-use', 'PoolInUse'))[0]
  const message = await waitFor('the Event', 30_000, told)
  assert.equal(message, `1 address of pod ${ns}/user keeps it from being deleted: delete that pod`)
})

void test('a record alone: the pod keeps its address, and its first ADD names the NIC', async () => {
  await reference.pool('record', '10.20.0.0/16', ['10.20.0.1-10.20.0.3'])
  await reference.run([refPod('r1', '10.20.0.2', 'record', 'record')])
  await asks(`${ns}/r1`, 'record')
  await using leader = await lead()
  assert.equal((await entryOf('10.20.0.2'))?.adopted, 'record')
  await newPod('r2', 'record')
  await newPod('r3', 'record')
  await newPod('r4', 'record')
  assert.deepEqual(await leader.add(`${ns}/r2`), ['10.20.0.1'])
  assert.deepEqual(await leader.add(`${ns}/r3`), ['10.20.0.3'])
  assert.equal((await refusalOf(leader.add(`${ns}/r4`))).code, 100)
  assert.deepEqual(await leader.add(`${ns}/r1`), ['10.20.0.2'])
  const entry = await entryOf('10.20.0.2')
  assert.equal(entry?.nic, 'eth0')
  assert.equal(entry.adopted, undefined)
  await waitFor('status and endpoint right', 20_000, async () => {
    const text = (await poolOf('record'))?.status?.allocatedIPs
    const nic = (await endpointOf('r1'))?.status.current.ips[0]
    return decodeAllocatedIps(text).size === 3 && nic?.ipv4 === '10.20.0.2/16' && nic.interface === 'eth0'
      ? true
      : undefined
  })
})

void test('an endpoint alone: its address stays, its object lives on as ours, and DEL of the pod’s uid frees it', async () => {
  await reference.pool('endpoint', '10.21.0.0/16', ['10.21.0.1-10.21.0.1'])
  const uids = await reference.run([refPod('e1', '10.21.0.1', 'endpoint', 'endpoint')])
  const before = await endpointOf('e1')
  await using leader = await lead()
  assert.equal((await entryOf('10.21.0.1'))?.adopted, 'endpoint')
  await newPod('e2', 'endpoint')
  assert.equal((await refusalOf(leader.add(`${ns}/e2`))).code, 100)
  const pod = { namespace: ns, name: 'e1', uid: uids.get(`${ns}/e1`) ?? '' }
  const del = { containerId: 'of-the-reference', ifName: 'eth0', reason: 'detach' as const, pod }
  await leader.leadership.release('node1', del, never)
  const isLeft = 'its pod is alive: the DEL may be of an older sandbox, and changes nothing'
  assert.equal((await entryOf('10.21.0.1'))?.adopted, 'endpoint', isLeft)
  await asks(`${ns}/e1`, 'endpoint')
  assert.deepEqual(await leader.add(`${ns}/e1`), ['10.21.0.1'], 'a sandbox that is made again gets it again')
  assert.equal((await entryOf('10.21.0.1'))?.adopted, undefined)
  const now = await endpointOf('e1')
  assert.equal(now?.metadata.uid, before?.metadata.uid, 'it is the same object')
  assert.equal(now?.status.current.ips[0]?.ipv4, '10.21.0.1/16')
  await reference.deletePod(`${ns}/e1`)
  await leader.leadership.release('node1', { ...del, containerId: 'c-e1' }, never)
  await waitFor('freed', 20_000, async () => ((await entryOf('10.21.0.1')) === undefined ? true : undefined))
  assert.deepEqual(await leader.add(`${ns}/e2`), ['10.21.0.1'])
  await waitFor('its endpoint gone', 20_000, async () =>
    (await endpointOf('e1')) === undefined ? true : undefined,
  )
})

void test('an address recorded for two pods goes to nobody new; both are named; the survivor gets it', async () => {
  await reference.pool('doubled', '10.22.0.0/16', ['10.22.0.1-10.22.0.2'])
  const uids = await reference.run([
    refPod('d1', '10.22.0.1', 'doubled', 'record'),
    refPod('d2', '10.22.0.1', 'doubled', 'endpoint'),
  ])
  await using leader = await lead()
  const entry = await entryOf('10.22.0.1')
  assert.equal(entry?.podUid, uids.get(`${ns}/d1`))
  assert.deepEqual(
    entry?.claims?.map(({ podUid }) => podUid),
    [uids.get(`${ns}/d2`)],
  )
  await newPod('d3', 'doubled')
  await newPod('d4', 'doubled')
  assert.deepEqual(await leader.add(`${ns}/d3`), ['10.22.0.2'])
  assert.equal((await refusalOf(leader.add(`${ns}/d4`))).code, 100)
  for (const [kind, name] of [
    ['SpiderIPPool', 'doubled'],
    ['Pod', 'd1'],
    ['Pod', 'd2'],
  ] as const) {
    await waitFor(`an Event on ${kind} ${name}`, 20_000, async () => {
      const [message] = await eventsOf(kind, name, 'AddressContested')
      if (message === undefined) return undefined
      assert.match(message, /10\.22\.0\.1 .*race\/d1 .*race\/d2 /)
      return true
    })
  }
  const conflicts = await runCtl('ip', 'conflicts', '--kubeconfig', server.kubeconfig)
  assert.equal(conflicts.code, 1)
  assert.match(conflicts.text, /^10\.22\.0\.1 +owner +race\/d1 .* record$/m)
  assert.match(conflicts.text, /^10\.22\.0\.1 +claims it +race\/d2 .* endpoint$/m)
  await reference.deletePod(`${ns}/d1`)
  await waitFor('the survivor owns it', 30_000, async () => {
    const now = await entryOf('10.22.0.1')
    return now?.podUid === uids.get(`${ns}/d2`) && now?.claims === undefined ? true : undefined
  })
  await reference.deletePod(`${ns}/d2`)
  await waitFor('free', 30_000, async () => ((await entryOf('10.22.0.1')) === undefined ? true : undefined))
  assert.deepEqual(await leader.add(`${ns}/d4`), ['10.22.0.1'])
})

void test('unreadable records: the pool gives nothing new and says why; others do; a mended text opens it', async () => {
  await reference.pool('garbled', '10.23.0.0/16', ['10.23.0.1-10.23.0.9'])
  await reference.pool('sound', '10.24.0.0/16', ['10.24.0.1-10.24.0.9'])
  const uids = await reference.run([refPod('g1', '10.23.0.1', 'garbled', 'endpoint')])
  const garbled = '{"10.23.0.1":{"pod":"race/g1"'
  await reference.writeRecords('garbled', garbled)
  await newPod('g2', 'garbled')
  await newPod('g3', 'sound')
  await using leader = await lead()
  const refused = await refusalOf(leader.add(`${ns}/g2`))
  assert.equal(refused.code, 101)
  assert.match(refused.msg, /unreadable records: .*status\.allocatedIPs .*is not JSON/)
  assert.deepEqual(await leader.add(`${ns}/g3`), ['10.24.0.1'])
  await waitFor('a condition', 20_000, async () => {
    const status = (await poolOf('garbled'))?.status
    assert.equal(status?.allocatedIPs, garbled, 'what cannot be read is not overwritten')
    return status?.conditions?.[0]?.reason === 'RecordsUnreadable' ? true : undefined
  })
  const [event = ''] = await waitFor('an Event', 20_000, async () => {
    const found = await eventsOf('SpiderIPPool', 'garbled', 'RecordsUnreadable')
    return found.length === 0 ? undefined : found
  })
  assert.match(event, /kubectl annotate spiderippool garbled .*=[0-9a-f]{16}/)
  const records = { '10.23.0.1': { pod: 'race/g1', podUid: uids.get(`${ns}/g1`) ?? '' } }
  await reference.writeRecords('garbled', textOf(Object.entries(records)))
  await waitFor('the pool gives again', 20_000, () => leader.add(`${ns}/g2`).catch(() => undefined))
  assert.equal((await entryOf('10.23.0.2'))?.pod, `${ns}/g2`)
})

void test('unreadable records that the operator discards are overwritten by the ledger’s', async () => {
  await reference.pool('discard', '10.25.0.0/16', ['10.25.0.1-10.25.0.9'])
  await reference.writeRecords('discard', '{"10.25.0":{"pod":"race/x","podUid":"u"}}')
  await newPod('x1', 'discard')
  await using leader = await lead()
  assert.equal((await refusalOf(leader.add(`${ns}/x1`))).code, 101)
  const [event = ''] = await waitFor('an Event', 20_000, async () => {
    const found = await eventsOf('SpiderIPPool', 'discard', 'RecordsUnreadable')
    return found.length === 0 ? undefined : found
  })
  const [, digest = ''] = /discard-allocated-ips=([0-9a-f]{16})/.exec(event) ?? []
  const body = { metadata: { annotations: { [annotationKeys.discardAllocatedIps]: digest } } }
  await api.patch(resources.ipPool, { name: 'discard' }, { type: 'merge', body }, never)
  await waitFor('the pool gives again', 20_000, () => leader.add(`${ns}/x1`).catch(() => undefined))
  await waitFor('the text is ours', 20_000, async () => {
    const status = (await poolOf('discard'))?.status
    return status?.allocatedIPs?.startsWith('{"10.25.0.1"') === true ? true : undefined
  })
})

void test('while an agent of the reference runs nothing is allocated; what it writes is taken in; then it goes on', async () => {
  await reference.pool('mixed', '10.26.0.0/16', ['10.26.0.1-10.26.0.9'])
  const uids = await reference.run([refPod('m1', '10.26.0.1', 'mixed')])
  const labels = agentLabels
  await reference.runAgent(ns, 'spiderpool-agent-old')
  // What anybody can copy halts nothing.
  await reference.createPod({ namespace: ns, name: 'spiderpool-agent-copy' }, { labels })
  const ours = { ...labels, [implementationLabel.key]: implementationLabel.value }
  await reference.createPod({ namespace: ns, name: 'spiderpool-agent-new' }, { labels: ours })
  await newPod('m2', 'mixed')
  await using leader = await lead()
  const refused = await refusalOf(leader.add(`${ns}/m2`))
  assert.equal(refused.code, 11)
  assert.match(refused.msg, /1 agents of another allocator still run: race\/spiderpool-agent-old$/)
  assert.match(leader.leadership.haltReason ?? '', /spiderpool-agent-old/)
  const m3 = await reference.createPod({ namespace: ns, name: 'm3' })
  const records = {
    '10.26.0.1': { pod: 'race/m1', podUid: uids.get(`${ns}/m1`) ?? '' },
    '10.26.0.2': { pod: 'race/m3', podUid: m3 },
  }
  await reference.writeRecords('mixed', textOf(Object.entries(records)))
  await waitFor('the change is taken in', 20_000, async () =>
    (await entryOf('10.26.0.2'))?.podUid === m3 ? true : undefined,
  )
  const [event = ''] = await waitFor('an Event', 20_000, async () => {
    const found = await eventsOf('SpiderIPPool', 'mixed', 'RecordsChangedByOthers')
    return found.length === 0 ? undefined : found
  })
  assert.match(event, /took in 10\.26\.0\.2/)
  assert.equal(
    (await poolOf('mixed'))?.status?.allocatedIPsView,
    undefined,
    'the records are still the agent’s',
  )
  await waitFor('an Event on the agent', 20_000, async () =>
    (await eventsOf('Pod', 'spiderpool-agent-old', 'AllocationHalted')).length > 0 ? true : undefined,
  )
  const pod = { namespace: ns, name: 'm1', uid: uids.get(`${ns}/m1`) ?? '' }
  await reference.deletePod(`${ns}/m1`)
  const del = { containerId: 'of-the-reference', ifName: 'eth0', reason: 'detach' as const, pod }
  await leader.leadership.release('node1', del, never)
  assert.equal(await entryOf('10.26.0.1'), undefined, 'releases work meanwhile')
  await reference.writeRecords(
    'mixed',
    textOf([...Object.entries(records), ['10.26.0.3', records['10.26.0.2']]]),
  )
  await reference.stopAgent(ns, 'spiderpool-agent-old')
  const [given] = await waitFor('it goes on', 20_000, () => leader.add(`${ns}/m2`).catch(() => undefined))
  assert.equal(given, '10.26.0.4')
  assert.equal(leader.leadership.haltReason, undefined)
})

void test('what a person writes later is a claim, is reported, and then overwritten by the view', async () => {
  await reference.pool('edited', '10.27.0.0/16', ['10.27.0.1-10.27.0.9'])
  await newPod('p1', 'edited')
  const p2 = await reference.createPod({ namespace: ns, name: 'p2' })
  await using leader = await lead()
  assert.deepEqual(await leader.add(`${ns}/p1`), ['10.27.0.1'])
  const records = {
    '10.27.0.1': { pod: 'race/p2', podUid: p2 },
    '10.27.0.2': { pod: 'race/p2', podUid: p2 },
    '192.168.7.7': { pod: 'race/p2', podUid: p2 },
  }
  await waitFor('the view', 20_000, async () => (await poolOf('edited'))?.status?.allocatedIPsView?.sha256)
  await reference.writeRecords('edited', textOf(Object.entries(records)))
  await waitFor('taken in', 20_000, async () => (await entryOf('10.27.0.2'))?.podUid)
  const contested = await entryOf('10.27.0.1')
  assert.equal(contested?.pod, `${ns}/p1`, 'whom we gave it stays its owner')
  assert.equal(contested.claims?.[0]?.pod, `${ns}/p2`)
  await waitFor('the view again', 20_000, async () => {
    const text = (await poolOf('edited'))?.status?.allocatedIPs
    return decodeAllocatedIps(text).get('10.27.0.1')?.pod === `${ns}/p1` ? true : undefined
  })
  await waitFor('an Event on what is outside', 20_000, async () => {
    const [message] = await eventsOf('SpiderIPPool', 'edited', 'RecordsOutside')
    return message?.includes('192.168.7.7')
  })
})

void test('what a StatefulSet’s replica had waits for it; a machine that is deleted has nothing', async () => {
  await reference.pool('sticky', '10.28.0.0/16', ['10.28.0.1-10.28.0.9'])
  const template = {
    metadata: { labels: { app: 'db' } },
    spec: { nodeName: 'node1', containers: [{ name: 'pause', image: 'pause' }] },
  }
  const set = await api.create(
    resources.statefulSet,
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'db', namespace: ns },
      spec: {
        replicas: 2,
        serviceName: 'db',
        selector: { matchLabels: { app: 'db' } },
        updateStrategy: { type: 'OnDelete' },
        podManagementPolicy: 'Parallel',
        template,
      },
    } as KubeObject,
    never,
  )
  const nic = (ip: string) => [{ name: 'eth0', ipv4: [ip, 'sticky'] as const }]
  const db1 = {
    namespace: ns,
    name: 'db-1',
    workload: { kind: 'StatefulSet', name: 'db' },
    nics: nic('10.28.0.2'),
  }
  const db9 = { ...db1, name: 'db-9', nics: nic('10.28.0.3') }
  const vm = {
    ...db1,
    name: 'vm',
    workload: { kind: 'VirtualMachineInstance', name: 'vm' },
    nics: nic('10.28.0.4'),
  }
  // Their pods are gone: the replica is between two nodes, the other is scaled away, the machine is deleted.
  for (const pod of [db1, db9, vm]) await reference.createEndpoint(referenceEndpoint(pod, 'uid-of-before'))
  const records = [db1, db9, vm].map(
    ({ name, nics }) => [nics[0]?.ipv4[0] ?? '', { pod: `${ns}/${name}`, podUid: 'uid-of-before' }] as const,
  )
  await reference.writeRecords('sticky', textOf(records))
  await using leader = await lead()
  for (const ip of ['10.28.0.3', '10.28.0.4']) {
    await waitFor(`${ip} free`, 30_000, async () => ((await entryOf(ip)) === undefined ? true : undefined))
  }
  const { owner } = (await entryOf('10.28.0.2')) ?? {}
  assert.deepEqual(owner?.kind === 'sticky' ? [owner.name, owner.replica, owner.uid] : owner, [
    'db',
    '1',
    set.metadata.uid,
  ])
  const owned = [
    { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: set.metadata.uid ?? '', controller: true },
  ]
  // A control plane with controllers makes the pod itself.
  await reference
    .createPod({ namespace: ns, name: 'db-1' }, { labels: { app: 'db' }, ownerReferences: owned })
    .catch(() => undefined)
  await waitFor('the pod', 20_000, () => api.get<Pod>(resources.pod, { namespace: ns, name: 'db-1' }, never))
  await asks(`${ns}/db-1`, 'sticky')
  assert.deepEqual(await leader.add(`${ns}/db-1`), ['10.28.0.2'])
})

void test('a leader that is killed in the middle of adoption: the next one ends with the same', async () => {
  const pods = Array.from({ length: 6 }, (_, at) => refPod(`k${at}`, `10.29.${at}.1`, 'killed'))
  await reference.pool('killed', '10.29.0.0/16', ['10.29.0.1-10.29.9.254'])
  const uids = await reference.run(pods)
  const done = await runKilledLeader(kubeconfig, ++term, 3)
  assert.equal(done.signal, 'SIGKILL')
  const left = await Promise.all(pods.map(({ nics }) => entryOf(nics[0]?.ipv4[0] ?? '')))
  const adopted = left.filter((entry) => entry !== undefined).length
  assert.ok(
    adopted > 0 && adopted < pods.length,
    `${adopted} of ${pods.length} were adopted when it was killed`,
  )
  await using leader = await lead()
  for (const { name, nics } of pods) {
    const entry = await entryOf(nics[0]?.ipv4[0] ?? '')
    assert.equal(entry?.podUid, uids.get(`${ns}/${name}`))
    assert.equal(entry?.claims, undefined)
  }
  await newPod('k-new', 'killed')
  assert.deepEqual(await leader.add(`${ns}/k-new`), ['10.29.0.2'])
})
