// Debian's macvlan (package containernetworking-plugins) below the meta-plugin, in namespaces of our own: a switch with a
// gateway, a node with NIC ens192 on it, and sandboxes.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import test, { after, before } from 'node:test'
import { machineNamespaces } from '../../src/agent/index.ts'
import { silentLogger } from '../../src/base/index.ts'
import { createRunner, parseNetworkList, type RuntimeAttachment } from '../../src/cni/index.ts'
import { assertHostThreads, prepareNamespaces } from '../../src/netlink/index.ts'
import { AgentKit } from '../support/agent-kit.ts'
import { journalNames } from '../support/journal-names.ts'
import { until } from '../support/scripted-api.ts'

const prefix = `mv${process.pid}`
const [lan, node] = [`${prefix}-lan`, `${prefix}-node`]
const sandboxes: string[] = []
const plugins = '/usr/lib/cni'

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' })
}

interface Shown {
  readonly ifname: string
  readonly link?: string
  readonly linkinfo?: { readonly info_kind: string; readonly info_data?: { readonly mode?: string } }
  readonly addr_info: readonly {
    readonly local: string
    readonly prefixlen: number
    readonly family: string
  }[]
  readonly address: string
}

function links(netns: string): readonly Shown[] {
  return (JSON.parse(ip('-n', netns, '-d', '-j', 'address', 'show')) as readonly Shown[]).filter(
    (link) => link.ifname !== 'lo',
  )
}

function sandbox(name: string): string {
  const netns = `${prefix}-${name}`
  ip('netns', 'add', netns)
  sandboxes.push(netns)
  return netns
}

function ping(netns: string, target: string): void {
  ip('netns', 'exec', netns, 'ping', '-c', '2', '-i', '0.2', '-W', '2', target)
}

const macvlanNad = (name: string, more: object = {}) => ({
  metadata: { name, namespace: 'kube-system' },
  spec: {
    config: JSON.stringify({
      cniVersion: '1.0.0',
      name,
      plugins: [{ type: 'macvlan', master: 'ens192', mode: 'bridge', ipam: { type: 'spiderpool' }, ...more }],
    }),
  },
})

let kit: AgentKit

before(async () => {
  assert.ok(existsSync(`${plugins}/macvlan`), 'install the Debian package containernetworking-plugins')
  for (const name of [lan, node]) ip('netns', 'add', name)
  ip('-n', lan, 'link', 'add', 'br0', 'type', 'bridge')
  ip('-n', lan, 'address', 'add', '10.6.0.1/24', 'dev', 'br0')
  ip('-n', lan, 'link', 'set', 'br0', 'up')
  ip('-n', lan, 'link', 'add', 'port1', 'type', 'veth', 'peer', 'name', 'ens192', 'netns', node)
  ip('-n', lan, 'link', 'set', 'port1', 'master', 'br0', 'up')
  ip('-n', node, 'link', 'set', 'ens192', 'up')
  await prepareNamespaces()
  const hostNetns = `/var/run/netns/${node}`
  kit = await AgentKit.start({ hostNetns, namespaces: machineNamespaces(hostNetns), pluginPath: [plugins] })
  kit.kube.put('network-attachment-definitions', macvlanNad('base'))
  kit.kube.put('network-attachment-definitions', macvlanNad('second'))
})

after(async () => {
  await kit[Symbol.asyncDispose]()
  for (const netns of [...sandboxes, node, lan]) ip('netns', 'delete', netns)
})

const metaConfig = { cniVersion: '1.1.0', name: 'spiderpool', type: 'spiderpool-meta' }

