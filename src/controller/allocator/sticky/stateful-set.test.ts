// StatefulSets (spec/ipam.md §11 and weaknesses 9, 10, 11 and 13 of §23), and what is not one.
import assert from 'node:assert/strict'
import test from 'node:test'
import { controlledBy, type PodMore, StickyKit } from '../../../../test/support/sticky-kit.ts'
import { annotationKeys } from '../../../api/index.ts'

const ofSet = (uid = 'S1', apiVersion = 'apps/v1') => controlledBy(apiVersion, 'StatefulSet', 'db', uid)
const set = (kit: StickyKit, spec: object = { replicas: 3 }, uid = 'S1') =>
  kit.put('StatefulSet', 'db', { uid, spec })

async function replicas(count: number, more: PodMore = {}): Promise<StickyKit> {
  const kit = await StickyKit.open()
  set(kit, { replicas: count })
  for (let at = 0; at < count; at++) {
    kit.pod(`db-${at}`, `U${at}`, { owner: ofSet(), ...more })
    assert.deepEqual(await kit.add(`db-${at}`), [`10.6.0.1${at}`])
  }
  return kit
}

async function end(kit: StickyKit, name: string): Promise<void> {
  kit.remove('Pod', name)
  await kit.del(name)
}

void test('A18 replicas that restart elsewhere have their addresses, which were never free meanwhile', async () => {
  const kit = await replicas(2)
  for (const at of [1, 0]) {
    await end(kit, `db-${at}`)
    assert.equal(kit.held.length, 2)
    kit.pod(`db-${at}`, `V${at}`, { owner: ofSet(), node: 'node2' })
    assert.deepEqual(await kit.add(`db-${at}`, { node: 'node2' }), [`10.6.0.1${at}`])
    const entry = kit.ledger.entry(`10.6.0.1${at}`)
    assert.deepEqual([entry?.podUid, entry?.node], [`V${at}`, 'node2'])
  }
})

void test('A19 scaled down, the addresses of what is gone are freed; scaled up, nothing is given twice', async () => {
  const kit = await replicas(3)
  set(kit, { replicas: 1 })
  await end(kit, 'db-2') // a DEL comes for one of them alone
  kit.remove('Pod', 'db-1')
  assert.deepEqual(kit.held, ['10.6.0.10', '10.6.0.11'])
  await kit.reclaim('c-db-0')
  assert.deepEqual(kit.held, ['10.6.0.10'])
  set(kit, { replicas: 3 })
  for (const at of [1, 2]) {
    kit.pod(`db-${at}`, `V${at}`, { owner: ofSet() })
    await kit.add(`db-${at}`)
  }
  assert.equal(kit.held.length, 3)
})

void test('scaled down and up before anybody looked, a replica has its address still', async () => {
  const kit = await replicas(3)
  set(kit, { replicas: 1 })
  set(kit, { replicas: 3 })
  await end(kit, 'db-2')
  kit.pod('db-2', 'V2', { owner: ofSet() })
  assert.deepEqual(await kit.add('db-2'), ['10.6.0.12'])
})

void test('ordinals begin where the set says', async () => {
  const kit = await StickyKit.open()
  set(kit, { replicas: 2, ordinals: { start: 5 } })
  for (const at of [5, 6]) {
    kit.pod(`db-${at}`, `U${at}`, { owner: ofSet() })
    await kit.add(`db-${at}`)
  }
  await end(kit, 'db-6')
  assert.equal(kit.held.length, 2, '6 is the last one')
  set(kit, { replicas: 2, ordinals: { start: 6 } })
  await end(kit, 'db-5')
  assert.deepEqual(kit.held, ['10.6.0.11'], '5 is below the first one')
  set(kit, { replicas: 2 })
  await kit.reclaim()
  assert.deepEqual(kit.held, [])
})

void test('the set is deleted: its addresses are freed with its pods, also when no DEL comes', async () => {
  const kit = await replicas(2)
  kit.remove('StatefulSet', 'db')
  await end(kit, 'db-0')
  assert.deepEqual(kit.held, ['10.6.0.11'], 'the other pod runs')
  await kit.reclaim('c-db-1')
  assert.deepEqual(kit.held, ['10.6.0.11'])
  kit.remove('Pod', 'db-1')
  await kit.reclaim()
  assert.deepEqual(kit.held, [])
})

void test('a set of the same name that was created anew is another owner, and the old addresses go', async () => {
  const kit = await replicas(1)
  kit.remove('Pod', 'db-0')
  set(kit, { replicas: 1 }, 'S2')
  kit.pod('db-0', 'V0', { owner: ofSet('S2') })
  assert.deepEqual(await kit.add('db-0', { containerId: 'c2' }), ['10.6.0.11'])
  await kit.del('db-0') // late, of the first one
  assert.deepEqual(kit.held, ['10.6.0.11'])
})

