import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, Workload } from '../../api/index.ts'
import { resolveOwners } from './owners.ts'

const never = new AbortController().signal

function replicaOf(namespace: string, set: string, uid: string): Pod {
  const reference = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: set, uid, controller: true }
  return {
    metadata: { name: `${set}-0`, namespace, uid: `pod-of-${namespace}`, ownerReferences: [reference] },
  }
}

void test('a record of a pod is its StatefulSet’s only if that set is there, in its namespace, with that uid', async () => {
  const pods = new Map<string, Pod>([
    ['default/web-0', replicaOf('default', 'web', 's1')],
    ['tenant/web-0', replicaOf('tenant', 'web', 's1')],
  ])
  const sets = new Map<string, Workload>([['default/web', { metadata: { name: 'web', uid: 's1' } }]])
  const world = {
    isStatefulSetSticky: true,
    readWorkload: ({ namespace, name }: { namespace: string; name: string }) =>
      Promise.resolve(sets.get(`${namespace}/${name}`)),
  }
  const claims = [...pods].map(([pod, { metadata }]) => ({
    ip: '10.0.0.1',
    pool: 'p',
    pod,
    podUid: metadata.uid ?? '',
    nic: 'eth0',
    node: '',
    from: 'record' as const,
  }))
  const ownerOf = await resolveOwners(claims, world, (pod) => pods.get(pod), never)
  assert.deepEqual(
    claims.map((claim) => ownerOf(claim)),
    [
      { kind: 'sticky', group: 'apps', ownerKind: 'StatefulSet', name: 'web', uid: 's1', replica: '0' },
      { kind: 'pod', uid: 'pod-of-tenant' },
    ],
  )
})
