// spiderpoolctl explain, ip and pool as an operator calls them, over an API server with a leader that goes on working.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { after, before } from 'node:test'
import { type EventObject, resources, type SpiderIpBlock } from '../../src/api/index.ts'
import type { KubeClient } from '../../src/kube/index.ts'
import { entriesOf } from '../../src/ledger/index.ts'
import type { BareServer } from '../support/bare-server.ts'
import { type CliResult, named, pool, runCtl } from '../support/cli-kit.ts'
import { inParallel, LeaderKit } from '../support/leader-kit.ts'
import { createPools, from, OperatorKit } from '../support/operator-kit.ts'
import { serverUnderTest } from '../support/server-under-test.ts'
import { waitFor } from './lab-harness.ts'

const root = dirname(dirname(import.meta.dirname))
const never = new AbortController().signal
const dir = mkdtempSync(join(tmpdir(), 'operator-'))
let kit: OperatorKit
let server: BareServer
let api: KubeClient
let leader: LeaderKit

before(async () => {
  kit = await OperatorKit.start([
    pool('main', ['10.6.0.10-10.6.0.29'], { excludeIPs: ['10.6.0.29'], gateway: '10.6.0.1', default: true }),
    pool('tiny', ['10.6.0.40'], {}),
    pool('far', ['10.6.0.50-10.6.0.59'], { nodeName: ['node2'] }),
    pool('huge', ['10.0.0.0-10.5.255.255'], { subnet: '10.0.0.0/8' }),
  ])
  ;({ server, api, leader } = kit)
})
after(async () => {
  await kit?.[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

const ctl = (...args: readonly string[]): Promise<CliResult> => runCtl(server.kubeconfig, args)
const createPod: OperatorKit['createPod'] = (...args) => kit.createPod(...args)
const json = <T>({ out }: CliResult): T => JSON.parse(out) as T
const deletePod = (name: string) =>
  api.delete(resources.pod, { name, namespace: 'team' }, { gracePeriodSeconds: 0 }, never)

async function detach(name: string): Promise<void> {
  const request = { containerId: `c-${name}`, ifName: 'eth0', reason: 'detach' as const }
  await leader.leadership.release('node1', request, never)
}

void test('ip show tells who holds an address, and why nobody holds another', async () => {
  await createPod('web')
  assert.deepEqual(await leader.add('team/web'), ['10.6.0.10'])
  const held = await ctl('ip', 'show', '10.6.0.10')
  assert.equal(held.code, 0, held.err)
  for (const text of [
    /State: +allocated/,
    /Pod: +team\/web \(uid .+\), alive/,
    /container c-web on node1/,
    /Pool: +main/,
  ])
    assert.match(held.out, text)
  const view = json<{ state: string; holder: { pod: string; grant: { prefixBits: number } } }>(
    await ctl('ip', 'show', '10.6.0.10', '-o', 'json'),
  )
  assert.deepEqual([view.state, view.holder.pod, view.holder.grant.prefixBits], ['allocated', 'team/web', 16])
  for (const [ip, state] of [
    ['10.6.0.11', 'free'],
    ['10.6.0.29', 'excluded'],
    ['10.6.0.1', 'gateway'],
    ['10.6.1.1', 'outside'],
    ['fd00::1', 'outside'],
  ] as const) {
    const { out, code } = await ctl('ip', 'show', ip, '--output=yaml')
    assert.equal(code, 0)
    assert.match(out, new RegExp(`^state: ${state}$`, 'm'), ip)
  }
})

void test('the Event of a refused pod has the words that explain prints, and the reasons of both are the same', async () => {
  await createPod('lost', from('far', 'tiny'))
  await createPod('first', from('tiny'))
  await leader.add('team/first')
  const cases = [
    {
      pod: 'lost',
      pools: ['far'],
      words: /unmatched Node name: spec.nodeName \[node2\], the pod is on node1/,
    },
    { pod: 'second', pools: ['tiny'], words: /1 allocated, of 1 that it offers none is free/ },
    { pod: 'nowhere', pools: ['nosuch'], words: /none of the IPv4 IPPools \[nosuch\] of eth0 exists/ },
  ]
  await deletePod('lost')
  for (const { pod, pools, words } of cases) {
    await createPod(pod, from(...pools))
    await assert.rejects(leader.add(`team/${pod}`))
    const told = await waitFor(`the Event of ${pod}`, 10_000, async () => {
      const { items } = await api.list<EventObject>(resources.event, { namespace: 'team' }, never)
      return items.find((one) => one.involvedObject.name === pod && one.reason === 'FailedAllocateIP')
        ?.message
    })
    const explained = await ctl('explain', 'pod', `team/${pod}`)
    assert.equal(explained.code, 1, explained.err)
    const [, refusal = '?'] = /refused: (.+)/.exec(explained.out) ?? []
    assert.match(refusal, words)
    assert.ok(told.includes(refusal), `${told}\n--- has not ---\n${refusal}`)
    const shape = json<{
      isServed: boolean
      results: [{ nics: [{ answer: { event: string; reason: string } }] }]
    }>(await ctl('explain', 'pod', `team/${pod}`, '-o', 'json'))
    assert.equal(shape.isServed, false)
    assert.equal(shape.results[0].nics[0].answer.event, told)
  }
})

void test('explain tells of each rule what it compared, what a pod holds, and what a manifest would get on each node', async () => {
  const held = await ctl('explain', 'pod', 'team/web')
  assert.equal(held.code, 0, held.err)
  assert.match(held.out, /holds: 10\.6\.0\.10 of main/)
  assert.match(held.out, /IPv4: pools named by cluster default IPPools/)
  assert.match(held.out, /ok +node-name-mismatch/)
  const file = join(dir, 'deployment.yaml')
  const deployment = [
    'apiVersion: apps/v1',
    'kind: Deployment',
    'metadata: {name: api, namespace: team}',
    'spec:',
    '  template:',
    '    metadata:',
    '      annotations:',
    `        ipam.spidernet.io/ippool: '{"ipv4":["far"]}'`,
    '    spec: {containers: [{name: main, image: none}]}',
  ]
  writeFileSync(file, deployment.join('\n'))
  const both = await ctl('explain', 'pod', '-f', file)
  assert.equal(both.code, 1)
  assert.match(both.out, /on node node1: would be refused/)
  assert.match(both.out, /on node node2: would get its addresses/)
  assert.match(
    both.out,
    /FAIL +node-name-mismatch +unmatched Node name: spec\.nodeName \[node2\], the pod is on node1/,
  )
  assert.equal((await ctl('explain', 'pod', '-f', file, '--node', 'node2')).code, 0)
  // The copy that the answer was made on is nobody else's.
  assert.match((await ctl('ip', 'show', '10.6.0.50')).out, /State: +free/)
  const asking = join(dir, 'pod.yaml')
  const asked = { ...from('main'), 'ipam.spidernet.io/ips': '["10.6.0.10"]' }
  writeFileSync(
    asking,
    JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'wish', annotations: asked } }),
  )
  const refused = await ctl('explain', 'pod', '-f', asking, '-n', 'team', '--node', 'node1')
  assert.equal(refused.code, 1, refused.err)
  assert.match(refused.out, /10\.6\.0\.10 is held by pod team\/web/)
})

