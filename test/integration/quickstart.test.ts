// The checks of the quickstart, unchanged, on the embedded and on a real API server. Needs root.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { startBareServer } from '../support/bare-server.ts'
import { serverUnderTest } from '../support/server-under-test.ts'

const script = join(dirname(dirname(import.meta.dirname)), 'scripts/quickstart.ts')

void test('every check of the quickstart holds', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'spiderpool-quickstart-'))
  const server = serverUnderTest === 'real' ? await startBareServer() : undefined
  try {
    const against = server === undefined ? [] : ['--kubeconfig', server.kubeconfig]
    const run = spawnSync(process.execPath, [script, '--check', ...against], {
      encoding: 'utf8',
      timeout: 500_000,
      env: { ...process.env, SPIDERPOOL_LAB_DIR: join(dir, 'lab') },
    })
    const lines = run.stdout.trim().split('\n')
    assert.equal(run.status, 0, `${lines.slice(-40).join('\n')}\n${run.stderr}`)
    t.diagnostic(lines.at(-1) ?? '')
  } finally {
    await server?.close()
    rmSync(dir, { recursive: true, force: true })
  }
})
