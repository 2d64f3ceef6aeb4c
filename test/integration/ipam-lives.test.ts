// Acceptance scenarios of spec/ipam.md section 21, each by its id: what becomes of addresses when sandboxes, pods and workloads go
// and come again.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type AllocateResponse,
  annotationKeys,
  type KubeObject,
  type Pod,
  type Resource,
  resources,
  type SpiderIpBlock,
} from '../../src/api/index.ts'
import { silentLogger } from '../../src/base/index.ts'
import { ApiError, createCache } from '../../src/kube/index.ts'
import { readEntry } from '../../src/ledger/index.ts'
import { IpamRig } from '../support/ipam-rig.ts'
import { repeat } from '../support/leader-kit.ts'
import { eventually } from '../support/workload-kit.ts'

let rig: IpamRig
before(async () => {
  rig = await IpamRig.start()
})
after(() => rig?.[Symbol.asyncDispose]())

const never = new AbortController().signal
const twoNics = { [annotationKeys.multusNetworks]: 'kube-system/macvlan-vlan0-eth1' }

/** Runs `work`; none of the versions of the blocks meanwhile may lack one of the addresses. */
async function neverWithout(ips: readonly string[], work: () => Promise<void>): Promise<void> {
  const cache = createCache<SpiderIpBlock>(rig.api, resources.ipBlock, {}, silentLogger)
  const lacking: string[] = []
  try {
    await cache.synced(AbortSignal.timeout(10_000))
    const heldBy = (block: SpiderIpBlock | undefined) =>
      ips.filter((ip) => block?.spec.entries?.[ip] !== undefined)
    assert.deepEqual([...cache.values()].flatMap(heldBy).sort(), [...ips].sort())
    cache.onChange((old, now) => {
      const before = heldBy(old)
      lacking.push(...before.filter((ip) => !heldBy(now).includes(ip)))
    })
    await work()
    assert.deepEqual(lacking, [])
    assert.deepEqual([...cache.values()].flatMap(heldBy).sort(), [...ips].sort())
  } finally {
    await cache.close()
  }
}

/** A StatefulSet whose pods are all made at once, and only replaced when they are deleted. */
function statefulSet(name: string, replicas: number, annotations: object): Promise<unknown> {
  const labels = { app: name }
  const spec = {
    ...{ replicas, serviceName: name, podManagementPolicy: 'Parallel', updateStrategy: { type: 'OnDelete' } },
    selector: { matchLabels: labels },
    template: {
      metadata: { labels, annotations },
      spec: { nodeName: 'node1', containers: [{ name: 'c', image: 'pause' }] },
    },
  }
  return rig.create(resources.statefulSet, name, { spec })
}

/** Its pods, when there are so many and none of them is of `earlier`. */
function replicasOf(name: string, count: number, earlier: readonly Pod[] = []): Promise<readonly Pod[]> {
  const old = new Set(earlier.map(({ metadata }) => metadata.uid))
  return eventually(`${count} pods of ${name}`, async () => {
    const pods = (await rig.kit.pods(name)).filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    return pods.length === count && pods.every(({ metadata }) => !old.has(metadata.uid)) ? pods : undefined
  })
}

/** Addresses of all NICs of all pods, by ADD of each. */
async function addAll(pods: readonly Pod[], containers: string, nics = ['eth0']): Promise<readonly string[]> {
  const ips: string[] = []
  for (const pod of pods) {
    for (const nic of nics) {
      const added = await rig.add(pod, { nic, containerId: `${pod.metadata.name}-${containers}` })
      ips.push(added.ips[0]?.split('/')[0] ?? added.msg)
    }
  }
  return ips
}

/** The end of pods that their workload makes again. */
async function endAll(pods: readonly Pod[], containers: string, nics = ['eth0']): Promise<void> {
  for (const pod of pods) {
    await rig.removePod(pod)
    for (const nic of nics) await rig.del(pod, { nic, containerId: `${pod.metadata.name}-${containers}` })
  }
}

const choice = (pool: string) => ({ [annotationKeys.ippool]: JSON.stringify({ ipv4: [pool] }) })

void test('A16 sandbox re-creation', async () => {
  await rig.pool('a16', {
    subnet: '10.16.0.0/16',
    ips: ['10.16.168.151-10.16.168.153'],
    gateway: '10.16.0.1',
  })
  const pod = await rig.pod('a16', { annotations: choice('a16') })
  const before = await rig.add(pod, { containerId: 'a16-old' })
  assert.deepEqual(before.ips, ['10.16.168.151/16'], before.msg)
  await neverWithout(['10.16.168.151'], async () => {
    await rig.del(pod, { containerId: 'a16-old' })
    const again = await rig.add(pod, { containerId: 'a16-new' })
    assert.deepEqual([again.ips, again.routes], [before.ips, before.routes])
    await rig.del(pod, { containerId: 'a16-old' })
    assert.equal(await rig.check(pod, again, { containerId: 'a16-new' }), 0, 'a late DEL changes nothing')
  })
})

