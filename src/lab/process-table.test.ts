import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import test from 'node:test'
import { systemClock } from '../base/index.ts'
import {
  endProcesses,
  findProcesses,
  isAlive,
  parseProcessStat,
  readProcessId,
  readProcFile,
} from './process-table.ts'

const signal = AbortSignal.timeout(20_000)

void test('parseProcessStat() is not misled by a process name with blanks and parentheses', () => {
  const stat = `7 (a) R 1 (b)) S 42 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 8675309 1 1`
  assert.deepEqual(parseProcessStat(7, stat), { pid: 7, parentPid: 42, startTicks: 8_675_309, state: 'S' })
  assert.equal(parseProcessStat(7, 'rubbish'), undefined)
})

void test('a process is known by its pid and start time together', () => {
  const own = readProcessId(process.pid)
  assert.ok(own !== undefined && isAlive(own))
  assert.equal(isAlive({ ...own, startTicks: own.startTicks + 1 }), false)
})

void test('endProcesses() ends what ignores SIGTERM too, and a zombie counts as ended', async () => {
  const stubborn = spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 1; done'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await once(stubborn.stdout, 'data')
  const id = stubborn.pid === undefined ? undefined : readProcessId(stubborn.pid)
  assert.ok(id !== undefined)
  assert.deepEqual(await endProcesses([id], 50, systemClock, signal), [])
  assert.equal(isAlive(id), false)
})

void test('findProcesses() looks at every process but its own', async () => {
  const child = spawn('sleep', ['20'], { env: { ...process.env, LAB_TEST_MARK: 'here' } })
  await once(child, 'spawn')
  const found = findProcesses((pid) => readProcFile(pid, 'environ')?.includes('LAB_TEST_MARK=here') === true)
  assert.deepEqual(
    found.map(({ pid }) => pid),
    [child.pid],
  )
  child.kill('SIGKILL')
})
