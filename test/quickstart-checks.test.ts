// The checks of the quickstart must be able to fail: each is shown what is not so.
import assert from 'node:assert/strict'
import test from 'node:test'
import { chapters } from '../scripts/quickstart/chapters.ts'
import type { Check, Sight } from '../scripts/quickstart/check.ts'
import type { KernelAddress, PingResult } from '../scripts/quickstart/kernel.ts'
import type { EventObject, PodObject, Ran } from '../scripts/quickstart/kubectl.ts'
import {
  describe,
  documentsOf,
  rangeOf,
  readManifest,
  withReplicas,
} from '../scripts/quickstart/manifests.ts'
import { pingCheck, pingTable } from '../scripts/quickstart/pings.ts'
import {
  hasProcess,
  isRefused,
  isRefusedByServer,
  nothingLeft,
  prints,
  runsWithAddress,
  specIs,
  takesAll,
} from '../scripts/quickstart/probes.ts'

interface World {
  readonly pods?: readonly PodObject[]
  readonly events?: readonly EventObject[]
  readonly addresses?: readonly KernelAddress[]
  readonly processes?: readonly string[]
  readonly ran?: Ran
  readonly json?: unknown
  readonly ping?: PingResult
}

const netns = (node: string, id = 'x') => `/lab/nodes/${node}/sandboxes/${id}/netns`

function sightOf(world: World): Sight {
  const { pods = [], events = [], addresses = [], processes = ['1 pause'] } = world
  const ran = world.ran ?? { status: 0, stdout: '', stderr: '' }
  const ping = world.ping ?? { sent: 3, answered: 3, counted: 3, averageMs: 1, fastestMs: 1 }
  const all = [...new Set(addresses.map((address) => address.netns))]
  const isPod = (path: string) => path.startsWith('/lab/nodes/')
  return {
    isFresh: true,
    kubectl: {
      run: () => Promise.resolve(ran),
      send: () => Promise.resolve(ran),
      // The test gives what the check asks for.
      json: <T>() => Promise.resolve((world.json ?? { items: [] }) as T),
      pods: () => Promise.resolve(pods),
      eventsOf: () => Promise.resolve(events),
    },
    kernel: {
      namespaces: () => all,
      podNamespaces: () => all.filter(isPod),
      nodeOf: (path) => (isPod(path) ? (path.split('/')[3] ?? '') : ''),
      addresses: (paths) =>
        Promise.resolve(addresses.filter((one) => (paths ?? all.filter(isPod)).includes(one.netns))),
      processesIn: () => processes,
      ping: () => Promise.resolve(ping),
    },
  }
}

function pod(ip: string | undefined, node = 'node1'): PodObject {
  const waiting = { waiting: { reason: 'ContainerCreating' } }
  return {
    metadata: { name: `app-${ip}`, namespace: 'default', uid: `${ip}` },
    spec: { nodeName: node },
    status: {
      phase: ip === undefined ? 'Pending' : 'Running',
      message: 'no image was pulled',
      ...(ip === undefined ? {} : { podIP: ip }),
      conditions: [{ type: 'Ready', status: ip === undefined ? 'False' : 'True' }],
      containerStatuses: [{ state: ip === undefined ? waiting : {} }],
    },
  }
}

function address(ip: string, more: Partial<KernelAddress> = {}): KernelAddress {
  return { netns: netns('node1'), link: 'eth0', address: ip, prefixBits: 16, family: 'inet', ...more }
}

async function verdicts(
  check: Check,
  worlds: Readonly<Record<string, World>>,
): Promise<Record<string, boolean>> {
  const seen: [string, boolean][] = []
  for (const [title, world] of Object.entries(worlds)) {
    seen.push([title, (await check.probe(sightOf(world))).isSo])
  }
  return Object.fromEntries(seen)
}

const subject = { app: 'app', namespace: 'default' }
const range = rangeOf('10.6.0.1-10.6.0.9', 16)
const good = { pods: [pod('10.6.0.2')], addresses: [address('10.6.0.2')] }

