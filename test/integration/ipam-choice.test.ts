// Acceptance scenarios of spec/ipam.md section 21, each by its id: from which pool a pod's address comes, and which it is.
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

const usedOut = /all IP addresses used out/

void test('A01 lowest free address', async () => {
  await rig.pool('a01', { subnet: '10.1.0.0/16', ips: ['10.1.168.151-10.1.168.153'], gateway: '10.1.0.1' })
  const pod = await rig.pod('a01-web-1', { ippool: { ipv4: ['a01'] } })
  const added = await rig.add(pod)
  assert.deepEqual(added.ips, ['10.1.168.151/16'], added.msg)
  assert.deepEqual(added.gateways, ['10.1.0.1'])
  assert.deepEqual(added.routes, ['0.0.0.0/0 10.1.0.1'])
  await rig.countIs('a01', 1)
  const { metadata, status } = await rig.endpointHolds('a01-web-1', () => true)
  assert.deepEqual(metadata.finalizers, ['spiderpool.spidernet.io'])
  const owners = metadata.ownerReferences?.map(({ kind, uid }) => `${kind} ${uid}`)
  assert.deepEqual(owners, [`Pod ${pod.metadata.uid}`])
  assert.equal(status.current.ips[0]?.ipv4, '10.1.168.151/16')
})

void test('A02 exhausted', async () => {
  await rig.pool('a02', { subnet: '10.2.0.0/16', ips: ['10.2.168.151-10.2.168.153'] })
  const ippool = { ipv4: ['a02'] }
  const pods = await Promise.all([1, 2, 3].map((n) => rig.pod(`a02-${n}`, { ippool })))
  for (const pod of pods) assert.equal((await rig.add(pod)).exitCode, 0)
  const fourth = await rig.pod('a02-4', { ippool })
  const refused = await rig.add(fourth)
  assert.equal(refused.code, 100)
  assert.match(refused.msg, usedOut)
  await rig.countIs('a02', 3)
  assert.equal(await rig.endpoint('a02-4'), undefined)
  const [, second] = pods
  assert.ok(second !== undefined)
  await rig.end(second)
  assert.deepEqual((await rig.add(fourth)).ips, ['10.2.168.152/16'])
})

void test('A03 fallback pool', async () => {
  for (const [name, last] of [
    ['a03-full', 1],
    ['a03-free', 2],
  ] as const)
    await rig.pool(name, { subnet: '10.3.0.0/16', ips: [`10.3.${last}.1`] })
  const ippool = { ipv4: ['a03-full', 'a03-free'] }
  const first = await rig.add(await rig.pod('a03-1', { ippool }))
  assert.deepEqual(first.ips, ['10.3.1.1/16'], 'both are free: the one that was named first')
  const second = await rig.add(await rig.pod('a03-2', { ippool }))
  assert.deepEqual(second.ips, ['10.3.2.1/16'])
})

void test('A04 all reserved', async () => {
  const reserved = { ips: ['10.4.168.131-10.4.168.132'] }
  await rig.create(resources.reservedIp, 'a04', { spec: reserved })
  await rig.pool('a04', { subnet: '10.4.0.0/16', ips: ['10.4.168.131-10.4.168.133'] })
  const ippool = { ipv4: ['a04'] }
  assert.deepEqual((await rig.add(await rig.pod('a04-1', { ippool }))).ips, ['10.4.168.133/16'])
  const second = await rig.pod('a04-2', { ippool })
  assert.match((await rig.add(second)).msg, usedOut)
  await rig.remove(resources.reservedIp, 'a04')
  const ips = await eventually('the retry succeeds', async () => {
    const { exitCode, ips } = await rig.add(second)
    return exitCode === 0 ? ips : undefined
  })
  assert.deepEqual(ips, ['10.4.168.131/16'])
})

void test('A05 excluded and reserved overlap', async () => {
  await rig.create(resources.reservedIp, 'a05', { spec: { ips: ['10.5.1.12-10.5.1.13'] } })
  const excluded = { excludeIPs: ['10.5.1.11-10.5.1.12'] }
  await rig.pool('a05', { subnet: '10.5.0.0/16', ips: ['10.5.1.10-10.5.1.14'], ...excluded })
  const answers: string[] = []
  for (const n of [1, 2, 3]) {
    const { ips, msg } = await rig.add(await rig.pod(`a05-${n}`, { ippool: { ipv4: ['a05'] } }))
    answers.push(ips[0] ?? msg)
  }
  assert.deepEqual(answers.slice(0, 2), ['10.5.1.10/16', '10.5.1.14/16'])
  assert.match(answers[2] ?? '', usedOut)
  await rig.poolHolds('a05', ({ status }) => status?.totalIPCount === 3)
})

