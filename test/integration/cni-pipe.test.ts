// The executable itself (native/cni-pipe.c), against sockets that behave in every way an agent may.
import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { decodeRequest, encodeAnswer, type PluginRequest, requestLength } from '../../src/agent/index.ts'
import { buildPipe, type PluginOutcome, runPipe } from '../support/agent-kit.ts'

const pipe = buildPipe()

class Bench implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'pipe-'))
  readonly socket = join(this.dir, 's')
  readonly spool = join(this.dir, 'spool')
  readonly requests: PluginRequest[] = []
  #server: Server | undefined
  readonly #sockets = new Set<Socket>()

  env(command: string, more: Record<string, string> = {}): Record<string, string> {
    return {
      CNI_COMMAND: command,
      SPIDERPOOL_AGENT_SOCKET: this.socket,
      SPIDERPOOL_SPOOL_DIR: this.spool,
      ...more,
    }
  }

  run(command: string, stdin: string | Uint8Array | 'closed' = '{}', more: Record<string, string> = {}) {
    return runPipe(pipe, this.env(command, more), stdin)
  }

  /** Serves: collects the whole request, then does this. */
  async serve(respond: (socket: Socket, request: PluginRequest) => void): Promise<void> {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        const bytes = Buffer.concat(chunks)
        if (requestLength(bytes) !== bytes.length) return
        const request = decodeRequest(bytes)
        this.requests.push(request)
        respond(socket, request)
      })
    })
    const listening = Promise.withResolvers<void>()
    this.#server.listen(this.socket, listening.resolve)
    await listening.promise
  }

  spooled(): readonly string[] {
    return readdirSync(this.spool)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server?.close()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

function expectError(outcome: PluginOutcome, code: number, words: RegExp): void {
  assert.equal(outcome.exitCode, 1, outcome.stdout)
  assert.equal(outcome.json['code'], code, outcome.stdout)
  assert.match(String(outcome.json['msg']), words)
  assert.match(String(outcome.json['details']), /^[a-z-]+: .+/)
  assert.equal(outcome.stderr, '')
}

void test('the pipe hands over its name, its whole environment and stdin, and prints the answer with its code', async () => {
  await using bench = new Bench()
  await bench.serve((socket) => socket.end(encodeAnswer({ exitCode: 7, stdout: '{"é":1}\n' })))
  const named = join(bench.dir, 'spiderpool-meta')
  symlinkSync(pipe, named)
  const env = bench.env('ADD', { EMPTY: '', 'odd name': 'a=b=c', UTF: 'ü' })
  const outcome = await runPipe(named, env, '{"name":"n"}')
  assert.deepEqual([outcome.exitCode, outcome.stdout], [7, '{"é":1}\n'])
  const [request] = bench.requests
  assert.equal(request?.plugin, 'spiderpool-meta')
  assert.deepEqual({ ...request?.env }, env)
  assert.equal(Buffer.from(request?.stdin ?? []).toString(), '{"name":"n"}')
})

void test('VERSION needs neither agent nor stdin nor any other variable', async () => {
  for (const stdin of ['closed', '', '{"cniVersion":"0.3.1"}'] as const) {
    const outcome = await runPipe(pipe, { CNI_COMMAND: 'VERSION' }, stdin)
    assert.equal(outcome.exitCode, 0)
    assert.deepEqual(outcome.json, {
      cniVersion: '1.1.0',
      supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    })
  }
})

void test('an unknown or missing CNI_COMMAND is code 4 with the value in the message, as JSON whatever it holds', async () => {
  await using bench = new Bench()
  expectError(await runPipe(pipe, {}, ''), 4, /CNI_COMMAND "".*missing/)
  expectError(await bench.run(''), 4, /CNI_COMMAND "".*missing/)
  for (const odd of ['add', 'ADDX', 'A"B\\C\n\u0001ü', 'x'.repeat(5000)])
    expectError(await bench.run(odd), 4, /CNI_COMMAND ".+" *: it is unknown/)
})

void test('without an agent ADD, CHECK and GC are code 11 and STATUS is code 50, naming the socket', async () => {
  await using bench = new Bench()
  for (const command of ['ADD', 'CHECK', 'GC'])
    expectError(await bench.run(command), 11, new RegExp(`"${bench.socket}": No such file`))
  expectError(await bench.run('STATUS'), 50, /No such file/)
  writeFileSync(bench.socket, '')
  expectError(await bench.run('ADD'), 11, /Connection refused/)
  const long = { SPIDERPOOL_AGENT_SOCKET: `/${'x'.repeat(200)}` }
  expectError(await bench.run('ADD', '{}', long), 11, /File name too long/)
})

void test('DEL without an agent is kept as it came, and is a success', async () => {
  await using bench = new Bench()
  const first = await bench.run('DEL', '{"name":"n"}', { CNI_CONTAINERID: 'c1' })
  assert.deepEqual([first.exitCode, first.stdout], [0, ''])
  await bench.run('DEL', 'closed', { CNI_CONTAINERID: 'c2' })
  const names = bench.spooled().toSorted()
  assert.equal(names.length, 2)
  assert.ok(names.every((name) => /^\d{11}\.\d{9}-\d+\.req$/.test(name)))
  const requests = names.map((name) => decodeRequest(readFileSync(join(bench.spool, name))))
  assert.deepEqual(
    requests.map((request) => [request.env['CNI_CONTAINERID'], Buffer.from(request.stdin).toString()]),
    [
      ['c1', '{"name":"n"}'],
      ['c2', ''],
    ],
  )
})

void test('a DEL that cannot be kept fails with code 11: unwritable place, foreign folder, full folder, too long', async () => {
  await using bench = new Bench()
  const unwritable = { SPIDERPOOL_SPOOL_DIR: '/proc/nowhere/spool' }
  expectError(
    await bench.run('DEL', '{}', unwritable),
    11,
    /nor keep the request in "\/proc\/nowhere\/spool"/,
  )
  mkdirSync(bench.spool)
  chmodSync(bench.spool, 0o755)
  expectError(await bench.run('DEL'), 11, /Operation not permitted/)
  chmodSync(bench.spool, 0o700)
  expectError(await bench.run('DEL', ' '.repeat(1 << 20)), 11, /File too large/)
  assert.deepEqual(bench.spooled(), [])
  for (let at = 0; at < 10_000; at++) writeFileSync(join(bench.spool, `${at}.req`), '')
  expectError(await bench.run('DEL'), 11, /No space left/)
})

void test('an agent that closes early, answers half, or says nonsense counts as away', async () => {
  const half = encodeAnswer({ exitCode: 0, stdout: 'x'.repeat(1000) }).subarray(0, 500)
  const huge = Buffer.from([0, 0, 0, 0, 255, 255, 255, 255])
  const answers: readonly Uint8Array[] = [Buffer.alloc(0), Buffer.from([0, 0, 0]), half, huge]
  for (const answer of answers) {
    await using bench = new Bench()
    await bench.serve((socket) => socket.end(answer))
    expectError(await bench.run('ADD'), 11, /Connection reset|Message too long/)
    assert.equal((await bench.run('DEL')).exitCode, 0)
    assert.equal(bench.spooled().length, 1)
  }
})

void test('a large answer arrives whole, in any pieces', async () => {
  await using bench = new Bench()
  const stdout = `"${'y'.repeat(3 << 20)}"`
  await bench.serve((socket) => {
    const frame = encodeAnswer({ exitCode: 0, stdout })
    socket.write(frame.subarray(0, 5))
    setImmediate(() => socket.end(frame.subarray(5)))
  })
  assert.equal((await bench.run('ADD')).stdout, stdout)
})

void test('a silent agent ends STATUS after 2 s with code 50 and DEL after 5 s in the spool', async () => {
  await using bench = new Bench()
  await bench.serve(() => undefined)
  const started = performance.now()
  const [status, del] = await Promise.all([bench.run('STATUS'), bench.run('DEL')])
  expectError(status, 50, /timed out/)
  assert.equal(del.exitCode, 0)
  assert.equal(bench.spooled().length, 1)
  const tookMs = performance.now() - started
  assert.ok(tookMs > 4900 && tookMs < 8000, `${tookMs} ms`)
})

void test('1 MiB of stdin is passed on; a byte more is refused by its limit, and DEL goes on without', async () => {
  await using bench = new Bench()
  await bench.serve((socket) => socket.end(encodeAnswer({ exitCode: 0, stdout: '' })))
  assert.equal((await bench.run('ADD', ' '.repeat(1 << 20))).exitCode, 0)
  assert.equal(bench.requests[0]?.stdin.byteLength, 1 << 20)
  expectError(await bench.run('ADD', ' '.repeat((1 << 20) + 1)), 7, /longer than 1048576 bytes/)
  assert.equal((await bench.run('DEL', ' '.repeat((1 << 20) + 1))).exitCode, 0)
  assert.equal(bench.requests[1]?.stdin.byteLength, 0)
})

void test('a closed stdin and a closed stdout do no harm', async () => {
  await using bench = new Bench()
  await bench.serve((socket) => socket.end(encodeAnswer({ exitCode: 0, stdout: '{}' })))
  assert.equal((await bench.run('ADD', 'closed')).exitCode, 0)
  assert.equal(bench.requests[0]?.stdin.byteLength, 0)
  const silent = join(bench.dir, 'silent')
  writeFileSync(silent, `#!/bin/sh\nexec "${pipe}" >&- 2>&-\n`)
  chmodSync(silent, 0o755)
  assert.equal((await runPipe(silent, bench.env('ADD', { PATH: '/bin' }), '{}')).exitCode, 0)
})
