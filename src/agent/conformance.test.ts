// What the CNI specification asks of a plugin (spec: versions, environment, operations, results), through the real
// executable and a real agent; namespaces and allocator are in memory.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import fc from 'fast-check'
import { AgentKit, ipamConfig, PathNamespaces } from '../../test/support/agent-kit.ts'
import { journalNames } from '../../test/support/journal-names.ts'
import { until } from '../../test/support/scripted-api.ts'
import { AllocatorError } from '../rpc/index.ts'
import { encodeRequest } from './socket/frame.ts'

let kit: AgentKit
const namespaces = new PathNamespaces()

before(async () => {
  kit = await AgentKit.start({ namespaces })
})
after(async () => {
  await kit[Symbol.asyncDispose]()
})

const container = (id: string) => ({ CNI_CONTAINERID: id, CNI_NETNS: `/netns/${id}` })
const emptyJournal = () =>
  until(() => journalNames(kit.options.journalDir).length === 0, 'an empty journal', 10_000)
const reset = async (id: string) => {
  assert.equal((await kit.call('spiderpool', 'DEL', ipamConfig(), container(id))).exitCode, 0)
}

void test('each missing variable is code 4 with its name; of two missing, both names', async () => {
  const attachment = ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH']
  const required: Readonly<Record<string, readonly string[]>> = {
    ADD: [...attachment, 'CNI_NETNS'],
    CHECK: [...attachment, 'CNI_NETNS'],
    DEL: attachment,
    GC: ['CNI_PATH'],
    STATUS: ['CNI_PATH'],
  }
  for (const [command, names] of Object.entries(required)) {
    for (const name of names)
      for (const absent of [undefined, '']) {
        const outcome = await kit.call('spiderpool', command, ipamConfig(), { [name]: absent })
        assert.deepEqual([outcome.exitCode, outcome.json['code']], [1, 4], `${command} ${name}`)
        assert.match(String(outcome.json['msg']), new RegExp(name))
      }
    const [first, second] = names
    if (first === undefined || second === undefined) continue
    const outcome = await kit.call('spiderpool', command, ipamConfig(), {
      [first]: undefined,
      [second]: undefined,
    })
    assert.match(String(outcome.json['msg']), new RegExp(`${first}, ${second}`))
  }
})

const grants = {
  '0.3.0': { withFamily: true },
  '0.3.1': { withFamily: true },
  '0.4.0': { withFamily: true },
  '1.0.0': { withFamily: false },
  '1.1.0': { withFamily: false },
}

void test('ADD answers in the version of the configuration, in exactly its shape', async () => {
  for (const [version, { withFamily }] of Object.entries(grants)) {
    const outcome = await kit.call('spiderpool', 'ADD', ipamConfig(version), container('versions'))
    assert.equal(outcome.exitCode, 0, outcome.stdout)
    const address = kit.allocator.held.get('versions:eth0')?.[0]?.address
    const ip = { ...(withFamily ? { version: '4' } : {}), address, gateway: '10.6.0.1' }
    const routes = [{ dst: '0.0.0.0/0', gw: '10.6.0.1' }]
    assert.deepEqual(outcome.json, {
      cniVersion: version,
      ips: [ip],
      routes,
      ...(withFamily ? { dns: {} } : {}),
    })
    kit.allocator.dns = { nameservers: ['10.6.0.53'], search: ['a.example'] }
    const withDns = await kit.call('spiderpool', 'ADD', ipamConfig(version), container('versions'))
    assert.deepEqual(withDns.json['dns'], kit.allocator.dns)
    kit.allocator.dns = undefined
    if (version.startsWith('0.3')) continue
    const check = await kit.call(
      'spiderpool',
      'CHECK',
      ipamConfig(version, { prevResult: outcome.json }),
      container('versions'),
    )
    assert.deepEqual([check.exitCode, check.stdout], [0, ''])
  }
  await reset('versions')
})

