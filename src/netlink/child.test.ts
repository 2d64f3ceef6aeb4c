import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import test from 'node:test'
import { type ChildOptions, decodeStatus, startChild } from './child.ts'

const path = process.env['PATH'] ?? '/usr/bin:/bin'

async function run(options: ChildOptions, input = '') {
  const child = startChild(options)
  child.stdin.end(input)
  const [stdout, stderr, end] = await Promise.all([text(child.stdout), text(child.stderr), child.ended])
  return { stdout, stderr, end }
}

const shell = (script: string, env: Readonly<Record<string, string>> = { PATH: path }): ChildOptions => {
  return { file: '/bin/sh', args: ['-c', script], env }
}

void test('a child reads its input, writes both outputs and tells its exit code', async () => {
  const { stdout, stderr, end } = await run(shell('cat; echo bad >&2; exit 4'), 'hello')
  assert.equal(stdout, 'hello')
  assert.equal(stderr, 'bad\n')
  assert.deepEqual(end, { kind: 'exited', code: 4 })
})

void test('a child has the given environment and nothing else', async () => {
  const { stdout } = await run({ file: '/usr/bin/env', args: [], env: { ONE: '1', TWO: 'a b=c' } })
  assert.equal(stdout, 'ONE=1\nTWO=a b=c\n')
})

void test('a child leads a group of its own, which a signal reaches whole', async () => {
  const child = startChild(shell('sleep 60 & echo started; wait'))
  child.stdin.end()
  child.stdout.once('data', () => process.kill(-child.pid, 'SIGKILL'))
  const output = text(child.stdout)
  assert.deepEqual(await child.ended, { kind: 'killed', signal: 'SIGKILL' })
  await output // ends because the grandchild, which holds it too, is gone
})

void test('a child does not inherit that Node ignores SIGPIPE', async () => {
  const { end } = await run(shell('kill -PIPE $$; exit 0'))
  assert.deepEqual(end, { kind: 'killed', signal: 'SIGPIPE' })
})

void test('a child inherits none of our descriptors, nor the pipes of another child', async () => {
  const file = openSync(import.meta.filename, 'r')
  const other = startChild(shell('cat'))
  const before = readdirSync('/proc/self/fd')
  const { stdout } = await run({ file: '/bin/ls', args: ['/proc/self/fd'], env: {} })
  const inherited = stdout.trim().split('\n').map(Number)
  // What this test's own starter left open without close-on-exec reaches every program; pipes come after the file.
  assert.deepEqual(
    inherited.filter((fd) => fd >= file && before.includes(String(fd)) && isOurs(fd)),
    [],
  )
  closeSync(file)
  other.stdin.end()
  await other.ended
})

/** Descriptors of Node and of this test are close-on-exec (flag 02000000). */
function isOurs(fd: number): boolean {
  const flags = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0'
  return (Number.parseInt(flags, 8) & 0o2000000) !== 0
}

const refused: readonly (readonly [string, string, string])[] = [
  ['that is not there', '/nonexistent/program', 'ENOENT'],
  ['that is no executable', import.meta.filename, 'EACCES'],
  ['that is a folder', '/tmp', 'EACCES'],
]
for (const [what, file, errnoName] of refused) {
  void test(`a program ${what} is refused with ${errnoName}, and no descriptor stays open`, () => {
    const before = readdirSync('/proc/self/fd').length
    assert.throws(() => startChild({ file, args: [], env: {} }), { errnoName })
    assert.equal(readdirSync('/proc/self/fd').length, before)
  })
}

void test('after many children no descriptor is left', async () => {
  await run(shell('exit 0'))
  const before = readdirSync('/proc/self/fd').length
  for (let i = 0; i < 20; i++) await run(shell('exit 0'))
  assert.equal(readdirSync('/proc/self/fd').length, before)
})

void test('decodeStatus() tells exit codes from signals', () => {
  assert.deepEqual(decodeStatus(0x0300), { kind: 'exited', code: 3 })
  assert.deepEqual(decodeStatus(0x000b), { kind: 'killed', signal: 'SIGSEGV' })
  assert.deepEqual(decodeStatus(0x008b), { kind: 'killed', signal: 'SIGSEGV' }) // with a core dump
})
