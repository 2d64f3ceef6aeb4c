// Claims keep addresses for pods to come: SpiderIPClaim and IPAMClaim, with the rights of an installation.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  annotationKeys,
  crdManifests,
  type EventObject,
  type IpamClaim,
  type KubeObject,
  resources,
  type SpiderEndpoint,
  type SpiderIpClaim,
  type SpiderIpPool,
  spiderFinalizer,
} from '../../src/api/index.ts'
import { toRpcFailure } from '../../src/controller/allocator/errors.ts'
import type { KubeClient } from '../../src/kube/index.ts'
import { type BareServer, startBareServer } from '../support/bare-server.ts'
import { adminClient, controllerKubeconfig, installKinds, LeaderKit, repeat } from '../support/leader-kit.ts'
import { recordedEntry } from '../support/recorded-entry.ts'
import { ReferenceCluster } from '../support/reference-cluster.ts'
import { eventually } from '../support/workload-kit.ts'

const never = new AbortController().signal
const ns = 'shop'
const networks = 'k8s.v1.cni.cncf.io/networks'
const ipamClaimName = 'ipamclaims.k8s.cni.cncf.io'

let server: BareServer
let api: KubeClient
let kubeconfig: string
let cluster: ReferenceCluster
let leader: LeaderKit
let term = 0

