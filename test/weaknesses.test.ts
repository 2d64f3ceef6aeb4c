// Weaknesses that allocators of this kind are known for, each by its number in docs/weaknesses.md, where no other test shows that
// ours does not have it; and that the table there names tests that exist.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { accessRights, cidrLabel, type Pod, type SpiderIpBlock, type SpiderIpPool } from '../src/api/index.ts'
import { silentLogger } from '../src/base/index.ts'
import { planAdd } from '../src/controller/allocator/add-plan.ts'
import { ownerOf } from '../src/controller/allocator/owner.ts'
import { responseOf } from '../src/controller/allocator/response.ts'
import {
  type AddCall,
  type BlockChange,
  Ledger,
  MemoryBlockStore,
  type OwnedAddress,
  PoolFullError,
  reservedOf,
} from '../src/ledger/index.ts'

const root = dirname(import.meta.dirname)
const never = new AbortController().signal

/** Counts the bytes that writes send; writes of blocks whose range starts so never end. */
class WatchedStore extends MemoryBlockStore {
  bytes = 0
  stuckCidr: string | undefined

  override async create(block: SpiderIpBlock, signal: AbortSignal): Promise<string> {
    this.bytes += JSON.stringify(block).length
    if (this.stuckCidr !== undefined && block.spec.cidr.startsWith(this.stuckCidr)) await untilAborted(signal)
    return super.create(block, signal)
  }

  override async patch(
    name: string,
    version: string,
    change: BlockChange,
    signal: AbortSignal,
  ): Promise<string> {
    this.bytes += JSON.stringify(change).length
    return super.patch(name, version, change, signal)
  }
}

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))

function openLedger(store: MemoryBlockStore): Promise<Ledger> {
  let nowMs = 1000
  const next = () => ++nowMs
  const clock = { nowMs: next, monotonicMs: next, sleep: () => Promise.resolve() }
  return Ledger.open({ store, term: 1, clock, random: { next: () => 0.5 }, logger: silentLogger }, never)
}

const poolOf = (name: string, subnet: string, ...ips: readonly string[]): SpiderIpPool => ({
  metadata: { name },
  spec: { subnet, ips },
})

/** An ADD of a pod that takes one address from each of the pools. */
const callOf = (pod: string, ...pools: readonly SpiderIpPool[]): AddCall => ({
  ...{ owner: { kind: 'pod', uid: `u-${pod}` }, pod: `default/${pod}`, podUid: `u-${pod}` },
  ...{ node: 'node1', containerId: `c-${pod}`, nic: 'eth0', reserved: reservedOf([]) },
  plan: (held) => ({
    drop: [],
    wants:
      held.length > 0 ? [] : pools.map((pool) => ({ nic: 'eth0', version: familyOf(pool), pools: [pool] })),
  }),
  grant: () => ({ prefixBits: 16 }),
})
const familyOf = ({ spec }: SpiderIpPool) => (spec.subnet.includes(':') ? 6 : 4)

void test('W01 an address costs a write of bounded size, however many the pool holds, and no count is too high', async () => {
  const store = new WatchedStore()
  const ledger = await openLedger(store)
  const pool = poolOf('wide', '10.6.0.0/16', '10.6.0.0-10.6.255.255')
  const costOf = async (pod: string): Promise<number> => {
    const before = store.bytes
    await ledger.add(callOf(pod, pool), never)
    return store.bytes - before
  }
  await ledger.add(callOf('first', pool), never)
  const early = await costOf('second')
  await Promise.all(Array.from({ length: 5_200 }, (_, n) => ledger.add(callOf(`pod-${n}`, pool), never)))
  const late = await costOf('last')
  assert.equal(ledger.poolUsage('wide'), 5_203)
  assert.ok(late < early + 100, `${early} bytes in an empty pool, ${late} bytes beside 5,202 addresses`)
})

void test('W06 an ADD that failed leaves nothing in a pool that the retry does not use', async () => {
  const ledger = await openLedger(new MemoryBlockStore())
  const [first, second] = [
    poolOf('first', '10.1.0.0/16', '10.1.0.1'),
    poolOf('second', '10.2.0.0/16', '10.2.0.1'),
  ]
  const dry = poolOf('dry', 'fd00::/64', 'fd00::1')
  await ledger.add(callOf('other', dry), never)
  await assert.rejects(ledger.add(callOf('web', first, dry), never), PoolFullError)
  await ledger.add(callOf('web', second), never)
  assert.deepEqual(
    [ledger.poolUsage('first'), ledger.poolUsage('second'), ledger.poolUsage('dry')],
    [0, 1, 1],
  )
})

