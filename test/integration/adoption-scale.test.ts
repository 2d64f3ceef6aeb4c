// 5,000 pods of the reference project, adopted: how long it takes, how many writes, and that nothing of theirs is given away.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  annotationKeys,
  type KubeObject,
  resources,
  type SpiderEndpoint,
  type SpiderIpBlock,
  type SpiderIpPool,
  spiderFinalizer,
} from '../../src/api/index.ts'
import { isOurEndpoint, writerOf } from '../../src/controller/views/view-marks.ts'
import type { KubeClient } from '../../src/kube/index.ts'
import { entriesOf } from '../../src/ledger/index.ts'
import { type BareServer, startBareServer } from '../support/bare-server.ts'
import {
  adminClient,
  controllerKubeconfig,
  inParallel,
  installKinds,
  LeaderKit,
  repeat,
} from '../support/leader-kit.ts'
import {
  type Parts,
  ReferenceCluster,
  type ReferencePod,
  referenceEndpoint,
  textOf,
} from '../support/reference-cluster.ts'
import { serverUnderTest } from '../support/server-under-test.ts'
import { waitFor } from './lab-harness.ts'

const never = new AbortController().signal
const ns = 'fleet'
const replicas = 50 // of a StatefulSet, between two pods
const podCount = 5_000 - replicas

/**
 * Of 100 pods: 20 have both families, 4 of these two NICs; 2 have only a record and 2 only an endpoint. Each pool gave its
 * addresses in their order, as the reference does.
 */
function podOf(at: number): ReferencePod & { readonly parts: Parts } {
  const place = (nic: number, every: number) => 1 + (nic === 0 ? Math.floor(at / every) : at / 25)
  const v4 = (nic: number) => `10.${40 + nic}.${place(nic, 1) >> 8}.${place(nic, 1) & 255}`
  const v6 = (nic: number) => `fd00:${40 + nic}::${place(nic, 5).toString(16)}`
  const isDual = at % 5 === 0
  const nics = [0, ...(at % 25 === 0 ? [1] : [])].map((nic) => ({
    name: nic === 0 ? 'eth0' : 'net1',
    ipv4: [v4(nic), `fleet-v4-${nic}`] as const,
    ...(isDual ? { ipv6: [v6(nic), `fleet-v6-${nic}`] as const } : {}),
  }))
  const parts = at % 50 === 1 ? 'record' : at % 50 === 2 ? 'endpoint' : 'both'
  const workload = { kind: 'Deployment', name: `app${at % 100}` }
  return { namespace: ns, name: `app${at % 100}-${at}`, nics, workload, parts }
}

const replicaOf = (at: number): ReferencePod => ({
  namespace: ns,
  name: `db-${at}`,
  nics: [{ name: 'eth0', ipv4: [`10.44.0.${at + 1}`, 'fleet-db'] }],
  workload: { kind: 'StatefulSet', name: 'db' },
})

let server: BareServer
let api: KubeClient
/** Of the controller's account: it works with the rights of an installation, and no others. */
let kubeconfig: string
const pods = Array.from({ length: podCount }, (_, at) => podOf(at))
const parked = Array.from({ length: replicas }, (_, at) => replicaOf(at))
const taken = new Set(
  [...pods, ...parked].flatMap(({ nics }) => nics.flatMap(({ ipv4, ipv6 }) => [ipv4?.[0], ipv6?.[0]])),
)
taken.delete(undefined)

