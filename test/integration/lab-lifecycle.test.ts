// `spiderpoolctl lab up`, `status` and `down` with all processes, and what kill -9 leaves. Needs root.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test, { after, before } from 'node:test'
import { findLabProcesses } from '../../src/lab/supervisor/down.ts'
import { listMounts } from '../../src/netlink/index.ts'
import { serverUnderTest } from '../support/server-under-test.ts'
import { type Lab, labUp, waitFor } from './lab-harness.ts'

const ctl = join(dirname(dirname(import.meta.dirname)), 'src/bin/spiderpoolctl.ts')
const timeoutMs = 120_000
const ownApiServer = serverUnderTest === 'embedded' ? ['lab-apiserver'] : []

function spiderpoolctl(...args: readonly string[]) {
  return spawnSync(process.execPath, [ctl, ...args], { encoding: 'utf8', timeout: timeoutMs })
}

function linksOfMachine(): string {
  return execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' })
}

let lab: Lab
let linksBefore: string

before(() => {
  linksBefore = linksOfMachine()
  lab = labUp(['master', 'node1'])
})

after(() => {
  lab.down()
})

void test('the nodes are ready, and nothing was added to the namespace of the machine', () => {
  const nodes = lab.kubectl(['get', 'nodes', '--no-headers']).trim().split('\n')
  assert.equal(nodes.length, 2)
  for (const line of nodes) assert.match(line, / Ready /)
  assert.equal(linksOfMachine(), linksBefore)
})

void test('a second lab up in the same folder says that one runs, and how to go on', () => {
  const second = spiderpoolctl('lab', 'up', '--dir', lab.dir)
  assert.equal(second.status, 1)
  assert.match(second.stderr, /A lab runs in .* already, with nodes master, node1\n.*lab down/)
})

void test('lab status lists the processes and is content', () => {
  const status = spiderpoolctl('lab', 'status', '--dir', lab.dir)
  assert.equal(status.status, 0, status.stdout)
  for (const name of [...ownApiServer, 'controller', 'agent-master', 'agent-node1', 'lab-world']) {
    assert.match(status.stdout, new RegExp(`${name} +\\d+`))
  }
})

void test('lab exec runs a command inside a node, and gives its exit code', () => {
  const inside = spiderpoolctl('lab', 'exec', 'node:node1', '--dir', lab.dir, '--', 'ip', '-o', '-4', 'addr')
  assert.match(inside.stdout, /ens192 .*10\.6\.0\.12\/16/)
  const failing = spiderpoolctl('lab', 'exec', 'node:node1', '--dir', lab.dir, '--', 'sh', '-c', 'exit 9')
  assert.equal(failing.status, 9)
  const ping = spiderpoolctl('lab', 'ping', 'node:master', 'switch', '--dir', lab.dir)
  assert.equal(ping.status, 0, ping.stdout)
})

void test('a process that is killed runs again', async () => {
  for (const name of ['agent-node1', 'controller', 'lab-world', 'apiserver']) {
    const old = lab.pids().get(name)
    assert.ok(old !== undefined)
    process.kill(old, 'SIGKILL')
    await waitFor(`${name} runs again`, 30_000, () => {
      const now = lab.pids().get(name)
      return now !== undefined && now !== old ? now : undefined
    })
  }
})

void test('what a killed supervisor leaves is named by lab up, and removed whole by lab down', async () => {
  const state = JSON.parse(readFileSync(join(lab.dir, 'state.json'), 'utf8')) as {
    supervisor: { pid: number }
  }
  process.kill(state.supervisor.pid, 'SIGKILL')
  await waitFor(
    'the supervisor is gone',
    10_000,
    () => !existsSync(`/proc/${state.supervisor.pid}`) || undefined,
  )
  assert.ok(findLabProcesses(lab.dir).length > 0)
  const status = spiderpoolctl('lab', 'status', '--dir', lab.dir)
  assert.equal(status.status, 1)
  assert.match(status.stdout, /was killed and left/)
  const up = spiderpoolctl('lab', 'up', '--dir', lab.dir)
  assert.equal(up.status, 1)
  assert.match(up.stderr, /still in .*\n.*lab down/)
  const down = spiderpoolctl('lab', 'down', '--dir', lab.dir)
  assert.equal(down.status, 0, down.stderr)
  assert.deepEqual(findLabProcesses(lab.dir), [])
  assert.deepEqual(listMounts(lab.dir), [])
  assert.equal(existsSync(lab.dir), false)
  assert.equal(linksOfMachine(), linksBefore)
  assert.match(spiderpoolctl('lab', 'down', '--dir', lab.dir).stdout, /No lab was in/)
})
