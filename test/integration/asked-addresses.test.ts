// Pods that ask for addresses, a MAC address and attributes (docs/addresses.md): through the real plugin executable, agents of
// two nodes, the controller and an API server.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { annotationKeys, resources } from '../../src/api/index.ts'
import { IpamRig } from '../support/ipam-rig.ts'
import { eventually } from '../support/workload-kit.ts'

let rig: IpamRig
before(async () => {
  rig = await IpamRig.start()
})
after(() => rig?.[Symbol.asyncDispose]())

const ips = (value: unknown) => ({ [annotationKeys.ips]: JSON.stringify(value) })
const mac = '02:00:0a:06:00:14'

void test('of two pods on two nodes that ask for one address at once exactly one runs, and the other is told who holds it', async () => {
  await rig.pool('same', { subnet: '10.31.0.0/16', ips: ['10.31.1.1-10.31.1.9'], gateway: '10.31.0.1' })
  const more = { ippool: { ipv4: ['same'] }, annotations: ips(['10.31.1.5/16']) }
  const pods = [await rig.pod('same-1', more), await rig.pod('same-2', { ...more, node: 'node2' })]
  const added = await Promise.all(pods.map((pod) => rig.add(pod)))
  assert.deepEqual(added.map(({ code }) => code).sort(), [0, 102])
  const [winner, loser] = added[0]?.exitCode === 0 ? pods : pods.toReversed()
  assert.ok(winner !== undefined && loser !== undefined)
  assert.deepEqual(added.find(({ exitCode }) => exitCode === 0)?.ips, ['10.31.1.5/16'])
  const again = await rig.add(loser)
  assert.match(again.msg, new RegExp(`10\\.31\\.1\\.5 is held by pod default/${winner.metadata.name} `))
  assert.match(again.details, /^address-refused: /)
  await rig.eventOf(loser.metadata.name, /FailedAllocateIP: .*10\.31\.1\.5 is held by pod default\/same-/)
  assert.equal((await rig.owners('same')).size, 1)
  await rig.end(winner)
  assert.deepEqual((await rig.add(loser)).ips, ['10.31.1.5/16'])
})

void test('what may not be given is refused by its reason, in the answer and in an Event, and nothing is taken', async () => {
  const range = ['10.32.0.1', '10.32.1.1-10.32.1.9']
  const spec = {
    subnet: '10.32.0.0/16',
    ips: range,
    excludeIPs: ['10.32.0.1', '10.32.1.9'],
    gateway: '10.32.0.1',
  }
  await rig.pool('refuse', spec)
  await rig.pool('elsewhere', { subnet: '10.132.0.0/16', ips: ['10.132.1.1'] })
  await rig.create(resources.reservedIp, 'refuse', { spec: { ips: ['10.32.1.8'] } })
  const selected = {
    [annotationKeys.multusNetworks]:
      '[{"name":"macvlan-vlan0-eth1","namespace":"kube-system","ips":["10.32.1.2","10.32.1.3"]}]',
  }
  const cases = [
    ['excluded', ips(['10.32.1.9']), {}, 102, /10\.32\.1\.9 is excluded by IPPool refuse/],
    ['reserved', ips(['10.32.1.8']), {}, 102, /10\.32\.1\.8 is reserved by a SpiderReservedIP/],
    ['outside', ips(['10.132.1.1']), {}, 102, /10\.132\.1\.1 is in none of the eligible IPPools \[refuse\]/],
    ['family', ips(['fd00::1']), {}, 101, /fd00::1 is asked for, and no IPv6 IPPool is selected for eth0/],
    ['prefix', ips(['10.32.1.2/24']), {}, 7, /another prefix length than the subnet of its IPPool, 16/],
    [
      'json',
      { [annotationKeys.ips]: '10.32.1.2' },
      {},
      7,
      /invalid format of Pod annotation 'ipam\.spidernet\.io\/ips'/,
    ],
    ['nic', ips({ net7: ['10.32.1.2'] }), {}, 7, /"net7".*no interface of the pod/],
    ['runtime', ips(['10.32.1.2']), { args: 'IP=10.32.1.3' }, 7, /IP of CNI_ARGS, beside annotation/],
    ['selection', selected, { nic: 'net1' }, 7, /several IPv4 addresses for one NIC/],
    ['group', { [annotationKeys.mac]: '"01:00:5e:00:00:01"' }, {}, 7, /no unicast MAC address/],
    [
      'dns',
      { [annotationKeys.dns]: '{"nameservers":["ns"]}' },
      {},
      7,
      /nameserver 'ns' is not an IP address/,
    ],
  ] as const
  for (const [name, annotations, call, code, words] of cases) {
    const pod = await rig.pod(`refuse-${name}`, { ippool: { ipv4: ['refuse'] }, annotations })
    // The leader may hear of the reservation a moment later than its author.
    const added = await eventually(name, async () => {
      const found = await rig.add(pod, call)
      return found.exitCode === 0 ? rig.del(pod, call).then(() => undefined) : found
    })
    assert.equal(added.code, code, `${name}: ${added.msg}`)
    assert.match(added.msg, words)
    await rig.eventOf(pod.metadata.name, words)
  }
  await rig.countIs('refuse', 0)
})