void test('A17 same name, new UID, stateless', async () => {
  // The second is on node1. Where the first was there too, the agent tells at once what became of it; another one in its time.
  const isGivenAfter = async (node: string, n: number) => {
    const [name, ip] = [`a17-job-${n}`, `10.17.168.${n}`]
    await rig.pool(name, { subnet: '10.17.0.0/16', ips: [ip] })
    const first = await rig.pod(name, { node, annotations: choice(name) })
    assert.equal((await rig.add(first, { containerId: `${name}-1` })).exitCode, 0)
    rig.loseSandbox(first, `${name}-1`)
    await rig.removePod(first)
    const second = await rig.pod(name, { annotations: choice(name) })
    const look = async () => {
      const answer = await rig.add(second, { containerId: `${name}-2` })
      return answer.exitCode === 0 ? answer.ips : undefined
    }
    assert.deepEqual(await eventually(`${name} after one on ${node} has the address`, look, 10_000), [
      `${ip}/16`,
    ])
    assert.deepEqual(await rig.uids(name), [second.metadata.uid])
  }
  await Promise.all([isGivenAfter('node1', 1), isGivenAfter('node2', 2)])
})

void test('A18 StatefulSet restart', async () => {
  await rig.pool('a18', { subnet: '10.18.0.0/16', ips: ['10.18.168.101-10.18.168.105'] })
  await statefulSet('a18-web', 2, choice('a18'))
  const before = await replicasOf('a18-web', 2)
  const ips = await addAll(before, '1')
  assert.deepEqual(ips, ['10.18.168.101', '10.18.168.102'])
  await rig.kit.change(resources.statefulSet, 'a18-web', {
    spec: { template: { spec: { nodeName: 'node2' } } },
  })
  await neverWithout(ips, async () => {
    await endAll(before, '1')
    const pods = await replicasOf('a18-web', 2, before)
    assert.deepEqual(new Set(pods.map(({ spec }) => spec?.nodeName)), new Set(['node2']))
    assert.deepEqual(await addAll(pods, '2'), ips)
    assert.deepEqual(
      await rig.uids('a18'),
      pods.map(({ metadata }) => metadata.uid),
    )
    for (const { metadata } of pods) {
      await rig.endpointHolds(metadata.name, ({ status: { current } }) => {
        return current.uid === metadata.uid && current.node === 'node2'
      })
    }
  })
  await rig.countIs('a18', 2)
})

void test('A19 StatefulSet scale', async () => {
  await rig.pool('a19', { subnet: '10.19.0.0/16', ips: ['10.19.168.101-10.19.168.110'] })
  await statefulSet('a19-web', 3, choice('a19'))
  const three = await replicasOf('a19-web', 3)
  assert.deepEqual(await addAll(three, '1'), ['10.19.168.101', '10.19.168.102', '10.19.168.103'])
  await rig.kit.change(resources.statefulSet, 'a19-web', { spec: { replicas: 1 } })
  const [zero] = await replicasOf('a19-web', 1)
  for (const pod of three.slice(1)) await rig.del(pod, { containerId: `${pod.metadata.name}-1` })
  await eventually('the others have nothing', async () =>
    (await rig.owners('a19')).size === 1 ? true : undefined,
  )
  for (const { metadata } of three.slice(1)) {
    await eventually('no endpoint', async () =>
      (await rig.endpoint(metadata.name)) === undefined ? true : undefined,
    )
  }
  assert.deepEqual([...(await rig.owners('a19'))], [['10.19.168.101', `default/${zero?.metadata.name} eth0`]])
  await rig.kit.change(resources.statefulSet, 'a19-web', { spec: { replicas: 3 } })
  const again = await addAll(await replicasOf('a19-web', 3), '1')
  assert.equal(again[0], '10.19.168.101')
  assert.equal(new Set(again).size, 3)
  assert.ok(
    again.every((ip) => ip.startsWith('10.19.168.1')),
    again.join(),
  )
})