void test('ip release frees what was left behind; what a pod or sandbox may use only by force', async () => {
  await createPod('left')
  const [ip = ''] = await leader.add('team/left')
  const alive = await ctl('ip', 'release', ip, '--yes')
  assert.equal(alive.code, 1)
  assert.match(alive.err, /pod team\/left is alive and uses/)
  await deletePod('left')
  const running = await ctl('ip', 'release', ip, '--yes')
  assert.equal(running.code, 1, running.out)
  assert.match(running.err, /container c-left may still run on node node1/)
  const planned = await ctl('ip', 'release', ip, '--force')
  assert.equal(planned.code, 2)
  assert.match(planned.out, /^This would free/)
  const forced = await ctl('ip', 'release', ip, '--yes', '--force')
  assert.equal(forced.code, 0, forced.err)
  assert.match(forced.err, /^WARNING: .*two pods may use/)
  assert.match((await ctl('ip', 'show', ip)).out, /State: +resting/)
  const history = json<{ holders: { pod: string; until?: string }[]; releasedAt: string }>(
    await ctl('ip', 'history', ip, '-o', 'json'),
  )
  assert.deepEqual(
    history.holders.map(({ pod, until }) => [pod, until]),
    [['team/left', history.releasedAt]],
  )
  assert.match((await ctl('ip', 'release', ip, '--yes')).out, /Nothing to do: nobody holds/)
})

