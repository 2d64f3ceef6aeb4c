import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { parseJson, stringifyJson } from './json.ts'

void test('integers beyond 2^53 survive a read and a write exactly', () => {
  const text =
    '{"a":9223372036854775807,"b":[-9223372036854775808,12345678901234567890],"c":9007199254740991}'
  assert.equal(stringifyJson(parseJson(text)), text)
  assert.deepEqual(parseJson(text), {
    a: 9223372036854775807n,
    b: [-9223372036854775808n, 12345678901234567890n],
    c: 9007199254740991,
  })
})

void test('digits in strings and fractions stay what they are', () => {
  const value = { text: '9223372036854775807', fraction: 0.1234567890123456, big: 1e300 }
  assert.deepEqual(parseJson(stringifyJson(value)), value)
})

void test('integers beyond 2^53 are exact wherever they stand', () => {
  const exact = 9223372036854775807n
  const of = (text: string) => parseJson(text.replaceAll('#', String(exact)))
  assert.equal(of(' #'), exact)
  assert.equal(of('-#'), -exact)
  assert.deepEqual(of('[#,-#,[ # ] ,\n#]'), [exact, -exact, [exact], exact])
  assert.deepEqual(of('{"a":#,"b" : -#,"c"\t:\n#}'), { a: exact, b: -exact, c: exact })
})

void test('parseJson() of long digits in texts costs no more than without them', (context) => {
  const texts = [
    '1234567890123456',
    'sha256:1234567890123456',
    'containerd://12345678901234567890',
    '1-1234567890123456',
  ]
  for (const text of texts) {
    const json = JSON.stringify({ text, list: [text] })
    const parse = context.mock.method(JSON, 'parse')
    assert.deepEqual(parseJson(json), { text, list: [text] })
    assert.deepEqual(
      parse.mock.calls.map((call) => call.arguments.length),
      [1],
      text,
    )
    parse.mock.restore()
  }
})

void test('parseJson() reads what JSON.parse reads', () => {
  const law = fc.property(fc.jsonValue(), (value) => {
    const text = JSON.stringify(value)
    assert.equal(stringifyJson(parseJson(text)), JSON.stringify(JSON.parse(text)))
  })
  fc.assert(law)
})

void test('any integer comes back from text to text, however deep and however spaced', () => {
  const [integers, spaces] = [fc.array(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n })), fc.nat({ max: 3 })]
  const spaced = fc.property(integers, fc.string(), spaces, (values, name, indent) => {
    const value = { list: values, [name]: Object.fromEntries(values.entries()) }
    const text = stringifyJson(value, indent)
    assert.equal(stringifyJson(parseJson(text), indent), text)
  })
  fc.assert(spaced)

  const law = fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), (value) => {
    assert.equal(stringifyJson(parseJson(`[${value}]`)), `[${value}]`)
  })
  fc.assert(law)
})
