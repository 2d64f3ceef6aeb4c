import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocatorKit, failureOf, never, requestOf } from './testing/allocator-kit.ts'

const mac = '02:AA:00:00:00:09'

async function kitOf(ips = '10.6.168.151-10.6.168.155') {
  const kit = await allocatorKit()
  kit.world.addPool('p4', { subnet: '10.6.0.0/16', ips: [ips], gateway: '10.6.0.1', default: true })
  kit.world.addPod('web', 'u1')
  const add = (more: Parameters<typeof requestOf>[1] = {}, pod = 'web') =>
    kit.allocator.allocate('node1', requestOf(pod, more), never)
  return { ...kit, add }
}
const addressesOf = ({ ips }: { ips: readonly { address: string }[] }) =>
  ips.map(({ address }) => address.split('/')[0] ?? '')

void test('a reported address is quarantined, and the same call answers with another one', async () => {
  const { world, ledger, add } = await kitOf()
  assert.deepEqual(addressesOf(await add()), ['10.6.168.151'])
  const second = await add({ conflicts: [{ ip: '10.6.168.151', mac }] })
  assert.deepEqual(addressesOf(second), ['10.6.168.152'])
  assert.equal(ledger.entry('10.6.168.151'), undefined)
  assert.equal(ledger.quarantineOf('10.6.168.151')?.mac, '02:aa:00:00:00:09')
  const words =
    /AddressConflict address 10\.6\.168\.151, given to NIC eth0 of pod default\/web, is in use by MAC 02:aa:00:00:00:09 since \d{4}-/
  assert.deepEqual(
    world.events.map((event) => [event.split(' ')[0], words.test(event)]),
    [
      ['web', true],
      ['pool/p4', true],
    ],
  )
  // The answer was lost, and the agent asks again.
  assert.deepEqual(await add({ conflicts: [{ ip: '10.6.168.151', mac }] }), second)
  assert.deepEqual(await add(), second)
  assert.deepEqual(world.conflicts, ['quarantined', 'repeated'])
  assert.equal(world.events.length, 2)
  assert.equal(ledger.poolUsage('p4'), 1)
})

void test('with 3 squatters in a pool of 5 the pod ends on a free address', async () => {
  const { add } = await kitOf()
  const squatters = new Set(['10.6.168.151', '10.6.168.152', '10.6.168.154'])
  const conflicts: { ip: string; mac: string }[] = []
  let answer = addressesOf(await add())
  for (let tries = 0; answer.some((ip) => squatters.has(ip)); tries++) {
    assert(tries < 5)
    conflicts.push(...answer.filter((ip) => squatters.has(ip)).map((ip) => ({ ip, mac })))
    answer = addressesOf(await add({ conflicts }))
  }
  assert.deepEqual(answer, ['10.6.168.153'])
  assert.equal(conflicts.length, 2)
})

void test('when all are in use elsewhere the pool is full, and says that they are quarantined', async () => {
  const { add, ledger } = await kitOf('10.6.168.151')
  await add()
  const { code, msg } = await failureOf(add({ conflicts: [{ ip: '10.6.168.151' }] }))
  assert.equal(code, 100)
  assert.match(msg, /0 allocated, 1 quarantined, of 1 that it offers none is free/)
  assert.equal(ledger.stats().entries, 0)
})

void test('both families of the NIC stay, and the one that is not in conflict is kept', async () => {
  const { world, add, ledger } = await kitOf()
  world.addPool('p6', { subnet: 'fd00:6::/64', ips: ['fd00:6::1-fd00:6::9'], default: true })
  assert.deepEqual(addressesOf(await add()), ['10.6.168.151', 'fd00:6::1'])
  const conflicts = [{ ip: 'FD00:6:0::1', mac }]
  assert.deepEqual(addressesOf(await add({ conflicts })), ['10.6.168.151', 'fd00:6::2'])
  // A call that ended between the quarantine and the new address: the next one completes it, with or without the report.
  const [held] = ledger.ofContainer('c-web', 'eth0')
  assert(held !== undefined)
  const sandbox = { containerId: 'c-web', ifName: 'eth0', node: 'node1' }
  await ledger.quarantine(held, { sandbox, pod: 'default/web' }, never)
  assert.deepEqual(addressesOf(await add()), ['10.6.168.152', 'fd00:6::2'])
})