before(async () => {
  server = await startBareServer()
  api = await adminClient(server.kubeconfig)
  await installKinds(api)
  // A cluster without the kind of the multi-network standard, at first.
  await api.delete(resources.customResourceDefinition, { name: ipamClaimName }, {}, never)
  kubeconfig = await controllerKubeconfig(server, api)
  cluster = new ReferenceCluster(api)
  for (const name of [ns, 'other']) await cluster.namespace(name)
  await repeat(() =>
    api.create(resources.node, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node1' } }, never),
  )
  leader = await lead()
})
after(async () => {
  await leader?.[Symbol.asyncDispose]()
  await api.close()
  await server.close()
})

const lead = (): Promise<LeaderKit> => LeaderKit.start(kubeconfig, { term: ++term })

async function pool(name: string, spec: SpiderIpPool['spec']): Promise<void> {
  const object = { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind: 'SpiderIPPool', metadata: { name } }
  await api.create(resources.ipPool, { ...object, spec } as KubeObject, never)
  await eventually(`pool ${name} is known`, async () => {
    const found = await api.get<SpiderIpPool>(resources.ipPool, { name }, never)
    return found?.status?.totalIPCount === undefined ? undefined : true
  })
}

async function claim(name: string, spec: SpiderIpClaim['spec'], namespace = ns): Promise<void> {
  const object = { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind: 'SpiderIPClaim' }
  await api.create(resources.ipClaim, { ...object, metadata: { name, namespace }, spec } as KubeObject, never)
}
const removeClaim = (name: string) => api.delete(resources.ipClaim, { name, namespace: ns }, {}, never)

/** Waits until the claim is as wanted. */
function claimIs(name: string, holds: (claim: SpiderIpClaim) => boolean): Promise<SpiderIpClaim> {
  return eventually(`claim ${name} is as wanted`, async () => {
    const found = await api.get<SpiderIpClaim>(resources.ipClaim, { name, namespace: ns }, never)
    return found !== undefined && holds(found) ? found : undefined
  })
}
const isPhase = (phase: string) => (one: SpiderIpClaim) => one.status?.phase === phase

async function goneClaim(name: string): Promise<void> {
  await eventually(`claim ${name} is gone`, async () => {
    const found = await api.get(resources.ipClaim, { name, namespace: ns }, never)
    return found === undefined ? true : undefined
  })
}

const entryOf = (ip: string) => recordedEntry(api, ip)

async function newPod(
  name: string,
  annotations: Readonly<Record<string, string>>,
  more = {},
): Promise<string> {
  await cluster.createPod({ namespace: ns, name }, { annotations, ...more })
  return `${ns}/${name}`
}
const using = (name: string) => ({ [annotationKeys.ipClaim]: name })
const del = (pod: string, ifName = 'eth0', containerId = `c-${pod.split('/')[1]}`) =>
  leader.leadership.release('node1', { containerId, ifName, reason: 'detach' }, never)

/** Deletes a pod as the kubelet does: its sandbox ends, then it goes. */
async function end(pod: string, ifName = 'eth0'): Promise<void> {
  await cluster.deletePod(pod)
  await del(pod, ifName)
}

async function refusalOf(work: Promise<unknown>) {
  try {
    await work
  } catch (error) {
    return toRpcFailure(error)
  }
  return assert.fail('it did not fail')
}

void test('a claim reserves before its pod exists, is used by one pod at a time, and keeps what it has', async () => {
  await pool('p4', { subnet: '10.6.0.0/16', ips: ['10.6.0.10-10.6.0.12'], gateway: '10.6.0.1' })
  await pool('p6', { subnet: 'fd00:6::/64', ips: ['fd00:6::10'] })
  await claim('db', {
    ips: ['10.6.0.11'],
    ippools: { ipv4: ['p4'], ipv6: ['p6'] },
    mac: '02:00:00:00:00:AB',
    dns: { nameservers: ['10.6.0.53'] },
    metadata: { rack: 'r7' },
  })
  const reserved = await claimIs('db', isPhase('Reserved'))
  assert.deepEqual(reserved.metadata.finalizers, [spiderFinalizer])
  assert.deepEqual(reserved.status, {
    phase: 'Reserved',
    ips: [
      { ip: '10.6.0.11/16', pool: 'p4', version: 4 },
      { ip: 'fd00:6::10/64', pool: 'p6', version: 6 },
    ],
    ipv4: '10.6.0.11/16',
    ipv6: 'fd00:6::10/64',
    mac: '02:00:00:00:00:ab',
  })
  assert.equal((await entryOf('10.6.0.11'))?.pod, '')
  const first = await newPod('db-1', using('db'))
  const request = { ifName: 'eth0', containerId: 'c-db-1', netns: '/run/netns/x', budgetMs: 10_000 }
  const answer = await leader.leadership.allocate(
    'node1',
    {
      ...request,
      podNamespace: ns,
      podName: 'db-1',
      podUid: '',
      defaultIpv4Pools: ['p4'],
      defaultIpv6Pools: [],
      cleanGateway: false,
    },
    never,
  )
  assert.deepEqual(
    answer.ips.map(({ address, mac, metadata }) => [address, mac, metadata]),
    [
      ['10.6.0.11/16', '02:00:00:00:00:ab', { rack: 'r7' }],
      ['fd00:6::10/64', '02:00:00:00:00:ab', { rack: 'r7' }],
    ],
  )
  assert.deepEqual(answer.dns, { nameservers: ['10.6.0.53'] })
  assert.equal((await claimIs('db', isPhase('InUse'))).status?.pod, 'db-1')
  await eventually('the endpoint shows the address and is owned by the pod', async () => {
    const found = await api.get<SpiderEndpoint>(resources.endpoint, { name: 'db-1', namespace: ns }, never)
    const isOwned = found?.metadata.ownerReferences?.[0]?.kind === 'Pod'
    return isOwned && found.status.current.ips[0]?.ipv4 === '10.6.0.11/16' ? true : undefined
  })

  const second = await newPod('db-2', using('db'))
  const refused = await refusalOf(leader.add(second))
  assert.equal(refused.code, 102)
  assert.match(refused.msg, /SpiderIPClaim "shop\/db": pod shop\/db-1 \(uid .*\) uses it/)
  // A failed ADD of the holder, and a new sandbox of it, change nothing.
  await del(first)
  assert.deepEqual(await leader.add(first, { containerId: 'c-db-1b' }), ['10.6.0.11', 'fd00:6::10'])
  await cluster.deletePod(first)
  // Its sandbox may still be on the wire: a pod object that is gone says nothing of it.
  assert.match((await refusalOf(leader.add(second))).msg, /pod shop\/db-1 \(uid .*\) uses it/)
  await del(first, 'eth0', 'c-db-1b')
  assert.deepEqual(await leader.add(second), ['10.6.0.11', 'fd00:6::10'])
  await claimIs('db', ({ status }) => status?.pod === 'db-2')
  await end(second)
  await claimIs('db', ({ status }) => status?.phase === 'Reserved' && status.pod === undefined)
  await eventually('nothing shows the address of a pod that is gone', async () => {
    const { items } = await api.list(resources.endpoint, { namespace: ns }, never)
    return items.length === 0 ? true : undefined
  })
  await removeClaim('db')
  await goneClaim('db')
  assert.equal(await entryOf('10.6.0.11'), undefined)
  assert.equal(await entryOf('fd00:6::10'), undefined)
})

void test('what a claim has outlives a leader that is killed, and one that is deleted meanwhile is freed', async () => {
  await pool('k4', { subnet: '10.7.0.0/16', ips: ['10.7.0.1-10.7.0.2'] })
  await claim('kept', { ippools: { ipv4: ['k4'] } })
  await claim('lost', { ippools: { ipv4: ['k4'] } })
  for (const name of ['kept', 'lost']) await claimIs(name, isPhase('Reserved'))
  const had = (await claimIs('kept', () => true)).status?.ipv4?.split('/')[0]
  await leader[Symbol.asyncDispose]()
  await removeClaim('lost')
  await claim('later', { ippools: { ipv4: ['k4'] } })
  leader = await lead()
  await goneClaim('lost')
  await claimIs('later', isPhase('Reserved'))
  assert.deepEqual(await leader.add(await newPod('kept-1', using('"kept"'))), [had])
})

void test('a full pool leaves a claim pending, with a reason, until an address is freed', async () => {
  await pool('f4', { subnet: '10.8.0.0/16', ips: ['10.8.0.1'] })
  const user = await newPod('user', { [annotationKeys.ippool]: '{"ipv4":["f4"]}' })
  await leader.add(user)
  await claim('waits', { ippools: { ipv4: ['f4'] } })
  const pending = await claimIs('waits', isPhase('Pending'))
  const [condition] = pending.status?.conditions ?? []
  assert.equal(condition?.reason, 'PoolFull')
  assert.match(condition?.message ?? '', /all IP addresses used out.*f4/)
  const refused = await refusalOf(leader.add(await newPod('early', using('waits'))))
  assert.equal(refused.code, 11)
  assert.match(refused.msg, /"shop\/waits": it is Pending: all IP addresses used out/)
  await eventually('an Event tells of it', async () => {
    const { items } = await api.listAll<EventObject>(resources.event, {}, never)
    const told = items.some(({ reason, involvedObject }) => {
      return reason === 'PoolFull' && involvedObject.name === 'waits'
    })
    return told ? true : undefined
  })
  await end(user)
  const { status } = await claimIs('waits', isPhase('Reserved'))
  assert.deepEqual([status?.ipv4, status?.conditions], ['10.8.0.1/16', undefined])
})

void test('a claim that is deleted while a pod uses it lets the pod keep its address to the end', async () => {
  await pool('d4', { subnet: '10.9.0.0/16', ips: ['10.9.0.1'] })
  await claim('going', { ippools: { ipv4: ['d4'] } })
  await claimIs('going', isPhase('Reserved'))
  const pod = await newPod('last', using('going'))
  await leader.add(pod)
  await claimIs('going', isPhase('InUse'))
  await removeClaim('going')
  const { status } = await claimIs('going', (one) => one.status?.conditions !== undefined)
  assert.equal(status?.conditions?.[0]?.type, 'Released')
  assert.match(status?.conditions?.[0]?.message ?? '', /pod shop\/last uses the addresses/)
  // A new sandbox of the same pod has it, another pod has not.
  await del(pod)
  assert.deepEqual(await leader.add(pod, { containerId: 'c-last-2' }), ['10.9.0.1'])
  const refused = await refusalOf(leader.add(await newPod('late', using('going'))))
  assert.match(refused.msg, /"shop\/going": it is being deleted/)
  await cluster.deletePod(pod)
  await del(pod, 'eth0', 'c-last-2')
  await goneClaim('going')
  assert.equal(await entryOf('10.9.0.1'), undefined)
})

void test('a claim is of its namespace and of its workload, proven, and nothing else is given instead', async () => {
  await pool('w4', { subnet: '10.10.0.0/16', ips: ['10.10.0.1-10.10.0.9'], default: true })
  await claim('foreign', { ippools: { ipv4: ['w4'] } }, 'other')
  const missing = await refusalOf(leader.add(await newPod('thief', using('foreign'))))
  assert.equal(missing.code, 102)
  assert.match(missing.msg, /SpiderIPClaim "shop\/foreign": it does not exist/)
  const owner = await createDeployment('web', { app: 'web' })
  const workload = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }
  await claim('web', { ips: ['10.10.0.7'], workload })
  await claimIs('web', isPhase('Reserved'))
  // Its own uid in the reference does not make a pod one of the workload that does not select it.
  const forged = await newPod('forged', using('web'), { ownerReferences: [owner], labels: { app: 'x' } })
  const refused = await refusalOf(leader.add(forged))
  assert.equal(refused.code, 102)
  assert.match(
    refused.msg,
    /it is for apps\/v1 Deployment web, and the pod is proven to be of Pod forged alone/,
  )
  // A pod of the workload uses it without an annotation.
  const mine = await newPod('web-1', {}, { ownerReferences: [owner], labels: { app: 'web' } })
  assert.deepEqual(await leader.add(mine), ['10.10.0.7'])
  const stranger = await newPod('stranger', {})
  assert.notDeepEqual(await leader.add(stranger), ['10.10.0.7'])
})