for (const changed of ['eth0', 'net1']) {
  void test(`A20 StatefulSet pool switch: ${changed} changes`, async () => {
    const n = changed === 'eth0' ? 20 : 120
    const pool = (name: string, octet: number) =>
      rig.pool(`a${n}-${name}`, { subnet: `10.${n}.0.0/16`, ips: [`10.${n}.${octet}.1-10.${n}.${octet}.9`] })
    await Promise.all([pool('a', 1), pool('b', 2), pool('c', 3)])
    const kept = changed === 'eth0' ? 'net1' : 'eth0'
    const annotations = (name: string) => {
      const items = [
        { interface: changed, ipv4: [`a${n}-${name}`] },
        { interface: kept, ipv4: [`a${n}-c`] },
      ]
      return { ...twoNics, [annotationKeys.ippools]: JSON.stringify(items) }
    }
    const nics = [changed, kept]
    const set = `a${n}-web`
    await statefulSet(set, 1, annotations('a'))
    const before = await replicasOf(set, 1)
    assert.deepEqual(
      await addAll(before, '1', ['eth0', 'net1'].sort()),
      changed === 'eth0' ? [`10.${n}.1.1`, `10.${n}.3.1`] : [`10.${n}.3.1`, `10.${n}.1.1`],
    )
    const template = { metadata: { annotations: annotations('b') } }
    await rig.kit.change(resources.statefulSet, set, { spec: { template } })
    await endAll(before, '1', nics)
    const pods = await replicasOf(set, 1, before)
    assert.deepEqual((await addAll(pods, '2', ['eth0', 'net1'])).toSorted(), [`10.${n}.2.1`, `10.${n}.3.1`])
    assert.equal((await rig.owners(`a${n}-a`)).size, 0)
    assert.deepEqual([...(await rig.owners(`a${n}-b`)).values()], [`default/${set}-0 ${changed}`])
    assert.deepEqual([...(await rig.owners(`a${n}-c`)).values()], [`default/${set}-0 ${kept}`])
  })
}

void test('A21 sticky record lost', async () => {
  await rig.pool('a21', { subnet: '10.21.0.0/16', ips: ['10.21.168.105-10.21.168.107'] })
  await statefulSet('a21-web', 1, choice('a21'))
  const before = await replicasOf('a21-web', 1)
  assert.deepEqual(await addAll(before, '1'), ['10.21.168.105'])
  await endAll(before, '1')
  const thief = await rig.pod('a21-thief', { annotations: choice('a21') })
  // Somebody edits the ledger by hand: the record goes, and the address is another pod's.
  const { items } = await rig.api.listAll<SpiderIpBlock>(resources.ipBlock, {}, never)
  const block = items.find(({ spec }) => spec.entries?.['10.21.168.105'] !== undefined)
  const entry = block?.spec.entries?.['10.21.168.105']
  assert.ok(block !== undefined && entry !== undefined)
  const uid = thief.metadata.uid ?? ''
  const theirs = { ...readEntry(entry), pod: 'default/a21-thief', podUid: uid, owner: { kind: 'pod', uid } }
  const body = [{ op: 'replace', path: '/spec/entries/10.21.168.105', value: JSON.stringify(theirs) }]
  await rig.api.patch(resources.ipBlock, { name: block.metadata.name }, { type: 'json', body }, never)
  const pods = await replicasOf('a21-web', 1, before)
  assert.deepEqual(await addAll(pods, '2'), ['10.21.168.106'])
  assert.deepEqual((await rig.add(thief)).ips, ['10.21.168.105/16'])
  assert.deepEqual(
    [...(await rig.owners('a21')).values()],
    ['default/a21-thief eth0', 'default/a21-web-0 eth0'],
  )
})

void test('W20 an endpoint of another that stands in the way fails no ADD, and is made right afterwards', async () => {
  await rig.pool('w20', { subnet: '10.220.0.0/16', ips: ['10.220.1.1'] })
  const foreign = { uid: 'nobody', node: 'node9', ips: [] }
  const status = { current: foreign, ownerControllerType: 'Pod', ownerControllerName: 'w20' }
  await rig.create(resources.endpoint, 'w20', { status })
  const pod = await rig.pod('w20', { annotations: choice('w20') })
  assert.deepEqual((await rig.add(pod)).ips, ['10.220.1.1/16'])
  const { status: now } = await rig.endpointHolds(
    'w20',
    ({ status: { current } }) => current.node === 'node1',
  )
  assert.equal(now.current.uid, pod.metadata.uid)
})