void test('a sticky owner gets another address, and keeps that one', async () => {
  const { world, add, ledger } = await kitOf()
  const owned = {
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 's', controller: true }],
  }
  world.workloads.set('default/db', { metadata: { name: 'db', uid: 's' }, spec: { replicas: 1 } })
  world.addPod('db-0', 'u2', owned)
  assert.deepEqual(addressesOf(await add({}, 'db-0')), ['10.6.168.151'])
  const conflicts = [{ ip: '10.6.168.151', mac }]
  assert.deepEqual(addressesOf(await add({ conflicts }, 'db-0')), ['10.6.168.152'])
  world.addPod('db-0', 'u3', owned)
  assert.deepEqual(addressesOf(await add({ containerId: 'c2' }, 'db-0')), ['10.6.168.152'])
  assert.equal(ledger.poolUsage('p4'), 1)
})

void test('an agent can report only what that sandbox of that pod holds on its own node', async () => {
  const { world, add, ledger, allocator } = await kitOf()
  world.addPod('victim', 'u2')
  world.addPod('away', 'u3', {}, 'node2')
  const victim = addressesOf(await add({}, 'victim'))
  const away = addressesOf(
    await allocator.allocate('node2', requestOf('away', { containerId: 'c-web' }), never),
  )
  const mine = addressesOf(await add())
  const conflicts = [...victim, ...away, '10.6.168.155', '10.9.9.9'].map((ip) => ({ ip, mac }))
  assert.deepEqual(addressesOf(await add({ conflicts })), mine)
  // The id of the victim's container, in the name of a pod of the same node.
  await add({ containerId: 'c-victim', conflicts })
  for (const ip of [...victim, ...away]) {
    assert(ledger.entry(ip) !== undefined)
    assert.equal(ledger.quarantineOf(ip), undefined)
  }
  assert(world.conflicts.every((outcome) => outcome === 'ignored'))
  assert(world.conflicts.length >= 4)
})

void test('an address that the pod asked for fails the call with code 102, and says who answers for it', async () => {
  const { world, add } = await kitOf()
  const annotations = { 'ipam.spidernet.io/ips': '["10.6.168.153"]' }
  world.addPod('asks', 'u5', { annotations })
  assert.deepEqual(addressesOf(await add({}, 'asks')), ['10.6.168.153'])
  const conflicts = [{ ip: '10.6.168.153', mac }]
  const { code, msg, details } = await failureOf(add({ conflicts }, 'asks'))
  assert.equal(code, 102)
  assert.match(details, /^address-refused: /)
  assert.match(msg, /10\.6\.168\.153 is quarantined until .*: MAC 02:aa:00:00:00:09 answered for it/)
})

void test('a node that reports more than can be true is refused, and its pod keeps its address', async () => {
  const { world, ledger, add } = await kitOf('10.6.168.1-10.6.168.200')
  for (let i = 0; i < 65; i++) {
    world.addPod(`p${i}`, `v${i}`)
    const [ip = ''] = addressesOf(await add({}, `p${i}`))
    if (i < 64) await add({ conflicts: [{ ip, mac }] }, `p${i}`)
    else {
      const { code, details } = await failureOf(add({ conflicts: [{ ip, mac }] }, `p${i}`))
      assert.equal(code, 11)
      assert.match(details, /^quarantine-full: /)
      assert(ledger.entry(ip) !== undefined)
    }
  }
  assert.equal(ledger.quarantinedBy('node1').length, 64)
})
