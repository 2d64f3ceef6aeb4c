// The meta-plugin through the real executable and a real agent; the main plugin is a script that calls our IPAM.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { after, before, beforeEach } from 'node:test'
import { AgentKit, PathNamespaces, type PluginOutcome } from '../../../test/support/agent-kit.ts'
import { journalNames } from '../../../test/support/journal-names.ts'
import { until } from '../../../test/support/scripted-api.ts'

const meta = { cniVersion: '1.1.0', name: 'spiderpool', type: 'spiderpool-meta' }
const versions = '{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}'
let kit: AgentKit

const log = () => join(kit.dir, 'calls')
/** What the scripts were asked: `ADD net1 {...}`. */
const calls = (): readonly string[] =>
  readFileSync(log(), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
const commands = () => calls().map((line) => line.split(' ').slice(0, 2).join(' '))

before(async () => {
  kit = await AgentKit.start({ namespaces: new PathNamespaces() })
  const common = `[ "$CNI_COMMAND" = VERSION ] && { echo '${versions}'; exit 0; }
input=$(cat)
printf '%s %s %s ARGS:%s\\n' "$CNI_COMMAND" "$CNI_IFNAME" "$input" "$CNI_ARGS" >> ${log()}`
  const ipam = `printf '%s' "$input" | "$(dirname "$0")/spiderpool"`
  kit.script('main', `${common}\ncase "$CNI_COMMAND" in ADD|DEL) ${ipam}; exit $?;; esac`)
  kit.script(
    'broken',
    `${common}\n[ "$CNI_COMMAND" = ADD ] || exit 0\necho '{"code":7,"msg":"no such master"}'; exit 1`,
  )
  kit.script(
    'stuck',
    `${common}\n[ "$CNI_COMMAND" = DEL ] || { ${ipam}; exit $?; }\necho '{"code":5,"msg":"stuck"}'; exit 1`,
  )
})
after(async () => {
  await kit[Symbol.asyncDispose]()
})
beforeEach(() => {
  writeFileSync(log(), '')
  kit.kube.events.length = 0
  kit.kube.conflicts = 0
  for (const [namespace, name, type] of [
    ['kube-system', 'base', 'main'],
    ['default', 'mv', 'main'],
    ['red', 'mv', 'main'],
    ['default', 'broken', 'broken'],
    ['default', 'stuck', 'stuck'],
  ] as const)
    nad(namespace, name, { type, ipam: { type: 'spiderpool' } })
})

function nad(namespace: string, name: string, plugin: object): void {
  const config = JSON.stringify({ cniVersion: '1.0.0', name: `${namespace}-${name}`, plugins: [plugin] })
  kit.kube.put('network-attachment-definitions', { metadata: { namespace, name }, spec: { config } } as never)
}

function pod(name: string, annotations: Record<string, string> = {}): Record<string, string> {
  kit.kube.put('pods', { metadata: { name, namespace: 'default', uid: `uid-${name}`, annotations } })
  return {
    CNI_CONTAINERID: name,
    CNI_NETNS: `/netns/${name}`,
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=uid-${name}`,
  }
}

const networks = (value: unknown) => ({
  'k8s.v1.cni.cncf.io/networks': typeof value === 'string' ? value : JSON.stringify(value),
})
const add = (env: Record<string, string>, more: object = {}) =>
  kit.call('spiderpool-meta', 'ADD', { ...meta, ...more }, env)
const del = (env: Record<string, string>) => kit.call('spiderpool-meta', 'DEL', meta, env)

async function expectRefusal(outcome: PluginOutcome, code: number, words: RegExp): Promise<void> {
  assert.deepEqual([outcome.exitCode, outcome.json['code']], [1, code], outcome.stdout)
  assert.match(String(outcome.json['msg']), words)
  assert.equal(kit.allocator.held.size, 0)
  await until(() => journalNames(kit.options.journalDir).length === 0, 'an empty journal')
}

async function addAndRemove(env: Record<string, string>): Promise<void> {
  const added = await add(env)
  assert.equal(added.exitCode, 0, added.stdout)
  assert.equal((await del(env)).exitCode, 0)
  assert.equal(kit.allocator.held.size, 0)
}

async function eventOf(reason: string): Promise<string> {
  const deadline = performance.now() + 5000
  for (;;) {
    const found = kit.kube.events.find((event) => event.reason === reason)
    if (found !== undefined) return found.message
    assert.ok(performance.now() < deadline, `no Event ${reason}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

void test('a pod that is gone or another one is code 105, before a plugin runs', async () => {
  const env = pod('ghost')
  kit.kube.delete('pods', 'default', 'ghost')
  await expectRefusal(await add(env), 105, /"default\/ghost": it is not there/)
  kit.kube.put('pods', { metadata: { name: 'ghost', namespace: 'default', uid: 'newer' } })
  await expectRefusal(await add(env), 105, /is another pod now/)
  assert.deepEqual(calls(), [])
  const mirror = {
    name: 'ghost',
    namespace: 'default',
    uid: 'm',
    annotations: { 'kubernetes.io/config.hash': 'uid-ghost' },
  }
  kit.kube.put('pods', { metadata: mirror })
  await addAndRemove(env)
})

void test('a network that is not there is named in the error and in an Event, before a plugin runs', async () => {
  const env = pod('lost', networks('mv,nowhere'))
  await expectRefusal(await add(env), 7, /network "default\/nowhere"/)
  assert.match(await eventOf('NoNetworkFound'), /default\/nowhere/)
  assert.deepEqual(calls(), [])
})

void test('the same network twice gives two interfaces, two addresses and two entries of the status', async () => {
  const env = pod('twice', networks('mv,mv'))
  const added = await add(env)
  assert.equal(added.exitCode, 0, added.stdout)
  const addresses = ['eth0', 'net1', 'net2'].map(
    (nic) => kit.allocator.held.get(`twice:${nic}`)?.[0]?.address,
  )
  assert.equal(new Set(addresses).size, 3)
  const text =
    kit.kube.pod('default', 'twice')?.metadata.annotations?.['k8s.v1.cni.cncf.io/network-status'] ?? ''
  const status = JSON.parse(text) as readonly {
    name: string
    interface: string
    ips: string[]
    default?: boolean
  }[]
  assert.deepEqual(
    status.map((item) => [item.name, item.interface, item.default ?? false]),
    [
      ['kube-system/base', 'eth0', true],
      ['default/mv', 'net1', false],
      ['default/mv', 'net2', false],
    ],
  )
  assert.ok(text.startsWith('[\n    {\n        "name"'))
  assert.match(await eventOf('AddedInterface'), /^Add eth0 \[10\.6\.0\.\d+\/24\] from kube-system\/base$/)
  assert.equal((await del(env)).exitCode, 0)
  assert.deepEqual(commands(), ['ADD eth0', 'ADD net1', 'ADD net2', 'DEL net2', 'DEL net1', 'DEL eth0'])
})

void test('a failing attachment takes the earlier ones down in reverse; the later ones never run', async () => {
  const env = pod('failing', networks('broken,mv'))
  await expectRefusal(await add(env), 7, /"broken": no such master/)
  assert.deepEqual(commands().slice(0, 2), ['ADD eth0', 'ADD net1'])
  assert.ok(!commands().includes('ADD net2'))
  assert.match(await eventOf('FailedAttach'), /no such master/)
  assert.deepEqual(readdirSync(join(kit.dir, 'cache/spiderpool-meta/scratch')), [])
})

void test('DEL uses the configuration of ADD when the network was edited, and when the pod is gone', async () => {
  const env = pod('edited', networks('mv'))
  assert.equal((await add(env)).exitCode, 0)
  nad('default', 'mv', { type: 'broken' })
  kit.kube.delete('pods', 'default', 'edited')
  assert.equal((await del(env)).exitCode, 0)
  assert.ok(calls().some((line) => line.startsWith('DEL net1') && line.includes('"type":"main"')))
  assert.equal(kit.allocator.held.size, 0)
})

void test('a damaged scratch file, with the pod gone too, leaves nothing behind', async () => {
  const env = pod('damaged', networks('mv'))
  assert.equal((await add(env)).exitCode, 0)
  kit.kube.delete('pods', 'default', 'damaged')
  const folder = join(kit.dir, 'cache/spiderpool-meta')
  writeFileSync(join(folder, 'scratch/damaged'), '{"version":1,')
  assert.equal((await del(env)).exitCode, 0)
  assert.equal(kit.allocator.held.size, 0)
  assert.equal((await add(pod('damaged', networks('mv')))).exitCode, 0)
  for (const name of ['scratch', 'results']) rmSync(join(folder, name), { recursive: true })
  assert.equal((await del(env)).exitCode, 0)
  assert.equal(kit.allocator.held.size, 0)
})

void test('an ADD that is repeated takes the older attempt down first', async () => {
  const env = pod('repeated')
  assert.equal((await add(env)).exitCode, 0)
  assert.equal((await add(env)).exitCode, 0)
  assert.deepEqual(commands(), ['ADD eth0', 'DEL eth0', 'ADD eth0'])
  assert.equal((await del(env)).exitCode, 0)
  assert.equal(kit.allocator.held.size, 0)
})

void test('a request that no plugin takes is refused, unless strictCapabilities is off', async () => {
  const env = pod('strict', networks([{ name: 'mv', mac: '02:00:00:00:00:05' }]))
  await expectRefusal(await add(env), 7, /mac "02:00:00:00:00:05"/)
  assert.equal((await add(env, { strictCapabilities: false })).exitCode, 0)
  assert.ok(calls().some((line) => line.startsWith('ADD net1') && line.endsWith(';MAC=02:00:00:00:00:05')))
  await del(env)
  nad('default', 'mv', { type: 'main', capabilities: { mac: true }, ipam: { type: 'spiderpool' } })
  writeFileSync(log(), '')
  assert.equal((await add(env)).exitCode, 0)
  assert.ok(calls().some((line) => line.includes('"runtimeConfig":{"mac":"02:00:00:00:00:05"}')))
  await del(env)
})

void test('isolation refuses the network of a foreign namespace; the default network is exempt', async () => {
  const env = pod('isolated', networks('red/mv'))
  await expectRefusal(await add(env, { namespaceIsolation: true }), 7, /"red\/mv".*isolation/)
  const open = await add(env, { namespaceIsolation: true, globalNamespaces: 'blue, red' })
  assert.equal(open.exitCode, 0, open.stdout)
  await del(env)
})

void test('the annotation of the default network replaces it, and may name one alone', async () => {
  const key = 'v1.multus-cni.io/default-network'
  const env = pod('other-default', { [key]: 'default/mv' })
  assert.equal((await add(env)).exitCode, 0)
  const text = kit.kube.pod('default', 'other-default')?.metadata.annotations?.[
    'k8s.v1.cni.cncf.io/network-status'
  ]
  assert.match(text ?? '', /"default\/mv"/)
  await del(env)
  await expectRefusal(await add(pod('two-defaults', { [key]: 'a,b' })), 7, /names more than one network/)
  await expectRefusal(
    await add(pod('no-default', { [key]: 'base@', ...networks('mv,,mv') })),
    7,
    /networks\[1\] ""/,
  )
})

void test('a status that conflicts is written again, five times; then ADD fails and leaves nothing', async () => {
  const env = pod('conflict')
  kit.kube.conflicts = 3
  await addAndRemove(env)
  kit.kube.conflicts = 99
  await expectRefusal(await add(env), 11, /it conflicts/)
  kit.kube.conflicts = 0
})

const oneMac = '02:00:00:00:00:01'
const macOf = (line: string | undefined) => /"runtimeConfig":\{"mac":"([^"]*)"/.exec(line ?? '')?.[1]
const argsOf = (line: string | undefined) => line?.split(' ARGS:')[1] ?? ''

void test('annotation mac goes to the first interface of our IPAM, or to the ones it names, both ways that plugins know', async () => {
  nad('kube-system', 'base', { type: 'main', ipam: { type: 'spiderpool' }, capabilities: { mac: true } })
  const first = pod('mac', { 'ipam.spidernet.io/mac': `"${oneMac.toUpperCase()}"`, ...networks('mv') })
  assert.equal((await add(first)).exitCode, 0)
  const [eth0, net1] = calls()
  assert.equal(macOf(eth0), oneMac)
  assert.match(argsOf(eth0), new RegExp(`;MAC=${oneMac}$`))
  assert.deepEqual([macOf(net1), argsOf(net1).includes('MAC=')], [undefined, false])
  await del(first)
  writeFileSync(log(), '')
  const named = pod('mac2', { 'ipam.spidernet.io/mac': `{"net1":"${oneMac}"}`, ...networks('mv') })
  assert.equal((await add(named)).exitCode, 0)
  assert.deepEqual(
    calls().map((line) => [macOf(line), argsOf(line).includes(`;MAC=${oneMac}`)]),
    // net1's plugin does not declare the capability: it gets the older way alone.
    [
      [undefined, false],
      [undefined, true],
    ],
  )
  await del(named)
})

void test('a MAC address that no interface can have, or that the selection contradicts, is code 7 before a plugin runs', async () => {
  await expectRefusal(
    await add(pod('mac3', { 'ipam.spidernet.io/mac': '"03:00:00:00:00:01"' })),
    7,
    /no unicast MAC/,
  )
  nad('default', 'mv', { type: 'main', ipam: { type: 'spiderpool' }, capabilities: { mac: true } })
  const twice = networks([{ name: 'mv', mac: '02:00:00:00:00:02' }])
  const env = pod('mac4', { 'ipam.spidernet.io/mac': `{"net1":"${oneMac}"}`, ...twice })
  await expectRefusal(
    await add(env),
    7,
    /ipam\.spidernet\.io\/mac, beside mac of k8s.*something else for net1/,
  )
  assert.deepEqual(calls(), [])
})

void test('a MAC address that the plugin did not give is given afterwards, or the pod is refused and nothing is left', async () => {
  const made = '{"name":"\'"$CNI_IFNAME"\'","mac":"02:00:00:00:00:99","sandbox":"/s"}'
  kit.script(
    'fixed',
    `[ "$CNI_COMMAND" = VERSION ] && { echo '${versions}'; exit 0; }
answer=$("$(dirname "$0")/spiderpool") || { echo "$answer"; exit 1; }
[ "$CNI_COMMAND" = ADD ] || exit 0
printf '%s' '{"cniVersion":"1.0.0","interfaces":[${made}],"ips":[{"address":"10.6.0.20/24"}]}'`,
  )
  nad('kube-system', 'base', { type: 'fixed', ipam: { type: 'spiderpool' } })
  const namespaces = kit.namespaces as PathNamespaces
  const ofPod = pod('mac5', { 'ipam.spidernet.io/mac': oneMac })
  const added = await add(ofPod)
  assert.deepEqual(added.json['interfaces'], [{ name: 'eth0', mac: oneMac, sandbox: '/s' }], added.stdout)
  assert.deepEqual(namespaces.macs, [`/netns/mac5 eth0 ${oneMac}`])
  await del(ofPod)
  kit.allocator.macs = { eth0: '02:00:00:00:00:07' } // one that came with the address
  assert.equal((await add(pod('mac6'))).exitCode, 0)
  assert.equal(namespaces.macs.at(-1), '/netns/mac6 eth0 02:00:00:00:00:07')
  await del(pod('mac6'))
  kit.allocator.macs = {}
  namespaces.macRefusal = new Error('change link 7: EOPNOTSUPP')
  await expectRefusal(
    await add(pod('mac7', { 'ipam.spidernet.io/mac': oneMac })),
    2,
    /Cannot give eth0 MAC.*EOPNOTSUPP/,
  )
  namespaces.macRefusal = undefined
})

void test('IP of CNI_ARGS reaches the allocator for the interface of the call alone; bad text is code 4', async () => {
  kit.allocator.requests.length = 0
  const env = pod('asks', networks([{ name: 'mv', ips: ['10.6.0.30/24'] }]))
  const args = `${env['CNI_ARGS']};IP=10.6.0.40,fd00::40`
  assert.equal((await add({ ...env, CNI_ARGS: args })).exitCode, 0)
  assert.deepEqual(
    kit.allocator.requests.map(({ ifName, ips }) => [ifName, ips]),
    [
      ['eth0', ['10.6.0.40', 'fd00::40']],
      ['net1', ['10.6.0.30/24']],
    ],
  )
  await del(env)
  for (const bad of ['x', '10.6.0.9/33', '10.6.0.1-10.6.0.9'])
    await expectRefusal(await add({ ...env, CNI_ARGS: `${env['CNI_ARGS']};IP=${bad}` }), 4, /IP of CNI_ARGS/)
})

void test('default-route of one attachment takes the others their default route of that family', async () => {
  const env = pod('routes', networks([{ name: 'mv', 'default-route': ['10.6.0.9'] }]))
  const added = await add(env)
  assert.deepEqual(added.json['routes'], [])
  const { routeChanges } = kit.namespaces as PathNamespaces
  assert.deepEqual(routeChanges, [
    {
      path: '/netns/routes',
      changes: [
        { remove: [4], install: [], ifName: 'eth0' },
        { remove: [4], install: [{ version: 4, gateway: '10.6.0.9' }], ifName: 'net1' },
      ],
    },
  ])
  await del(env)
})

void test('a teardown that fails is reported twice; then DEL succeeds and the agent goes on by itself', async () => {
  const env = pod('stuck', networks('stuck'))
  assert.equal((await add(env)).exitCode, 0)
  const outcomes = [await del(env), await del(env), await del(env)]
  assert.deepEqual(
    outcomes.map((outcome) => outcome.exitCode),
    [1, 1, 0],
  )
  assert.match(String(outcomes[0]?.json['msg']), /stuck/)
  assert.equal(kit.allocator.held.size, 0) // its interface is gone, so the address is free
  kit.script('stuck', '[ "$CNI_COMMAND" = VERSION ] || cat > /dev/null')
  assert.equal((await del(env)).exitCode, 0)
  assert.deepEqual(readdirSync(join(kit.dir, 'cache/spiderpool-meta/scratch')), [])
})

void test('GC keeps all interfaces of a listed container and removes those of one that is not', async () => {
  const [one, two] = [pod('gc-one', networks('mv')), pod('gc-two', networks('mv'))]
  for (const env of [one, two]) assert.equal((await add(env)).exitCode, 0)
  const list = { 'cni.dev/valid-attachments': [{ containerID: 'gc-one', ifname: 'eth0' }] }
  const gc = await kit.call('spiderpool-meta', 'GC', { ...meta, ...list }, {})
  assert.deepEqual([gc.exitCode, gc.stdout], [0, ''])
  assert.deepEqual([...kit.allocator.held.keys()], ['gc-one:eth0', 'gc-one:net1'])
  await del(one)
})

void test('STATUS is 50 when the default network cannot be used', async () => {
  const status = () => kit.call('spiderpool-meta', 'STATUS', meta)
  const ready = await status()
  assert.deepEqual([ready.exitCode, ready.stdout], [0, ''])
  nad('kube-system', 'base', { type: 'nowhere' })
  const missing = await status()
  assert.equal(missing.json['code'], 50)
  assert.match(String(missing.json['msg']), /"nowhere"/)
  kit.kube.delete('network-attachment-definitions', 'kube-system', 'base')
  assert.equal((await status()).json['code'], 50)
})

void test('a network with an empty config is found on the disk of the node by its name', async () => {
  kit.kube.put('network-attachment-definitions', { metadata: { namespace: 'default', name: 'disk' } })
  const env = pod('disk', networks('disk'))
  await expectRefusal(await add(env), 7, /default\/disk: spec.config.*no network "disk"/)
  const list = {
    cniVersion: '1.0.0',
    name: 'disk',
    plugins: [{ type: 'main', ipam: { type: 'spiderpool' } }],
  }
  writeFileSync(join(kit.options.cniConfDir, '50-disk.conflist'), JSON.stringify(list))
  await addAndRemove(env)
})
