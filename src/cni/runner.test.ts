import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { silentLogger } from '../base/index.ts'
import { CniError } from './cni-error.ts'
import { type NetworkList, parseNetworkList } from './network-list.ts'
import { createRunner, type Runner, type RunnerOptions } from './runner.ts'

const signal = AbortSignal.timeout(30_000)

interface Kit extends Disposable {
  readonly dir: string
  readonly runner: Runner
  plugin(name: string, script: string, versions?: readonly string[]): void
  /** What each plugin got: `command type stdin`. */
  calls(): readonly {
    readonly command: string
    readonly type: string
    readonly stdin: Readonly<Record<string, unknown>>
  }[]
  raw(): string
}

function kit(options: Partial<RunnerOptions> = {}): Kit {
  const dir = mkdtempSync(join(tmpdir(), 'runner-'))
  mkdirSync(join(dir, 'bin'))
  const log = join(dir, 'calls')
  writeFileSync(log, '')
  return {
    dir,
    runner: createRunner({
      binDirs: [join(dir, 'bin')],
      cacheDir: join(dir, 'cache'),
      env: { PATH: process.env['PATH'] ?? '' },
      logger: silentLogger,
      ...options,
    }),
    plugin(name, script, versions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
      const answer = JSON.stringify({ cniVersion: '1.0.0', supportedVersions: versions })
      const text = [
        '#!/bin/sh',
        `if [ "$CNI_COMMAND" = VERSION ]; then echo '${answer}'; exit 0; fi`,
        'input=$(cat)',
        `printf '%s %s %s\\n' "$CNI_COMMAND" ${name} "$input" >> ${log}`,
        script,
      ].join('\n')
      writeFileSync(join(dir, 'bin', name), text)
      chmodSync(join(dir, 'bin', name), 0o755)
    },
    calls() {
      return this.raw()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [command = '', type = ''] = line.split(' ', 2)
          const stdin = JSON.parse(line.slice(command.length + type.length + 2)) as Record<string, unknown>
          return { command, type, stdin }
        })
    },
    raw: () => readFileSync(log, 'utf8'),
    [Symbol.dispose]: () => {
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

const echo = `[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}]}'; exit 0`
const failing = `echo '{"code":7,"msg":"no such master","details":"d"}'; exit 1`

function listOf(types: readonly (string | object)[], more: object = {}): NetworkList {
  const plugins = types.map((type) => (typeof type === 'string' ? { type } : type))
  return parseNetworkList(JSON.stringify({ cniVersion: '1.0.0', name: 'net-a', plugins, ...more }), 'test')
}

const attachment = {
  containerId: 'c1',
  ifName: 'eth0',
  netns: '/var/run/netns/none',
  args: [['K8S_POD_NAME', 'p']] as const,
}

void test('add() runs A, B, C in order with the result of the one before, and del() runs C, B, A with the last', async () => {
  using k = kit()
  for (const name of ['a', 'b', 'c'])
    k.plugin(name, `[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.0.0","by":"${name}"}'; exit 0`)
  const list = listOf(['a', 'b', 'c'])
  const result = await k.runner.add(list, attachment, signal)
  assert.equal((result as unknown as { by: string }).by, 'c')
  await k.runner.del(list, attachment, signal)
  const by = (at: number) => (k.calls()[at]?.stdin['prevResult'] as { by: string } | undefined)?.by
  assert.deepEqual(
    k.calls().map((call, at) => [call.command, call.type, by(at)]),
    [
      ['ADD', 'a', undefined],
      ['ADD', 'b', 'a'],
      ['ADD', 'c', 'b'],
      ['DEL', 'c', 'c'],
      ['DEL', 'b', 'c'],
      ['DEL', 'a', 'c'],
    ],
  )
  assert.deepEqual(await k.runner.cached({ networkName: 'net-a' }), [])
})

void test('a failing plugin stops ADD, nothing is cached, and DEL afterwards runs all plugins in reverse', async () => {
  using k = kit()
  k.plugin('a', echo)
  k.plugin('b', `[ "$CNI_COMMAND" = ADD ] || exit 0; ${failing}`)
  k.plugin('c', echo)
  const list = listOf(['a', 'b', 'c'])
  await assert.rejects(k.runner.add(list, attachment, signal), (error) => {
    assert.ok(error instanceof CniError)
    assert.equal(error.cniCode, 7)
    assert.match(error.message, /"b".*no such master/)
    return true
  })
  assert.equal(existsSync(join(k.dir, 'cache/results/net-a-c1-eth0')), false)
  await k.runner.del(list, attachment, signal)
  assert.deepEqual(
    k.calls().map((call) => call.command + call.type),
    ['ADDa', 'ADDb', 'DELc', 'DELb', 'DELa'],
  )
})

void test('del() goes on after a failing plugin and joins the errors; a repeat succeeds', async () => {
  using k = kit()
  for (const name of ['a', 'b']) k.plugin(name, echo)
  const list = listOf(['a', 'b'])
  await k.runner.add(list, attachment, signal)
  for (const name of ['a', 'b']) k.plugin(name, `echo '{"code":5,"msg":"${name} is stuck"}'; exit 1`)
  await assert.rejects(k.runner.del(list, attachment, signal), /b is stuck.*a is stuck/)
  for (const name of ['a', 'b']) k.plugin(name, 'exit 0')
  await k.runner.del(list, attachment, signal)
  await k.runner.del(list, attachment, signal)
})

void test('del() works without an ADD, and uses the configuration that was in force at ADD', async () => {
  using k = kit()
  k.plugin('a', echo)
  k.plugin('other', echo)
  await k.runner.del(listOf(['a']), attachment, signal)
  await k.runner.add(listOf([{ type: 'a', key: 'old' }]), attachment, signal)
  await k.runner.del(listOf(['other']), { ...attachment, netns: '' }, signal)
  const last = k.calls().at(-1)
  assert.deepEqual([last?.type, last?.stdin['key']], ['a', 'old'])
})

void test('a plugin gets unknown keys and long integers as written, and of the reserved keys only those of the runtime', async () => {
  using k = kit()
  k.plugin('a', echo)
  const text =
    '{"cniVersion":"1.0.0","name":"net-a","plugins":[{"type":"a","big":{"9":12345678901234567890,"1":1.0},' +
    '"capabilities":{"ips":true,"mac":false},"cniVersion":"9","cni.dev/x":1,"prevResult":{}}]}'
  const capabilityArgs = { ips: ['10.0.0.9'], mac: '02:00:00:00:00:01' }
  await k.runner.add(parseNetworkList(text, 'test'), { ...attachment, capabilityArgs }, signal)
  const want =
    'ADD a {"cniVersion":"1.0.0","name":"net-a","type":"a",' +
    '"big":{"9":12345678901234567890,"1":1.0},"runtimeConfig":{"ips":["10.0.0.9"]}}\n'
  assert.equal(k.raw(), want)
})

void test('the cache file is in the format of the upstream library, and one of theirs is read', async () => {
  using k = kit()
  k.plugin('a', echo)
  const list = listOf(['a'])
  await k.runner.add(list, attachment, signal)
  const path = join(k.dir, 'cache/results/net-a-c1-eth0')
  const file = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  assert.equal(file['kind'], 'cniCacheV1')
  assert.equal(Buffer.from(String(file['config']), 'base64').toString(), list.text)
  assert.deepEqual(file['cniArgs'], [['K8S_POD_NAME', 'p']])
  writeFileSync(
    path,
    JSON.stringify({
      ...file,
      capabilityArgs: null,
      result: { cniVersion: '1.0.0', dns: {}, mark: 'theirs' },
    }),
  )
  await k.runner.check(list, attachment, signal)
  assert.equal((k.calls().at(-1)?.stdin['prevResult'] as { mark: string } | undefined)?.mark, 'theirs')
  writeFileSync(path, '')
  await assert.rejects(k.runner.check(list, attachment, signal), /no ADD of c1 eth0 is cached/)
  writeFileSync(path, '{"kind":')
  await k.runner.del(list, attachment, signal)
  assert.equal(existsSync(path), false)
})

void test('a 1.1.0 list with an older plugin gives an error that names the plugin and its versions', async () => {
  using k = kit()
  k.plugin('old', echo, ['0.3.1', '1.0.0'])
  const list = listOf(['old'], { cniVersion: '1.1.0' })
  await assert.rejects(
    k.runner.add(list, attachment, signal),
    /"1\.1\.0": plugin "old" supports 0\.3\.1, 1\.0\.0/,
  )
  const both = listOf(['old'], { cniVersion: '1.1.0', cniVersions: ['0.3.1', '1.0.0', '9.9.9'] })
  assert.equal((await k.runner.add(both, attachment, signal)).cniVersion, '1.0.0')
})

void test('a missing executable is named with all folders searched', async () => {
  using k = kit()
  await assert.rejects(k.runner.add(listOf(['nowhere']), attachment, signal), (error) => {
    assert.ok(error instanceof CniError)
    return error.message.includes('"nowhere"') && error.message.includes(join(k.dir, 'bin'))
  })
})

void test('a plugin without an error object is described by its stderr, else by its exit status', async () => {
  using k = kit()
  k.plugin('loud', 'echo went wrong >&2; exit 3')
  await assert.rejects(k.runner.add(listOf(['loud']), attachment, signal), /went wrong \(exit status 3\)/)
  k.plugin('mute', 'kill -9 $$')
  await assert.rejects(
    k.runner.add(listOf(['mute']), attachment, signal),
    /no error message \(signal SIGKILL\)/,
  )
  k.plugin('empty', 'exit 0')
  await assert.rejects(k.runner.add(listOf(['empty']), attachment, signal), /"empty".*it is empty/)
})

void test('a plugin past its time is killed with its children', async () => {
  using k = kit({ timeoutsMs: { ADD: 200 } })
  k.plugin('slow', `sleep 30 & echo $! > "$(dirname "$0")/../child"; wait`)
  await assert.rejects(k.runner.add(listOf(['slow']), attachment, signal), /timeout after 200 ms/)
  const pid = Number(readFileSync(join(k.dir, 'child'), 'utf8'))
  // The child may be a zombie for a moment, until its new parent has collected it.
  const status = existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : ''
  assert.match(status, /^$|State:\s+[ZX]/m)
})

void test('gc() deletes cached attachments that are not valid, then asks each plugin, and joins what fails', async () => {
  using k = kit()
  k.plugin('a', echo)
  k.plugin('b', echo)
  const list = listOf(['a', 'b'], { cniVersion: '1.1.0' })
  await k.runner.add(list, attachment, signal)
  await k.runner.add(list, { ...attachment, containerId: 'c2' }, signal)
  for (const name of ['a', 'b'])
    k.plugin(name, `[ "$CNI_COMMAND" = GC ] || exit 0; echo '{"code":5,"msg":"${name} kept one"}'; exit 1`)
  const gc = k.runner.gc(list, [{ containerId: 'c1', ifName: 'eth0' }], signal)
  await assert.rejects(gc, /a kept one.*b kept one/)
  assert.deepEqual(
    (await k.runner.cached({ networkName: 'net-a' })).map((entry) => entry.containerId),
    ['c1'],
  )
  const last = k.calls().at(-1)
  assert.deepEqual(last?.stdin['cni.dev/valid-attachments'], [{ containerID: 'c1', ifname: 'eth0' }])
})

void test('status() passes on the code of the first plugin that is not ready', async () => {
  using k = kit()
  k.plugin('a', `echo '{"code":50,"msg":"agent is away"}'; exit 1`)
  await assert.rejects(k.runner.status(listOf(['a'], { cniVersion: '1.1.0' }), signal), (error) => {
    assert.ok(error instanceof CniError)
    return error.cniCode === 50
  })
})

void test('a bad container id or interface name is refused before a file is touched', async () => {
  using k = kit()
  k.plugin('a', echo)
  for (const bad of [{ containerId: '../x' }, { ifName: 'a/b' }, { ifName: 'x'.repeat(16) }])
    await assert.rejects(k.runner.add(listOf(['a']), { ...attachment, ...bad }, signal), /Cannot accept/)
  assert.equal(k.raw(), '')
  assert.equal(existsSync(join(k.dir, 'cache')), false)
})

void test('an executable that is still being written is tried again', async () => {
  using k = kit()
  // Only a binary is busy while it is open for writing; `true` does for one: its result is empty, which is the error here.
  const path = join(k.dir, 'bin', 'busy')
  copyFileSync('/bin/true', path)
  chmodSync(path, 0o755)
  const writer = openSync(path, 'r+')
  const list = listOf(['busy'], { disableCheck: true })
  const removed = k.runner.del(list, attachment, signal)
  setTimeout(() => {
    closeSync(writer)
  }, 100)
  const started = performance.now()
  await removed
  const tookMs = performance.now() - started
  assert.ok(tookMs > 900 && tookMs < 6000, `${tookMs} ms`)
})