function pod(name: string, annotations: Record<string, string> = {}): Record<string, string> {
  kit.kube.put('pods', { metadata: { name, namespace: 'default', uid: `uid-${name}`, annotations } })
  return {
    CNI_CONTAINERID: name,
    CNI_NETNS: `/var/run/netns/${sandbox(name)}`,
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=uid-${name}`,
  }
}

void test('ADD makes a macvlan with address and default route that answers pings; DEL leaves nothing', async () => {
  const [one, two] = [pod('one'), pod('two')]
  const added = await kit.call('spiderpool-meta', 'ADD', metaConfig, one)
  assert.equal(added.exitCode, 0, added.stdout)
  assert.equal((await kit.call('spiderpool-meta', 'ADD', metaConfig, two)).exitCode, 0)
  const [link] = links(`${prefix}-one`)
  const address = kit.allocator.held.get('one:eth0')?.[0]?.address.split('/')[0] ?? ''
  assert.deepEqual(
    [link?.ifname, link?.linkinfo?.info_kind, link?.linkinfo?.info_data?.mode],
    ['eth0', 'macvlan', 'bridge'],
  )
  assert.ok(link?.addr_info.some((item) => item.local === address && item.prefixlen === 24))
  assert.match(ip('-n', `${prefix}-one`, 'route'), /default via 10\.6\.0\.1 dev eth0/)
  ping(`${prefix}-one`, '10.6.0.1')
  ping(`${prefix}-one`, kit.allocator.held.get('two:eth0')?.[0]?.address.split('/')[0] ?? '')
  const result = added.json as { interfaces: { name: string; mac: string }[]; ips: { address: string }[] }
  assert.equal(result.interfaces[0]?.mac, link?.address)
  assert.equal(added.json['cniVersion'], '1.1.0')
  const status: unknown = JSON.parse(
    kit.kube.pod('default', 'one')?.metadata.annotations?.['k8s.v1.cni.cncf.io/network-status'] ?? 'null',
  )
  assert.deepEqual(status, [
    {
      name: 'kube-system/base',
      interface: 'eth0',
      ips: [address],
      mac: link?.address,
      default: true,
      dns: {},
    },
  ])
  for (const env of [one, two])
    for (let round = 0; round < 3; round++) {
      const gone = await kit.call('spiderpool-meta', 'DEL', metaConfig, env)
      assert.deepEqual([gone.exitCode, gone.stdout], [0, ''], gone.stdout)
    }
  assert.deepEqual(links(`${prefix}-one`), [])
  assert.equal(kit.allocator.held.size, 0)
  assert.deepEqual(
    ['scratch', 'results'].flatMap((name) => readdirSync(`${kit.dir}/cache/spiderpool-meta/${name}`)),
    [],
  )
  await until(() => journalNames(kit.options.journalDir).length === 0, 'an empty journal')
})

void test('CHECK sees an address that was removed by hand, and overlooks a route that somebody added', async () => {
  const env = pod('checked')
  const added = await kit.call('spiderpool-meta', 'ADD', metaConfig, env)
  assert.equal(added.exitCode, 0, added.stdout)
  const withResult = { ...metaConfig, prevResult: added.json }
  const good = await kit.call('spiderpool-meta', 'CHECK', withResult, env)
  assert.deepEqual([good.exitCode, good.stdout], [0, ''])
  const netns = `${prefix}-checked`
  ip('-n', netns, 'route', 'add', '192.0.2.0/24', 'dev', 'eth0')
  assert.equal((await kit.call('spiderpool-meta', 'CHECK', withResult, env)).exitCode, 0)
  ip('-n', netns, 'address', 'flush', 'dev', 'eth0')
  assert.notEqual((await kit.call('spiderpool-meta', 'CHECK', withResult, env)).exitCode, 0)
  assert.equal((await kit.call('spiderpool-meta', 'DEL', metaConfig, env)).exitCode, 0)
})

void test('two networks give two interfaces; default-route moves the default route to the second', async () => {
  const env = pod('multi', {
    'k8s.v1.cni.cncf.io/networks':
      '[{"name":"second","namespace":"kube-system","default-route":["10.6.0.1"]}]',
  })
  const added = await kit.call('spiderpool-meta', 'ADD', metaConfig, env)
  assert.equal(added.exitCode, 0, added.stdout)
  const netns = `${prefix}-multi`
  assert.deepEqual(
    links(netns).map((link) => link.ifname),
    ['eth0', 'net1'],
  )
  assert.deepEqual(ip('-n', netns, 'route', 'show', 'default').trim().split('\n').length, 1)
  assert.match(ip('-n', netns, 'route', 'show', 'default'), /via 10\.6\.0\.1 dev net1/)
  const check = await kit.call('spiderpool-meta', 'CHECK', { ...metaConfig, prevResult: added.json }, env)
  assert.equal(check.exitCode, 0, check.stdout)
  // Nothing that DEL needs is left but what ADD noted.
  kit.kube.delete('pods', 'default', 'multi')
  kit.kube.delete('network-attachment-definitions', 'kube-system', 'second')
  await kit.stop()
  await kit.start()
  assert.equal((await kit.call('spiderpool-meta', 'DEL', '{', env)).exitCode, 0)
  assert.deepEqual(links(netns), [])
  assert.equal(kit.allocator.held.size, 0)
  kit.kube.put('network-attachment-definitions', macvlanNad('second'))
})

void test('a second attachment that fails takes the first one with it, and names the reason in an Event', async () => {
  kit.kube.put('network-attachment-definitions', macvlanNad('broken', { master: 'nowhere0' }))
  const env = pod('broken', { 'k8s.v1.cni.cncf.io/networks': 'kube-system/broken,kube-system/second' })
  const added = await kit.call('spiderpool-meta', 'ADD', metaConfig, env)
  assert.notEqual(added.exitCode, 0)
  assert.match(String(added.json['msg']), /"broken": plugin "macvlan": Link not found/)
  // The plugin refuses DEL too, so what is left is kept for DEL; the address is free, for its link is not there.
  assert.deepEqual(links(`${prefix}-broken`), [])
  assert.equal(kit.allocator.held.size, 0)
  assert.ok(
    kit.kube.events.some((event) => event.type === 'Warning' && event.message.includes('Link not found')),
  )
})

/** MAC addresses by interface, in the namespace, in the result of ADD, and in the annotation network-status. */
async function macsOf(name: string, annotations: Record<string, string>) {
  const env = pod(name, annotations)
  const added = await kit.call('spiderpool-meta', 'ADD', metaConfig, env)
  assert.equal(added.exitCode, 0, added.stdout)
  const check = await kit.call('spiderpool-meta', 'CHECK', { ...metaConfig, prevResult: added.json }, env)
  assert.equal(check.exitCode, 0, check.stdout)
  const shown = kit.kube.pod('default', name)?.metadata.annotations?.['k8s.v1.cni.cncf.io/network-status']
  const status = JSON.parse(shown ?? '[]') as readonly { interface: string; mac: string; dns: unknown }[]
  const result = added.json as { interfaces: { name: string; mac: string }[] }
  ping(`${prefix}-${name}`, '10.6.0.1')
  assert.equal((await kit.call('spiderpool-meta', 'DEL', metaConfig, env)).exitCode, 0)
  return { status, result: result.interfaces[0]?.mac }
}

void test('an interface has the MAC address that the pod asks for or that came with its address, and DNS settings are shown', async () => {
  const asked = '02:00:0a:06:00:14'
  const byAnnotation = await macsOf('mac-asked', { 'ipam.spidernet.io/mac': asked })
  assert.deepEqual([byAnnotation.result, byAnnotation.status[0]?.mac], [asked, asked])
  // One that the allocator knows alone: macvlan was not told, so the agent gives it.
  const kept = '02:00:0a:06:00:15'
  kit.allocator.macs = { net1: kept }
  kit.allocator.dns = { nameservers: ['10.6.0.53'] }
  const nets = { 'k8s.v1.cni.cncf.io/networks': 'kube-system/second' }
  const both = await macsOf('mac-kept', { 'ipam.spidernet.io/mac': asked, ...nets })
  assert.deepEqual(
    both.status.map(({ interface: nic, mac, dns }) => [nic, mac, dns]),
    [
      ['eth0', asked, kit.allocator.dns],
      ['net1', kept, kit.allocator.dns],
    ],
  )
  kit.allocator.macs = {}
  kit.allocator.dns = undefined
})

void test('an interface name that is taken is refused before a plugin runs', async () => {
  const env = pod('taken', { 'k8s.v1.cni.cncf.io/networks': 'kube-system/second@dmz0' })
  ip('-n', `${prefix}-taken`, 'link', 'add', 'dmz0', 'type', 'veth', 'peer', 'name', 'dmz1')
  const added = await kit.call('spiderpool-meta', 'ADD', metaConfig, env)
  assert.deepEqual([added.exitCode, added.json['code']], [1, 7], added.stdout)
  assert.match(String(added.json['msg']), /dmz0/)
  assert.equal(kit.allocator.held.size, 0)
})

void test('ADD into the namespace of the node is refused with code 8 before anything is done', async () => {
  const env = pod('wrong')
  const added = await kit.call('spiderpool-meta', 'ADD', metaConfig, {
    ...env,
    CNI_NETNS: `/var/run/netns/${node}`,
  })
  assert.deepEqual([added.exitCode, added.json['code']], [1, 8], added.stdout)
  const direct = await kit.call('spiderpool', 'ADD', undefined, { ...env, CNI_NETNS: '/proc/self/ns/net' })
  assert.deepEqual([direct.exitCode, direct.json['code']], [1, 8], direct.stdout)
  assert.deepEqual(
    links(node).map((link) => link.ifname),
    ['ens192'],
  )
})

void test('a 1.1.0 list with the older macvlan gives an error that names the plugin and its versions', async () => {
  const runner = createRunner({
    binDirs: [kit.options.cniBinDir, plugins],
    cacheDir: `${kit.dir}/runner`,
    netnsPath: `/var/run/netns/${node}`,
    env: { ...process.env, SPIDERPOOL_AGENT_SOCKET: kit.options.socketPath } as Record<string, string>,
    logger: silentLogger,
  })
  const env = pod('runner')
  const attachment: RuntimeAttachment = {
    containerId: 'runner',
    netns: env['CNI_NETNS'] ?? '',
    ifName: 'eth0',
    args: (env['CNI_ARGS'] ?? '').split(';').map((pair) => pair.split('=', 2) as [string, string]),
  }
  const text = macvlanNad('x').spec.config
  const signal = AbortSignal.timeout(30_000)
  const old = parseNetworkList(text.replace('"1.0.0"', '"1.1.0"'), 'test')
  await assert.rejects(runner.add(old, attachment, signal), /"1\.1\.0": plugin "macvlan" supports .*1\.0\.0/)
  const list = parseNetworkList(text, 'test')
  const result = await runner.add(list, attachment, signal)
  assert.equal(result.interfaces?.[0]?.name, 'eth0')
  await runner.check(list, attachment, signal)
  await runner.del(list, { ...attachment, netns: '' }, signal)
  await runner.del(list, attachment, signal)
  assert.equal(kit.allocator.held.size, 0)
})

void test('no thread and no descriptor is left in a namespace', async () => {
  assertHostThreads()
  const openNow = () => readdirSync('/proc/self/fd').length
  const env = pod('fds')
  const round = async () => {
    assert.equal((await kit.call('spiderpool-meta', 'ADD', metaConfig, env)).exitCode, 0)
    assert.equal((await kit.call('spiderpool-meta', 'DEL', metaConfig, env)).exitCode, 0)
  }
  await round()
  const before = openNow()
  for (let at = 0; at < 5; at++) await round()
  assert.ok(openNow() <= before + 2, `${openNow()} descriptors after, ${before} before`)
  assertHostThreads()
})
