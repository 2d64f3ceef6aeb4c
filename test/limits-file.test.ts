import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { limitsFile, limitsMark, limitsText } from '../scripts/limits-file.ts'

void test('docs/limits.md lists every limit of the source, as `npm run generate` writes it', () => {
  const text = readFileSync(join(dirname(import.meta.dirname), limitsFile), 'utf8')
  assert.equal(text.split(limitsMark)[1], `\n\n${limitsText()}`)
})
