import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject, OwnerReference, Pod, Workload } from '../../api/index.ts'
import { provenTopOwnerOf } from './top-owner.ts'

const reference = (apiVersion: string, kind: string, name: string, uid: string): OwnerReference => ({
  ...{ apiVersion, kind, name, uid },
  controller: true,
})
const pod = (owner?: OwnerReference): Pod => ({
  metadata: {
    name: 'p',
    namespace: 'a',
    uid: 'u-p',
    ...(owner === undefined ? {} : { ownerReferences: [owner] }),
  },
})
const deployment = reference('apps/v1', 'Deployment', 'web', 'u-d')
const objects: readonly (KubeObject & { kind: string })[] = [
  {
    kind: 'ReplicaSet',
    metadata: { name: 'web-1', namespace: 'a', uid: 'u-r', ownerReferences: [deployment] },
  },
  {
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'a', uid: 'u-s', ownerReferences: [deployment] },
  },
  { kind: 'ReplicaSet', metadata: { name: 'web-1', namespace: 'b', uid: 'u-other' } },
]
const readWorkload = ({ kind, namespace, name }: { kind: string; namespace: string; name: string }) =>
  Promise.resolve(
    objects.find(
      (one) => one.kind === kind && one.metadata.namespace === namespace && one.metadata.name === name,
    ) as Workload | undefined,
  )

const cases: readonly (readonly [string, Pod, string | undefined])[] = [
  ['nobody: the pod itself', pod(), 'v1 Pod p'],
  [
    'a ReplicaSet of a Deployment',
    pod(reference('apps/v1', 'ReplicaSet', 'web-1', 'u-r')),
    'apps/v1 Deployment web',
  ],
  [
    'a StatefulSet, above which nobody looks',
    pod(reference('apps/v1', 'StatefulSet', 'db', 'u-s')),
    'apps/v1 StatefulSet db',
  ],
  ['a ReplicaSet of another uid', pod(reference('apps/v1', 'ReplicaSet', 'web-1', 'forged')), undefined],
  [
    'a ReplicaSet of another namespace',
    pod(reference('apps/v1', 'ReplicaSet', 'web-1', 'u-other')),
    undefined,
  ],
  ['a ReplicaSet that is gone', pod(reference('apps/v1', 'ReplicaSet', 'web-0', 'u-r')), undefined],
  ['a Deployment itself', pod(deployment), undefined],
  ['another pod', pod(reference('v1', 'Pod', 'p', 'u-p')), undefined],
  ['a kind of others', pod(reference('example.io/v1', 'StatefulSet', 'db', 'u-s')), undefined],
]
for (const [what, of, wanted] of cases) {
  void test(`the top owner of a pod that says it is owned by ${what}`, async () => {
    const found = await provenTopOwnerOf(of, { readWorkload }, new AbortController().signal)
    assert.equal(found && `${found.apiVersion} ${found.kind} ${found.name}`, wanted)
  })
}
