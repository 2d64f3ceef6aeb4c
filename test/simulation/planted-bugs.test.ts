import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { plantedBugs } from './planted-bugs.ts'

const root = dirname(dirname(import.meta.dirname))

// The simulation plants them, which takes minutes: that the code has moved away under one of them is seen here.
void test('each planted bug finds what it changes, once', () => {
  for (const { name, edits } of plantedBugs) {
    for (const { file, from } of edits) {
      const found = readFileSync(join(root, file), 'utf8').split(from).length - 1
      assert.equal(found, 1, `${name}: ${file} has ${found} times: ${from}`)
    }
  }
})