void test('W11 an ADD that its pod has an answer for looks at no pool at all', () => {
  const owner = { kind: 'pod', uid: 'u' } as const
  const grant = { prefixBits: 16 }
  const entry = { ...{ pool: 'p', nic: 'eth0', owner, pod: 'a/b', podUid: 'u', node: 'n', since: 1, grant } }
  const select = () => assert.fail('pools were selected')
  const input = { nic: 'eth0', containerId: 'c', isSticky: false, select, pools: new Map() }
  assert.deepEqual(planAdd([{ ip: '10.1.0.1', entry }], input), { drop: [], wants: [] })
})

void test('W13 a StatefulSet of another API group is another kind of owner', () => {
  const podOf = (apiVersion: string): Pod => ({
    metadata: {
      ...{ name: 'web-0', namespace: 'default', uid: 'u' },
      ownerReferences: [{ apiVersion, kind: 'StatefulSet', name: 'web', uid: 's', controller: true }],
    },
  })
  assert.equal(ownerOf(podOf('apps/v1'), true).kind, 'sticky')
  assert.deepEqual(ownerOf(podOf('apps.kruise.io/v1beta1'), true), { kind: 'pod', uid: 'u' })
  assert.deepEqual(ownerOf(podOf('apps/v1'), false), { kind: 'pod', uid: 'u' }, 'enableStatefulSet is off')
})

void test('W14 who waits for a write that does not end can give up, and holds up nobody', async () => {
  const store = new WatchedStore()
  store.stuckCidr = '10.1.'
  const ledger = await openLedger(store)
  const giveUp = new AbortController()
  const waiting = ledger.add(callOf('stuck', poolOf('stuck', '10.1.0.0/16', '10.1.0.1')), giveUp.signal)
  const refused = assert.rejects(waiting, { name: 'AbortError' })
  const free = poolOf('free', '10.2.0.0/16', '10.2.0.0-10.2.255.255')
  await Promise.all(Array.from({ length: 100 }, (_, n) => ledger.add(callOf(`pod-${n}`, free), never)))
  giveUp.abort()
  await refused
  await ledger.close()
})

void test('W21 no agent watches anything, and pods are all that it lists', () => {
  const { cluster, namespace } = accessRights.agent
  for (const { resources, verbs } of [...cluster, ...namespace]) {
    assert.ok(!verbs.includes('watch'), resources.join())
    if (verbs.includes('list')) assert.deepEqual(resources, ['pods'])
  }
})

void test('W22 an answer does not depend on the order in which routes and families are found', () => {
  const owner = { kind: 'pod', uid: 'u' } as const
  const addressOf = (
    ip: string,
    gateway: string,
    routes: readonly { dst: string; gw: string }[],
  ): OwnedAddress => {
    const grant = { prefixBits: 24, gateway, routes, mac: '02:00:00:00:00:01' }
    return {
      ip,
      entry: { pool: 'p', nic: 'eth0', owner, pod: 'a/b', podUid: 'u', node: 'n', since: 1, grant },
    }
  }
  const routes = ['10.9.0.0/16', '10.10.0.0/16', '0.0.0.0/1'].map((dst) => ({ dst, gw: '10.1.0.9' }))
  const six = addressOf('fd00::5', 'fd00::1', [{ dst: 'fd09::/64', gw: 'fd00::9' }])
  const answers = [routes, routes.toReversed()].map((ordered) =>
    responseOf('eth0', [addressOf('10.1.0.5', '10.1.0.1', ordered), six]),
  )
  assert.deepEqual(answers[0], answers[1])
  assert.deepEqual(
    answers[0]?.routes.map(({ dst }) => dst.includes(':')),
    [false, false, false, false, true, true],
  )
})

void test('W26 a subnet whose text is no label value gets no label', () => {
  for (const cidr of ['::/64', '::1:0/112', '::ffff:0:0/96']) assert.equal(cidrLabel(cidr), undefined, cidr)
  assert.equal(cidrLabel('fd00:1::/64'), 'fd00-1---64')
})

void test('every weakness has a row, and every test that a row names exists', () => {
  const rows = readFileSync(join(root, 'docs/weaknesses.md'), 'utf8')
    .split('\n')
    .filter((line) => /^\| \d+ \|/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  assert.deepEqual(
    rows.map(([, number]) => Number(number)),
    Array.from({ length: 28 }, (_, n) => n + 1),
  )
  for (const [, number, , , shown = ''] of rows) {
    const named = [...shown.matchAll(/`([^`]+)` \(([^)]+)\)/g)]
    assert.ok(named.length > 0 || shown.startsWith('later:'), `row ${number} names no test`)
    for (const [, name = '', file = ''] of named) {
      assert.ok(existsSync(join(root, file)), `row ${number}: ${file} is not there`)
      const text = readFileSync(join(root, file), 'utf8')
      assert.ok(text.includes(name), `row ${number}: ${file} has no test "${name}"`)
    }
  }
})
