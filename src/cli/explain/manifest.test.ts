import assert from 'node:assert/strict'
import test from 'node:test'
import { InvalidInputError } from '../../base/index.ts'
import { podOfManifest } from './manifest.ts'

const template = { metadata: { labels: { app: 'x' }, annotations: { k: 'v' } }, spec: { hostNetwork: true } }
const object = (kind: string, spec: object, metadata: object = { name: 'web' }) =>
  JSON.stringify({ apiVersion: 'apps/v1', kind, metadata, spec })

void test('podOfManifest() finds the pod of each kind of workload, and its owner', () => {
  for (const [kind, spec, name] of [
    ['Deployment', { template }, 'web-new'],
    ['StatefulSet', { template }, 'web-0'],
    ['CronJob', { jobTemplate: { spec: { template } } }, 'web-new'],
  ] as const) {
    const pod = podOfManifest(object(kind, spec), 'f', 'team')
    assert.equal(pod.metadata.name, name)
    assert.equal(pod.metadata.namespace, 'team')
    assert.deepEqual(pod.metadata.labels, { app: 'x' })
    assert.deepEqual(pod.metadata.annotations, { k: 'v' })
    assert.equal(pod.metadata.ownerReferences?.[0]?.kind, kind)
    assert.equal(pod.spec?.hostNetwork, true)
  }
})

void test('podOfManifest() takes a Pod as it is, from YAML with other objects beside it', () => {
  const text =
    'kind: Service\nmetadata: {name: s}\n---\nkind: Pod\nmetadata:\n  generateName: job-\n  namespace: own\n'
  const { metadata } = podOfManifest(text, 'f', undefined)
  assert.deepEqual([metadata.name, metadata.namespace, metadata.ownerReferences], ['job', 'own', undefined])
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
  void test(`podOfManifest() refuses ${what}`, () => {
    assert.throws(
      () => podOfManifest(text, 'f', namespace),
      (error) => error instanceof InvalidInputError && expected.test(error.message),
    )
  })
}