void test('A25 conflict', async () => {
  await rig.pool('a25', { subnet: '10.25.0.0/16', ips: ['10.25.168.151-10.25.168.152'] })
  const pod = await rig.pod('a25', { annotations: choice('a25') })
  const firsts = (answer: AllocateResponse) => answer.ips.map(({ address }) => address)
  assert.deepEqual(firsts(await rig.allocate(pod)), ['10.25.168.151/16'])
  const conflicts = [{ ip: '10.25.168.151', mac: '02:00:00:00:00:25' }]
  assert.deepEqual(firsts(await rig.allocate(pod, { conflicts })), ['10.25.168.152/16'], 'in the same call')
  assert.deepEqual([...(await rig.owners('a25')).keys()], ['10.25.168.152'])
  const { items } = await rig.api.listAll<SpiderIpBlock>(resources.ipBlock, {}, never)
  const record = items.map(({ spec }) => spec.quarantine?.['10.25.168.151']).find((one) => one !== undefined)
  assert.deepEqual(
    [record?.mac, record?.pod, record?.nic, record?.node],
    ['02:00:00:00:00:25', 'default/a25', 'eth0', 'node1'],
  )
  assert.match(await rig.eventOf('a25', /AddressConflict/), /10\.25\.168\.151.*02:00:00:00:00:25/)
  assert.deepEqual((await rig.add(pod)).ips, ['10.25.168.152/16'], 'a retry gets what that call was answered')
  const other = await rig.pod('a25-other', { annotations: choice('a25') })
  assert.match((await rig.add(other)).msg, /all IP addresses used out.*1 quarantined/)
  // Nobody but the sandbox that has an address can have it quarantined.
  const lie = rig.allocate(other, { conflicts: [{ ip: '10.25.168.152' }] })
  await assert.rejects(lie, /all IP addresses used out/)
  assert.deepEqual([...(await rig.owners('a25'))], [['10.25.168.152', 'default/a25 eth0']])
})

const ownerOf = ({ apiVersion = '', kind = '', metadata: { name, uid = '' } }: KubeObject) => {
  return { apiVersion, kind, name, uid, controller: true }
}

/** A kind of KubeVirt, as far as an API server needs to know it. */
async function defineMachineKind({ group, version, plural, kind }: Resource): Promise<void> {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  const versions = [{ name: version, served: true, storage: true, schema }]
  const names = { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` }
  const spec = { group, scope: 'Namespaced', names, versions }
  await rig.create(resources.customResourceDefinition, `${plural}.${group}`, { spec })
}

void test('A26 KubeVirt migration', async () => {
  const { virtualMachine, virtualMachineInstance, virtualMachineInstanceMigration } = resources
  for (const kind of [virtualMachine, virtualMachineInstance, virtualMachineInstanceMigration]) {
    await defineMachineKind(kind)
    await repeat(() => rig.api.list(kind, { namespace: 'default' }, never))
  }
  await rig.pool('a26', { subnet: '10.26.0.0/16', ips: ['10.26.168.110-10.26.168.115'] })
  const machine = await rig.create(virtualMachine, 'vm1', {})
  const instance = await rig.create(virtualMachineInstance, 'vm1', {
    metadata: { ownerReferences: [ownerOf(machine)] },
  })
  const launcher = (name: string, node: string, more: Readonly<Record<string, string>> = {}) =>
    rig.pod(name, { node, annotations: { ...choice('a26'), ...more }, owner: ownerOf(instance) })
  const source = await launcher('virt-launcher-vm1-source', 'node1')
  const [first] = (await rig.allocate(source)).ips
  assert.deepEqual([first?.address, first?.isProbeOff ?? false], ['10.26.168.110/16', false])
  assert.deepEqual((await rig.add(source)).ips, ['10.26.168.110/16'])
  const stranger = await launcher('virt-launcher-vm1-stranger', 'node2')
  // The agent asks again for as long as the call has time: the source may be about to end.
  await assert.rejects(
    rig.allocate(stranger, { budgetMs: 500 }),
    /source uses them, and the pod has no annotation/,
  )
  await rig.create(virtualMachineInstanceMigration, 'vm1-moves', { spec: { vmiName: 'vm1' } })
  const target = await launcher('virt-launcher-vm1-target', 'node2', {
    'kubevirt.io/migrationJobName': 'vm1-moves',
  })
  await neverWithout(['10.26.168.110'], async () => {
    const [moved] = (await rig.allocate(target)).ips
    assert.deepEqual([moved?.address, moved?.isProbeOff], ['10.26.168.110/16', true])
    assert.deepEqual((await rig.add(target)).ips, ['10.26.168.110/16'])
    await rig.end(source)
    const again = await rig.add(target)
    assert.equal(await rig.check(target, again), 0)
  })
  for (const kind of [virtualMachine, virtualMachineInstance])
    await rig.remove(kind, 'vm1').catch((error: unknown) => {
      // Its collector may have been there before.
      if (!(error instanceof ApiError) || error.status !== 404) throw error
    })
  await rig.end(target)
  await eventually('the machine has nothing', async () =>
    (await rig.owners('a26')).size === 0 ? true : undefined,
  )
})