void test('an address that was released goes to the next pod of a full pool, without a write of the leader before', async () => {
  // "tiny" has one address, of team/first.
  await createPod('next', from('tiny'))
  await assert.rejects(leader.add('team/next'), /all IP addresses used out/)
  await deletePod('first')
  assert.equal((await ctl('ip', 'release', '10.6.0.40', '--yes', '--force')).code, 0)
  await waitFor('the leader heard of it', 5_000, async () => {
    const got = await leader.add('team/next').catch(() => [])
    return got[0] === '10.6.0.40' ? true : undefined
  })
})

void test('releases beside a leader that goes on allocating in the same block: no double, none lost', async () => {
  const pods = Array.from({ length: 24 }, (_, at) => `churn-${at}`)
  const own = from('churn')
  await createPools(api, [pool('churn', ['10.6.0.64-10.6.0.95'], {})])
  await inParallel(pods, 6, (name) => createPod(name, own))
  await waitFor('the pool is known', 5_000, async () => {
    return (await leader.add('team/churn-0').catch(() => [])).length > 0 ? true : undefined
  })
  const holders = new Map<string, string>()
  await inParallel(pods.slice(0, 12), 4, async (name) => {
    const [ip = ''] = await leader.add(`team/${name}`)
    holders.set(name, ip)
  })
  const gone = pods.slice(0, 8)
  await inParallel(gone, 4, async (name) => deletePod(name))
  // At once: the operator frees what the gone ones had, and the leader serves the others.
  await Promise.all([
    inParallel(gone, 3, async (name) => {
      const { code, err, out } = await ctl('ip', 'release', holders.get(name) ?? '', '--yes', '--force')
      assert.equal(code, 0, err + out)
    }),
    inParallel(pods.slice(12), 4, async (name) => {
      const [ip = ''] = await leader.add(`team/${name}`)
      holders.set(name, ip)
    }),
  ])
  const living = pods.slice(8)
  const now = await Promise.all(living.map((name) => leader.add(`team/${name}`)))
  assert.deepEqual(
    now.flat(),
    living.map((name) => holders.get(name)),
    'each keeps what it was told',
  )
  assert.equal(new Set(now.flat()).size, living.length, 'no address twice')
  const { items } = await api.list<SpiderIpBlock>(resources.ipBlock, {}, never)
  const recorded = items.flatMap((block) => Object.entries(entriesOf(block)))
  const inPool = recorded.filter(([, entry]) => entry.pool === 'churn').map(([ip, entry]) => [entry.pod, ip])
  assert.deepEqual(
    new Map(inPool as [string, string][]),
    new Map(living.map((name) => [`team/${name}`, holders.get(name)])),
  )
  assert.deepEqual(new Set(items.map(({ spec }) => spec.term)), new Set([7]), 'the term of the leader stays')
})