before(async () => {
  server = await startBareServer()
  api = await adminClient(server.kubeconfig)
  await installKinds(api)
  kubeconfig = await controllerKubeconfig(server, api)
  const reference = new ReferenceCluster(api)
  await reference.namespace(ns)
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node1' } }
  await repeat(() => api.create(resources.node, node, never))
  for (const nic of [0, 1]) {
    await reference.pool(`fleet-v4-${nic}`, `10.${40 + nic}.0.0/16`, [
      `10.${40 + nic}.0.1-10.${40 + nic}.63.254`,
    ])
    await reference.pool(`fleet-v6-${nic}`, `fd00:${40 + nic}::/64`, [
      `fd00:${40 + nic}::1-fd00:${40 + nic}::ffff`,
    ])
  }
  await reference.pool('fleet-db', '10.44.0.0/16', ['10.44.0.1-10.44.0.254'])
  const template = {
    metadata: { labels: { app: 'db' } },
    spec: { nodeName: 'node1', containers: [{ name: 'pause', image: 'pause' }] },
  }
  const spec = { replicas, serviceName: 'db', selector: { matchLabels: { app: 'db' } }, template }
  const set = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'db', namespace: ns }, spec }
  await api.create<KubeObject>(resources.statefulSet, set, never)
  await reference.run(pods)
  await inParallel(parked, 8, (pod) => reference.createEndpoint(referenceEndpoint(pod, `gone-${pod.name}`)))
  const records = parked.map(({ name, nics }) => {
    return [nics[0]?.ipv4?.[0] ?? '', { pod: `${ns}/${name}`, podUid: `gone-${name}` }] as const
  })
  await reference.writeRecords('fleet-db', textOf(records))
})
after(async () => {
  await api.close()
  await server.close()
})

async function ledgerEntries() {
  const { items } = await api.listAll<SpiderIpBlock>(resources.ipBlock, { limit: 50 }, never)
  return new Map(items.flatMap((block) => Object.entries(entriesOf(block))))
}

/** Either the reference's, as it was, or ours. */
const isWhole = (endpoint: SpiderEndpoint): boolean =>
  endpoint.metadata.finalizers?.includes(spiderFinalizer) === true &&
  (isOurEndpoint(endpoint) || endpoint.metadata.annotations?.[annotationKeys.endpointView] === undefined)

void test('5,000 pods of the reference are adopted by one write a block before the first allocation', async (t) => {
  const startMs = performance.now()
  await using leader = await LeaderKit.start(kubeconfig, { term: 1 })
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
  const { writes, blocks } = leader.leadership.ledgerStats()
  const figures = `${taken.size} addresses of ${podCount + replicas} pods: ${seconds} s, ${writes} writes`
  t.diagnostic(`adoption on the ${serverUnderTest} server, ${figures}`)
  const adopted = await ledgerEntries()
  assert.deepEqual(new Set(adopted.keys()), taken)
  assert.ok([...adopted.values()].every(({ claims }) => claims === undefined))
  assert.equal(writes, blocks, 'each block is written once')
  assert.ok(writes < 120, `${writes} writes`)

  const reference = new ReferenceCluster(api)
  const choice = JSON.stringify({ ipv4: ['fleet-v4-0'], ipv6: ['fleet-v6-0'] })
  const fresh = Array.from({ length: 50 }, (_, at) => `fresh-${at}`)
  const given: string[] = []
  await inParallel(fresh, 10, async (name) => {
    await reference.createPod({ namespace: ns, name }, { annotations: { [annotationKeys.ippool]: choice } })
    given.push(...(await leader.add(`${ns}/${name}`)))
  })
  assert.equal(new Set(given).size, 100)
  assert.deepEqual(
    given.filter((ip) => taken.has(ip)),
    [],
    'nothing that was adopted is given to somebody new',
  )

  const viewMs = performance.now()
  await waitFor('records and endpoints are right', 240_000, async () => {
    const { items: pools } = await api.listAll<SpiderIpPool>(resources.ipPool, {}, never)
    const counted = pools.reduce((sum, { status }) => sum + (status?.allocatedIPCount ?? 0), 0)
    if (pools.some(({ status }) => writerOf(status) !== 'us')) return undefined
    const { items: endpoints } = await api.listAll<SpiderEndpoint>(resources.endpoint, {}, never)
    const isShown = endpoints.length === podCount + replicas + fresh.length && [...endpoints].every(isWhole)
    return counted === taken.size + given.length && isShown ? true : undefined
  })
  t.diagnostic(`views after ${((performance.now() - viewMs) / 1_000).toFixed(1)} s more`)
  const { items } = await api.listAll<SpiderEndpoint>(resources.endpoint, {}, never)
  const shown = items.flatMap(({ status }) => status.current.ips.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]))
  const ips = shown.flatMap((text) => (text === undefined ? [] : [text.split('/')[0] ?? '']))
  assert.deepEqual(new Set(ips), new Set((await ledgerEntries()).keys()))
})
