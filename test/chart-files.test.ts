import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { chartFiles, chartFilesFolder } from '../scripts/chart-files.ts'

const folder = join(dirname(import.meta.dirname), chartFilesFolder)

void test('the chart holds exactly the definitions and rights that `npm run generate` writes', () => {
  const files = chartFiles()
  assert.deepEqual(globSync('**/*.yaml', { cwd: folder }).sort(), [...files.keys()].sort())
  for (const [path, text] of files) assert.equal(readFileSync(join(folder, path), 'utf8'), text, path)
})
