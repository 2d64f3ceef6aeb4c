import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { joinJsonMembers, jsonElements, jsonMembers } from './json-members.ts'

void test('jsonMembers() splits any object into texts that parse to its values', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 2), (object, indent) => {
      const members = jsonMembers(JSON.stringify(object, undefined, indent))
      assert.deepEqual([...members.keys()].sort(), Object.keys(object).sort())
      for (const [key, raw] of members)
        assert.equal(JSON.stringify(JSON.parse(raw)), JSON.stringify(object[key]))
      assert.deepEqual(
        JSON.parse(joinJsonMembers(members)),
        JSON.parse(JSON.stringify(Object.fromEntries(members.keys().map((key) => [key, object[key]])))),
      )
    }),
  )
})

void test('jsonElements() splits any array into texts that parse to its values', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.constantFrom(0, 1), (array, indent) => {
      const texts = jsonElements(JSON.stringify(array, undefined, indent))
      assert.equal(JSON.stringify(texts.map((text) => JSON.parse(text) as unknown)), JSON.stringify(array))
    }),
  )
})

void test('raw texts keep what a number type would lose: long integers, 1.0, key order', () => {
  const text = '{"a":{"b":12345678901234567890,"1":1.0},"c":[1e2]}'
  assert.equal(joinJsonMembers(jsonMembers(text)), text)
})