void test('DEL is a success whatever is gone, and prints nothing', async () => {
  const id = 'deleted'
  const del = async (config: unknown, more: Record<string, string | undefined> = {}) => {
    const outcome = await kit.call('spiderpool', 'DEL', config, { ...container(id), ...more })
    assert.deepEqual([outcome.exitCode, outcome.stdout], [0, ''], outcome.stdout)
  }
  await del(ipamConfig())
  const variants: readonly (readonly [unknown, Record<string, string | undefined>])[] = [
    [ipamConfig(), {}],
    [ipamConfig(), { CNI_NETNS: '' }],
    [ipamConfig(), { CNI_NETNS: undefined, CNI_ARGS: undefined }],
    [ipamConfig(), { CNI_NETNS: '/gone/netns', CNI_ARGS: 'no pair;;=' }],
    [ipamConfig('1.0.0', { prevResult: { cniVersion: '1.0.0', ips: [{ address: '192.0.2.9/24' }] } }), {}],
    [ipamConfig('1.0.0', { prevResult: 'wrong' }), {}],
    ['', {}],
    ['{"cniVersion":"1.0', {}],
    [{ cniVersion: '9.9.9', name: 'other' }, {}],
    [{}, {}],
  ]
  for (const [config, more] of variants) {
    const added = await kit.call('spiderpool', 'ADD', ipamConfig(), container(id))
    assert.equal(added.exitCode, 0, added.stdout)
    for (let round = 0; round < 3; round++) await del(config, more)
    assert.equal(kit.allocator.held.has(`${id}:eth0`), false)
  }
})

void test('CHECK: an old version is code 1, no prevResult code 7, a lost record an error', async () => {
  const id = 'checked'
  const added = await kit.call('spiderpool', 'ADD', ipamConfig(), container(id))
  const check = (config: object) => kit.call('spiderpool', 'CHECK', config, container(id))
  const prevResult = added.json
  assert.equal((await check(ipamConfig('0.3.1', { prevResult }))).json['code'], 1)
  assert.equal((await check(ipamConfig())).json['code'], 7)
  const withRoute = { ...prevResult, routes: [{ dst: '192.0.2.0/24' }] }
  assert.equal((await check(ipamConfig('1.1.0', { prevResult: withRoute }))).exitCode, 0)
  const foreign = { cniVersion: '1.1.0', ips: [{ address: '192.0.2.1/24' }] }
  assert.equal((await check(ipamConfig('1.1.0', { prevResult: foreign }))).json['code'], 102)
  await reset(id)
  assert.equal((await check(ipamConfig('1.1.0', { prevResult }))).json['code'], 102)
})

void test('GC keeps what the list names and frees the rest of its network', async () => {
  for (const id of ['gc1', 'gc2']) await kit.call('spiderpool', 'ADD', ipamConfig(), container(id))
  await kit.call('spiderpool', 'ADD', ipamConfig('1.1.0', { name: 'net-b' }), container('gc3'))
  const list = (ids: readonly string[]) => ids.map((id) => ({ containerID: id, ifname: 'eth0' }))
  const gc = (more: object) => kit.call('spiderpool', 'GC', ipamConfig('1.1.0', more))
  const held = () => [...kit.allocator.held.keys()].filter((key) => key.startsWith('gc'))
  assert.equal((await gc({})).json['code'], 7)
  assert.equal((await gc({ 'cni.dev/valid-attachments': 'x' })).json['code'], 7)
  assert.equal(
    (await gc({ 'cni.dev/valid-attachments': [{ containerID: '../x', ifname: 'e' }] })).json['code'],
    7,
  )
  assert.deepEqual(held(), ['gc1:eth0', 'gc2:eth0', 'gc3:eth0'])
  const kept = await gc({ 'cni.dev/valid-attachments': list(['gc1', 'gc2']) })
  assert.deepEqual([kept.exitCode, kept.stdout], [0, ''])
  assert.deepEqual(held(), ['gc1:eth0', 'gc2:eth0', 'gc3:eth0'])
  assert.equal((await gc({ 'cni.dev/attachments': list(['gc1']) })).exitCode, 0)
  assert.deepEqual(held(), ['gc1:eth0', 'gc3:eth0'])
  const old = await kit.call('spiderpool', 'GC', ipamConfig('1.0.0', { 'cni.dev/valid-attachments': [] }))
  assert.equal(old.json['code'], 1)
  for (const id of ['gc1', 'gc3']) await reset(id)
})

