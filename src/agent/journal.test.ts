import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { silentLogger } from '../base/index.ts'
import { isSandboxAlive } from './ipam/node-reporter.ts'
import { Journal, type JournalEntry } from './journal.ts'
import { diskFolder } from './journal-folder.ts'

const entry: JournalEntry = {
  containerId: 'c-1',
  ifName: 'eth0',
  network: 'net-a',
  netns: '/run/netns/x',
  netnsIdentity: '4:1',
  podNamespace: 'default',
  podName: 'web-1',
  podUid: 'u',
  atMs: 5,
  state: 'held',
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

void test('the journal holds after a restart what was written, and nothing that was deleted', async () => {
  await inFolder(async (folder) => {
    const journal = await Journal.open(diskFolder(folder), silentLogger)
    const releasing: JournalEntry = { ...entry, ifName: 'net1', state: { releasing: 'undo' } }
    const deleted = { ...entry, containerId: 'c-2' }
    for (const item of [entry, releasing, deleted]) await journal.write(item)
    await journal.delete(deleted)
    const again = await Journal.open(diskFolder(folder), silentLogger)
    assert.deepEqual(again.entries(), [entry, releasing])
    assert.deepEqual(again.find({ containerId: 'c-1', ifName: 'net1' }), releasing)
  })
})

void test('a damaged entry keeps what its name says and counts as alive, and foreign files are left alone', async () => {
  await inFolder(async (folder) => {
    const journal = await Journal.open(diskFolder(folder), silentLogger)
    await journal.write(entry)
    const text = readFileSync(join(folder, 'c-1:eth0'), 'utf8')
    for (const bad of ['', text.slice(0, 20), '[]', '{"state":"odd"}']) {
      writeFileSync(join(folder, 'c-1:eth0'), bad)
      writeFileSync(join(folder, 'README'), 'x')
      writeFileSync(join(folder, '.c-1:eth0.1-1.tmp'), 'x')
      const again = await Journal.open(diskFolder(folder), silentLogger)
      assert.deepEqual([again.size, again.entries()[0]?.netnsIdentity], [1, ''])
      const nowhere = { identity: () => undefined, hostIdentities: () => [] }
      const namespaces = {
        ...nowhere,
        interfaceNames: () => [],
        changeDefaultRoutes: () => undefined,
        giveMac: () => undefined,
      }
      assert.ok(isSandboxAlive(again.entries()[0] ?? entry, namespaces))
      assert.ok(!isSandboxAlive(entry, namespaces))
      assert.deepEqual(readdirSync(folder).toSorted(), ['.bad-c-1:eth0', 'README', 'c-1:eth0'])
      assert.equal((await Journal.open(diskFolder(folder), silentLogger)).size, 1)
    }
  })
})