void test('an address that a claim keeps is told of as such, given to the pod that names it, and not released', async () => {
  await createPools(api, [pool('vips', ['10.6.0.130-10.6.0.131'], {})])
  const claim = named('spiderpool.spidernet.io/v2beta1', 'SpiderIPClaim', 'vip', {
    spec: { ippools: { ipv4: ['vips'] } },
  })
  await api.create(resources.ipClaim, { ...claim, metadata: { name: 'vip', namespace: 'team' } }, never)
  const ip = '10.6.0.130'
  await waitFor('the claim has its address', 10_000, async () => {
    return /SpiderIPClaim team\/vip/.test((await ctl('ip', 'show', ip)).out) ? true : undefined
  })
  assert.match((await ctl('ip', 'show', ip)).out, /Pod: +none: its owner keeps the address/)
  const file = join(dir, 'claimer.yaml')
  const metadata = {
    name: 'claimer',
    namespace: 'team',
    annotations: { 'ipam.spidernet.io/ip-claim': 'vip' },
  }
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata }))
  const explained = await ctl('explain', 'pod', '-f', file, '--node', 'node1')
  assert.equal(explained.code, 0, explained.out + explained.err)
  assert.match(explained.out, /result: 10\.6\.0\.130\/16 of vips \(kept by SpiderIPClaim team\/vip\)/)
  const refusal = await ctl('ip', 'release', ip, '--yes')
  assert.equal(refusal.code, 1)
  assert.match(refusal.err, /is kept for the next pod of spiderpool\.spidernet\.io\/SpiderIPClaim team\/vip/)
})

void test('ip set keeps an address from pods for a time or for good, and gives it back', async () => {
  await createPools(api, [pool('kept', ['10.6.0.100-10.6.0.101'], {})])
  const [quarantined, reserved] = ['10.6.0.100', '10.6.0.101']
  assert.equal((await ctl('ip', 'set', quarantined, '--quarantine', '1h')).code, 2)
  assert.match(
    (await ctl('ip', 'set', quarantined, '--quarantine', '1h', '--yes')).out,
    /^Done: keep 10\.6\.0\.100/,
  )
  assert.equal((await ctl('ip', 'set', reserved, '--reserve', '--yes')).code, 0)
  assert.match(
    (await ctl('ip', 'set', reserved, '--reserve', '--yes')).out,
    /Nothing to do: SpiderReservedIP reserved-10-6-0-101/,
  )
  assert.match((await ctl('ip', 'show', quarantined)).out, /State: +quarantined[\s\S]*set by hand/)
  assert.match(
    (await ctl('ip', 'show', reserved)).out,
    /State: +reserved[\s\S]*SpiderReservedIP reserved-10-6-0-101/,
  )
  const shown = json<{ counts: Record<string, number>; ranges: Record<string, string[]> }>(
    await ctl('pool', 'show', 'kept', '-o', 'json'),
  )
  assert.deepEqual([shown.counts['free'], shown.counts['quarantined'], shown.counts['reserved']], [0, 1, 1])
  assert.deepEqual(shown.ranges['quarantined'], [quarantined])
  await createPod('waits', from('kept'))
  await waitFor('the leader knows all of it', 5_000, async () => {
    const said = await leader.add('team/waits').catch((error: Error) => error.message)
    return typeof said === 'string' && /1 quarantined/.test(said) ? true : undefined
  })
  assert.equal((await ctl('ip', 'release', quarantined, '--yes')).code, 0)
  await waitFor('the quarantine is over for the leader', 5_000, async () => {
    return (await leader.add('team/waits').catch(() => []))[0] === quarantined ? true : undefined
  })
  assert.equal((await ctl('ip', 'set', quarantined, '--quarantine', '1h', '--yes')).code, 1)
  assert.match(
    (await ctl('ip', 'set', reserved, '--unreserve', '--yes')).out,
    /^Done: delete SpiderReservedIP/,
  )
  assert.match((await ctl('ip', 'show', reserved)).out, /State: +free/)
})

