import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readAllocationRecords } from './allocation-records.ts'

const own = { pod: 'shop/cart-0', podUid: 'u1' }

void test('readAllocationRecords() reads what the releases of the reference wrote', () => {
  const text = JSON.stringify({
    '10.7.1.1': own,
    'FD00:7::0:1': { pod: 'shop/cart-1', podUid: 'u2', interface: 'net1' },
    '10.7.1.3': { containerID: 'c', interface: 'eth0', node: 'n1', namespace: 'shop', pod: 'cart-2' },
  })
  const { records, unreadable, remarks } = readAllocationRecords(text)
  assert.deepEqual(records, [
    { ip: '10.7.1.1', ...own, nic: '', node: '' },
    { ip: 'fd00:7::1', pod: 'shop/cart-1', podUid: 'u2', nic: 'net1', node: '' },
    { ip: '10.7.1.3', pod: 'shop/cart-2', podUid: '', nic: 'eth0', node: 'n1' },
  ])
  assert.deepEqual(unreadable, [])
  assert.match(remarks.join(), /records without podUid/)
})

void test('readAllocationRecords() takes absent, null and empty text for no records', () => {
  for (const text of [undefined, null, '', '  ', 'null', '{}']) {
    const nothing = { records: [], unreadable: [], remarks: [] }
    assert.deepEqual(readAllocationRecords(text), nothing)
  }
})

void test('readAllocationRecords() keeps both records of an address that is there twice', () => {
  const text = '{"10.7.1.1":{"pod":"a/a","podUid":"1"},"10.7.1.1":{"pod":"b/b","podUid":"2"}}'
  const { records, remarks } = readAllocationRecords(text)
  assert.deepEqual(
    records.map(({ podUid }) => podUid),
    ['1', '2'],
  )
  assert.match(remarks.join(), /10\.7\.1\.1 twice/)
})

void test('texts of a record that are longer than any real one count as not given', () => {
  const [podUid, node] = ['u'.repeat(513), 'n'.repeat(5000)]
  const text = JSON.stringify({ '10.7.1.1': { pod: 'a/x', podUid, node, interface: 'eth0' } })
  const { records, unreadable } = readAllocationRecords(text)
  assert.deepEqual(records, [{ ip: '10.7.1.1', pod: 'a/x', podUid: '', nic: 'eth0', node: '' }])
  assert.deepEqual(unreadable, [])
})

const bad: readonly (readonly [string, unknown, RegExp])[] = [
  ['half a text', '{"10.7.1.1":{"pod":"a/a"', /status\.allocatedIPs .*is not JSON/],
  ['a list', '[]', /is not a JSON object/],
  ['a number', 7, /is no text/],
  ['a key that is no address', '{"10.7.1":{"pod":"a/a","podUid":"1"}}', /key "10\.7\.1": it is not an IP/],
  ['a record that is no object', '{"10.7.1.1":"a/a"}', /\[10\.7\.1\.1\] "a\/a": it is not an object/],
  ['a record without a pod', '{"10.7.1.1":{"podUid":"1"}}', /\.pod undefined: it is not namespace\/name/],
  ['a pod without a namespace', '{"10.7.1.1":{"pod":"a"}}', /\.pod "a": it is not namespace\/name/],
  ['huge text', 'x'.repeat(5_000_000), /is longer than 4194304 characters/],
]
for (const [what, text, message] of bad) {
  void test(`readAllocationRecords() names field, value and remedy of ${what}`, () => {
    const { unreadable } = readAllocationRecords(text)
    assert.match(unreadable[0]?.message ?? '', message)
    assert.match(unreadable[0]?.hint ?? '', /docs\/upgrade-in-place\.md/)
  })
}

void test('readAllocationRecords() never throws, whatever the text', () => {
  fc.assert(fc.property(fc.anything(), (value) => void readAllocationRecords(value)))
  fc.assert(fc.property(fc.json(), (text) => void readAllocationRecords(text)))
  fc.assert(fc.property(fc.jsonValue(), (value) => void readAllocationRecords(JSON.stringify({ a: value }))))
})
