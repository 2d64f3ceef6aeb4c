import assert from 'node:assert/strict'
import test from 'node:test'
import { type BlockEntry, ownerOfClaim } from '../../api/index.ts'
import { type PodFinding, planReclaim, type SandboxEvidence } from './plan-reclaim.ts'

const entry: BlockEntry = {
  pool: 'p4',
  nic: 'eth0',
  owner: { kind: 'pod', uid: 'U1' },
  pod: 'default/web-1',
  podUid: 'U1',
  node: 'node1',
  attachments: [{ containerId: 'c1', node: 'node1', active: true }],
  since: 1,
  grant: { prefixBits: 16 },
}
const adopted: BlockEntry = { ...withoutAttachments(entry), adopted: 'record' }
const sticky: BlockEntry = {
  ...entry,
  owner: { kind: 'sticky', group: 'apps', ownerKind: 'StatefulSet', name: 'web', uid: 'S1', replica: '1' },
}
const claimed: BlockEntry = {
  ...entry,
  owner: ownerOfClaim({ kind: 'IPAMClaim', namespace: 'default', name: 'vm', uid: 'C1' }),
}

const cases: readonly (readonly [
  string,
  BlockEntry,
  PodFinding,
  boolean,
  readonly SandboxEvidence[],
  string,
])[] = [
  ['a living pod of the same uid keeps', entry, { kind: 'alive', uid: 'U1' }, false, ['gone'], 'keep'],
  [
    'a living namesake of another uid does not keep',
    entry,
    { kind: 'alive', uid: 'U2' },
    false,
    ['gone'],
    'free',
  ],
  ['a gone pod frees with evidence', entry, { kind: 'gone' }, false, ['gone'], 'free'],
  ['a gone pod waits for evidence', entry, { kind: 'gone' }, false, ['unknown'], 'wait'],
  ['a gone pod waits while its sandbox runs', entry, { kind: 'gone' }, false, ['alive'], 'wait'],
  ['a detached entry needs no evidence', { ...entry, attachments: [] }, { kind: 'gone' }, false, [], 'free'],
  [
    'a terminating pod waits while its sandbox runs',
    entry,
    { kind: 'dead', uid: 'U1', hasFinished: false },
    false,
    ['alive'],
    'wait',
  ],
  [
    'a terminating pod without a sandbox frees',
    entry,
    { kind: 'dead', uid: 'U1', hasFinished: false },
    false,
    ['gone'],
    'free',
  ],
  ['a valid replica keeps without a pod', sticky, { kind: 'gone' }, true, [], 'keep'],
  ['a claim keeps while its pod lives', claimed, { kind: 'alive', uid: 'U1' }, true, ['alive'], 'keep'],
  [
    'a claim that is over is left to its living pod',
    claimed,
    { kind: 'alive', uid: 'U1' },
    false,
    [],
    'keep',
  ],
  ['a claim waits for evidence of a gone pod', claimed, { kind: 'gone' }, true, ['unknown'], 'wait'],
  ['a claim loses the pod that is over', claimed, { kind: 'gone' }, true, ['gone'], 'vacate'],
  ['a claim that is over frees with its pod', claimed, { kind: 'gone' }, false, ['gone'], 'free'],
  ['an invalid replica frees', sticky, { kind: 'gone' }, false, ['gone'], 'free'],
  [
    'an invalid replica with a living pod keeps',
    sticky,
    { kind: 'alive', uid: 'U1' },
    false,
    ['gone'],
    'keep',
  ],
  ['two attachments both need evidence', entry, { kind: 'gone' }, false, ['gone', 'unknown'], 'wait'],
]

for (const [title, subject, pod, isReplicaValid, sandboxes, expected] of cases) {
  void test(`planReclaim(): ${title}`, () => {
    assert.equal(planReclaim({ entry: subject, pod, isReplicaValid, sandboxes }).kind, expected)
  })
}

function withoutAttachments({ attachments: _, ...rest }: BlockEntry): BlockEntry {
  return rest
}

void test('an adopted entry of a pod that still terminates waits: nobody knows its container', () => {
  const judge = (hasFinished: boolean, uid = 'U1') =>
    planReclaim({
      entry: adopted,
      pod: { kind: 'dead', uid, hasFinished },
      isReplicaValid: false,
      sandboxes: [],
    })
  assert.equal(judge(false).kind, 'wait')
  assert.equal(judge(true).kind, 'free')
  assert.equal(judge(false, 'U2').kind, 'free')
})