void test('pool show counts a pool of millions in ranges at once, and all pools in a table', async () => {
  const startMs = performance.now()
  const { out } = await ctl('pool', 'show', 'huge')
  assert.ok(performance.now() - startMs < 2_000)
  assert.match(out, /Total: +393216\n/)
  const table = await ctl('pool', 'show')
  assert.match(table.out, /^NAME +VERSION +SUBNET/)
  assert.match(table.out, /main +4 +10\.6\.0\.0\/16/)
  const main = await ctl('pool', 'show', 'main')
  assert.match(main.out, /Excluded: +1: 10\.6\.0\.29/)
  assert.match(main.out, /By namespace: +\d+ team/)
})

const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['a bad address', ['ip', 'show', '10.6.0.300'], /IP "10\.6\.0\.300"/],
  ['no address', ['ip', 'show'], /IP "": it is missing\n.*ip show IP/],
  ['two addresses', ['ip', 'history', '10.0.0.1', '10.0.0.2'], /"10\.0\.0\.2": it is not expected/],
  ['an unknown pool', ['pool', 'show', 'nosuch'], /NAME "nosuch": it is no SpiderIPPool\n.*main/],
  [
    'an unknown format',
    ['pool', 'show', '-o', 'xml'],
    /--output "xml": it is not known\n.*table, json, yaml/,
  ],
  ['an unknown pod', ['explain', 'pod', 'team/nosuch'], /POD "team\/nosuch": it does not exist/],
  ['no pod', ['explain', 'pod'], /POD "": it is missing/],
  [
    'a file that is not there',
    ['explain', 'pod', '-f', '/nosuch'],
    /--filename "\/nosuch": it cannot be read/,
  ],
  ['no setting', ['ip', 'set', '10.6.0.10', '--yes'], /"10\.6\.0\.10": it does not say what to set\n/],
  ['two settings', ['ip', 'set', '10.6.0.10', '--reserve', '--unreserve'], /does not go with/],
  [
    'a bad time',
    ['ip', 'set', '10.6.0.11', '--quarantine', 'soon'],
    /--quarantine "soon": it is no duration/,
  ],
]
for (const [what, args, expected] of refused) {
  void test(`${what} is refused with exit code 2, the value and the remedy`, async () => {
    const { code, err } = await ctl(...args)
    assert.match(err, expected)
    assert.equal(code, 2)
  })
}

void test('who lacks a right is told which one; a server that is away is named', async () => {
  const metadata = { name: 'guest', namespace: 'team' }
  await api.create(resources.serviceAccount, { apiVersion: 'v1', kind: 'ServiceAccount', metadata }, never)
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 3600 },
  }
  const path = '/api/v1/namespaces/team/serviceaccounts/guest/token'
  const { status } = await api.request<{ status: { token: string } }>('POST', path, body, never)
  const config = JSON.parse(readFileSync(server.kubeconfig, 'utf8')) as {
    users: [{ user: object }]
    clusters: [{ cluster: { server: string } }]
  }
  config.users[0].user = { token: status.token }
  const guest = join(dir, 'guest.kubeconfig')
  writeFileSync(guest, JSON.stringify(config))
  // The embedded server lets everybody do everything: there the words are tested beside the command.
  if (serverUnderTest === 'real') {
    const denied = await runCtl(guest, ['pool', 'show'])
    assert.equal(denied.code, 1)
    assert.match(
      denied.err,
      /cannot list resource "spider\w+" in API group "spiderpool.spidernet.io"[\s\S]*Role/,
    )
  }
  config.clusters[0].cluster.server = 'https://127.0.0.1:9'
  const away = join(dir, 'away.kubeconfig')
  writeFileSync(away, JSON.stringify(config))
  const unreachable = await runCtl(away, ['ip', 'show', '10.6.0.10', '--timeout-seconds', '3'])
  assert.equal(unreachable.code, 1)
  assert.match(unreachable.err, /127\.0\.0\.1:9|ECONNREFUSED|Unreachable/)
})

