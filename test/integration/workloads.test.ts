// Workload controllers, scheduler and collectors: the lab's own, held to what the real ones do.
import assert from 'node:assert/strict'
import test from 'node:test'
import { type KubeObject, type Pod, type Resource, resources } from '../../src/api/index.ts'
import { silentLogger } from '../../src/base/index.ts'
import { LostPods, quarantineMs } from '../../src/lab/workloads/collector/lost-pods.ts'
import { openWorld } from '../../src/lab/workloads/world.ts'
import { onlyOn } from '../support/server-under-test.ts'
import { eventually, WorkloadKit } from '../support/workload-kit.ts'

const forever = new AbortController().signal
const nodes = ['n1', 'n2', 'n3']

const template = (app: string, image: string, more: object = {}) => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: 'c', image }], ...more },
})
const workload = (name: string, spec: object, image = 'a', podSpec: object = {}) => ({
  metadata: { name, namespace: 'default' },
  spec: { selector: { matchLabels: { app: name } }, template: template(name, image, podSpec), ...spec },
})
const isReady = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name)
const images = (pods: readonly Pod[]) => pods.map(({ spec }) => spec?.containers?.[0]?.image ?? '')

async function readyPods(
  kit: WorkloadKit,
  app: string,
  count: number,
  withinMs?: number,
): Promise<readonly Pod[]> {
  const look = async () => {
    const pods = await kit.pods(app)
    return pods.length === count && pods.every(isReady) ? pods : undefined
  }
  return eventually(`${count} ready pods of ${app}`, look, withinMs)
}

async function statusOf(
  kit: WorkloadKit,
  resource: Resource,
  name: string,
): Promise<Record<string, unknown>> {
  const object = await kit.api.get<KubeObject & { status?: Record<string, unknown> }>(
    resource,
    { namespace: 'default', name },
    forever,
  )
  return object?.status ?? {}
}

async function gone(
  kit: WorkloadKit,
  resource: Resource,
  name: string,
  namespace = 'default',
): Promise<void> {
  const ref = resource.namespaced ? { name, namespace } : { name }
  await eventually(`${resource.kind} ${name} is gone`, async () =>
    (await kit.api.get(resource, ref, forever)) === undefined ? true : undefined,
  )
}

void test('a Deployment is rolled out, changed, rolled back and scaled', async () => {
  await using kit = await WorkloadKit.start(nodes)
  await kit.create(resources.deployment, workload('web', { replicas: 3 }))
  const first = await readyPods(kit, 'web', 3)
  assert.deepEqual(new Set(first.map(({ spec }) => spec?.nodeName)), new Set(nodes))
  await kit.change(resources.deployment, 'web', { spec: { template: template('web', 'b') } })
  const isAll = (image: string, count: number) => async () => {
    const pods = await kit.pods('web')
    return pods.length === count && images(pods).every((one) => one === image) ? pods : undefined
  }
  await eventually('all pods have image b', isAll('b', 3))
  await kit.change(resources.deployment, 'web', { spec: { replicas: 5, template: template('web', 'a') } })
  const last = await eventually('all pods have image a again', isAll('a', 5))
  assert.ok(
    names(last).every((name) => !names(first).includes(name)),
    'no pod has the name of an old one',
  )
  const { items: sets } = await kit.api.listAll<KubeObject>(
    resources.replicaSet,
    { namespace: 'default' },
    forever,
  )
  const revisions = sets.map(({ metadata }) => metadata.annotations?.['deployment.kubernetes.io/revision'])
  assert.deepEqual(revisions.sort(), ['2', '3'])
  await eventually('its status is that of a complete rollout', async () => {
    const { readyReplicas, updatedReplicas, availableReplicas } = await statusOf(
      kit,
      resources.deployment,
      'web',
    )
    return [readyReplicas, updatedReplicas, availableReplicas].every((count) => count === 5)
      ? true
      : undefined
  })
})

