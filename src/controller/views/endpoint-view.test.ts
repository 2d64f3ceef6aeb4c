import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockEntry, KubeObject, Pod, SpiderEndpoint } from '../../api/index.ts'
import { silentLogger } from '../../base/index.ts'
import { ApiError, type KubeApi, type ListAllOptions } from '../../kube/index.ts'
import type { OwnedAddress } from '../../ledger/index.ts'
import { EndpointView } from './endpoint-view.ts'

const never = new AbortController().signal

const held = (name: string, uid: string, ip: string): OwnedAddress => {
  const entry: BlockEntry = {
    pool: 'p',
    nic: 'eth0',
    owner: { kind: 'pod', uid },
    pod: `default/${name}`,
    podUid: uid,
    node: 'n',
    since: 1,
    grant: { prefixBits: 16 },
  }
  return { ip, entry }
}

/** Endpoints of an API server, what the ledger holds, and pods: all to be changed at will. */
class Cluster {
  readonly endpoints = new Map<string, SpiderEndpoint>()
  readonly pods = new Map<string, Pod>()
  readonly calls: string[] = []
  addresses: readonly OwnedAddress[] = []
  readonly view: EndpointView

  constructor() {
    const keyOf = ({ name, namespace = '' }: { readonly name: string; readonly namespace?: string }) =>
      `${namespace}/${name}`
    const api: Partial<KubeApi> = {
      create: <T extends KubeObject>(_resource: unknown, object: T) => {
        const key = keyOf(object.metadata)
        this.calls.push(`create ${key}`)
        if (this.endpoints.has(key))
          throw new ApiError('create', { status: 409, reason: 'AlreadyExists', message: key })
        this.endpoints.set(key, object as unknown as SpiderEndpoint)
        return Promise.resolve(object)
      },
      get: <T>(resource: { readonly kind: string }, ref: { name: string; namespace?: string }) => {
        this.calls.push(`get ${resource.kind} ${keyOf(ref)}`)
        const found = resource.kind === 'Pod' ? this.pods.get(keyOf(ref)) : this.endpoints.get(keyOf(ref))
        return Promise.resolve(found as T | undefined)
      },
      patch: <T>(_resource: unknown, ref: { name: string; namespace?: string }, patch: { body: unknown }) => {
        this.calls.push(`patch ${keyOf(ref)}`)
        const before = this.endpoints.get(keyOf(ref)) as SpiderEndpoint
        const { metadata, status } = patch.body as SpiderEndpoint
        const after = { ...before, metadata: { ...before.metadata, ...metadata }, status }
        this.endpoints.set(keyOf(ref), after)
        return Promise.resolve(after as T)
      },
      listAll: <T extends KubeObject>(_resource: unknown, { keep = (one: T) => one }: ListAllOptions<T>) => {
        this.calls.push('list')
        const items = [...this.endpoints.values()].map((one) => keep(one as unknown as T))
        return Promise.resolve({ items, resourceVersion: '1' })
      },
    }
    this.view = this.newLeader(api as KubeApi)
  }

  newLeader(api: KubeApi): EndpointView {
    const ofPod = (pod: string) => this.addresses.filter(({ entry }) => entry.pod === pod)
    return new EndpointView({
      api,
      ledger: { ofPod, all: () => this.addresses, isBusy: false },
      logger: silentLogger,
      findPod: ({ name, namespace }) => this.pods.get(`${namespace ?? ''}/${name}`),
      findOwner: (pod) => Promise.resolve({ kind: 'Pod', name: pod.metadata.name }),
    })
  }

  addPod(name: string, uid: string): void {
    this.pods.set(`default/${name}`, {
      metadata: { name, namespace: 'default', uid },
      status: { phase: 'Running' },
    })
  }

  takeCalls(): readonly string[] {
    return this.calls.splice(0)
  }
}

void test('an endpoint is written once, and read or written again only when it has to change', async () => {
  const cluster = new Cluster()
  cluster.addPod('a', 'u')
  cluster.addresses = [held('a', 'u', '10.0.0.1')]
  await cluster.view.reconcile('default/a', never)
  await cluster.view.reconcile('default/a', never)
  assert.deepEqual(cluster.takeCalls(), ['create default/a'])
  cluster.addresses = [held('a', 'u', '10.0.0.2')]
  await cluster.view.reconcile('default/a', never)
  assert.deepEqual(cluster.takeCalls(), ['get SpiderEndpoint default/a', 'patch default/a'])
  assert.equal(cluster.endpoints.get('default/a')?.status.current.ips[0]?.ipv4, '10.0.0.2/16')
})

void test('an endpoint that was written before its pod was known gets its owner when the pod is', async () => {
  const cluster = new Cluster()
  cluster.addresses = [held('a', 'u', '10.0.0.1')]
  await cluster.view.reconcile('default/a', never)
  cluster.addPod('a', 'u')
  await cluster.view.reconcile('default/a', never)
  assert.equal(cluster.endpoints.get('default/a')?.metadata.ownerReferences?.[0]?.uid, 'u')
})

void test('a sweep names the missing, the different and the orphaned, and remembers the rest', async () => {
  const cluster = new Cluster()
  const names = ['right', 'changed', 'missing', 'orphan', 'foreign', 'freed']
  for (const name of names) cluster.addPod(name, `u-${name}`)
  cluster.addresses = names.map((name, index) => held(name, `u-${name}`, `10.0.0.${index}`))
  for (const name of names) await cluster.view.reconcile(`default/${name}`, never)
  const changed = cluster.endpoints.get('default/changed') as SpiderEndpoint
  const status = { ...changed.status, current: { ...changed.status.current, node: 'other' } }
  cluster.endpoints.set('default/changed', { ...changed, status })
  cluster.endpoints.delete('default/missing')
  cluster.pods.delete('default/orphan')
  // Another allocator wrote it: whether its pod has those addresses is not known here. Of our own it is.
  const { metadata, ...foreign } = cluster.endpoints.get('default/foreign') as SpiderEndpoint
  cluster.endpoints.set('default/foreign', { ...foreign, metadata: { ...metadata, annotations: {} } })
  cluster.addresses = cluster.addresses.filter(({ entry }) => !/orphan|foreign|freed/.test(entry.pod))
  cluster.takeCalls()

  assert.deepEqual([...(await cluster.view.sweep(never))].sort(), [
    'default/changed',
    'default/freed',
    'default/missing',
    'default/orphan',
  ])
  cluster.takeCalls()
  for (const name of ['right', 'changed', 'missing']) await cluster.view.reconcile(`default/${name}`, never)
  assert.deepEqual(cluster.takeCalls(), [
    'get SpiderEndpoint default/changed',
    'patch default/changed',
    'create default/missing',
  ])
  assert.deepEqual(await cluster.view.sweep(never), ['default/orphan', 'default/freed'])
})
