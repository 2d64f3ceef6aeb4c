import assert from 'node:assert/strict'
import test from 'node:test'
import { controlledBy, StickyKit } from '../../../../test/support/sticky-kit.ts'
import { annotationKeys, labelKeys } from '../../../api/index.ts'

const v1 = 'kubevirt.io/v1'
const machineReference = (uid = 'VM1') => controlledBy(v1, 'VirtualMachine', 'vm1', uid)
const ofInstance = (uid = 'I1', name = 'vm1') => controlledBy(v1, 'VirtualMachineInstance', name, uid)

/** VirtualMachine vm1 runs as instance I1 in pod `launch-a`. */
async function runningMachine(): Promise<StickyKit> {
  const kit = await StickyKit.open()
  kit.put('VirtualMachine', 'vm1', { uid: 'VM1' })
  kit.put('VirtualMachineInstance', 'vm1', { uid: 'I1', metadata: { ownerReferences: [machineReference()] } })
  launcher(kit, 'a')
  assert.deepEqual(await kit.add('launch-a'), ['10.6.0.10'])
  return kit
}

function launcher(kit: StickyKit, name: string, more: Parameters<StickyKit['pod']>[2] = {}): void {
  kit.pod(`launch-${name}`, `P-${name}`, { owner: ofInstance(), restartPolicy: 'Never', ...more })
}

function migration(
  kit: StickyKit,
  name: string,
  more: { vmiName?: string; phase?: string; uid?: string } = {},
) {
  const { vmiName = 'vm1', phase = 'Scheduling', uid = `M-${name}` } = more
  kit.put('VirtualMachineInstanceMigration', name, { uid, spec: { vmiName }, status: { phase } })
}
const targetOf = (name: string) => ({
  annotations: { [annotationKeys.kubevirtMigration]: name },
  labels: { [labelKeys.kubevirtMigrationUid]: `M-${name}` },
  node: 'node2',
})

/** The target of migration `move` has begun. */
async function migrating(): Promise<StickyKit> {
  const kit = await runningMachine()
  migration(kit, 'move')
  launcher(kit, 'b', targetOf('move'))
  const { ips } = await kit.addFully('launch-b', { node: 'node2' })
  assert.deepEqual([ips[0]?.address, ips[0]?.isProbeOff], ['10.6.0.10/16', true])
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-a:active', 'c-launch-b:idle'])
  return kit
}

void test('the entry bears the machine’s name, its owner is the VirtualMachine, and the pod is in the attachment', async () => {
  const kit = await runningMachine()
  const entry = kit.ledger.entry('10.6.0.10')
  assert.equal(entry?.pod, 'default/vm1')
  assert.deepEqual([entry.podUid, entry.node], ['P-a', 'node1'])
  assert.deepEqual(entry.attachments, [
    { containerId: 'c-launch-a', node: 'node1', active: true, podName: 'launch-a', podUid: 'P-a' },
  ])
  assert.deepEqual(entry.owner, {
    kind: 'sticky',
    group: 'kubevirt.io',
    ownerKind: 'VirtualMachine',
    name: 'vm1',
    uid: 'VM1',
    replica: 'vm1',
  })
})

void test('a machine that is stopped keeps its address, and has it when it starts again elsewhere', async () => {
  const kit = await runningMachine()
  kit.remove('VirtualMachineInstance', 'vm1')
  kit.pod('launch-a', 'P-a', { owner: ofInstance(), isEnding: true })
  await kit.del('launch-a')
  kit.remove('Pod', 'launch-a')
  await kit.reclaim()
  assert.deepEqual(kit.held, ['10.6.0.10'])
  kit.pod('other', 'O')
  assert.deepEqual(await kit.add('other'), ['10.6.0.11'])
  kit.put('VirtualMachineInstance', 'vm1', { uid: 'I2', metadata: { ownerReferences: [machineReference()] } })
  kit.pod('launch-z', 'P-z', { owner: ofInstance('I2'), node: 'node2' })
  const { ips } = await kit.addFully('launch-z', { node: 'node2' })
  assert.deepEqual([ips[0]?.address, ips[0]?.isProbeOff], ['10.6.0.10/16', undefined])
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-z:active'])
})