void test('controllers that start again make no doubles', async () => {
  await using kit = await WorkloadKit.start(nodes)
  for (let round = 0; round < 5; round++) {
    await kit.create(resources.deployment, workload(`app${round}`, { replicas: 8 }))
    await eventually('some pods are there', async () =>
      (await kit.pods(`app${round}`)).length > 0 ? true : undefined,
    )
    await kit.stopControllers()
    kit.startControllers()
    await readyPods(kit, `app${round}`, 8)
    const { items } = await kit.api.listAll<KubeObject>(resources.event, { namespace: 'default' }, forever)
    const created = items.filter(
      (event) => /Created pod: /.test(JSON.stringify(event)) && event.metadata.name.startsWith(`app${round}`),
    )
    assert.ok(created.length <= 8, `${created.length} pods were created`)
  }
})

void test('a StatefulSet makes its pods in order, updates them downwards, and gives each name to one pod at a time', async () => {
  await using kit = await WorkloadKit.start(nodes)
  kit.holdBack(/^db-1$/)
  await kit.create(resources.statefulSet, workload('db', { replicas: 3, serviceName: 'db' }))
  await eventually('db-1 waits', async () => ((await kit.pods('db')).length === 2 ? true : undefined))
  assert.deepEqual(names(await kit.pods('db')), ['db-0', 'db-1'])
  kit.holdBack(undefined)
  const first = await readyPods(kit, 'db', 3)
  assert.deepEqual(names(first), ['db-0', 'db-1', 'db-2'])
  const partition = { updateStrategy: { rollingUpdate: { partition: 2 } } }
  await kit.change(resources.statefulSet, 'db', { spec: { ...partition, template: template('db', 'b') } })
  await eventually('db-2 alone is new', async () =>
    images(await readyPods(kit, 'db', 3)).join() === 'a,a,b' ? true : undefined,
  )
  await kit.api.delete(resources.pod, { namespace: 'default', name: 'db-0' }, {}, forever)
  const again = await eventually('db-0 is made again', async () => {
    const pods = await kit.pods('db')
    const isNew = pods[0]?.metadata.uid !== first[0]?.metadata.uid
    return isNew && pods.length === 3 && pods.every(isReady) ? pods : undefined
  })
  assert.deepEqual(images(again), ['a', 'a', 'b'], 'db-0 keeps the revision below the partition')
  await kit.change(resources.statefulSet, 'db', {
    spec: { updateStrategy: { rollingUpdate: { partition: 0 } } },
  })
  await eventually('all are new, and the revision is the current one', async () => {
    const { currentRevision, updateRevision } = await statusOf(kit, resources.statefulSet, 'db')
    return images(await kit.pods('db')).join() === 'b,b,b' && currentRevision === updateRevision
      ? true
      : undefined
  })
  await kit.change(resources.statefulSet, 'db', { spec: { replicas: 1 } })
  assert.deepEqual(names(await readyPods(kit, 'db', 1)), ['db-0'])
})

void test('a DaemonSet follows the nodes', async () => {
  await using kit = await WorkloadKit.start(nodes)
  await kit.create(resources.daemonSet, workload('ds', {}))
  const pods = await readyPods(kit, 'ds', 3)
  assert.deepEqual(pods.map(({ spec }) => spec?.nodeName).sort(), nodes)
  await kit.addNode('n4')
  await readyPods(kit, 'ds', 4)
  const taint = { key: 'k', effect: 'NoExecute' }
  await kit.change(resources.node, 'n1', { spec: { taints: [taint] } })
  const left = await readyPods(kit, 'ds', 3)
  assert.deepEqual(left.map(({ spec }) => spec?.nodeName).sort(), ['n2', 'n3', 'n4'])
})

void test('a Job runs to its end once, also when its pods are deleted afterwards', async () => {
  await using kit = await WorkloadKit.start(nodes)
  const job = {
    metadata: { name: 'sum', namespace: 'default' },
    spec: { completions: 5, parallelism: 2, template: template('sum', 'a', { restartPolicy: 'Never' }) },
  }
  await kit.create(resources.job, job)
  const complete = async () => {
    const { conditions, succeeded } = await statusOf(kit, resources.job, 'sum')
    return JSON.stringify(conditions ?? []).includes('"Complete"') ? succeeded : undefined
  }
  assert.equal(await eventually('it is complete', complete), 5)
  for (const name of names(await kit.pods('sum')))
    await kit.api.delete(resources.pod, { namespace: 'default', name }, {}, forever)
  await eventually('its pods are gone', async () => ((await kit.pods('sum')).length === 0 ? true : undefined))
  assert.equal((await statusOf(kit, resources.job, 'sum'))['succeeded'], 5)
})

