import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { silentLogger } from '../../base/index.ts'
import type { JournalFolder } from './journal-folder.ts'
import { journalLog } from './journal-log.ts'

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'journal-log-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const newLog = (folder: string): JournalFolder => journalLog(folder, silentLogger)
const logOf = (folder: string): string => readFileSync(join(folder, 'log'), 'utf8')

/** What a start after a crash would find. */
async function textsOf(folder: string): Promise<Readonly<Record<string, string>>> {
  const log = newLog(folder)
  return Object.fromEntries((await log.open()).map((name) => [name, log.read(name)]))
}

void test('a line that a crash cut short is dropped, and what follows does not grow onto it', async () => {
  await inFolder(async (folder) => {
    const whole = '+a 1\n+b 2\n-b\n'
    for (const torn of ['+', '+c', '+c 3', '-a']) {
      writeFileSync(join(folder, 'log'), whole + torn)
      writeFileSync(join(folder, '.log.1-1.tmp'), 'x')
      const log = newLog(folder)
      assert.deepEqual(await log.open(), ['a'])
      await log.write('d', '4')
      assert.deepEqual(await textsOf(folder), { a: '1', d: '4' })
      await log.close()
      assert.deepEqual(readdirSync(folder), ['log'])
    }
  })
})

void test('unreadable lines lose nothing else, and are kept for people', async () => {
  await inFolder(async (folder) => {
    const content = '+a 1\n\0\0\0\0\n+b 2\n'
    writeFileSync(join(folder, 'log'), content)
    const log = newLog(folder)
    assert.deepEqual(await log.open(), ['a', 'b'])
    await log.write('c', '3')
    assert.deepEqual(await textsOf(folder), { a: '1', b: '2', c: '3' })
    assert.equal(readFileSync(join(folder, 'log.bad'), 'utf8'), content)
    await log.close()
  })
})

void test('a damaged log that somebody removed keeps nothing from being written', async () => {
  await inFolder(async (folder) => {
    writeFileSync(join(folder, 'log'), '+a 1\n?\n')
    const log = newLog(folder)
    await log.open()
    rmSync(join(folder, 'log'))
    await log.write('b', '2')
    assert.deepEqual(await textsOf(folder), { a: '1', b: '2' })
    await log.close()
  })
})

void test('after a write that failed, or a log that somebody removed, the next write brings all back', async () => {
  await inFolder(async (folder) => {
    const log = newLog(folder)
    await log.open()
    await log.write('a', '1')
    rmSync(join(folder, 'log'))
    await log.write('b', '2')
    assert.deepEqual(await textsOf(folder), { a: '1', b: '2' })
    rmSync(folder, { recursive: true })
    const outcomes = await Promise.allSettled([log.write('c', '3'), log.write('a', '9')])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected'],
    )
    log.remove('b')
    mkdirSync(folder)
    await log.write('d', '4')
    assert.deepEqual(await textsOf(folder), { a: '1', d: '4' })
    await log.close()
  })
})

void test('the log stays small whatever comes and goes, and removals reach the disk by themselves', async () => {
  await inFolder(async (folder) => {
    const log = newLog(folder)
    await log.open()
    await log.write('kept', 'x')
    for (let round = 0; round < 30; round++) {
      const names = Array.from({ length: 200 }, (_, index) => `${round}-${index}`)
      await Promise.all(names.map((name) => log.write(name, 'y'.repeat(100))))
      for (const name of names) log.remove(name)
    }
    await log.write('last', 'z')
    assert.ok(statSync(join(folder, 'log')).size < 5000 * 100, 'the log is as large as what went through it')
    assert.deepEqual(await textsOf(folder), { kept: 'x', last: 'z' })
    log.remove('kept')
    const deadline = performance.now() + 5000
    const isThere = () => /^\+kept/m.test(logOf(folder)) && !/^-kept/m.test(logOf(folder))
    while (isThere() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.deepEqual(await textsOf(folder), { last: 'z' })
    await log.close()
  })
})

const writer = `
const { journalLog } = await import(process.argv[1])
const log = journalLog(process.argv[2], { debug() {}, info() {}, warn() {}, error() {}, with() {} })
await log.open()
let next = 0
const run = async () => {
  for (;;) {
    const index = next++
    const name = 'n' + index
    await log.write(name, 'v')
    process.stdout.write(name + '\\n')
    if (index % 3 === 0) log.remove(name)
    else if (index % 5 === 0) await log.write(name, 'w')
  }
}
await Promise.all(Array.from({ length: 8 }, run))
`

void test('whatever moment a writer is killed at, what it was told is there', async () => {
  await inFolder(async (folder) => {
    for (const afterLines of [1, 40, 900]) {
      const child = spawn(
        process.execPath,
        ['--input-type=module', '--eval', writer, join(import.meta.dirname, 'journal-log.ts'), folder],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      let told = ''
      for await (const part of child.stdout) {
        told += String(part)
        if (told.split('\n').length > afterLines) child.kill('SIGKILL')
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      const texts = await textsOf(folder)
      const names = told.split('\n').slice(0, -1)
      assert.ok(names.length >= afterLines)
      for (const name of names) {
        const isRemoved = Number(name.slice(1)) % 3 === 0
        if (!isRemoved) assert.ok(['v', 'w'].includes(texts[name] ?? ''), `${name} is lost`)
      }
      rmSync(join(folder, 'log'))
    }
  })
})

void test('what an earlier version kept in one file for each attachment is taken over, and the log wins', async () => {
  await inFolder(async (folder) => {
    writeFileSync(join(folder, 'log'), '+c1:eth0 new\n')
    writeFileSync(join(folder, 'c1:eth0'), 'old\n')
    writeFileSync(join(folder, 'c2:net1'), '{"a":"\u2028"}\n')
    const log = newLog(folder)
    assert.deepEqual([...(await log.open())].sort(), ['c1:eth0', 'c2:net1'])
    assert.deepEqual(readdirSync(folder), ['log'])
    await log.close()
    assert.deepEqual(await textsOf(folder), { 'c1:eth0': 'new', 'c2:net1': '{"a":"\u2028"}' })
  })
})
