import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { installFile, valuesMark, valuesText } from '../scripts/values-table.ts'

const root = dirname(import.meta.dirname)

void test('docs/install.md ends with the values of the chart as they are', () => {
  const table = readFileSync(join(root, installFile), 'utf8').split(valuesMark)[1]
  assert.equal(table, `\n\n${valuesText(root)}`, 'run: npm run generate')
})

void test('the schema names each value of the table, and refuses others at every level', () => {
  interface Schema {
    readonly $ref?: string
    readonly properties?: Readonly<Record<string, Schema>>
    readonly additionalProperties?: unknown
  }
  const text = readFileSync(join(root, 'charts/spiderpool/values.schema.json'), 'utf8')
  const schema = JSON.parse(text) as Schema & { readonly $defs: Readonly<Record<string, Schema>> }
  const names = [...valuesText(root).matchAll(/^\| `([\w.]+)`/gm)].map(([, name = '']) => name)
  assert.ok(names.length > 60)
  for (const name of names) {
    let at: Schema | undefined = schema
    for (const part of name.split('.')) {
      assert.equal(at?.additionalProperties, false, name)
      at = at?.properties?.[part]
      if (at?.$ref !== undefined) at = schema.$defs[at.$ref.split('/').at(-1) ?? '']
    }
    assert.ok(at !== undefined, `values.schema.json has no ${name}`)
  }
})
