import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownerOfClaim, type SpiderIpClaim, type SpiderIpPool } from '../../api/index.ts'
import { reservedOf } from '../../ledger/index.ts'
import {
  type AllocatorKit,
  allocatorKit,
  failureOf,
  never,
  requestOf,
} from '../allocator/testing/allocator-kit.ts'

const key = 'ipam.spidernet.io/ip-claim'
const pool: SpiderIpPool['spec'] = { subnet: '10.6.0.0/16', ips: ['10.6.0.1-10.6.0.9'], default: true }

async function kit(spec: Partial<SpiderIpPool['spec']> = {}): Promise<AllocatorKit> {
  const made = await allocatorKit()
  made.world.addPool('p4', { ...pool, ...spec })
  return made
}

/** A claim with an address, as its reconciler leaves it. */
async function addClaim(
  { world, ledger }: AllocatorKit,
  name: string,
  spec: SpiderIpClaim['spec'] = {},
): Promise<string> {
  const metadata = { name, namespace: 'default', uid: `uid-${name}` }
  world.ipClaims.set(`default/${name}`, { metadata, spec })
  const found = world.poolMap.get('p4') ?? assert.fail()
  const { created } = await ledger.add(
    {
      owner: ownerOfClaim({ kind: 'SpiderIPClaim', ...metadata }),
      ...{ pod: '', podUid: '', node: '', containerId: '', nic: '' },
      reserved: reservedOf([]),
      isReservation: true,
      plan: () => ({ drop: [], wants: [{ nic: '', version: 4, pools: [found] }] }),
      grant: () => ({ prefixBits: 16 }),
    },
    never,
  )
  return created[0]?.ip ?? ''
}
async function ipsOf({ allocator }: AllocatorKit, pod: string, more = {}): Promise<readonly string[]> {
  const { ips } = await allocator.allocate('node1', requestOf(pod, more), never)
  return ips.map(({ address }) => address.split('/')[0] ?? '')
}
const failOf = (made: AllocatorKit, pod: string, more = {}) =>
  failureOf(made.allocator.allocate('node1', requestOf(pod, more), never))

void test('a pool that a claim may not use for this pod refuses it, by the words of the rule', async () => {
  const made = await kit({ nodeName: ['node2'] })
  await addClaim(made, 'db')
  made.world.addPod('a', 'u1', { annotations: { [key]: 'db' } })
  const { code, msg } = await failOf(made, 'a')
  assert.equal(code, 102)
  assert.match(msg, /its address 10\.6\.0\.1 is of IPPool p4: unmatched Node name/)
  assert.match(made.world.events.at(-1) ?? '', /FailedAllocateIP.*SpiderIPClaim "default\/db"/)
})

void test('a pod that terminates keeps a claim as long as its sandbox is there', async () => {
  const made = await kit()
  const ip = await addClaim(made, 'db')
  made.world.addPod('a', 'u1', { annotations: { [key]: 'db' } })
  assert.deepEqual(await ipsOf(made, 'a'), [ip])
  made.world.addPod('a', 'u1', { annotations: { [key]: 'db' }, deletionTimestamp: 'now' })
  made.world.addPod('b', 'u2', { annotations: { [key]: 'db' } })
  assert.match((await failOf(made, 'b')).msg, /pod default\/a \(uid u1, NIC eth0\) uses it/)
  await made.ledger.detach({ containerId: 'c-a', ifName: 'eth0', node: 'node1' }, never)
  assert.deepEqual(await ipsOf(made, 'b'), [ip])
})

void test('one NIC of a pod at a time, and only the one that the claim is for', async () => {
  const made = await kit()
  made.world.nics = ['eth0', 'net1']
  await addClaim(made, 'db', { interface: 'net1' })
  made.world.addPod('a', 'u1', { annotations: { [key]: 'db' } })
  assert.match((await failOf(made, 'a')).msg, /it is for NIC net1/)
  made.world.addPod('a', 'u1', { annotations: { [key]: '{"net1":"db"}' } })
  assert.deepEqual(await ipsOf(made, 'a', { ifName: 'net1' }), ['10.6.0.1'])
  assert.deepEqual(await ipsOf(made, 'a'), ['10.6.0.2'])
})