void test('the late undo of an earlier sandbox leaves a stopped machine its address', async () => {
  const kit = await runningMachine()
  // The answer of the first sandbox was lost; its agent undoes it when the network is back.
  await kit.addFully('launch-a', { containerId: 's2' })
  kit.remove('VirtualMachineInstance', 'vm1')
  await kit.del('launch-a', { containerId: 's2' })
  assert.deepEqual(kit.held, ['10.6.0.10'])
  await kit.undo('launch-a')
  assert.deepEqual(kit.held, ['10.6.0.10'])
})

void test('a machine that is deleted while stopped is freed by the reclaimer', async () => {
  const kit = await runningMachine()
  kit.remove('VirtualMachineInstance', 'vm1')
  kit.remove('Pod', 'launch-a')
  await kit.del('launch-a')
  await kit.reclaim()
  assert.deepEqual(kit.held, ['10.6.0.10'])
  kit.remove('VirtualMachine', 'vm1')
  await kit.reclaim()
  assert.deepEqual(kit.held, [])
})

void test('a machine that is deleted while it runs is freed by the DEL of its pod, no earlier', async () => {
  const kit = await runningMachine()
  const gone = { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }
  kit.put('VirtualMachine', 'vm1', { uid: 'VM1', ...gone })
  kit.put('VirtualMachineInstance', 'vm1', { uid: 'I1', ...gone })
  await kit.reclaim('c-launch-a')
  assert.deepEqual(kit.held, ['10.6.0.10'], 'the pod still runs')
  kit.pod('launch-a', 'P-a', { owner: ofInstance(), isEnding: true })
  await kit.reclaim('c-launch-a')
  assert.deepEqual(kit.held, ['10.6.0.10'], 'its sandbox is there')
  await kit.del('launch-a')
  assert.deepEqual(kit.held, [])
})

void test('an instance without a machine owns its address by its uid, and loses it with its pod', async () => {
  const kit = await StickyKit.open()
  kit.put('VirtualMachineInstance', 'vm1', { uid: 'I1' })
  launcher(kit, 'a')
  await kit.add('launch-a')
  const owner = kit.ownerOf('10.6.0.10')
  assert.deepEqual(owner?.kind === 'sticky' && [owner.ownerKind, owner.uid], ['VirtualMachineInstance', 'I1'])
  kit.remove('VirtualMachineInstance', 'vm1')
  kit.remove('Pod', 'launch-a')
  await kit.reclaim()
  assert.deepEqual(kit.held, [])
})

void test('a machine of the same name that was created anew is another owner', async () => {
  const kit = await runningMachine()
  kit.remove('Pod', 'launch-a')
  kit.put('VirtualMachine', 'vm1', { uid: 'VM2' })
  kit.put('VirtualMachineInstance', 'vm1', {
    uid: 'I2',
    metadata: { ownerReferences: [machineReference('VM2')] },
  })
  kit.pod('launch-z', 'P-z', { owner: ofInstance('I2') })
  assert.deepEqual(await kit.add('launch-z'), ['10.6.0.11'])
  await kit.reclaim('c-launch-z')
  assert.deepEqual(kit.held, ['10.6.0.11'])
})

void test('with the switch off a launcher pod is as any other pod', async () => {
  const kit = await StickyKit.open()
  kit.cluster.isMachineSticky = false
  kit.put('VirtualMachineInstance', 'vm1', { uid: 'I1' })
  launcher(kit, 'a')
  await kit.add('launch-a')
  assert.deepEqual(kit.ownerOf('10.6.0.10'), { kind: 'pod', uid: 'P-a' })
  kit.remove('Pod', 'launch-a')
  await kit.del('launch-a')
  assert.deepEqual(kit.held, [])
})