/** A ReplicaSet of a Deployment that are both going: their controllers leave the pods to the test. @returns the reference of the first */
async function createDeployment(name: string, labels: Readonly<Record<string, string>>) {
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'pause' }] } }
  const spec = { replicas: 0, selector: { matchLabels: labels }, template }
  const make = async (kind: 'Deployment' | 'ReplicaSet', own: string, ownerReferences: readonly object[]) => {
    const finalizers = ['example.org/held-by-test']
    const metadata = { name: own, namespace: ns, labels, ownerReferences, finalizers }
    const resource = kind === 'Deployment' ? resources.deployment : resources.replicaSet
    const object = { apiVersion: 'apps/v1', kind, metadata, spec } as unknown as KubeObject
    const created = await api.create(resource, object, never)
    await api.delete(resource, { name: own, namespace: ns }, {}, never)
    return { apiVersion: 'apps/v1', kind, name: own, uid: created.metadata.uid ?? '', controller: true }
  }
  return make('ReplicaSet', `${name}-1`, [await make('Deployment', name, [])])
}

void test('an IPAMClaim owns what its NIC got first, across pods, and frees it when it is deleted', async () => {
  await pool('n4', { subnet: '10.11.0.0/16', ips: ['10.11.0.1-10.11.0.2'] })
  const definition = crdManifests().find(({ metadata }) => metadata.name === ipamClaimName)
  assert.ok(definition !== undefined)
  await api.create<KubeObject>(resources.customResourceDefinition, definition, never)
  await repeat(() => api.list(resources.ipamClaim, { limit: 1 }, never))
  const ref = { name: 'vm.net', namespace: ns }
  const spec = { network: 'net', interface: 'net1' }
  const object = { apiVersion: 'k8s.cni.cncf.io/v1alpha1', kind: 'IPAMClaim', metadata: ref, spec }
  const create = () => repeat(() => api.create<KubeObject>(resources.ipamClaim, object, never))
  const annotations = {
    [networks]: JSON.stringify([{ name: 'net', 'ipam-claim-reference': 'vm.net' }]),
    [annotationKeys.ippools]: JSON.stringify([
      { interface: 'eth0', ipv4: ['n4'] },
      { interface: 'net1', ipv4: ['n4'] },
    ]),
  }
  const statusIs = (what: string, holds: (status: IpamClaim['status']) => boolean) =>
    eventually(what, async () => {
      const found = await api.get<IpamClaim>(resources.ipamClaim, ref, never)
      return found !== undefined && holds(found.status) ? true : undefined
    })
  const vm = await newPod('vm-1', annotations)
  assert.match(
    (await refusalOf(leader.add(vm, { ifName: 'net1' }))).msg,
    /IPAMClaim "shop\/vm.net": it does not/,
  )
  await create()
  // The first NIC takes nothing for the second, which has a claim.
  assert.deepEqual(await leader.add(vm), ['10.11.0.1'])
  assert.equal(await entryOf('10.11.0.2'), undefined)
  assert.deepEqual(await leader.add(vm, { ifName: 'net1' }), ['10.11.0.2'])
  await statusIs('the claim shows address and pod', (status) => {
    return status?.ips?.[0] === '10.11.0.2/16' && status.ownerPod?.name === 'vm-1'
  })
  await cluster.deletePod(vm)
  await del(vm)
  await del(vm, 'net1')
  await statusIs('the claim keeps the address', (status) => {
    return status?.ips?.[0] === '10.11.0.2/16' && status.ownerPod === undefined
  })
  assert.equal(await entryOf('10.11.0.1'), undefined)
  const next = await newPod('vm-2', annotations)
  assert.deepEqual(await leader.add(next, { ifName: 'net1' }), ['10.11.0.2'])
  await api.delete(resources.ipamClaim, ref, {}, never)
  await eventually('the address is still the pod it is in use by', async () => {
    return (await entryOf('10.11.0.2'))?.pod === next ? true : undefined
  })
  await cluster.deletePod(next)
  await del(next, 'net1')
  await eventually('the address is free', async () => {
    return (await entryOf('10.11.0.2')) === undefined ? true : undefined
  })
  // One that goes while nobody uses it is noticed by itself.
  await create()
  const third = await newPod('vm-3', annotations)
  const [kept = ''] = await leader.add(third, { ifName: 'net1' })
  await cluster.deletePod(third)
  await del(third, 'net1')
  assert.equal((await entryOf(kept))?.pod, '')
  await api.delete(resources.ipamClaim, ref, {}, never)
  await eventually('the address is free', async () =>
    (await entryOf(kept)) === undefined ? true : undefined,
  )
})
