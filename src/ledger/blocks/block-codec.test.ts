import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockEntry, EntryGrant, SpiderIpBlock } from '../../api/index.ts'
import { parseJson } from '../../base/index.ts'
import { parseBlock } from './block-codec.ts'
import { formatEntry } from './entry-text.ts'
import { readEntry } from './read-entry.ts'

const name = 'v4-0a060000-26'

function read(grant: unknown): BlockEntry | undefined {
  const entry = {
    pool: 'p',
    nic: 'eth0',
    owner: { kind: 'pod', uid: 'u' },
    pod: 'a/b',
    podUid: 'u',
    node: 'n',
    since: 1,
    grant,
  }
  const object = {
    metadata: { name, resourceVersion: '1' },
    spec: { cidr: '10.6.0.0/26', term: 1, entries: { '10.6.0.9': entry } },
  }
  return parseBlock(JSON.parse(JSON.stringify(object))).entries.get('10.6.0.9')
}

const full: EntryGrant = {
  prefixBits: 24,
  gateway: '10.6.0.1',
  routes: [{ dst: '10.7.0.0/16', gw: '10.6.0.2' }],
  cleanGateway: true,
  vlan: 7,
  mac: '02:00:00:00:00:01',
  dns: { nameservers: ['10.6.0.53'], domain: 'a', search: ['b'], options: ['c'] },
  metadata: { rack: 'r7' },
  isStatic: true,
}

void test('parseBlock() reads all that an address was answered with', () => {
  assert.deepEqual(read(full)?.grant, full)
})

void test('parseBlock() holds equal DNS settings and metadata once', () => {
  const [one, two] = [read(full)?.grant, read(full)?.grant]
  assert.ok(one?.dns !== undefined && one.metadata !== undefined)
  assert.equal(one.dns, two?.dns)
  assert.equal(one.metadata, two?.metadata)
})

void test('parseBlock() holds equal grants once, unless they have a MAC address of their own', () => {
  const { mac, ...plain } = full
  assert.equal(read(plain)?.grant, read(plain)?.grant)
  assert.deepEqual(read({ ...plain, mac })?.grant, full)
})

void test('parseBlock() leaves out attributes that cannot be read, and keeps the owner', () => {
  for (const more of [
    { dns: 'x' },
    { dns: { nameservers: 'x' } },
    { dns: { search: [1] } },
    { dns: { domain: 7 } },
    { metadata: [] },
    { metadata: { a: 1 } },
    { isStatic: 'yes' },
  ]) {
    assert.deepEqual(read({ prefixBits: 24, ...more })?.grant, { prefixBits: 24 }, JSON.stringify(more))
  }
})

/** A block with one entry that has one more member, as a text and as an object. */
function blocksWith(later: string) {
  const entry = `{"pool":"p","nic":"e","owner":{"kind":"pod","uid":"u"},"pod":"a/b","podUid":"u","node":"n","since":1,
    "grant":{"prefixBits":24},"later":${later}}`
  return [entry, JSON.stringify(entry)].map((stored) => {
    const spec = `{"cidr":"10.6.0.0/26","term":1,"entries":{"10.6.0.9":${stored}}}`
    return parseJson(`{"metadata":{"name":"${name}","resourceVersion":"1"},"spec":${spec}}`) as SpiderIpBlock
  })
}

void test('parseBlock() keeps what a newer controller says, also an integer beyond 2^53, exactly', () => {
  for (const block of blocksWith('12345678901234567890')) {
    const entry = parseBlock(block).entries.get('10.6.0.9')
    assert.deepEqual(entry?.unknown, { later: 12345678901234567890n })
    assert.deepEqual(readEntry(formatEntry(entry)), entry)
  }
})

void test('parseBlock() keeps an address from everybody whose entry is nested too deep, and reads the others', () => {
  for (const block of blocksWith('['.repeat(9_000) + ']'.repeat(9_000))) {
    const { unreadable, problems } = parseBlock(block)
    assert.deepEqual([[...unreadable], problems.length], [['10.6.0.9'], 1])
  }
})