for (const [what, owner, prepare] of [
  ['a uid that is not the instance’s', ofInstance('wrong'), undefined],
  ['an instance that does not exist', ofInstance('I1', 'vm9'), undefined],
  [
    'an instance of another group',
    controlledBy('example.org/v1', 'VirtualMachineInstance', 'vm1', 'I1'),
    undefined,
  ],
  [
    'an instance that claims the machine of another name',
    ofInstance('I9', 'vm9'),
    (kit: StickyKit) =>
      kit.put('VirtualMachineInstance', 'vm9', {
        uid: 'I9',
        metadata: { ownerReferences: [machineReference()] },
      }),
  ],
] as const) {
  void test(`a forged launcher pod gets no address of the machine: ${what}`, async () => {
    const kit = await runningMachine()
    kit.remove('Pod', 'launch-a')
    await kit.del('launch-a')
    prepare?.(kit)
    kit.pod('forged', 'F', { owner })
    assert.deepEqual(await kit.add('forged'), ['10.6.0.11'])
    assert.equal(kit.ledger.entry('10.6.0.10')?.pod, 'default/vm1')
  })
}

void test('A26 the target of a migration has the same address, not to be probed; the DEL of the source leaves it', async () => {
  const kit = await migrating()
  kit.pod('launch-a', 'P-a', { owner: ofInstance(), phase: 'Succeeded', restartPolicy: 'Never' })
  await kit.del('launch-a')
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-b:active'])
  const entry = kit.ledger.entry('10.6.0.10')
  assert.deepEqual([entry?.podUid, entry?.node], ['P-b', 'node2'])
  await kit.del('launch-a') // doubled
  kit.remove('VirtualMachineInstance', 'vm1')
  kit.remove('VirtualMachine', 'vm1')
  kit.remove('Pod', 'launch-b')
  await kit.del('launch-b', { node: 'node2' })
  assert.deepEqual(kit.held, [])
})

void test('a migration that is aborted leaves the source as it was', async () => {
  const kit = await migrating()
  kit.pod('launch-b', 'P-b', { owner: ofInstance(), phase: 'Failed', restartPolicy: 'Never', node: 'node2' })
  await kit.del('launch-b', { node: 'node2' })
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-a:active'])
  assert.deepEqual(
    [kit.ledger.entry('10.6.0.10')?.podUid, kit.ledger.entry('10.6.0.10')?.node],
    ['P-a', 'node1'],
  )
})

void test('an ADD of the target that failed is undone, and takes nothing from the source', async () => {
  const kit = await migrating()
  await kit.undo('launch-b', 'node2')
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-a:active'])
  await kit.undo('launch-b', 'node2')
  const { ips } = await kit.addFully('launch-b', { node: 'node2' })
  assert.equal(ips[0]?.isProbeOff, true)
})

void test('both sides may repeat their ADD, and the target has a new sandbox', async () => {
  const kit = await migrating()
  migration(kit, 'move', { phase: 'Succeeded' })
  assert.equal((await kit.addFully('launch-a')).ips[0]?.isProbeOff, true)
  assert.equal((await kit.addFully('launch-b', { node: 'node2' })).ips[0]?.isProbeOff, true)
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-a:active', 'c-launch-b:idle'])
  await kit.add('launch-b', { node: 'node2', containerId: 'c2' })
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-a:active', 'c2:idle'])
  await kit.del('launch-b', { node: 'node2' }) // late
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-a:active', 'c2:idle'])
})

for (const [what, more, prepare, why] of [
  ['without a migration', {}, undefined, /has no annotation kubevirt.io\/migrationJobName/],
  ['whose migration does not exist', targetOf('none'), undefined, /"none" does not exist/],
  [
    'whose migration is of another machine',
    targetOf('move'),
    (kit: StickyKit) => migration(kit, 'move', { vmiName: 'vm2' }),
    /migration "move" is of "vm2"/,
  ],
  [
    'whose migration is over',
    targetOf('move'),
    (kit: StickyKit) => migration(kit, 'move', { phase: 'Failed' }),
    /migration "move" is over/,
  ],
  [
    'of an earlier migration of that name',
    targetOf('move'),
    (kit: StickyKit) => migration(kit, 'move', { uid: 'later' }),
    /of an earlier migration "move"/,
  ],
] as const) {
  void test(`a second pod ${what} is refused as long as the first one runs`, async () => {
    const kit = await runningMachine()
    prepare?.(kit)
    launcher(kit, 'b', more)
    const { node = 'node1' } = { ...more }
    const { code, msg, details } = await kit.refused('launch-b', { node })
    assert.equal(code, 11)
    assert.match(msg, why)
    assert.match(msg, /pod launch-a uses them/)
    assert.match(details, /^in-use: /)
    assert.ok(kit.events.some((event) => event.startsWith('launch-b Warning FailedAllocateIP')))
    assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-a:active'])
    // The first one ends: while it does it may still run the machine.
    launcher(kit, 'a', { isEnding: true })
    assert.equal((await kit.refused('launch-b', { node })).code, 11)
    kit.remove('Pod', 'launch-a')
    assert.deepEqual(await kit.add('launch-b', { node }), ['10.6.0.10'])
    assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-b:active'])
  })
}