void test('a claim for a NIC that the pod does not have is refused, and no other address is given; a pod that has its own keeps it', async () => {
  const made = await kit()
  await addClaim(made, 'db')
  made.world.addPod('a', 'u1', { annotations: { [key]: '{"eth1":"db"}' } })
  const { code, msg } = await failOf(made, 'a')
  assert.equal(code, 7)
  assert.match(
    msg,
    /Pod annotation 'ipam\.spidernet\.io\/ip-claim' "eth1": it is no interface of the pod that gets/,
  )
  assert.match(made.world.events.at(-1) ?? '', /Write one of eth0/)
  assert.equal(made.ledger.ofPod('default/a').length, 0)
  made.world.addPod('a', 'u1')
  const before = await ipsOf(made, 'a')
  made.world.addPod('a', 'u1', { annotations: { [key]: '{"eth1":"db"}' } })
  assert.deepEqual(await ipsOf(made, 'a', { containerId: 'c2' }), before)
})

void test('what a pod has it keeps: a claim by annotation or workload comes too late for it', async () => {
  const made = await kit()
  made.world.addPod('a', 'u1')
  const before = await ipsOf(made, 'a')
  await addClaim(made, 'mine', { workload: { apiVersion: 'v1', kind: 'Pod', name: 'a' } })
  assert.deepEqual(await ipsOf(made, 'a', { containerId: 'c2' }), before)
  // And the other way round: a pod without the annotation that it was started with.
  const ip = await addClaim(made, 'db')
  made.world.addPod('b', 'u2', { annotations: { [key]: 'db' } })
  assert.deepEqual(await ipsOf(made, 'b'), [ip])
  made.world.addPod('b', 'u2')
  assert.deepEqual(await ipsOf(made, 'b', { containerId: 'c3' }), [ip])
})

void test('several claims of one workload serve its pods one by one', async () => {
  const made = await kit()
  const workload = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web' }
  const first = await addClaim(made, 'w1', { workload })
  const second = await addClaim(made, 'w2', { workload })
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'r1', controller: true }
  made.world.workloads.set('default/web', {
    metadata: { name: 'web', uid: 'r1' },
    spec: { selector: { matchLabels: { app: 'web' } } },
  })
  const more = { ownerReferences: [owner], labels: { app: 'web' } }
  for (const n of [1, 2, 3]) made.world.addPod(`web-${n}`, `u${n}`, more)
  assert.deepEqual(await ipsOf(made, 'web-1'), [first])
  assert.deepEqual(await ipsOf(made, 'web-2'), [second])
  const { code, msg } = await failOf(made, 'web-3')
  assert.deepEqual([code, /"default\/w1": pod default\/web-1/.test(msg)], [102, true])
  // Deleted by force: nobody knows yet that its sandbox has ended.
  made.world.remove('web-1')
  assert.match((await failOf(made, 'web-3')).msg, /"default\/w1": pod default\/web-1/)
  await made.ledger.detach({ containerId: 'c-web-1', ifName: 'eth0', node: 'node1' }, never)
  assert.deepEqual(await ipsOf(made, 'web-3'), [first])
})

void test('a pod that is created again under its name takes its claim over at once, and one that finished leaves it', async () => {
  const made = await kit()
  const ip = await addClaim(made, 'db')
  const more = { annotations: { [key]: 'db' } }
  made.world.addPod('a', 'u1', more)
  assert.deepEqual(await ipsOf(made, 'a'), [ip])
  made.world.addPod('a', 'u2', more)
  assert.deepEqual(await ipsOf(made, 'a', { containerId: 'c2' }), [ip])
  made.world.addPod('b', 'u3', more)
  assert.equal((await failOf(made, 'b')).code, 102)
  const finished = made.world.addPod('a', 'u2', more)
  made.world.pods.set('default/a', {
    ...finished,
    spec: { ...finished.spec, restartPolicy: 'Never' },
    status: { phase: 'Failed' },
  })
  assert.deepEqual(await ipsOf(made, 'b'), [ip])
})

void test('of many claims of one workload those that are in use cost no read', async () => {
  const made = await kit({ ips: ['10.6.0.1-10.6.0.60'] })
  const workload = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web' }
  for (let n = 10; n < 50; n++) await addClaim(made, `w${n}`, { workload })
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'r1', controller: true }
  made.world.workloads.set('default/web', { metadata: { name: 'web', uid: 'r1' } })
  let reads = 0
  const read = made.world.readIpClaim.bind(made.world)
  made.world.readIpClaim = (...args) => {
    reads++
    return read(...args)
  }
  for (let n = 10; n < 50; n++) {
    made.world.addPod(`web-${n}`, `u${n}`, { ownerReferences: [owner] })
    assert.equal((await ipsOf(made, `web-${n}`)).length, 1)
  }
  assert.equal(reads, 40)
  // Also when none is free, the number of reads has a limit.
  made.world.addPod('web-50', 'u50', { ownerReferences: [owner] })
  assert.match((await failOf(made, 'web-50')).msg, /"default\/w10": pod default\/web-10/)
  assert.equal(reads, 56)
})