void test('-w prints again when an address changes hands, and ends well when it is interrupted', async () => {
  const args = [join(root, 'src/bin/spiderpoolctl.ts'), 'ip', 'show', '10.6.0.110', '-w']
  await createPools(api, [pool('seen', ['10.6.0.110'], {})])
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    env: { ...process.env, KUBECONFIG: server.kubeconfig },
  })
  let out = ''
  child.stdout.on('data', (part: Buffer) => (out += part.toString()))
  child.stderr.on('data', (part: Buffer) => (out += part.toString()))
  const says = (what: RegExp) =>
    waitFor(String(what), 15_000, async () => (what.test(out) ? true : undefined))
  await says(/State: +free/)
  await createPod('seen', from('seen'))
  await leader.add('team/seen')
  await says(/State: +allocated[\s\S]*team\/seen/)
  await detach('seen')
  await says(/Sandboxes: +none: detached/)
  child.kill('SIGINT')
  const [code] = (await once(child, 'exit')) as [number]
  assert.equal(code, 0, out)
})

void test('bash completes commands, flags, values and names from the cluster by the script that is printed', async () => {
  const script = join(dir, 'completion.bash')
  writeFileSync(script, (await ctl('completion', 'bash')).out)
  const program = join(dir, 'spiderpoolctl')
  const run = `exec ${process.execPath} --disable-warning=ExperimentalWarning ${join(root, 'src/bin/spiderpoolctl.ts')} "$@"`
  writeFileSync(program, `#!/bin/sh\n${run}\n`, { mode: 0o755 })
  const ask = (words: readonly string[]) =>
    `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _spiderpoolctl; echo "\${COMPREPLY[*]}"`
  const lines = [
    ['spiderpoolctl', 'ip', 'h'],
    ['spiderpoolctl', 'pool', 'show', 'f'],
    ['spiderpoolctl', 'pool', 'show', '-o', ''],
  ]
  const text = [`source ${script}`, 'complete -p spiderpoolctl', ...lines.map(ask)].join('\n')
  const child = spawn('bash', ['--norc', '-c', text], {
    env: { ...process.env, PATH: `${dir}:${process.env['PATH'] ?? ''}`, KUBECONFIG: server.kubeconfig },
  })
  let out = ''
  child.stdout.on('data', (part: Buffer) => (out += part.toString()))
  child.stderr.on('data', (part: Buffer) => (out += part.toString()))
  await once(child, 'close')
  assert.deepEqual(out.trim().split('\n'), [
    'complete -o default -F _spiderpoolctl spiderpoolctl',
    'history',
    'far',
    'json table yaml',
  ])
})

// The last one: the leader of the other tests is deposed by it.
void test('freeing one address of a pod with two leaves the other to it, also for a leader that starts then', async () => {
  await createPools(api, [
    pool('both4', ['10.6.0.120-10.6.0.121'], {}),
    pool('both6', ['fd00:6::20-fd00:6::21'], { subnet: 'fd00:6::/64' }),
  ])
  await createPod('both', { 'ipam.spidernet.io/ippool': '{"ipv4":["both4"],"ipv6":["both6"]}' })
  const [ip4 = '', ip6 = ''] = await waitFor('the pools are known', 5_000, async () => {
    const got = await leader.add('team/both').catch(() => [])
    return got.length === 2 ? got : undefined
  })
  assert.equal((await ctl('ip', 'release', ip4, '--yes', '--force')).code, 0)
  await using next = await LeaderKit.start(join(server.dir, 'controller.kubeconfig'), { term: 8 })
  assert.match((await ctl('ip', 'show', ip6)).out, /State: +allocated/)
  const again = await next.add('team/both')
  assert.equal(again[1] ?? again[0], ip6)
})