void test('runsWithAddress() is so only for one address of the range, once, on that NIC, in the kernel of that node', async () => {
  assert.deepEqual(
    await verdicts(runsWithAddress(subject, { range, count: 1 }), {
      good,
      'no pod': { ...good, pods: [] },
      'one pod more': { ...good, pods: [pod('10.6.0.2'), pod('10.6.0.3')] },
      'not running': { ...good, pods: [pod(undefined)] },
      'not in the kernel': { ...good, addresses: [] },
      'on another NIC': { ...good, addresses: [address('10.6.0.2', { link: 'net1' })] },
      'with another prefix': { ...good, addresses: [address('10.6.0.2', { prefixBits: 24 })] },
      'out of the range': { pods: [pod('10.6.0.10')], addresses: [address('10.6.0.10')] },
      'on another node': { ...good, addresses: [address('10.6.0.2', { netns: netns('node2') })] },
      'with a second address': { ...good, addresses: [address('10.6.0.2'), address('10.6.0.3')] },
      doubled: { ...good, addresses: [address('10.6.0.2'), address('10.6.0.2', { netns: netns('node2') })] },
    }),
    {
      good: true,
      'no pod': false,
      'one pod more': false,
      'not running': false,
      'not in the kernel': false,
      'on another NIC': false,
      'with another prefix': false,
      'out of the range': false,
      'on another node': false,
      'with a second address': false,
      doubled: false,
    },
  )
  const elsewhere = await runsWithAddress(subject, { range, count: 1, nodes: ['master'] }).probe(
    sightOf(good),
  )
  assert.equal(elsewhere.isSo, false)
})

void test('isRefused() is so only for a waiting pod with an Event that names the pool and the reason', async () => {
  const check = isRefused(subject, { count: 1, pool: 'pool-a', because: /affinity/, why: 'x' })
  const event = (message: string, type = 'Warning'): EventObject => ({ type, reason: 'R', message })
  const pods = [pod(undefined)]
  assert.deepEqual(
    await verdicts(check, {
      good: { pods, events: [event('pool-a: unmatched affinity')] },
      'no event': { pods },
      'only a normal event': { pods, events: [event('pool-a: unmatched affinity', 'Normal')] },
      'names no pool': { pods, events: [event('unmatched affinity')] },
      'names no reason': { pods, events: [event('pool-a is refused')] },
      'it runs': { pods: [pod('10.6.0.2')], events: [event('pool-a: unmatched affinity')] },
    }),
    {
      good: true,
      'no event': false,
      'only a normal event': false,
      'names no pool': false,
      'names no reason': false,
      'it runs': false,
    },
  )
})

void test('takesAll() is so only when each address is there once', async () => {
  const two = rangeOf('10.6.0.1-10.6.0.2', 16)
  const [one, other] = [address('10.6.0.1'), address('10.6.0.2', { netns: netns('node2') })]
  assert.deepEqual(
    await verdicts(takesAll(two), {
      good: { addresses: [one, other] },
      'one is missing': { addresses: [one] },
      doubled: { addresses: [one, other, address('10.6.0.1', { netns: netns('node2', 'y') })] },
    }),
    { good: true, 'one is missing': false, doubled: false },
  )
})

void test('hasProcess() needs a process, and a status that says what it is', async () => {
  const silent = { ...pod('10.6.0.2'), status: { ...pod('10.6.0.2').status, message: '' } }
  assert.deepEqual(
    await verdicts(hasProcess(subject), {
      good,
      'no process': { ...good, processes: [] },
      'says nothing': { ...good, pods: [silent] },
    }),
    { good: true, 'no process': false, 'says nothing': false },
  )
})