void test('owner references alone make no pod one of the workload that a claim is for', async () => {
  const made = await kit()
  await addClaim(made, 'w1', { workload: { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web' } })
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'r1', controller: true }
  made.world.workloads.set('default/web', {
    metadata: { name: 'web', uid: 'r1' },
    spec: { selector: { matchLabels: { app: 'web' } } },
  })
  const labels = { app: 'web' }
  for (const [pod, more] of [
    ['another-uid', { ownerReferences: [{ ...owner, uid: 'r2' }], labels }],
    ['not-selected', { ownerReferences: [owner], labels: { app: 'x' } }],
    ['not-controlled', { ownerReferences: [{ ...owner, controller: false }], labels }],
    ['unknown', { ownerReferences: [{ ...owner, name: 'gone' }], labels }],
  ] as const) {
    made.world.addPod(pod, `u-${pod}`, { ...more, annotations: { [key]: 'w1' } })
    const { code, msg } = await failOf(made, pod)
    assert.equal(code, 102)
    assert.match(msg, /the pod is proven to be of Pod \S+ alone/)
    // Without the annotation it gets an address of its own, as if there was no claim.
    made.world.addPod(pod, `v-${pod}`, more)
    assert.notDeepEqual(await ipsOf(made, pod), ['10.6.0.1'])
  }
})

void test('two sources of a claim for one NIC are refused', async () => {
  const made = await kit()
  await addClaim(made, 'db')
  made.world.requests = { eth0: { ipamClaim: 'vm' } }
  made.world.addPod('a', 'u1', { annotations: { [key]: 'db' } })
  const { code, msg } = await failOf(made, 'a')
  assert.equal(code, 7)
  assert.match(msg, /names a claim for NIC eth0, and so does its network selection/)
})

void test('an undo of the first use of an IPAMClaim frees what it took', async () => {
  const made = await kit()
  made.world.workloads.set('default/vm', { metadata: { name: 'vm', namespace: 'default', uid: 'c1' } })
  made.world.requests = { eth0: { ipamClaim: 'vm' } }
  made.world.addPod('a', 'u1')
  assert.deepEqual(await ipsOf(made, 'a'), ['10.6.0.1'])
  const undo = { containerId: 'c-a', ifName: 'eth0', reason: 'undo' } as const
  await made.allocator.release('node1', undo, never)
  assert.equal(made.ledger.entry('10.6.0.1'), undefined)
})

void test('a replica keeps what it got at its start when a claim for its workload comes, and DEL frees what is its own alone', async () => {
  const made = await kit()
  const { world, allocator, ledger } = made
  world.workloads.set('default/web', { metadata: { name: 'web', uid: 'S' }, spec: { replicas: 1 } })
  const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web', uid: 'S', controller: true }
  world.addPod('web-0', 'u', { ownerReferences: [owner] })
  const before = await ipsOf(made, 'web-0')
  const workload = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web' }
  const claimed = await addClaim(made, 'db', { workload })
  assert.deepEqual(await ipsOf(made, 'web-0'), before)

  // One sandbox with an address of each owner, as a release before this one left it; then the StatefulSet goes.
  const uses = [{ containerId: 'c-web-0', node: 'node1', active: true as const }]
  const held = ledger.entry(claimed)
  assert.ok(held !== undefined)
  await ledger.add(
    {
      ...{
        owner: held.owner,
        pod: 'default/web-0',
        podUid: 'u',
        node: 'node1',
        containerId: 'c-web-0',
        nic: 'eth0',
      },
      reserved: reservedOf([]),
      mayTake: () => true,
      plan: () => ({ drop: [], wants: [], named: [claimed] }),
      grant: () => ({ prefixBits: 16 }),
    },
    never,
  )
  assert.deepEqual(ledger.entry(claimed)?.attachments, uses)
  world.workloads.delete('default/web')
  world.remove('web-0')
  world.workloads.set('default/db', { metadata: { name: 'db', uid: 'uid-db' } })
  await allocator.release('node1', { containerId: 'c-web-0', ifName: 'eth0', reason: 'detach' }, never)
  assert.deepEqual(
    [...ledger.all()].map(({ ip, entry }) => [ip, entry.pod]),
    [[claimed, '']],
  )
})