void test('A06 two racers for the last address', async () => {
  await rig.pool('a06', { subnet: '10.6.0.0/16', ips: ['10.6.168.153'] })
  const ippool = { ipv4: ['a06'] }
  const pods = await Promise.all(['node1', 'node2'].map((node) => rig.pod(`a06-${node}`, { node, ippool })))
  const added = await Promise.all(pods.map((pod) => rig.add(pod)))
  assert.deepEqual(
    added.flatMap(({ ips }) => ips),
    ['10.6.168.153/16'],
  )
  assert.match(added.find(({ exitCode }) => exitCode !== 0)?.msg ?? '', usedOut)
  const winner = pods[added.findIndex(({ exitCode }) => exitCode === 0)]?.metadata.name
  assert.deepEqual([...(await rig.owners('a06'))], [['10.6.168.153', `default/${winner} eth0`]])
})

void test('A07 /127', async () => {
  await rig.pool('a07', { subnet: 'fd00:1::/127', ips: ['fd00:1::-fd00:1::1'] })
  const answers: string[] = []
  for (const n of [1, 2, 3]) {
    const { ips, msg } = await rig.add(await rig.pod(`a07-${n}`, { ippool: { ipv6: ['a07'] } }))
    answers.push(ips[0] ?? msg)
  }
  assert.deepEqual(answers.slice(0, 2), ['fd00:1::/127', 'fd00:1::1/127'])
  assert.match(answers[2] ?? '', usedOut)
  await rig.poolHolds('a07', ({ status }) => status?.totalIPCount === 2)
})

void test('A08 /64 whole range', { timeout: 10_000 }, async () => {
  const heapBefore = process.memoryUsage().heapUsed
  const ips = ['fd00:2::1-fd00:2::ffff:ffff:ffff:ffff']
  await rig.pool('a08', { subnet: 'fd00:2::/64', ips })
  await rig.poolHolds('a08', ({ status }) => String(status?.totalIPCount) === '9223372036854775807')
  assert.deepEqual((await rig.add(await rig.pod('a08-1', { ippool: { ipv6: ['a08'] } }))).ips, [
    'fd00:2::1/64',
  ])
  // ::ff is one of the range, so it is taken out first.
  const excludeIPs = ['fd00:2::ff']
  await rig.kit.change(resources.ipPool, 'a08', { spec: { excludeIPs, gateway: 'fd00:2::ff' } })
  await rig.kit.change(resources.ipPool, 'a08', { metadata: { labels: { tenant: 'blue' } } })
  assert.deepEqual((await rig.add(await rig.pod('a08-2', { ippool: { ipv6: ['a08'] } }))).ips, [
    'fd00:2::2/64',
  ])
  // API server client, controller and agents are all in this process: one byte an address would be 16 million terabytes.
  const grownBytes = process.memoryUsage().heapUsed - heapBefore
  assert.ok(grownBytes < 100e6, `the heap grew by ${grownBytes} bytes`)
})

void test('A09 dual stack, one family dry', async () => {
  await rig.pool('a09-4', { subnet: '10.9.0.0/16', ips: ['10.9.1.1-10.9.1.9'] })
  await rig.pool('a09-6', { subnet: 'fd00:9::/64', ips: ['fd00:9::1'] })
  const ippool = { ipv4: ['a09-4'], ipv6: ['a09-6'] }
  assert.deepEqual((await rig.add(await rig.pod('a09-1', { ippool }))).ips, ['10.9.1.1/16', 'fd00:9::1/64'])
  const dry = await rig.pod('a09-2', { ippool })
  for (let tries = 0; tries < 3; tries++) assert.match((await rig.add(dry)).msg, usedOut)
  assert.ok((await rig.owners('a09-4')).size <= 2)
  await rig.kit.change(resources.ipPool, 'a09-6', { spec: { ips: ['fd00:9::1-fd00:9::2'] } })
  const added = await eventually('the retry succeeds', async () => {
    const answer = await rig.add(dry)
    return answer.exitCode === 0 ? answer : undefined
  })
  assert.deepEqual(
    added.ips.map((ip) => ip.includes(':')),
    [false, true],
  )
  await rig.countIs('a09-4', 2)
  assert.equal((await rig.owners('a09-4')).size, 2)
})

void test('A10 single family in dual stack', async () => {
  await rig.pool('a10-4', { subnet: '10.10.0.0/16', ips: ['10.10.1.1'] })
  await rig.pool('a10-6', { subnet: 'fd00:10::/64', ips: ['fd00:10::1'], default: true })
  const { ips } = await rig.add(await rig.pod('a10', { ippool: { ipv4: ['a10-4'] } }))
  assert.deepEqual(ips, ['10.10.1.1/16'])
  assert.equal((await rig.owners('a10-6')).size, 0)
  await rig.remove(resources.ipPool, 'a10-6')
})

