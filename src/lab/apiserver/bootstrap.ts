import { randomUUID } from 'node:crypto'
import { nowIso, type ServerContext } from './context.ts'
import { resourceKey } from './kinds/kind.ts'
import type { ApiObject } from './object.ts'
import { recordKey } from './store/record.ts'

const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

/** Creates what every cluster has from the start, and keeps a `default` ServiceAccount in each namespace. */
export async function bootstrap(context: ServerContext, caPem: string): Promise<void> {
  const { store } = context
  for (const name of namespaces) ensure(context, '/namespaces', object('v1', 'Namespace', { name }))
  ensure(context, '/services', {
    ...object('v1', 'Service', { name: 'kubernetes', namespace: 'default' }),
    spec: {
      clusterIP: '10.96.0.1',
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }],
    },
  })
  for (const record of store.list('/namespaces')) furnish(context, record.name, caPem)
  // Controllers of a real cluster do this a moment later; here a namespace is complete at once.
  store.subscribe('/namespaces', (event) => {
    if (event.type === 'ADDED') furnish(context, event.record.name, caPem)
  })
  store.subscribe('/serviceaccounts', (event) => {
    if (event.type === 'DELETED' && event.record.name === 'default')
      furnish(context, event.record.namespace, caPem)
  })
  await store.durable(store.head)
}

function furnish(context: ServerContext, namespace: string, caPem: string): void {
  const record = context.store.get('/namespaces', namespace)
  if (record === undefined || record.object.metadata.deletionTimestamp !== undefined) return
  ensure(context, '/serviceaccounts', object('v1', 'ServiceAccount', { name: 'default', namespace }))
  ensure(context, '/configmaps', {
    ...object('v1', 'ConfigMap', { name: 'kube-root-ca.crt', namespace }),
    data: { 'ca.crt': caPem },
  })
}

function object(apiVersion: string, kind: string, metadata: { name: string; namespace?: string }): ApiObject {
  return { apiVersion, kind, metadata }
}

function ensure(context: ServerContext, resource: string, wanted: ApiObject): void {
  const kind = context.registry.findByKey(resource)
  const { name = '', namespace = '' } = wanted.metadata
  if (kind === undefined || context.store.get(resource, recordKey(namespace, name)) !== undefined) return
  const metadata = { ...wanted.metadata, uid: randomUUID(), creationTimestamp: nowIso(context) }
  const prepared = kind.prepare({ ...wanted, metadata }, undefined, nowIso(context))
  context.store.put(resourceKey(kind), prepared, 0)
}