void test('GC with an empty list frees nothing of a pod that the API server says lives on this node', async () => {
  kit.kube.put('pods', { metadata: { name: 'web-1', namespace: 'default', uid: 'uid-web-1' } })
  await kit.call('spiderpool', 'ADD', ipamConfig(), container('suspicious'))
  const gc = () => kit.call('spiderpool', 'GC', ipamConfig('1.1.0', { 'cni.dev/valid-attachments': [] }))
  assert.equal((await gc()).exitCode, 0)
  assert.ok(kit.allocator.held.has('suspicious:eth0'))
  kit.kube.delete('pods', 'default', 'web-1')
  assert.equal((await gc()).exitCode, 0)
  assert.ok(!kit.allocator.held.has('suspicious:eth0'))
})

void test('STATUS is 0 while the controller is reached, and code 1 for an old version', async () => {
  const ready = await kit.call('spiderpool', 'STATUS', ipamConfig())
  assert.deepEqual([ready.exitCode, ready.stdout], [0, ''])
  assert.equal((await kit.call('spiderpool', 'STATUS', ipamConfig('1.0.0'))).json['code'], 1)
})

void test('coordinator and ifacer answer VERSION, and say that the rest comes later', async () => {
  for (const name of ['coordinator', 'ifacer']) {
    assert.equal((await kit.call(name, 'VERSION')).exitCode, 0)
    const added = await kit.call(name, 'ADD')
    assert.equal(added.exitCode, 1)
    assert.match(String(added.json['msg']), new RegExp(`"${name}": it comes in a later release`))
  }
})

void test('a failed ADD gives back what it took, and passes on the code of the allocator', async () => {
  const free = kit.allocator.free
  kit.allocator.free = []
  const full = await kit.call('spiderpool', 'ADD', ipamConfig(), container('failed'))
  assert.deepEqual([full.exitCode, full.json['code']], [1, 100])
  assert.match(String(full.json['details']), /^pool-exhausted: /)
  kit.allocator.free = free
  kit.allocator.refusal = new AllocatorError({ code: 11, msg: 'no leader', details: 'try-again: wait' })
  assert.equal((await kit.call('spiderpool', 'ADD', ipamConfig(), container('failed'))).json['code'], 11)
  kit.allocator.refusal = undefined
  const pod = { namespace: 'default', name: 'web-1', uid: 'uid-web-1' }
  assert.deepEqual(kit.allocator.releases.at(-1), {
    containerId: 'failed',
    ifName: 'eth0',
    reason: 'undo',
    pod,
  })
  await emptyJournal()
})

void test('a failed repetition of an ADD frees nothing that the first one was answered with', async () => {
  const sandbox = container('repeated')
  assert.equal((await kit.call('spiderpool', 'ADD', ipamConfig(), sandbox)).exitCode, 0)
  for (const code of [11, 100]) {
    kit.allocator.refusal = new AllocatorError({ code, msg: 'no', details: 'no: wait' })
    assert.equal((await kit.call('spiderpool', 'ADD', ipamConfig(), sandbox)).json['code'], code)
    kit.allocator.refusal = undefined
    // As DEL: a replica's address stays its own, and another pod's is freed when the pod goes.
    assert.equal(kit.allocator.releases.at(-1)?.reason, 'detach')
    assert.equal((await kit.call('spiderpool', 'ADD', ipamConfig(), sandbox)).exitCode, 0)
  }
  await reset('repeated')
})

