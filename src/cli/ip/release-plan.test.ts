import assert from 'node:assert/strict'
import test from 'node:test'
import type { BlockEntry, Pod } from '../../api/index.ts'
import { planRelease, type ReleaseFacts } from './release-plan.ts'

const entry: BlockEntry = {
  pool: 'p',
  nic: 'eth0',
  owner: { kind: 'pod', uid: 'u' },
  pod: 'a/b',
  podUid: 'u',
  node: 'n1',
  since: 1,
  grant: { prefixBits: 16 },
}
const attachments = [{ containerId: 'c1', node: 'n1', active: true }]
const sticky = {
  kind: 'sticky' as const,
  group: 'apps',
  ownerKind: 'StatefulSet',
  name: 'web',
  uid: 's',
  replica: '0',
}
const podThat = (more: Partial<Pod['metadata']>, status: Pod['status'] = {}): Pod => ({
  metadata: { name: 'b', namespace: 'a', uid: 'u', ...more },
  status,
})
const alive = podThat({})
const terminating = podThat({ deletionTimestamp: '2026-01-01T00:00:00Z' })
const finished: Pod = { ...podThat({}, { phase: 'Succeeded' }), spec: { restartPolicy: 'Never' } }

const base: ReleaseFacts = {
  ip: '10.0.0.1',
  entry,
  isUnreadable: false,
  quarantine: undefined,
  pod: undefined,
  workload: 'unknown',
  deadNodes: new Set(),
  siblings: [],
}
const quarantine = { since: 1, until: 2, pod: '', nic: '', node: '' }

const cases: readonly (readonly [string, Partial<ReleaseFacts>, string, RegExp])[] = [
  ['nobody has it', { entry: undefined }, 'nothing', /nobody holds/],
  ['it is in quarantine', { entry: undefined, quarantine }, 'endQuarantine', /quarantine/],
  ['its record cannot be read', { entry: undefined, isUnreadable: true }, 'refuse', /cannot be read/],
  ['its pod is alive', { pod: alive }, 'refuse', /is alive and uses/],
  ['its pod is gone and it is detached', {}, 'free', /gone, no sandbox/],
  ['a namesake has another uid', { pod: podThat({ uid: 'v' }) }, 'free', /replaced/],
  ['its pod has finished', { pod: finished }, 'free', /finished/],
  ['its pod terminates, detached', { pod: terminating }, 'free', /terminating/],
  [
    'its pod terminates, attached',
    { pod: terminating, entry: { ...entry, attachments } },
    'refuse',
    /may still use/,
  ],
  [
    'its pod terminates, adopted',
    { pod: terminating, entry: { ...entry, adopted: 'record' } },
    'refuse',
    /may still/,
  ],
  [
    'its sandbox may run',
    { entry: { ...entry, attachments } },
    'refuse',
    /container c1 may still run on node n1/,
  ],
  ['its node is dead', { entry: { ...entry, attachments }, deadNodes: new Set(['n1']) }, 'free', /are dead/],
  [
    'its workload is there',
    { entry: { ...entry, owner: sticky }, workload: 'exists' },
    'refuse',
    /is kept for the next/,
  ],
  ['its workload is unknown', { entry: { ...entry, owner: sticky } }, 'refuse', /is kept for the next/],
  [
    'its workload is gone',
    { entry: { ...entry, owner: sticky }, workload: 'gone' },
    'free',
    /StatefulSet web .* is gone/,
  ],
]
for (const [what, facts, kind, why] of cases) {
  void test(`planRelease() answers ${kind} when ${what}`, () => {
    const plan = planRelease({ ...base, ...facts })
    assert.equal(plan.kind, kind)
    assert.match(plan.why, why)
  })
}

void test('planRelease() settles the siblings of a request, and never touches one that is half done', () => {
  const intent = { id: 'i', ips: ['10.0.0.1', 'fd00::1'] }
  const held = { ...entry, intent }
  const both = [
    { ip: '10.0.0.1', entry: held },
    { ip: 'fd00::1', entry: held },
  ]
  const plan = planRelease({ ...base, entry: held, siblings: both })
  assert.deepEqual(plan.kind === 'free' ? plan.settle : plan, ['fd00::1'])
  const half = planRelease({ ...base, entry: held, siblings: both.slice(0, 1) })
  assert.equal(half.kind, 'refuse')
  assert.equal(half.kind === 'refuse' ? half.forced : [], undefined)
})
