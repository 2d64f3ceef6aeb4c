import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { assert, toError } from '../../../base/index.ts'
import type { JournalReply, JournalRequest, LoadedRow } from './journal.ts'

// SQLite waits for the disk in its calls: in a thread of its own the event loop of the server goes on meanwhile.

const port = parentPort
assert(port !== null, 'the journal worker runs in a worker thread')
const database = open(String(workerData))
const upsert = database.prepare(
  'INSERT INTO objects (resource, key, version, value) VALUES (?, ?, ?, ?) ' +
    'ON CONFLICT (resource, key) DO UPDATE SET version = excluded.version, value = excluded.value',
)
const remove = database.prepare('DELETE FROM objects WHERE resource = ? AND key = ?')
const setVersion = database.prepare(
  "INSERT INTO meta (name, value) VALUES ('version', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
)
const reply = (message: JournalReply) => port.postMessage(message)

reply({ kind: 'loaded', ...load() })
port.on('message', (request: JournalRequest) => {
  if (request.kind === 'close') {
    database.close()
    reply({ kind: 'closed' })
    port.close()
    return
  }
  try {
    commit(request)
    reply({ kind: 'committed' })
  } catch (error) {
    reply({ kind: 'failed', message: toError(error).message })
  }
})

function open(path: string): DatabaseSync {
  const opened = new DatabaseSync(path)
  // EXCLUSIVE: a second server on the same file fails at once instead of giving out the same versions.
  opened.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  opened.exec(
    'CREATE TABLE IF NOT EXISTS objects (resource TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, ' +
      'value TEXT NOT NULL, PRIMARY KEY (resource, key)); ' +
      'CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)',
  )
  return opened
}

function load(): { version: number; rows: LoadedRow[] } {
  const meta = database.prepare("SELECT value FROM meta WHERE name = 'version'").get()
  const rows = database.prepare('SELECT resource, key, version, value FROM objects').all()
  return {
    version: Number(meta?.['value'] ?? 0),
    rows: rows.map((row) => ({
      resource: String(row['resource']),
      key: String(row['key']),
      version: Number(row['version']),
      value: String(row['value']),
    })),
  }
}

function commit(request: Extract<JournalRequest, { kind: 'commit' }>): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    for (const { resource, key, version, value } of request.rows) {
      if (value === undefined) remove.run(resource, key)
      else upsert.run(resource, key, version, value)
    }
    setVersion.run(request.version)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