void test('a third pod is refused while two run, whatever migration it names', async () => {
  const kit = await migrating()
  migration(kit, 'again')
  launcher(kit, 'c', targetOf('again'))
  const { code, msg } = await kit.refused('launch-c', { node: 'node2' })
  assert.equal(code, 11)
  assert.match(msg, /pod launch-a and pod launch-b use them, and a machine migrates between two pods only/)
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-a:active', 'c-launch-b:idle'])
})

void test('two pods that come at once for a new machine do not share', async () => {
  const kit = await StickyKit.open()
  kit.put('VirtualMachineInstance', 'vm1', { uid: 'I1' })
  launcher(kit, 'a')
  launcher(kit, 'b')
  const answers = await Promise.allSettled([kit.add('launch-a'), kit.add('launch-b')])
  assert.deepEqual(answers.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  assert.equal(kit.usersOf('10.6.0.10').length, 1)
})

void test('a source that went without a DEL is taken off, so that the target is active', async () => {
  const kit = await migrating()
  kit.remove('Pod', 'launch-a')
  await kit.reclaim('c-launch-b')
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-b:active'])
  assert.equal(kit.ledger.entry('10.6.0.10')?.node, 'node2')
})

void test('a machine that is deleted in a migration is freed when both its pods are gone', async () => {
  const kit = await migrating()
  kit.remove('VirtualMachineInstance', 'vm1')
  kit.remove('VirtualMachine', 'vm1')
  kit.remove('Pod', 'launch-a')
  await kit.reclaim('c-launch-b')
  assert.deepEqual(kit.held, ['10.6.0.10'])
  kit.remove('Pod', 'launch-b')
  await kit.reclaim()
  assert.deepEqual(kit.held, [])
})

void test('the next leader goes on where the last one stopped, in the middle of a migration', async () => {
  const before = await migrating()
  const kit = await before.next(2)
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-a:active', 'c-launch-b:idle'])
  kit.pod('launch-a', 'P-a', { owner: ofInstance(), phase: 'Succeeded', restartPolicy: 'Never' })
  await kit.del('launch-a')
  const after = await kit.next(3)
  assert.deepEqual(after.usersOf('10.6.0.10'), ['c-launch-b:active'])
  launcher(after, 'c')
  assert.equal((await after.refused('launch-c')).code, 11)
  after.remove('VirtualMachineInstance', 'vm1')
  after.remove('VirtualMachine', 'vm1')
  after.remove('Pod', 'launch-a')
  after.remove('Pod', 'launch-b')
  await after.reclaim()
  assert.deepEqual(after.held, [])
})

void test('a machine keeps its address though the pool is not named any more, also without any pool', async () => {
  const kit = await runningMachine()
  kit.remove('Pod', 'launch-a')
  kit.pool('q4', { ips: ['10.6.1.1'], default: true })
  kit.pool('p4', { ips: ['10.6.0.10-10.6.0.19'] })
  launcher(kit, 'b')
  assert.deepEqual(await kit.add('launch-b'), ['10.6.0.10'])
  kit.remove('Pod', 'launch-b')
  kit.pool('q4', { ips: ['10.6.1.1'] })
  launcher(kit, 'c')
  assert.deepEqual(await kit.add('launch-c'), ['10.6.0.10'])
})

void test('each NIC of a machine moves by itself', async () => {
  const kit = await StickyKit.open()
  kit.cluster.nics = ['eth0', 'net1']
  kit.put('VirtualMachineInstance', 'vm1', { uid: 'I1' })
  launcher(kit, 'a')
  await kit.add('launch-a')
  await kit.add('launch-a', { ifName: 'net1' })
  migration(kit, 'move')
  launcher(kit, 'b', targetOf('move'))
  assert.deepEqual(await kit.add('launch-b', { node: 'node2' }), ['10.6.0.10'])
  assert.deepEqual(kit.usersOf('10.6.0.11'), ['c-launch-a:active'], 'not touched yet')
  assert.deepEqual(await kit.add('launch-b', { node: 'node2', ifName: 'net1' }), ['10.6.0.11'])
  assert.deepEqual(kit.usersOf('10.6.0.11'), ['c-launch-a:active', 'c-launch-b:idle'])
  await kit.del('launch-a', { nic: 'net1' })
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c-launch-a:active', 'c-launch-b:idle'])
  assert.deepEqual(kit.usersOf('10.6.0.11'), ['c-launch-b:active'])
})

void test('a target that asks for another address than the machine has is refused, and the source keeps its own', async () => {
  const kit = await runningMachine()
  migration(kit, 'move')
  const { annotations, ...rest } = targetOf('move')
  launcher(kit, 'b', { ...rest, annotations: { ...annotations, [annotationKeys.ips]: '["10.6.0.15"]' } })
  const { code, msg } = await kit.refused('launch-b', { node: 'node2' })
  assert.equal(code, 11)
  assert.match(msg, /another address than 10.6.0.10/)
  assert.deepEqual(kit.held, ['10.6.0.10'])
})

/** As another allocator recorded the machine: by its name, with the uid of its pod, and no container. */
async function adoptedMachine(): Promise<StickyKit> {
  const kit = await StickyKit.open()
  const owner = {
    kind: 'sticky',
    group: 'kubevirt.io',
    ownerKind: 'VirtualMachineInstance',
    name: 'vm1',
    uid: '',
    replica: 'default/vm1',
  } as const
  const grant = { prefixBits: 16 }
  const of = { pool: 'p4', nic: 'eth0', pod: 'default/vm1', podUid: 'P-a', node: 'node1', since: 1, grant }
  await kit.takeIn({ ip: '10.6.0.19', holders: [{ ...of, owner, adopted: 'record' }] })
  kit.put('VirtualMachine', 'vm1', { uid: 'VM1' })
  kit.put('VirtualMachineInstance', 'vm1', { uid: 'I1', metadata: { ownerReferences: [machineReference()] } })
  launcher(kit, 'a')
  return kit
}

void test('the first ADD of a machine takes over what was adopted for it by name', async () => {
  const kit = await adoptedMachine()
  await kit.reclaim()
  assert.deepEqual(await kit.add('launch-a'), ['10.6.0.19'])
  const owner = kit.ownerOf('10.6.0.19')
  assert.equal(owner?.uid, 'VM1')
  assert.deepEqual([kit.held, kit.ledger.entry('10.6.0.19')?.adopted], [['10.6.0.19'], undefined])
})

void test('a machine that was adopted migrates: nobody knows the source’s sandbox, its pod says that it runs', async () => {
  const kit = await adoptedMachine()
  launcher(kit, 'b', { node: 'node2' })
  assert.equal((await kit.refused('launch-b', { node: 'node2' })).code, 11)
  migration(kit, 'move')
  launcher(kit, 'b', targetOf('move'))
  const { ips } = await kit.addFully('launch-b', { node: 'node2' })
  assert.deepEqual([ips[0]?.address, ips[0]?.isProbeOff], ['10.6.0.19/16', true])
  assert.deepEqual(kit.usersOf('10.6.0.19'), ['c-launch-b:idle'])
  kit.remove('VirtualMachineInstance', 'vm1')
  kit.remove('VirtualMachine', 'vm1')
  kit.remove('Pod', 'launch-b')
  await kit.del('launch-b', { node: 'node2' })
  await kit.reclaim()
  assert.deepEqual(kit.held, ['10.6.0.19'], 'the source still runs')
  kit.remove('Pod', 'launch-a')
  await kit.reclaim()
  assert.deepEqual(kit.held, [])
})