void test('a pod that fits nowhere says why, and starts when a node lets it', async () => {
  await using kit = await WorkloadKit.start(nodes)
  const podSpec = { nodeSelector: { disk: 'fast' } }
  await kit.create(resources.deployment, workload('picky', { replicas: 1 }, 'a', podSpec))
  const message = await eventually('an Event says why', async () => {
    const { items } = await kit.api.listAll<KubeObject>(resources.event, { namespace: 'default' }, forever)
    return /0\/3 nodes are available: [^"]+/.exec(JSON.stringify(items))?.[0]
  })
  assert.match(message, /^0\/3 nodes are available: 3 node\(s\) didn't match Pod's node affinity\/selector\./)
  await kit.change(resources.node, 'n2', { metadata: { labels: { disk: 'fast' } } })
  const [pod] = await readyPods(kit, 'picky', 1)
  assert.equal(pod?.spec?.nodeName, 'n2')
})

void test('owners are deleted in the background, in the foreground, or leave orphans', async () => {
  await using kit = await WorkloadKit.start(nodes)
  for (const propagation of ['Background', 'Foreground', 'Orphan'] as const) {
    const name = propagation.toLowerCase()
    await kit.create(resources.deployment, workload(name, { replicas: 2 }))
    await readyPods(kit, name, 2)
    await kit.api.delete(resources.deployment, { namespace: 'default', name }, { propagation }, forever)
    await gone(kit, resources.deployment, name)
    const pods = await kit.pods(name)
    if (propagation === 'Foreground') assert.deepEqual(names(pods), [], 'the owner went last')
    if (propagation === 'Orphan') {
      const query = { namespace: 'default', labelSelector: `app=${name}` }
      const [set] = (await kit.api.listAll<KubeObject>(resources.replicaSet, query, forever)).items
      assert.deepEqual(set?.metadata.ownerReferences ?? [], [])
      assert.equal(pods.filter(isReady).length, 2)
      await kit.create(resources.deployment, workload(name, { replicas: 2 }))
      await eventually('a new Deployment of the same template adopts the set', async () => {
        const ref = { namespace: 'default', name: set?.metadata.name ?? '' }
        const now = await kit.api.get<KubeObject>(resources.replicaSet, ref, forever)
        return now?.metadata.ownerReferences?.length === 1 ? true : undefined
      })
      assert.deepEqual(names(await readyPods(kit, name, 2)), names(pods))
    } else {
      await eventually('its pods go', async () => ((await kit.pods(name)).length === 0 ? true : undefined))
    }
  }
})

void test('what names an owner that never was is deleted, and what names one by its old uid too', async () => {
  await using kit = await WorkloadKit.start([])
  const owner = await kit.create(resources.configMap, { metadata: { name: 'owner', namespace: 'default' } })
  const child = (name: string, uid: string) => ({
    metadata: {
      name,
      namespace: 'default',
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }],
    },
  })
  await kit.create(resources.configMap, child('kept', owner.metadata.uid ?? ''))
  await kit.create(resources.configMap, child('stray', '00000000-0000-4000-8000-000000000000'))
  await gone(kit, resources.configMap, 'stray')
  assert.notEqual(
    await kit.api.get(resources.configMap, { namespace: 'default', name: 'kept' }, forever),
    undefined,
  )
  await kit.api.delete(resources.configMap, { namespace: 'default', name: 'owner' }, {}, forever)
  await gone(kit, resources.configMap, 'kept')
})

