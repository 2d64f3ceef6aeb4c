import assert from 'node:assert/strict'
import test from 'node:test'
import { Registry } from '../kinds/registry.ts'
import type { ApiObject } from '../object.ts'
import { humanDuration } from './column.ts'
import { podStatus } from './pods.ts'
import { makeTable } from './table.ts'

const nowMs = Date.parse('2026-01-01T01:00:00Z')
const registry = new Registry()

/** The cells of one object, as kubectl prints them with `-o wide`. */
function cells(resource: string, object: Partial<ApiObject>): string {
  const kind = registry.findByKey(resource)
  assert.ok(kind)
  const whole = {
    apiVersion: 'v1',
    kind: kind.kind,
    ...object,
    metadata: { name: 'x', creationTimestamp: '2026-01-01T00:00:00Z', ...object.metadata },
  }
  const format = { kind: 'table', apiVersion: 'meta.k8s.io/v1' } as const
  const view = { kind, version: kind.version, format, table: { includeObject: 'None', clockMs: nowMs } }
  const { rows, columnDefinitions } = makeTable([whole], view, {}, true)
  assert.ok(Array.isArray(rows) && Array.isArray(columnDefinitions))
  assert.equal(rows[0].cells.length, columnDefinitions.length)
  return rows[0].cells.join(' | ')
}

const template = { spec: { containers: [{ name: 'c', image: 'i:1' }] } }
const selector = {
  matchLabels: { app: 'web' },
  matchExpressions: [{ key: 't', operator: 'In', values: ['a', 'b'] }],
}

void test('Tables of core kinds have the cells that kubectl users know', () => {
  const workload = { metadata: {}, spec: { replicas: 3, selector, template } }
  assert.equal(
    cells('apps/deployments', {
      ...workload,
      status: { readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 },
    }),
    'x | 1/3 | 2 | 1 | 60m | c | i:1 | app=web,t in (a,b)',
  )
  assert.equal(cells('apps/replicasets', workload), 'x | 3 | 0 | 0 | 60m | c | i:1 | app=web,t in (a,b)')
  assert.equal(cells('apps/statefulsets', workload), 'x | 0/3 | 60m | c | i:1')
  assert.equal(
    cells('apps/daemonsets', { ...workload, status: { desiredNumberScheduled: 2, numberReady: 1 } }),
    'x | 2 | 0 | 1 | 0 | 0 | <none> | 60m | c | i:1 | app=web,t in (a,b)',
  )
  const job = {
    metadata: {},
    spec: { completions: 2, selector, template },
    status: { startTime: '2026-01-01T00:59:30Z', succeeded: 1 },
  }
  assert.equal(cells('batch/jobs', job), 'x | Running | 1/2 | 30s | 60m | c | i:1 | app=web,t in (a,b)')
  const node = {
    metadata: { labels: { 'node-role.kubernetes.io/control-plane': '' } },
    spec: { unschedulable: true },
    status: {
      conditions: [{ type: 'Ready', status: 'True' }],
      addresses: [{ type: 'InternalIP', address: '10.6.0.2' }],
      nodeInfo: {
        kubeletVersion: 'v1',
        osImage: 'Debian',
        kernelVersion: '6',
        containerRuntimeVersion: 'lab://1',
      },
    },
  }
  assert.equal(
    cells('/nodes', node),
    'x | Ready,SchedulingDisabled | control-plane | 60m | v1 | 10.6.0.2 | <none> | Debian | 6 | lab://1',
  )
  const event = {
    metadata: {},
    type: 'Warning',
    reason: 'Failed',
    message: 'no address',
    involvedObject: { kind: 'Pod', name: 'p' },
    source: { component: 'lab', host: 'n' },
    lastTimestamp: '2026-01-01T00:58:00Z',
    firstTimestamp: '2026-01-01T00:50:00Z',
    count: 4,
  }
  assert.equal(
    cells('/events', event),
    '2m | Warning | Failed | pod/p |  | lab, n | no address | 10m | 4 | x',
  )
  const service = { metadata: {}, spec: { type: 'ClusterIP', clusterIP: '10.96.0.1', ports: [{ port: 80 }] } }
  assert.equal(cells('/services', service), 'x | ClusterIP | 10.96.0.1 | <none> | 80/TCP | 60m | <none>')
  assert.equal(
    cells('/secrets', { metadata: {}, type: 'Opaque', data: { a: 'eA==' } }),
    'x | Opaque | 1 | 60m',
  )
  assert.equal(
    cells('coordination.k8s.io/leases', { metadata: {}, spec: { holderIdentity: 'h' } }),
    'x | h | 60m',
  )
})

