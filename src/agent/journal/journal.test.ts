import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { silentLogger } from '../../base/index.ts'
import { isSandboxAlive } from '../ipam/node-reporter.ts'
import { Journal, type JournalEntry } from './journal.ts'
import { journalLog } from './journal-log.ts'

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

const openJournal = (folder: string) => Journal.open(journalLog(folder, silentLogger), silentLogger)

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
    const journal = await openJournal(folder)
    const releasing: JournalEntry = { ...entry, ifName: 'net1', state: { releasing: 'undo' } }
    const deleted = { ...entry, containerId: 'c-2' }
    for (const item of [entry, releasing, deleted]) await journal.write(item)
    journal.delete(deleted)
    await journal.close()
    const again = await openJournal(folder)
    assert.deepEqual(again.entries(), [entry, releasing])
    assert.deepEqual(again.find({ containerId: 'c-1', ifName: 'net1' }), releasing)
  })
})

void test('a damaged entry keeps what its name says and counts as alive, and what it was is set aside', async () => {
  for (const bad of ['', '{"containerId":"c-1"', '[]', '{"state":"odd"}'])
    await inFolder(async (folder) => {
      writeFileSync(join(folder, 'log'), `+c-1:eth0 ${bad}\n+not-ours x\n`)
      const journal = await openJournal(folder)
      assert.deepEqual([journal.size, journal.entries()[0]?.netnsIdentity], [1, ''])
      const namespaces = {
        identity: () => undefined,
        hostIdentities: () => [],
        interfaceNames: () => [],
        changeDefaultRoutes: () => undefined,
        giveMac: () => undefined,
      }
      assert.ok(isSandboxAlive(journal.entries()[0] ?? entry, namespaces))
      assert.ok(!isSandboxAlive(entry, namespaces))
      await journal.close()
      assert.equal(readFileSync(join(folder, 'log.bad'), 'utf8'), `+c-1:eth0 ${bad}\n+not-ours x\n`)
      assert.equal((await openJournal(folder)).size, 1)
    })
})
