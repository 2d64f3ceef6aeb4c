import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BlockEntry } from '../../api/index.ts'
import { formatEntry } from './entry-text.ts'
import { readEntry } from './read-entry.ts'

const entry: BlockEntry = {
  pool: 'p',
  nic: 'eth0',
  owner: { kind: 'pod', uid: 'u' },
  pod: 'a/b',
  podUid: 'u',
  node: 'n',
  attachments: [{ containerId: 'c', node: 'n', active: true }],
  since: 1,
  createdBy: { containerId: 'c', ifName: 'eth0' },
  grant: { prefixBits: 24 },
}

void test('formatEntry() says nothing twice', () => {
  const said = {
    ...{ pool: 'p', nic: 'eth0', pod: 'a/b', podUid: 'u', node: 'n', since: 1, grant: { prefixBits: 24 } },
    attachments: [{ containerId: 'c' }],
  }
  assert.deepEqual(JSON.parse(formatEntry(entry)), said)
})

const word = fc.constantFrom('a', 'b', 'c', '')
const holder = fc.record(
  {
    pool: word,
    nic: word,
    owner: fc.oneof(
      fc.record({ kind: fc.constant('pod' as const), uid: word }),
      fc.record({
        ...{ kind: fc.constant('sticky' as const), group: word, ownerKind: word },
        ...{ name: word, uid: word, replica: word },
      }),
    ),
    pod: word,
    podUid: word,
    node: word,
    intent: fc.record({ id: word, ips: fc.subarray(['10.0.0.1', '10.0.0.2']) }),
    attachments: fc.array(
      fc.record(
        { containerId: word, node: word, active: fc.boolean(), podName: word, podUid: word },
        { requiredKeys: ['containerId', 'node', 'active'], noNullPrototype: true },
      ),
      { maxLength: 2 },
    ),
    since: fc.nat(),
    createdBy: fc.record({ containerId: word, ifName: word }),
    grant: fc.record({ prefixBits: fc.nat({ max: 32 }) }),
    adopted: fc.constantFrom('record' as const, 'endpoint' as const),
    unknown: fc.dictionary(fc.constantFrom('zone', 'rack'), word, { minKeys: 1, noNullPrototype: true }),
  },
  {
    requiredKeys: ['pool', 'nic', 'owner', 'pod', 'podUid', 'node', 'since', 'grant'],
    noNullPrototype: true,
  },
)

void test('readEntry() reads what formatEntry() wrote, and the object that it was', () => {
  const law = fc.property(
    holder,
    fc.option(fc.array(holder, { maxLength: 2 }), { nil: undefined }),
    (one, claims) => {
      const whole: BlockEntry = claims === undefined ? one : { ...one, claims }
      assert.deepEqual(readEntry(formatEntry(whole)), JSON.parse(JSON.stringify(whole)))
    },
  )
  fc.assert(law)
  assert.deepEqual(readEntry(entry), entry)
})

void test('what a newer controller wrote is kept, wherever it stands', () => {
  const newer = {
    ...entry,
    owner: { kind: 'pod', uid: 'u', zone: 'z' },
    grant: { prefixBits: 24, mtu: 9000 },
    attachments: [{ containerId: 'c', node: 'n', active: true, vrf: 'v' }],
    later: 1,
  }
  const { later, ...rest } = newer
  const read = readEntry(JSON.stringify(newer))
  assert.deepEqual(read, { ...rest, unknown: { later } })
  assert.deepEqual(readEntry(formatEntry(read ?? entry)), read)
})

void test('readEntry() makes no owner up for what is no entry', () => {
  const ownerless = JSON.stringify({ ...entry, owner: null })
  for (const text of ['', '{', '[]', 'null', '"x"', '{}', '{"pool":"p","podUid":"u"}', '7', ownerless]) {
    assert.equal(readEntry(text), undefined, text)
  }
})
