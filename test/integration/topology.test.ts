// The virtual switch of the lab, compared with what iproute2 and ping see in the kernel. Needs root.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '../../src/base/index.ts'
import { labPathsOf, nodePathsOf } from '../../src/lab/lab-paths.ts'
import { PauseRunner } from '../../src/lab/pause.ts'
import { readProcessId } from '../../src/lab/process-table.ts'
import { buildTopology } from '../../src/lab/topology/build.ts'
import { planTopology } from '../../src/lab/topology/plan.ts'
import { removeTopology } from '../../src/lab/topology/remove.ts'
import { assertHostThreads, listMounts, openNetlink, prepareNamespaces } from '../../src/netlink/index.ts'

const root = join(import.meta.dirname, '../..')
const signal = AbortSignal.timeout(60_000)
const dir = realpathSync(mkdtempSync(join(tmpdir(), 'lab-topology-')))
const paths = labPathsOf(dir)
const names = ['master', 'node1', 'node2']
const run = promisify(execFile)

function inside(netns: string, ...command: readonly string[]): Promise<{ stdout: string }> {
  return run('nsenter', [`--net=${netns}`, ...command], { signal })
}

async function ipJson(
  netns: string,
  ...args: readonly string[]
): Promise<readonly Record<string, unknown>[]> {
  const { stdout } = await inside(netns, 'ip', '-j', ...args)
  return JSON.parse(stdout) as readonly Record<string, unknown>[]
}

const netnsOf = (node: string): string => nodePathsOf(paths, node).netns
let pause: PauseRunner
let linksBefore: string

before(async () => {
  assert.equal(process.getuid?.(), 0, 'this test needs root')
  execFileSync('sh', [join(root, 'scripts/build-native.sh')])
  linksBefore = execFileSync('ip', ['-o', 'link']).toString()
  pause = new PauseRunner(join(root, 'build/native/lab-pause'))
  await prepareNamespaces()
  await buildTopology(planTopology(names), paths, pause, signal)
})

after(async () => {
  await removeTopology(dir, systemClock, AbortSignal.timeout(20_000))
  rmSync(dir, { recursive: true })
})

void test('each node has ens192 with its addresses and default routes, and nothing else', async () => {
  for (const [index, name] of names.entries()) {
    const links = await ipJson(netnsOf(name), 'link')
    assert.deepEqual(
      links.map((link) => [link['ifname'], link['operstate']]),
      [
        ['lo', 'UNKNOWN'],
        ['ens192', 'UP'],
      ],
    )
    const { stdout } = await inside(
      netnsOf(name),
      'ip',
      '-o',
      'addr',
      'show',
      'dev',
      'ens192',
      'scope',
      'global',
    )
    const addresses = stdout.match(/inet6? (\S+)/g)
    assert.deepEqual(addresses, [
      `inet 10.6.0.${11 + index}/16`,
      `inet6 fd00:6::${(17 + index).toString(16)}/64`,
    ])
    const routes = [
      ...(await ipJson(netnsOf(name), '-4', 'route')),
      ...(await ipJson(netnsOf(name), '-6', 'route', 'show', 'default')),
    ]
    assert.deepEqual(
      routes.map((route) => `${String(route['dst'])} ${String(route['gateway'] ?? '-')}`),
      ['default 10.6.0.1', '10.6.0.0/16 -', 'default fd00:6::1'],
    )
  }
})

void test('the switch holds the gateways on its bridge and a port for each node', async () => {
  const links = await ipJson(paths.switchNetns, 'link')
  const ports = links.filter((link) => link['master'] === 'br0')
  assert.deepEqual(
    ports.map((link) => link['ifname']),
    ['port0', 'port1', 'port2'],
  )
  const { stdout } = await inside(
    paths.switchNetns,
    'ip',
    '-o',
    'addr',
    'show',
    'dev',
    'br0',
    'scope',
    'global',
  )
  const addresses = stdout.match(/inet6? \S+/g)
  const expected = [
    '10.6.0.1/16',
    '172.18.41.1/24',
    '10.7.0.1/16',
    'fd00:6::1/64',
    'fd00:1241::1/64',
    'fd00:7::1/64',
  ]
  assert.deepEqual(new Set(addresses?.map((text) => text.split(' ')[1])), new Set(expected))
})