void test('DEL of a container that another allocator served says whose it is, as far as the runtime does', async () => {
  const unknown = container('of-the-reference')
  assert.equal((await kit.call('spiderpool', 'DEL', ipamConfig(), unknown)).exitCode, 0)
  const release = { containerId: 'of-the-reference', ifName: 'eth0', reason: 'detach' }
  const pod = { namespace: 'default', name: 'web-1', uid: 'uid-web-1' }
  assert.deepEqual(kit.allocator.releases.at(-1), { ...release, pod })
  for (const args of ['', 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=Not/A/Name;K8S_POD_UID=u']) {
    const badly = { ...unknown, CNI_ARGS: args }
    assert.equal((await kit.call('spiderpool', 'DEL', ipamConfig(), badly)).exitCode, 0)
    assert.deepEqual(kit.allocator.releases.at(-1), release)
  }
})

void test('ADD into the namespace of the node, or into none, is code 8 before the allocator is asked', async () => {
  for (const netns of ['/netns/host', '/etc/hostname']) {
    const outcome = await kit.call('spiderpool', 'ADD', ipamConfig(), { CNI_NETNS: netns })
    assert.deepEqual([outcome.exitCode, outcome.json['code']], [1, 8])
    assert.match(String(outcome.json['msg']), new RegExp(`"${netns}"`))
  }
  assert.equal(kit.allocator.held.size, 0)
  const meant = { CNI_NETNS: '/netns/host', CNI_NETNS_OVERRIDE: 'TRUE', CNI_CONTAINERID: 'override' }
  assert.equal((await kit.call('spiderpool', 'ADD', ipamConfig(), meant)).exitCode, 0)
  assert.equal((await kit.call('spiderpool', 'DEL', ipamConfig(), meant)).exitCode, 0)
})

void test('a name with a path or too long is refused, and no file is touched', async () => {
  const files = () => readdirSync(kit.dir, { recursive: true }).toSorted()
  const seen = files()
  const bad: readonly (readonly [string, unknown, Record<string, string>])[] = [
    ['CNI_CONTAINERID', ipamConfig(), { CNI_CONTAINERID: '../x' }],
    ['CNI_IFNAME', ipamConfig(), { CNI_IFNAME: 'a/b' }],
    ['CNI_IFNAME', ipamConfig(), { CNI_IFNAME: 'x'.repeat(16) }],
    ['CNI_IFNAME', ipamConfig(), { CNI_IFNAME: 'a b' }],
    ['name', ipamConfig('1.1.0', { name: 'a b' }), {}],
  ]
  for (const [field, config, more] of bad) {
    const outcome = await kit.call('spiderpool', 'ADD', config, more)
    assert.equal(outcome.exitCode, 1)
    assert.match(String(outcome.json['msg']), new RegExp(field))
  }
  assert.deepEqual(files(), seen)
})

/** The same call without the process around it. */
async function ask(
  env: Record<string, string>,
  stdin: Uint8Array,
): Promise<{ exitCode: number; stdout: string }> {
  const socket = connect(kit.options.socketPath)
  const chunks: Buffer[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.once('end', resolve)
  socket.once('error', reject)
  socket.write(encodeRequest({ plugin: 'spiderpool', env, stdin }))
  await promise
  socket.destroy()
  const bytes = Buffer.concat(chunks)
  return { exitCode: bytes.readUInt32LE(0), stdout: bytes.subarray(8).toString() }
}

void test('10,000 random inputs each give one JSON object or nothing, and never success with an error', async () => {
  const anyConfig = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .record(
        {
          cniVersion: fc.oneof(fc.constantFrom('0.3.1', '1.0.0', '1.1.0', '2.0.0'), fc.jsonValue()),
          name: fc.oneof(fc.constant('net-a'), fc.jsonValue()),
          ipam: fc.oneof(fc.constant({ type: 'spiderpool' }), fc.jsonValue()),
          prevResult: fc.oneof(fc.constant({ ips: [] }), fc.jsonValue()),
          'cni.dev/valid-attachments': fc.jsonValue(),
        },
        { requiredKeys: [] },
      )
      .map((value) => Buffer.from(JSON.stringify(value))),
  )
  const commands = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS']
  const inputs = fc.sample(fc.tuple(fc.constantFrom(...commands), anyConfig), {
    numRuns: 10_000,
    seed: 20_260_101,
  })
  const one = async ([command, stdin]: (typeof inputs)[number]) => {
    const { exitCode, stdout } = await ask(kit.env(command, container('fuzz')), stdin)
    const value: unknown = stdout === '' ? undefined : JSON.parse(stdout)
    if (exitCode === 0)
      assert.ok(value === undefined || !(value instanceof Object && 'code' in value), stdout)
    else assert.ok(value instanceof Object && 'code' in value && 'msg' in value, stdout)
  }
  for (let at = 0; at < inputs.length; at += 50) await Promise.all(inputs.slice(at, at + 50).map(one))
  await reset('fuzz')
  assert.equal((await kit.call('spiderpool', 'ADD', ipamConfig(), container('fuzz'))).exitCode, 0)
  await reset('fuzz')
})

void test('the installed plugins are whole, and the configuration file comes with them', () => {
  const bin = readdirSync(kit.options.cniBinDir).toSorted()
  assert.deepEqual(bin, ['coordinator', 'ifacer', 'spiderpool', 'spiderpool-meta'])
  const conf: unknown = JSON.parse(
    readFileSync(join(kit.options.cniConfDir, '00-spiderpool.conflist'), 'utf8'),
  )
  assert.equal((conf as { name: string }).name, 'spiderpool')
})

void test('DEL while the controller is away is a success, and is told later, also after a restart', async () => {
  const id = 'pending'
  await kit.call('spiderpool', 'ADD', ipamConfig(), container(id))
  kit.allocator.isAway = true
  const gone = await kit.call('spiderpool', 'DEL', ipamConfig(), container(id))
  assert.deepEqual([gone.exitCode, gone.stdout], [0, ''])
  assert.deepEqual(journalNames(kit.options.journalDir), [`${id}:eth0`])
  await kit.stop()
  const late = await kit.call('spiderpool', 'DEL', ipamConfig(), container('late'))
  assert.equal(late.exitCode, 0) // without an agent: spooled
  writeFileSync(join(kit.options.spoolDir, '00000000001.000000000-1.req'), 'nonsense')
  await kit.start()
  assert.ok(kit.allocator.held.has(`${id}:eth0`))
  kit.allocator.isAway = false
  await emptyJournal()
  assert.equal(kit.allocator.held.has(`${id}:eth0`), false)
  assert.ok(kit.allocator.releases.some((release) => release.containerId === 'late'))
  assert.deepEqual(readdirSync(join(kit.options.spoolDir, 'bad')), ['00000000001.000000000-1.req'])
})

void test('the node report names what lives, and leaves out what is gone or being released', async () => {
  for (const id of ['alive', 'dead']) await kit.call('spiderpool', 'ADD', ipamConfig(), container(id))
  namespaces.gone.add('/netns/dead')
  await kit.stop()
  const seen = kit.allocator.reports.length
  await kit.start()
  while (kit.allocator.reports.length === seen) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(kit.allocator.reports.at(-1)?.alive, [{ containerId: 'alive', ifName: 'eth0' }])
  namespaces.gone.clear()
  for (const id of ['alive', 'dead']) await reset(id)
})

void test('a second agent on the same socket refuses to start', async () => {
  const twin = await AgentKit.start()
  await assert.rejects(twin.start(), /another agent serves it/)
  await twin[Symbol.asyncDispose]()
})
