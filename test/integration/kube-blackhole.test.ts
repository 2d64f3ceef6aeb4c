// A watch whose packets vanish, both ways and without a reset, must be found out and replaced in under 60 s, whether it
// was idle or busy; a healthy idle one must be left alone. Real kernels: two namespaces, a veth, and nftables drops.
// only waits
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { createCa, issueCertificate } from '../../src/rpc/index.ts'

const limitMs = 60_000
const tag = `kbh${process.pid}`
const [serverNs, clientNs] = [`${tag}s`, `${tag}c`]
const here = (file: string) => join(import.meta.dirname, file)
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] })
const inServer = (...args: string[]) => ip('netns', 'exec', serverNs, ...args)

interface CacheLine {
  readonly size: number
  readonly stats: { readonly watchesOpened: number; readonly lists: number }
}

class Role {
  readonly process: ChildProcess
  readonly lines: Record<string, unknown>[] = []
  readonly #wakes = new Set<() => void>()

  constructor(namespace: string, args: readonly string[]) {
    this.process = spawn('ip', ['netns', 'exec', namespace, process.execPath, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const { stdout } = this.process
    assert.ok(stdout !== null)
    createInterface({ input: stdout }).on('line', (text) => {
      this.lines.push(JSON.parse(text) as Record<string, unknown>)
      for (const wake of this.#wakes) wake()
    })
  }

  async find<T>(look: () => T | undefined, what: string, withinMs: number): Promise<T> {
    const end = performance.now() + withinMs
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      assert.ok(performance.now() < end, `waited ${withinMs} ms for ${what}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(wake, 1000)
        const wakes = this.#wakes
        function wake(): void {
          clearTimeout(timer)
          wakes.delete(wake)
          resolve()
        }
        wakes.add(wake)
      })
    }
  }

  say(text: string): void {
    this.process.stdin?.write(`${text}\n`)
  }

  last(cache: string): CacheLine | undefined {
    return this.lines.findLast((line) => line['cache'] === cache) as CacheLine | undefined
  }
}

function setUp(): void {
  for (const name of [serverNs, clientNs]) ip('netns', 'add', name)
  ip('-n', serverNs, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1', 'netns', clientNs)
  for (const [name, link, address] of [
    [serverNs, 'v0', '192.0.2.1/24'],
    [clientNs, 'v1', '192.0.2.2/24'],
  ] as const) {
    ip('-n', name, 'addr', 'add', address, 'dev', link)
    ip('-n', name, 'link', 'set', link, 'up')
  }
  inServer('nft', 'add table inet hole')
  inServer('nft', 'add chain inet hole in { type filter hook input priority 0 ; }')
  inServer('nft', 'add chain inet hole out { type filter hook output priority 0 ; }')
}

function tearDown(roles: readonly Role[], dir: string): void {
  for (const role of roles) role.process.kill('SIGKILL')
  for (const name of [serverNs, clientNs]) {
    try {
      ip('netns', 'del', name)
    } catch (error) {
      process.stderr.write(`cannot remove namespace ${name}: ${String(error)}\n`)
    }
  }
  rmSync(dir, { recursive: true, force: true })
}

const whyNot =
  process.getuid?.() !== 0
    ? 'needs root for network namespaces'
    : process.platform !== 'linux'
      ? 'needs Linux'
      : false

void test('black-holed watches recover in under 60 s; a healthy idle one is not reopened', {
  skip: whyNot,
  timeout: 180_000,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'kube-blackhole-'))
  const roles: Role[] = []
  try {
    const ca = await createCa('blackhole', 1)
    const pair = await issueCertificate(ca, {
      commonName: 'api',
      ipAddresses: ['192.0.2.1'],
      days: 1,
      usages: ['server'],
    })
    for (const [name, text] of [
      ['ca', ca.certPem],
      ['cert', pair.certPem],
      ['key', pair.keyPem],
    ] as const) {
      writeFileSync(join(dir, name), text, { mode: 0o600 })
    }
    setUp()
    const server = new Role(serverNs, [
      here('kube-blackhole-server.ts'),
      '192.0.2.1',
      join(dir, 'cert'),
      join(dir, 'key'),
    ])
    roles.push(server)
    await server.find(() => server.lines.find((line) => line['ready'] === true), 'the server', 20_000)
    const client = new Role(clientNs, [
      here('kube-blackhole-client.ts'),
      'https://192.0.2.1:6443',
      join(dir, 'ca'),
      'idle',
      'busy',
      'healthy',
    ])
    roles.push(client)
    const portOf = (watch: string) =>
      server.find(
        () => server.lines.find((line) => line['watch'] === watch)?.['port'],
        `watch ${watch}`,
        20_000,
      )
    const ports = { idle: await portOf('idle'), busy: await portOf('busy'), healthy: await portOf('healthy') }
    const talk = setInterval(() => server.say('put busy'), 200)
    try {
      await client.find(
        () => ((client.last('busy')?.size ?? 0) > 5 ? true : undefined),
        'busy events',
        20_000,
      )
      for (const port of [ports.idle, ports.busy]) {
        inServer('nft', `add rule inet hole in tcp sport ${port} drop`)
        inServer('nft', `add rule inet hole out tcp dport ${port} drop`)
      }
      const heldBusy = client.last('busy')?.size ?? 0
      const startMs = performance.now()
      server.say('put idle')
      const took = async (cache: string, size: number) => {
        await client.find(
          () => ((client.last(cache)?.size ?? 0) >= size ? true : undefined),
          `${cache} again`,
          limitMs,
        )
        return Math.round(performance.now() - startMs)
      }
      const [idleMs, busyMs] = await Promise.all([took('idle', 1), took('busy', heldBusy + 20)])
      process.stdout.write(`# recovered: idle watch after ${idleMs} ms, busy watch after ${busyMs} ms\n`)
      assert.ok(idleMs < limitMs && busyMs < limitMs)
      for (const cache of ['idle', 'busy'])
        assert.equal(client.last(cache)?.stats.lists, 1, 'resumed, not listed anew')
    } finally {
      clearInterval(talk)
    }
    // The healthy one was idle all the time, for longer than it took to find out the others.
    await new Promise((resolve) => setTimeout(resolve, 25_000))
    server.say('put healthy')
    await client.find(
      () => (client.last('healthy')?.size === 1 ? true : undefined),
      'the healthy watch',
      5000,
    )
    assert.equal(client.last('healthy')?.stats.watchesOpened, 1)
  } finally {
    tearDown(roles, dir)
  }
})
