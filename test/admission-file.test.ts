import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { admissionFile, admissionMark, admissionText } from '../scripts/admission-file.ts'
import { ruleCases } from './support/webhook-cases/cases.ts'
import { ruleTitles } from './support/webhook-cases/titles.ts'

void test('docs/admission.md lists every rule and what becomes of it, as `npm run generate` writes it', () => {
  const text = readFileSync(join(dirname(import.meta.dirname), admissionFile), 'utf8')
  assert.equal(text.split(admissionMark)[1], `\n\n${admissionText()}`)
  const rules = new Set(ruleCases.map(({ rule }) => rule))
  assert.deepEqual([...rules].sort(), Object.keys(ruleTitles).sort())
})
