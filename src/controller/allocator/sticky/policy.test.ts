import assert from 'node:assert/strict'
import test from 'node:test'
import { controlledBy, type PodMore, StickyKit } from '../../../../test/support/sticky-kit.ts'
import { annotationKeys, type StickyPolicy } from '../../../api/index.ts'

const owner = controlledBy('apps/v1', 'StatefulSet', 'db', 'S1')
const inRack = (rack: string) => ({ nodeAffinity: { matchLabels: { rack } } })
const named = { [annotationKeys.ippool]: '{"ipv4":["rack1","rack2"]}' }

/** Replica db-0 runs in rack 1 with the address of its pool, and its pod moves to rack 2. */
async function movedReplica(stickyPolicy?: StickyPolicy, more: PodMore = {}): Promise<StickyKit> {
  const kit = await StickyKit.open()
  kit.cluster.nodeLabels.set('node1', { rack: '1' })
  kit.cluster.nodeLabels.set('node2', { rack: '2' })
  const policy = stickyPolicy === undefined ? {} : { stickyPolicy }
  kit.pool('rack1', { ips: ['10.6.1.1'], ...inRack('1'), ...policy })
  kit.pool('rack2', { ips: ['10.6.2.2'], ...inRack('2') })
  kit.put('StatefulSet', 'db', { uid: 'S1', spec: { replicas: 1 } })
  kit.pod('db-0', 'U1', { owner, annotations: named })
  assert.deepEqual(await kit.add('db-0', { containerId: 'c1' }), ['10.6.1.1'])
  kit.remove('Pod', 'db-0')
  await kit.del('db-0', { containerId: 'c1' })
  kit.pod('db-0', 'U2', { owner, annotations: named, node: 'node2', ...more })
  return kit
}
const second = { node: 'node2', containerId: 'c2' }

for (const policy of [undefined, 'replace'] as const) {
  void test(`policy ${policy ?? 'absent'}: a replica in another rack gets an address of that one, the old one is freed`, async () => {
    const kit = await movedReplica(policy)
    assert.deepEqual(await kit.add('db-0', second), ['10.6.2.2'])
    assert.deepEqual(kit.held, ['10.6.2.2'])
    const [event = ''] = kit.events
    assert.match(event, /^db-0 Warning StickyAddressReplaced address 10\.6\.1\.1 of eth0 is freed/)
    assert.match(event, /rack1: unmatched Node affinity: spec\.nodeAffinity wants \{rack=1\}/)
  })
}

for (const [policy, code, prefix] of [
  ['wait', 11, /^sticky-address: /],
  ['fail', 101, /^sticky-address: /],
] as const) {
  void test(`policy ${policy}: a replica in another rack is refused with code ${code}, and nothing changes`, async () => {
    const kit = await movedReplica(policy)
    const before = kit.ledger.entry('10.6.1.1')
    for (let time = 0; time < 3; time++) {
      const found = await kit.refused('db-0', second)
      assert.equal(found.code, code)
      assert.match(found.details, prefix)
      assert.match(
        found.msg,
        /address 10\.6\.1\.1 of eth0: it is not legal here: rack1: unmatched Node affinity/,
      )
    }
    assert.deepEqual(kit.ledger.entry('10.6.1.1'), before)
    assert.deepEqual(kit.held, ['10.6.1.1'])
    assert.match(kit.events[0] ?? '', /^db-0 Warning FailedAllocateIP .*not legal here/)
    // Back in its rack it has its address.
    kit.pod('db-0', 'U3', { owner, annotations: named })
    assert.deepEqual(await kit.add('db-0', { containerId: 'c3' }), ['10.6.1.1'])
  })

  void test(`policy ${policy}: a pool that is not named any more is left all the same`, async () => {
    const only = { [annotationKeys.ippool]: '{"ipv4":["rack2"]}' }
    const kit = await movedReplica(policy, { annotations: only })
    assert.deepEqual(await kit.add('db-0', second), ['10.6.2.2'])
    assert.deepEqual(kit.held, ['10.6.2.2'])
    assert.match(kit.events[0] ?? '', /StickyAddressReplaced .*"rack1" is not named for it any more/)
  })
}

void test('policy replace: with no other pool the replica is refused, and keeps its address', async () => {
  const kit = await movedReplica('replace')
  kit.pool('rack2', { ips: ['10.6.2.2'], ...inRack('3') })
  assert.equal((await kit.refused('db-0', second)).code, 101)
  assert.deepEqual(kit.held, ['10.6.1.1'])
})

void test('a repeated ADD of one sandbox is answered alike, whatever became of the pool meanwhile', async () => {
  const kit = await movedReplica('replace')
  assert.deepEqual(await kit.add('db-0', second), ['10.6.2.2'])
  kit.pool('rack2', { ips: ['10.6.2.2'], ...inRack('3'), stickyPolicy: 'fail' })
  assert.deepEqual(await kit.add('db-0', second), ['10.6.2.2'])
})

void test('a machine that starts in another rack gets another address, one that migrates there is refused', async () => {
  const kit = await StickyKit.open()
  kit.cluster.nodeLabels.set('node1', { rack: '1' })
  kit.cluster.nodeLabels.set('node2', { rack: '2' })
  kit.pool('rack1', { ips: ['10.6.1.1'], ...inRack('1') })
  kit.pool('rack2', { ips: ['10.6.2.2'], ...inRack('2') })
  kit.put('VirtualMachineInstance', 'vm1', { uid: 'I1' })
  const launcher = controlledBy('kubevirt.io/v1', 'VirtualMachineInstance', 'vm1', 'I1')
  kit.pod('a', 'A', { owner: launcher, annotations: named })
  await kit.add('a')
  kit.put('VirtualMachineInstanceMigration', 'move', { uid: 'M', spec: { vmiName: 'vm1' } })
  const annotations = { ...named, [annotationKeys.kubevirtMigration]: 'move' }
  kit.pod('b', 'B', { owner: launcher, annotations, node: 'node2' })
  const { code, msg, details } = await kit.refused('b', { node: 'node2' })
  assert.equal(code, 11)
  assert.match(msg, /10\.6\.1\.1 of eth0: it is not legal here/)
  assert.match(details, /its address cannot change while it runs/)
  assert.deepEqual(kit.usersOf('10.6.1.1'), ['c-a:active'])
  kit.remove('Pod', 'a')
  assert.deepEqual(await kit.add('b', { node: 'node2' }), ['10.6.2.2'])
  assert.deepEqual(kit.held, ['10.6.2.2'])
})
