import assert from 'node:assert/strict'
import test from 'node:test'
import { parseIp } from '../../address/index.ts'
import { type BlockEntry, isDnsSubdomain, type SpiderIpBlock } from '../../api/index.ts'
import { entriesOf, parseBlock, readPastHolder } from '../../ledger/index.ts'
import {
  reservationName,
  withoutOwner,
  withoutQuarantine,
  withQuarantine,
  withSettled,
} from './block-edit.ts'

const entry = (uid: string, more: Partial<BlockEntry> = {}): BlockEntry => ({
  pool: 'p',
  nic: 'eth0',
  owner: { kind: 'pod', uid },
  pod: `a/${uid}`,
  podUid: uid,
  node: 'n',
  since: 5,
  grant: { prefixBits: 16 },
  ...more,
})
const block = (entries: Readonly<Record<string, BlockEntry>>): SpiderIpBlock => ({
  metadata: { name: 'v4-0a000000-26', resourceVersion: '7' },
  spec: { cidr: '10.0.0.0/26', term: 9, entries, released: { '10.0.0.9': 1 } },
})

void test('withoutOwner() frees one address and leaves all else, the term and the version too', () => {
  const before = block({ '10.0.0.1': entry('u'), '10.0.0.2': entry('v') })
  const after = withoutOwner(before, '10.0.0.1', 50)
  assert.deepEqual(after.metadata, before.metadata)
  const { entries, released, term, history } = after.spec
  assert.deepEqual(entries, { '10.0.0.2': entry('v') })
  assert.deepEqual(released, { '10.0.0.9': 1, '10.0.0.1': 50 })
  assert.equal(term, 9)
  assert.deepEqual(history?.map(readPastHolder), [
    { ip: '10.0.0.1', pod: 'a/u', podUid: 'u', nic: 'eth0', node: 'n', since: 5, until: 50 },
  ])
  assert.deepEqual(parseBlock(after).problems, [])
  assert.equal(withoutOwner(after, '10.0.0.1', 60), after)
})

void test('withoutOwner() leaves a contested address to the next who is recorded for it', () => {
  const after = withoutOwner(
    block({ '10.0.0.1': entry('u', { claims: [entry('v'), entry('w')] }) }),
    '10.0.0.1',
    50,
  )
  assert.deepEqual(entriesOf(after), { '10.0.0.1': entry('v', { claims: [entry('w')] }) })
  assert.equal(after.spec.released?.['10.0.0.1'], undefined)
})

void test('withSettled() makes entries of one request stand by themselves, and no others', () => {
  const open = (id: string) => entry('u', { intent: { id, ips: ['10.0.0.1', '10.0.0.2'] } })
  const before = block({ '10.0.0.1': open('i'), '10.0.0.2': open('k') })
  const after = withSettled(before, ['10.0.0.1', '10.0.0.2'], 'i')
  assert.deepEqual(entriesOf(after)['10.0.0.1']?.intent, { id: 'i', ips: [] })
  assert.deepEqual(entriesOf(after)['10.0.0.2']?.intent, open('k').intent)
  assert.equal(withSettled(before, ['10.0.0.3'], 'i'), before)
})

void test('a quarantine comes and goes without a trace', () => {
  const before = block({})
  const kept = withQuarantine(before, '10.0.0.1', { since: 1, until: 2, pod: '', nic: '', node: '' })
  assert.equal(parseBlock(kept).quarantine.get('10.0.0.1')?.until, 2)
  assert.deepEqual(withoutQuarantine(kept, '10.0.0.1').spec.quarantine, {})
  assert.equal(withoutQuarantine(before, '10.0.0.1'), before)
})

void test('the reservation of any address has a legal name of its own', () => {
  const names = ['10.0.0.1', '10.0.0.11', 'fd00::', '::1', 'fd00::1'].map((text) =>
    reservationName(parseIp(text)),
  )
  assert.equal(new Set(names).size, names.length)
  for (const name of names) assert.ok(isDnsSubdomain(name), name)
  assert.equal(names[0], 'reserved-10-0-0-1')
})