void test('nodes reach each other, their gateway and the other networks, by both families', async () => {
  const targets = [
    '10.6.0.12',
    '10.6.0.13',
    '10.6.0.1',
    '172.18.41.1',
    '10.7.0.1',
    'fd00:6::12',
    'fd00:6::1',
    'fd00:7::1',
  ]
  const pings = targets.map(async (target) => {
    const { stdout } = await inside(
      netnsOf('master'),
      'ping',
      '-n',
      '-c',
      '2',
      '-i',
      '0.2',
      '-W',
      '2',
      target,
    )
    assert.match(stdout, /2 received/, target)
  })
  await Promise.all(pings)
})

void test('a macvlan on ens192 with an address of another network reaches its gateway', async () => {
  const netns = join(dir, 'pod.netns')
  await pause.makeNamespace(netns, signal)
  await inside(
    netnsOf('node1'),
    'ip',
    'link',
    'add',
    'link',
    'ens192',
    'name',
    'pod0',
    'type',
    'macvlan',
    'mode',
    'bridge',
  )
  await run('sh', ['-c', `nsenter --net=${netnsOf('node1')} ip link set pod0 netns ${netns}`], { signal })
  await inside(netns, 'ip', 'addr', 'add', '172.18.41.44/24', 'dev', 'pod0')
  await inside(netns, 'ip', 'link', 'set', 'pod0', 'up')
  const { stdout } = await inside(netns, 'ping', '-n', '-c', '1', '-W', '2', '172.18.41.1')
  assert.match(stdout, /1 received/)
})

void test('the product sees the same links and routes as iproute2', async () => {
  using netlink = openNetlink(netnsOf('node2'))
  const links = await ipJson(netnsOf('node2'), 'link')
  assert.deepEqual(
    netlink.links().map((link) => [link.index, link.name, link.mac, link.mtuBytes]),
    links.map((link) => [link['ifindex'], link['ifname'], link['address'], link['mtu']]),
  )
  const { stdout } = await inside(netnsOf('node2'), 'ip', '-4', 'route', 'show', 'table', 'all')
  assert.equal(netlink.routes(4).length, stdout.trim().split('\n').length)
})

void test('a refused change names its reason, and no descriptor or thread stays in a node', () => {
  const countBefore = readdirSync('/proc/self/fd').length
  for (let i = 0; i < 200; i++) {
    using netlink = openNetlink(netnsOf('node1'))
    assert.throws(() => netlink.addLink({ kind: 'bridge' }, { name: 'ens192' }), { code: 'NETLINK_EEXIST' })
    assert.equal(netlink.deleteLink(9999), false)
  }
  assert.equal(readdirSync('/proc/self/fd').length, countBefore)
  assertHostThreads()
})

void test('removing finds pause processes and mounts by the kernel alone, and leaves nothing', async () => {
  const netns = join(dir, 'sandbox.netns')
  const id = await pause.startPause(netns, signal)
  assert.equal(readProcessId(id.pid)?.startTicks, id.startTicks)
  assert.ok(listMounts(dir).length >= 5)
  const removed = await removeTopology(dir, systemClock, signal)
  assert.deepEqual(removed.left, [])
  assert.ok(removed.processCount >= 1)
  assert.equal(readProcessId(id.pid), undefined)
  assert.deepEqual(listMounts(dir), [])
  assert.equal(existsSync(netns), false)
  assert.equal(execFileSync('ip', ['-o', 'link']).toString(), linksBefore)
  assert.deepEqual(await removeTopology(dir, systemClock, signal), {
    processCount: 0,
    mountCount: 0,
    left: [],
  })
})
