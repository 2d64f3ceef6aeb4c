import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { crdFiles, crdFolder } from '../scripts/crd-files.ts'
import { crdManifests } from '../src/api/index.ts'

const folder = join(dirname(import.meta.dirname), crdFolder)

void test('manifests/crds holds exactly what `npm run generate` writes', () => {
  const files = crdFiles()
  assert.deepEqual(readdirSync(folder).sort(), [...files.keys()].sort())
  for (const [name, text] of files) assert.equal(readFileSync(join(folder, name), 'utf8'), text, name)
})

void test('the YAML of each CRD says what the source says', () => {
  const texts = [...crdFiles().values()]
  assert.deepEqual(
    texts.map((text) => parse(text)),
    structuredClone(crdManifests()),
  )
})