void test('a pod that was force-deleted: its successor has the address, the late DEL takes nothing', async () => {
  const kit = await replicas(1)
  kit.pod('db-0', 'V0', { owner: ofSet(), node: 'node2' })
  assert.deepEqual(await kit.add('db-0', { node: 'node2', containerId: 'c2' }), ['10.6.0.10'])
  await kit.del('db-0') // the first node comes back
  await kit.undo('db-0')
  assert.deepEqual(kit.usersOf('10.6.0.10'), ['c2:active'])
  await kit.reclaim('c2')
  assert.deepEqual(kit.held, ['10.6.0.10'])
})

void test('A21 weakness 9: an address that was given to another is never used; the replica gets another one', async () => {
  const kit = await replicas(1)
  await end(kit, 'db-0')
  // Nothing but the ledger tells whose it is: with its entry the replica loses it.
  const lost = [...kit.ledger.all()]
  assert.deepEqual(await kit.ledger.free(lost, AbortSignal.timeout(1_000)), ['10.6.0.10'])
  kit.pool('p4', { ips: ['10.6.0.10'], default: true })
  kit.pod('thief', 'T')
  assert.deepEqual(await kit.add('thief'), ['10.6.0.10'])
  kit.pod('db-0', 'V0', { owner: ofSet() })
  assert.equal((await kit.refused('db-0')).code, 100, 'not answered from anywhere else')
  kit.pool('p4', { ips: ['10.6.0.10-10.6.0.11'], default: true })
  assert.deepEqual(await kit.add('db-0'), ['10.6.0.11'])
  assert.equal(kit.ledger.entry('10.6.0.10')?.podUid, 'T')
})

const twoNics = (eth0: string, net1: string) => ({
  [annotationKeys.ippools]: JSON.stringify([
    { interface: 'eth0', ipv4: [eth0] },
    { interface: 'net1', ipv4: [net1] },
  ]),
})

for (const changed of ['eth0', 'net1'] as const) {
  void test(`A20 weakness 10: the pool of ${changed} is another one, the other NIC keeps its address`, async () => {
    const kit = await StickyKit.open()
    kit.cluster.nics = ['eth0', 'net1']
    kit.pool('a', { ips: ['10.6.1.1'] })
    kit.pool('b', { ips: ['10.6.2.2'] })
    kit.pool('c', { ips: ['10.6.3.3'] })
    set(kit)
    kit.pod('db-0', 'U0', { owner: ofSet(), annotations: twoNics('a', 'b') })
    await kit.add('db-0')
    await kit.add('db-0', { ifName: 'net1' })
    kit.remove('Pod', 'db-0')
    for (const nic of ['eth0', 'net1']) await kit.del('db-0', { nic })
    const annotations = changed === 'eth0' ? twoNics('c', 'b') : twoNics('a', 'c')
    kit.pod('db-0', 'V0', { owner: ofSet(), annotations })
    const expected = changed === 'eth0' ? ['10.6.3.3', '10.6.2.2'] : ['10.6.1.1', '10.6.3.3']
    for (let time = 0; time < 2; time++) {
      const eth0 = await kit.add('db-0', { containerId: 'c2' })
      const net1 = await kit.add('db-0', { containerId: 'c2', ifName: 'net1' })
      assert.deepEqual([...eth0, ...net1], expected)
    }
    assert.deepEqual(kit.held, [...expected].sort())
    assert.ok([...kit.ledger.all()].every(({ entry }) => entry.podUid === 'V0'))
  })
}

void test('weakness 11: an ADD of a replica reads its pod and its set once, and nothing else', async () => {
  const kit = await replicas(1)
  await end(kit, 'db-0')
  kit.pod('db-0', 'V0', { owner: ofSet() })
  kit.cluster.reads = []
  await kit.add('db-0')
  assert.deepEqual(kit.cluster.reads, ['Pod default/db-0', 'StatefulSet default/db'])
})

// Whose replica it seems to be, by its name; none of them keeps anything.
const strangers = [
  ['weakness 13: a "StatefulSet" of another group', ofSet('X1', 'apps.example.org/v1')],
  [
    'weakness 13: a "StatefulSet" of another group, with the uid of a native namesake',
    ofSet('S1', 'example.org/v1'),
  ],
  ['a third party', controlledBy('apps.kruise.io/v1alpha1', 'CloneSet', 'db', 'X1')],
  ['another kind of the core group', controlledBy('v1', 'ReplicationController', 'db', 'X1')],
  ['a ReplicaSet', controlledBy('apps/v1', 'ReplicaSet', 'db', 'X1')],
  ['a Job', controlledBy('batch/v1', 'Job', 'db', 'X1')],
  ['a DaemonSet', controlledBy('apps/v1', 'DaemonSet', 'db', 'X1')],
  ['nobody', undefined],
  ['an owner that does not control it', { ...ofSet(), controller: false }],
] as const