void test('a pod row shows readiness, restarts and address', () => {
  const pod = {
    metadata: {},
    spec: { nodeName: 'node1', containers: [{ name: 'a' }, { name: 'b' }] },
    status: {
      phase: 'Running',
      podIPs: [{ ip: '10.6.0.9' }],
      containerStatuses: [
        {
          name: 'a',
          ready: true,
          restartCount: 3,
          state: { running: {} },
          lastState: { terminated: { finishedAt: '2026-01-01T00:55:00Z' } },
        },
        { name: 'b', ready: false, restartCount: 0, state: { waiting: { reason: 'CrashLoopBackOff' } } },
      ],
    },
  }
  assert.equal(
    cells('/pods', pod),
    'x | 1/2 | CrashLoopBackOff | 3 (5m ago) | 60m | 10.6.0.9 | node1 | <none> | <none>',
  )
})

const waiting = (reason: string) => ({ containerStatuses: [{ state: { waiting: { reason } } }] })
const ended = (terminated: object) => ({ containerStatuses: [{ state: { terminated } }] })
const statuses: readonly (readonly [string, object, string])[] = [
  ['a new pod', { phase: 'Pending' }, 'Pending'],
  [
    'a pod whose containers are made',
    { phase: 'Pending', ...waiting('ContainerCreating') },
    'ContainerCreating',
  ],
  [
    'a pod that ran to its end',
    { phase: 'Succeeded', ...ended({ reason: 'Completed', exitCode: 0 }) },
    'Completed',
  ],
  ['a pod that failed', { phase: 'Failed', ...ended({ reason: 'Error', exitCode: 1 }) }, 'Error'],
  ['a pod ended by a signal', { phase: 'Failed', ...ended({ signal: 9, exitCode: 137 }) }, 'Signal:9'],
  ['a pod with an exit code alone', { phase: 'Failed', ...ended({ exitCode: 2 }) }, 'ExitCode:2'],
  ['an evicted pod', { phase: 'Failed', reason: 'Evicted' }, 'Evicted'],
  [
    'a pod in its init containers',
    { phase: 'Pending', initContainerStatuses: [{ state: { running: {} } }] },
    'Init:0/1',
  ],
]
for (const [name, status, word] of statuses) {
  void test(`the STATUS of ${name} is ${word}`, () => {
    const spec = { containers: [{}], initContainers: 'initContainerStatuses' in status ? [{}] : [] }
    assert.equal(podStatus({ apiVersion: 'v1', kind: 'Pod', metadata: {}, spec, status }), word)
  })
}

void test('the STATUS of a pod with a deletionTimestamp is Terminating', () => {
  const metadata = { deletionTimestamp: '2026-01-01T00:00:00Z' }
  assert.equal(
    podStatus({ apiVersion: 'v1', kind: 'Pod', metadata, status: { phase: 'Running' } }),
    'Terminating',
  )
})

void test('humanDuration() writes as kubectl does', () => {
  const seconds: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [200, '3m20s'],
    [600, '10m'],
    [10_799, '179m'],
    [10_800, '3h'],
    [19_800, '5h30m'],
    [90_000, '25h'],
    [187_200, '2d4h'],
    [864_000, '10d'],
    [70_000_000, '2y80d'],
    [-10, '<invalid>'],
  ]
  for (const [count, text] of seconds) assert.equal(humanDuration(count * 1000), text)
})