void test('a namespace goes with all that is in it, after what its finalizers hold', async () => {
  await using kit = await WorkloadKit.start(nodes)
  await kit.create(resources.namespace, { metadata: { name: 'tenant' } })
  await eventually('it has its ServiceAccount', () =>
    kit.api.get(resources.serviceAccount, { namespace: 'tenant', name: 'default' }, forever),
  )
  const app = workload('app', { replicas: 3 })
  await kit.create(resources.deployment, { ...app, metadata: { name: 'app', namespace: 'tenant' } })
  const held = { name: 'held', namespace: 'tenant', finalizers: ['example.com/hold'] }
  await kit.create(resources.configMap, { metadata: held })
  await eventually('its pods run', async () =>
    (await kit.pods('app', 'tenant')).length === 3 ? true : undefined,
  )
  await kit.api.delete(resources.namespace, { name: 'tenant' }, {}, forever)
  const message = await eventually('it says what holds it', async () => {
    const namespace = await kit.api.get<KubeObject>(resources.namespace, { name: 'tenant' }, forever)
    const text = JSON.stringify(namespace)
    return /configmaps\.? has 1 resource instances/.test(text) ? text : undefined
  })
  assert.match(message, /finalizers[^"]* example\.com\/hold/)
  await kit.change(resources.configMap, 'held', { metadata: { finalizers: null } }, 'tenant')
  await gone(kit, resources.namespace, 'tenant')
})

onlyOn(
  'embedded',
  'time that a test sets',
  'pods of a node that stays away are deleted, not those of one that comes back in time',
  async () => {
    await using kit = await WorkloadKit.start(nodes)
    await kit.stopControllers()
    for (const nodeName of ['n1', 'n2', 'lost']) {
      const spec = { nodeName, containers: [{ name: 'c', image: 'a' }] }
      await kit.create(resources.pod, { metadata: { name: `on-${nodeName}`, namespace: 'default' }, spec })
    }
    let nowMs = 0
    const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs, sleep: () => Promise.resolve() }
    const world = openWorld(kit.api, clock, silentLogger)
    try {
      for (const cache of world.caches.values()) await cache.synced(forever)
      const lost = new LostPods(world)
      const there = async () =>
        (await kit.api.listAll<Pod>(resources.pod, { namespace: 'default' }, forever)).items.length
      await lost.reconcile(forever)
      nowMs += quarantineMs - 1
      await lost.reconcile(forever)
      assert.equal(await there(), 3, 'the node may still come back')
      nowMs += 1
      await lost.reconcile(forever)
      assert.deepEqual(await there(), 2)
      assert.equal(
        await kit.api.get(resources.pod, { namespace: 'default', name: 'on-lost' }, forever),
        undefined,
      )
    } finally {
      await world.events.close(AbortSignal.timeout(1000))
      for (const cache of world.caches.values()) await cache.close()
    }
  },
)

void test('1000 pods of 100 Deployments are made, bound evenly and ready', { timeout: 180_000 }, async () => {
  await using kit = await WorkloadKit.start(nodes)
  const startedMs = performance.now()
  const apps = Array.from({ length: 100 }, (_, i) => `app-${i}`)
  await Promise.all(apps.map((name) => kit.create(resources.deployment, workload(name, { replicas: 10 }))))
  const all = { namespace: 'default' }
  const pods = await eventually(
    '1000 ready pods',
    async () => {
      const { items } = await kit.api.listAll<Pod>(resources.pod, all, forever)
      assert.ok(items.length <= 1000, `${items.length} pods`)
      return items.length === 1000 && items.every(isReady) ? items : undefined
    },
    120_000,
  )
  const madeMs = performance.now() - startedMs
  const counts = nodes.map((node) => pods.filter(({ spec }) => spec?.nodeName === node).length)
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 100, counts.join())
  await Promise.all(
    apps.map((name) => kit.api.delete(resources.deployment, { namespace: 'default', name }, {}, forever)),
  )
  await eventually(
    'no pods',
    async () =>
      (await kit.api.listAll<Pod>(resources.pod, all, forever)).items.length === 0 ? true : undefined,
    120_000,
  )
  const seconds = (ms: number) => (ms / 1000).toFixed(1)
  const allMs = performance.now() - startedMs
  process.stdout.write(`1000 pods: made in ${seconds(madeMs)} s, gone ${seconds(allMs - madeMs)} s later\n`)
})
