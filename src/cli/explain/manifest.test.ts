import assert from 'node:assert/strict'
import test from 'node:test'
import { InvalidInputError } from '../../base/index.ts'
import { parseManifest } from './manifest.ts'

const template = { metadata: { labels: { app: 'x' }, annotations: { k: 'v' } }, spec: { hostNetwork: true } }
const object = (kind: string, spec: object, metadata: object = { name: 'web' }) =>
  JSON.stringify({ apiVersion: 'apps/v1', kind, metadata, spec })

const of = (kind: string, name = 'web') => [kind, name, 'team']

void test('parseManifest() finds the pod of each kind of workload, and its owner', () => {
  for (const [kind, spec, name, owners] of [
    ['Deployment', { template }, 'web-new', [of('Deployment'), of('ReplicaSet', 'web-new')]],
    ['StatefulSet', { template }, 'web-0', [of('StatefulSet')]],
    ['StatefulSet', { template, ordinals: { start: 5 } }, 'web-5', [of('StatefulSet')]],
    ['CronJob', { jobTemplate: { spec: { template } } }, 'web-new', [of('CronJob'), of('Job', 'web-new')]],
  ] as const) {
    const { pod, workloads } = parseManifest(object(kind, spec), 'f', 'team')
    assert.equal(pod.metadata.name, name)
    assert.equal(pod.metadata.namespace, 'team')
    assert.deepEqual(pod.metadata.labels, { app: 'x' })
    assert.deepEqual(pod.metadata.annotations, { k: 'v' })
    assert.deepEqual(
      workloads.map((one) => [one.kind, one.metadata.name, one.metadata.namespace]),
      owners,
    )
    assert.equal(pod.spec?.hostNetwork, true)
  }
})

void test('parseManifest() reads what a workload selects and where its ordinals begin', () => {
  const selector = { matchLabels: { app: 'x' } }
  const text = object('StatefulSet', { template, selector, ordinals: { start: 5 }, replicas: 3 })
  const [set] = parseManifest(text, 'f', undefined).workloads
  assert.deepEqual(set?.spec, { selector, ordinals: { start: 5 } })
})

void test('parseManifest() takes a Pod as it is, from YAML with other objects beside it', () => {
  const text =
    'kind: Service\nmetadata: {name: s}\n---\nkind: Pod\nmetadata:\n  generateName: job-\n  namespace: own\n'
  const { pod, workloads } = parseManifest(text, 'f', undefined)
  assert.deepEqual([pod.metadata.name, pod.metadata.namespace, workloads], ['job', 'own', []])
})

const refused: readonly (readonly [string, string, string | undefined, RegExp])[] = [
  ['no YAML', '{', undefined, /is not YAML/],
  ['no pod', 'kind: Service', undefined, /has no pod and no workload/],
  ['two pods', `${object('Pod', {})}\n---\n${object('Pod', {})}`, undefined, /has several/],
  ['a name that is missing', object('Pod', {}, {}), undefined, /has no metadata\.name/],
  [
    'a label that is no text',
    object('Pod', {}, { name: 'x', labels: { a: 1 } }),
    undefined,
    /metadata\.labels\[a\] 1/,
  ],
  [
    'an ordinal that is none',
    object('StatefulSet', { template, ordinals: { start: '1' } }),
    undefined,
    /spec\.ordinals\.start "1": it is no whole number/,
  ],
  [
    'a selector that is none',
    object('Deployment', { template, selector: { matchExpressions: 7 } }),
    undefined,
    /spec\.selector .*: it is no label selector/,
  ],
  [
    'another namespace',
    object('Pod', {}, { name: 'x', namespace: 'a' }),
    'b',
    /is not that of the manifest, a/,
  ],
  [
    'a bomb of aliases',
    `a: &a [x,x]\n${Array.from({ length: 30 }, (_, i) => `${'b'.repeat(i + 1)}: &${'b'.repeat(i + 1)} [*${i === 0 ? 'a' : 'b'.repeat(i)}, *${i === 0 ? 'a' : 'b'.repeat(i)}]`).join('\n')}`,
    undefined,
    /cannot be read/,
  ],
]
for (const [what, text, namespace, expected] of refused) {
  void test(`parseManifest() refuses ${what}`, () => {
    assert.throws(
      () => parseManifest(text, 'f', namespace),
      (error) => error instanceof InvalidInputError && expected.test(error.message),
    )
  })
}