void test('A11 priority', async () => {
  const octets = { b4: 1, a4: 2, ns4: 3, cni4: 4, d4: 5 }
  for (const [name, octet] of Object.entries(octets)) {
    const more = name === 'd4' ? { default: true } : {}
    await rig.pool(`a11-${name}`, {
      subnet: '10.11.0.0/16',
      ips: [`10.11.${octet}.1-10.11.${octet}.99`],
      ...more,
    })
  }
  await rig.namespace('a11', { [annotationKeys.namespaceIpv4Pools]: '["a11-ns4"]' })
  const byNic = { [annotationKeys.ippools]: '[{"interface":"eth0","ipv4":["a11-b4"]}]' }
  const ippool = { ipv4: ['a11-a4'] }
  let count = 0
  const poolOf = async (more: object, ipam = {}): Promise<string> => {
    const pod = await rig.pod(`a11-${++count}`, { namespace: 'a11', ...more })
    const { ips, msg } = await rig.add(pod, { ipam })
    const octet = Number(/^10\.11\.(\d)\./.exec(ips[0] ?? '')?.[1])
    return Object.entries(octets).find(([, one]) => one === octet)?.[0] ?? msg
  }
  const ipam = { default_ipv4_ippool: ['a11-cni4'] }
  assert.equal(await poolOf({ ippool, annotations: byNic }, ipam), 'b4')
  assert.equal(await poolOf({ ippool }, ipam), 'a4')
  assert.equal(await poolOf({}, ipam), 'ns4')
  await rig.kit.change(resources.namespace, 'a11', {
    metadata: { annotations: { [annotationKeys.namespaceIpv4Pools]: null } },
  })
  await eventually('cni4', async () => ((await poolOf({}, ipam)) === 'cni4' ? true : undefined))
  assert.equal(await poolOf({}), 'd4')
  await rig.kit.change(resources.ipPool, 'a11-d4', { spec: { default: false } })
})

void test('A12 namespace default with wildcard', async () => {
  for (const [name, octet] of [
    ['team-a-1', 1],
    ['team-a-2', 2],
    ['team-b-1', 3],
  ] as const)
    await rig.pool(`a12-${name}`, { subnet: '10.12.0.0/16', ips: [`10.12.${octet}.10`] })
  await rig.namespace('a12', { [annotationKeys.namespaceIpv4Pools]: '["a12-team-a-*"]' })
  assert.deepEqual((await rig.add(await rig.pod('a12-1', { namespace: 'a12' }))).ips, ['10.12.1.10/16'])
  assert.deepEqual((await rig.add(await rig.pod('a12-2', { namespace: 'a12' }))).ips, ['10.12.2.10/16'])
  await rig.namespace('a12-none', { [annotationKeys.namespaceIpv4Pools]: '["a12-nomatch-*"]' })
  const refused = await rig.add(await rig.pod('a12-3', { namespace: 'a12-none' }))
  assert.equal(refused.code, 101)
  assert.match(refused.msg, /no IPPool available/)
  assert.equal(await rig.endpoint('a12-3', 'a12-none'), undefined)
})

void test('A23 affinity order', async () => {
  const spec = (octet: number) => ({ subnet: '10.23.0.0/16', ips: [`10.23.${octet}.1`] })
  const labels = { app: 'a23' }
  const nodeAffinity = { matchLabels: { 'kubernetes.io/hostname': 'node1' } }
  await rig.pool('a23-z', spec(3))
  await rig.pool('a23-y', { ...spec(2), nodeName: ['node1'], namespaceName: ['default'] })
  await rig.pool('a23-x', { ...spec(1), podAffinity: { matchLabels: labels } })
  await rig.pool('a23-other', { ...spec(4), nodeName: ['node2'], nodeAffinity, namespaceName: ['default'] })
  const ippool = { ipv4: ['a23-z', 'a23-y', 'a23-other', 'a23-x'] }
  const octets: (string | undefined)[] = []
  for (const n of [1, 2, 3, 4]) {
    const { ips, msg } = await rig.add(await rig.pod(`a23-${n}`, { ippool, labels }))
    octets.push(ips[0]?.split('.')[2] ?? msg)
  }
  assert.deepEqual(octets.slice(0, 3), ['1', '2', '3'], 'X, Y, Z')
  assert.match(octets[3] ?? '', usedOut, 'a name that is not of the node goes before an affinity that is')
  const alone = await rig.add(await rig.pod('a23-5', { ippool: { ipv4: ['a23-other'] }, labels }))
  assert.match(alone.msg, /a23-other: unmatched Node name/)
})