void test('checks of what kubectl prints, refuses and reads fail when it does not', async () => {
  const ran = (status: number, stdout: string) => ({ ran: { status, stdout, stderr: '' } })
  assert.deepEqual(
    await verdicts(prints(['get'], [/^NAME$/, /^a +1$/]), {
      good: ran(0, 'NAME\na  1\n'),
      bad: ran(0, 'NAME\na  2\n'),
    }),
    { good: true, bad: false },
  )
  assert.deepEqual(
    await verdicts(isRefusedByServer('x', '', ['a', 'b']), {
      good: ran(1, 'a and b'),
      'says too little': ran(1, 'a'),
      'is accepted': ran(0, 'a and b'),
    }),
    { good: true, 'says too little': false, 'is accepted': false },
  )
  assert.deepEqual(
    await verdicts(specIs(['get'], { has: ['a'], hasNot: ['b'] }), {
      good: { json: { spec: { a: 1 } } },
      'has more': { json: { spec: { a: 1, b: 2 } } },
      'has less': { json: { spec: {} } },
    }),
    { good: true, 'has more': false, 'has less': false },
  )
})

void test('nothingLeft() sees pods, namespaces and addresses in the ledger', async () => {
  const objects = documentsOf(readManifest('03-test-app-3.yaml')).map(describe)
  const left = { metadata: { name: 'test-app-3-x', namespace: 'default' }, spec: {} }
  const entry = { metadata: { name: 'v4' }, spec: { entries: { '10.6.0.1': {} } } }
  assert.deepEqual(
    await verdicts(nothingLeft(objects), {
      good: {},
      'a pod': { json: { items: [left] } },
      'a namespace': { addresses: [address('10.6.0.2')] },
      'an entry': { json: { items: [entry] } },
    }),
    { good: true, 'a pod': false, 'a namespace': false, 'an entry': false },
  )
})

void test('pingCheck() needs every kind of way, each ping answered and counted by its receiver', async () => {
  const gateway = address('10.6.0.1', { netns: '/lab/switch.netns' })
  const pods = [address('10.6.0.2'), address('10.6.0.3', { netns: netns('node2') })]
  const addresses = [gateway, ...pods]
  const taken: number[] = []
  const check = pingCheck(['across nodes', 'pod to gateway', 'gateway to pod'], (rows) => {
    taken.push(rows.length)
    assert.equal(pingTable(rows).length, rows.length + 1)
  })
  const result = { sent: 3, answered: 3, counted: 3, averageMs: 1, fastestMs: 1 }
  assert.deepEqual(
    await verdicts(check, {
      good: { addresses },
      'no gateway': { addresses: pods },
      'one network each': { addresses: [gateway, address('10.7.0.2'), address('10.8.0.3')] },
      'not answered': { addresses, ping: { ...result, answered: 2 } },
      'not counted': { addresses, ping: { ...result, counted: 2 } },
      'not sent': { addresses, ping: { ...result, sent: 0, answered: 0 } },
    }),
    {
      good: true,
      'no gateway': false,
      'one network each': false,
      'not answered': false,
      'not counted': false,
      'not sent': false,
    },
  )
  assert.deepEqual(taken, [6])
})

void test('describe() reads kind, name, namespace, app and ranges of the manifests', () => {
  const [one = '', two = ''] = documentsOf(readManifest('14-test-ippool-eth.yaml'))
  assert.deepEqual(describe(one), {
    kind: 'SpiderIPPool',
    name: 'test-ippool-eth0',
    namespace: 'default',
    app: '',
    ranges: ['10.6.168.151-10.6.168.160'],
  })
  assert.equal(describe(two).name, 'test-ippool-eth1')
  assert.deepEqual(describe(readManifest('13-test-other-ns.yaml')), {
    kind: 'Deployment',
    name: 'test-other-ns',
    namespace: 'test-ns2',
    app: 'test-other-ns',
    ranges: [],
  })
  assert.match(withReplicas(readManifest('03-test-app-3.yaml'), 7), /^ {2}replicas: 7$/m)
})

void test('every manifest of the document is sent by a chapter, in the order of the document', () => {
  const files = chapters.flatMap(({ steps }) =>
    steps.flatMap((step) => (step.do === 'send' ? [step.file] : [])),
  )
  const numbers = [...new Set(files)].map((file) => Number(file.slice(0, 2))).sort((a, b) => a - b)
  assert.deepEqual(
    numbers,
    Array.from({ length: 15 }, (_, i) => i + 1),
  )
})