void test('a MAC address and attributes are in the result and in the endpoint, a repeat gives the same, and no other gets that MAC', async () => {
  await rig.pool('facts', {
    ...{ subnet: '10.33.0.0/16', ips: ['10.33.1.1-10.33.1.9'], gateway: '10.33.0.1', vlanID: 33 },
    dns: { nameservers: ['10.33.0.53'], search: ['pool.example'] },
    metadata: { rack: 'r7', room: 'b' },
  })
  const ippool = { ipv4: ['facts'] }
  const annotations = {
    [annotationKeys.mac]: JSON.stringify({ eth0: mac.toUpperCase() }),
    [annotationKeys.dns]: '{"search":["pod.example"]}',
    [annotationKeys.metadata]: '{"rack":"r9"}',
  }
  const pod = await rig.pod('facts-1', { ippool, annotations })
  const added = await rig.add(pod)
  const dns = { nameservers: ['10.33.0.53'], search: ['pod.example'] }
  assert.deepEqual(added.json['dns'], dns, added.msg)
  const { status } = await rig.endpointHolds('facts-1', (one) => one.status.current.ips.length === 1)
  const [nic] = status.current.ips
  assert.deepEqual([nic?.mac, nic?.vlan, nic?.dns, nic?.metadata], [mac, 33, dns, { rack: 'r9', room: 'b' }])
  await rig.kit.change(resources.ipPool, 'facts', {
    spec: { vlanID: 34, dns: null, metadata: { rack: 'r1' } },
  })
  await rig.del(pod)
  assert.deepEqual((await rig.add(pod, { containerId: 'facts-again' })).json, added.json)
  const [ip] = (await rig.allocate(pod, { containerId: 'facts-again' })).ips
  assert.deepEqual([ip?.mac, ip?.vlan, ip?.metadata], [mac, 33, { rack: 'r9', room: 'b' }])
  const other = await rig.pod('facts-2', { ippool, annotations, node: 'node2' })
  const refused = await rig.add(other)
  assert.equal(refused.code, 102)
  assert.match(refused.msg, new RegExp(`${mac} to NIC eth0: it is held by NIC eth0 of pod default/facts-1`))
  await rig.eventOf('facts-2', /held by NIC eth0 of pod default\/facts-1/)
})

void test('a network selection and a runtime are heard, and the first NIC is told from the others', async () => {
  await rig.pool('heard', { subnet: '10.34.0.0/16', ips: ['10.34.1.1-10.34.1.9'] })
  const network = {
    name: 'macvlan-vlan0-eth1',
    namespace: 'kube-system',
    ips: ['10.34.1.7'],
    mac: '02:00:0a:06:00:17',
  }
  const annotations = { ...ips(['10.34.1.6']), [annotationKeys.multusNetworks]: JSON.stringify([network]) }
  const pod = await rig.pod('heard-1', { ippool: { ipv4: ['heard'] }, annotations })
  assert.deepEqual((await rig.add(pod)).ips, ['10.34.1.6/16'])
  assert.deepEqual((await rig.add(pod, { nic: 'net1', args: 'IP=10.34.1.7' })).ips, ['10.34.1.7/16'])
  const plain = await rig.pod('heard-2', { ippool: { ipv4: ['heard'] } })
  assert.deepEqual((await rig.add(plain, { args: 'IP=10.34.1.8/16' })).ips, ['10.34.1.8/16'])
})

void test('replicas of a Deployment take the free ones of their list, those of a StatefulSet the one at their ordinal', async () => {
  await rig.pool('list', { subnet: '10.35.0.0/16', ips: ['10.35.1.1-10.35.1.9'] })
  const kinds = [
    ['list-web', resources.deployment, ['10.35.1.8', '10.35.1.3'], {}],
    [
      'list-db',
      resources.statefulSet,
      ['10.35.1.6-10.35.1.7'],
      { serviceName: 'list-db', ordinals: { start: 3 } },
    ],
  ] as const
  for (const [name, resource, list, more] of kinds) {
    const labels = { app: name }
    const annotations = { ...ips(list), [annotationKeys.ippool]: '{"ipv4":["list"]}' }
    const podSpec = { nodeName: 'node1', containers: [{ name: 'c', image: 'pause' }] }
    const template = { metadata: { labels, annotations }, spec: podSpec }
    const policy = resource === resources.statefulSet ? { podManagementPolicy: 'Parallel' } : {}
    await rig.create(resource, name, {
      spec: { replicas: 2, selector: { matchLabels: labels }, template, ...policy, ...more },
    })
    const pods = await eventually(`the pods of ${name} are there`, async () => {
      const found = await rig.kit.pods(name)
      return found.length === 2 ? found : undefined
    })
    // In the opposite order of the ordinals: what comes first decides nothing for a StatefulSet.
    const byName = pods.toSorted((a, b) => (a.metadata.name < b.metadata.name ? 1 : -1))
    const got: string[] = []
    for (const pod of byName) got.push(...(await rig.add(pod)).ips)
    const wanted =
      resource === resources.statefulSet ? ['10.35.1.7/16', '10.35.1.6/16'] : ['10.35.1.8/16', '10.35.1.3/16']
    assert.deepEqual(got, wanted)
  }
})