for (const [what, owner] of strangers) {
  void test(`the pod of ${what} is stateless: at ADD, DEL and for the reclaimer`, async () => {
    const kit = await StickyKit.open()
    set(kit) // the native namesake
    const more: PodMore = owner === undefined ? {} : { owner }
    kit.pod('db-0', 'U0', more)
    await kit.add('db-0')
    assert.deepEqual(kit.ownerOf('10.6.0.10'), { kind: 'pod', uid: 'U0' })
    kit.pod('db-0', 'V0', more)
    assert.deepEqual(
      await kit.add('db-0', { containerId: 'c2' }),
      ['10.6.0.11'],
      'another pod, another address',
    )
    await kit.del('db-0')
    assert.deepEqual(kit.held, ['10.6.0.11'])
    kit.remove('Pod', 'db-0')
    await kit.reclaim()
    assert.deepEqual(kit.held, [])
  })
}

// How each kind of owner meets calls that come late, twice or in the wrong order.
const kinds: readonly (readonly [string, boolean, (kit: StickyKit) => PodMore])[] = [
  ['a bare pod', false, () => ({})],
  ['a third party’s pod', false, () => ({ owner: ofSet('X1', 'example.org/v1') })],
  ['a Deployment’s pod', false, () => ({ owner: controlledBy('apps/v1', 'ReplicaSet', 'db', 'X1') })],
  [
    'a replica',
    true,
    (kit) => {
      set(kit)
      return { owner: ofSet() }
    },
  ],
  [
    'a machine',
    true,
    (kit) => {
      kit.put('VirtualMachineInstance', 'vm', { uid: 'I' })
      return { owner: controlledBy('kubevirt.io/v1', 'VirtualMachineInstance', 'vm', 'I') }
    },
  ],
]

for (const [what, isSticky, prepare] of kinds) {
  const open = async (): Promise<{ readonly kit: StickyKit; readonly more: PodMore }> => {
    const kit = await StickyKit.open()
    const more = prepare(kit)
    kit.pod('db-0', 'U0', more)
    return { kit, more }
  }

  void test(`${what}: a new sandbox has the same address, whether DEL or ADD comes first, or the DEL twice`, async () => {
    const { kit } = await open()
    const first = await kit.addFully('db-0', { containerId: 'c1' })
    await kit.del('db-0', { containerId: 'c1' })
    assert.deepEqual(kit.usersOf('10.6.0.10'), [])
    assert.deepEqual(await kit.addFully('db-0', { containerId: 'c2' }), first)
    assert.deepEqual(await kit.addFully('db-0', { containerId: 'c3' }), first)
    await kit.del('db-0', { containerId: 'c2' }) // late
    await kit.del('db-0', { containerId: 'c2' }) // and doubled
    await kit.del('db-0', { containerId: 'c1' })
    assert.deepEqual(kit.usersOf('10.6.0.10'), ['c3:active'])
    assert.deepEqual(await kit.addFully('db-0', { containerId: 'c3' }), first)
    assert.deepEqual(kit.held, ['10.6.0.10'])
  })

  void test(`${what}: the late DEL of an earlier pod takes nothing from its successor`, async () => {
    const { kit, more } = await open()
    await kit.add('db-0', { containerId: 'c1' })
    kit.pod('db-0', 'V0', more)
    const [ip = ''] = await kit.add('db-0', { containerId: 'c2' })
    assert.equal(ip === '10.6.0.10', isSticky)
    await kit.del('db-0', { containerId: 'c1' })
    await kit.del('db-0', { containerId: 'c1' })
    assert.deepEqual(kit.held, [ip])
    assert.deepEqual(kit.usersOf(ip), ['c2:active'])
  })

  void test(`${what}: a DEL that overtakes its ADD leaves nothing when the pod is gone`, async () => {
    const { kit } = await open()
    const adding = kit.add('db-0', { containerId: 'c1' })
    await kit.del('db-0', { containerId: 'c1' })
    await adding
    await kit.reclaim()
    assert.deepEqual(kit.held, ['10.6.0.10'], 'its pod lives')
    kit.remove('Pod', 'db-0')
    kit.remove('StatefulSet', 'db')
    kit.remove('VirtualMachineInstance', 'vm')
    await kit.reclaim()
    assert.deepEqual(kit.held, [])
  })

  void test(`${what}: a DEL without an ADD, and one from another node, change nothing`, async () => {
    const { kit } = await open()
    await kit.del('db-0', { containerId: 'never' })
    await kit.add('db-0', { containerId: 'c1' })
    await assert.rejects(kit.del('db-0', { containerId: 'c1', node: 'node2' }), { code: 'CALLER_REFUSED' })
    assert.deepEqual(kit.usersOf('10.6.0.10'), ['c1:active'])
  })
}
