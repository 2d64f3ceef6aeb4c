// spiderpoolctl of what is not there yet: explain pod -f of workloads, before and after they exist, and ip set without a pool.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { type KubeObject, resources } from '../../src/api/index.ts'
import type { KubeClient } from '../../src/kube/index.ts'
import type { BareServer } from '../support/bare-server.ts'
import { type CliResult, named, pool, runCtl } from '../support/cli-kit.ts'
import type { LeaderKit } from '../support/leader-kit.ts'
import { createPools, from, OperatorKit } from '../support/operator-kit.ts'
import { waitFor } from './lab-harness.ts'

const never = new AbortController().signal
const dir = mkdtempSync(join(tmpdir(), 'explain-'))
let kit: OperatorKit
let server: BareServer
let api: KubeClient
let leader: LeaderKit

before(async () => {
  kit = await OperatorKit.start([pool('main', ['10.6.0.10-10.6.0.29'], { default: true })])
  ;({ server, api, leader } = kit)
})
after(async () => {
  await kit?.[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

const ctl = (...args: readonly string[]): Promise<CliResult> => runCtl(server.kubeconfig, args)
const createPod: OperatorKit['createPod'] = (...args) => kit.createPod(...args)

interface Made extends KubeObject {
  readonly spec: object
}

/** Writes the manifest of a workload of namespace team. */
function manifestOf(
  kind: string,
  name: string,
  annotations: object,
): { readonly file: string; readonly object: Made } {
  const labels = { app: name }
  const template = {
    metadata: { labels, annotations },
    spec: { containers: [{ name: 'main', image: 'none' }] },
  }
  const spec = {
    ...(kind === 'StatefulSet' ? { serviceName: name } : {}),
    selector: { matchLabels: labels },
    template,
  }
  const object = { apiVersion: 'apps/v1', kind, metadata: { name, namespace: 'team' }, spec }
  const file = join(dir, `${name}.json`)
  writeFileSync(file, JSON.stringify(object))
  return { file, object }
}

void test('explain judges the first replica of a StatefulSet as the allocator does, before and while it runs', async () => {
  await createPools(api, [pool('ranked', ['10.6.0.150-10.6.0.159'], {})])
  const asking = (ips: string) => ({ ...from('ranked'), 'ipam.spidernet.io/ips': JSON.stringify([ips]) })
  await createPod('taker', asking('10.6.0.151'))
  await waitFor('the pool is known', 5_000, async () => {
    return (await leader.add('team/taker').catch(() => []))[0] === '10.6.0.151' ? true : undefined
  })
  const cache = await ctl(
    'explain',
    'pod',
    '-f',
    manifestOf('StatefulSet', 'cache', asking('10.6.0.151-10.6.0.153')).file,
  )
  assert.equal(cache.code, 1, cache.out)
  assert.match(
    cache.out,
    /Pod team\/cache-0 on nodes[\s\S]*refused: .*10\.6\.0\.151 is held by pod team\/taker/,
  )

  const { file, object } = manifestOf('StatefulSet', 'db', asking('10.6.0.155-10.6.0.157'))
  assert.match((await ctl('explain', 'pod', '-f', file)).out, /result: 10\.6\.0\.155\/16 of ranked/)
  const { metadata } = await api.create(resources.statefulSet, object, never)
  const owner = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    name: 'db',
    uid: metadata.uid ?? '',
    controller: true,
  }
  const replica = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...{ name: 'db-0', namespace: 'team', ownerReferences: [owner], labels: { app: 'db' } },
      annotations: asking('10.6.0.155-10.6.0.157'),
    },
    spec: { nodeName: 'node1', containers: [{ name: 'main', image: 'none' }] },
  }
  await api.create(resources.pod, replica as KubeObject, never)
  assert.deepEqual(await leader.add('team/db-0'), ['10.6.0.155'])
  const running = await ctl('explain', 'pod', '-f', file)
  assert.equal(running.code, 0, running.out)
  assert.match(running.out, /Pod team\/db-0 on nodes node1, node2[\s\S]*result: 10\.6\.0\.155\/16 of ranked/)

  // What a node makes of the copy is not what the next one finds.
  await createPools(api, [pool('near', ['10.6.0.145'], { nodeName: ['node2'] })])
  const named = { 'ipam.spidernet.io/ippool': '{"ipv4":["near","ranked"]}' }
  const mover = manifestOf('StatefulSet', 'mover', named)
  const made = await api.create(resources.statefulSet, mover.object, never)
  const ofMover = { ...owner, name: 'mover', uid: made.metadata.uid ?? '' }
  const moving = { name: 'mover-0', namespace: 'team', ownerReferences: [ofMover], labels: { app: 'mover' } }
  const pod = {
    ...replica,
    metadata: { ...moving, annotations: named },
    spec: { ...replica.spec, nodeName: 'node2' },
  }
  await api.create(resources.pod, pod as KubeObject, never)
  await waitFor('the pool is known', 5_000, async () => {
    return (await leader.add('team/mover-0', {}, 'node2').catch(() => []))[0] === '10.6.0.145'
      ? true
      : undefined
  })
  const moved = await ctl('explain', 'pod', '-f', mover.file)
  assert.match(
    moved.out,
    /on node node1: [\s\S]*result: 10\.6\.0\.15\d\/16 of ranked[\s\S]*on node node2: [\s\S]*result: 10\.6\.0\.145\/16 of near/,
  )
})

void test('explain knows the claims for the workload of a manifest, also before it exists', async () => {
  await createPools(api, [pool('ahead', ['10.6.0.140-10.6.0.141'], {})])
  const workload = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'wl' }
  const claim = named('spiderpool.spidernet.io/v2beta1', 'SpiderIPClaim', 'for-wl', {
    spec: { ippools: { ipv4: ['ahead'] }, workload },
  })
  await api.create(resources.ipClaim, { ...claim, metadata: { name: 'for-wl', namespace: 'team' } }, never)
  await waitFor('the claim has its address', 10_000, async () => {
    return /SpiderIPClaim team\/for-wl/.test((await ctl('ip', 'show', '10.6.0.140')).out) ? true : undefined
  })
  const { file, object } = manifestOf('Deployment', 'wl', from('main'))
  const expected =
    /Pod team\/wl-new on nodes node1, node2[\s\S]*result: 10\.6\.0\.140\/16 of ahead \(kept by SpiderIPClaim team\/for-wl\)/
  assert.match((await ctl('explain', 'pod', '-f', file)).out, expected)
  await api.create(resources.deployment, object, never)
  assert.match((await ctl('explain', 'pod', '-f', file)).out, expected)
  const other = await ctl('explain', 'pod', '-f', manifestOf('Deployment', 'wl2', from('main')).file)
  assert.match(other.out, /result: 10\.6\.0\.\d+\/16 of main$/m)
})

void test('ip set notices an address that no pool has', async () => {
  const typo = await ctl('ip', 'set', '10.6.99.100', '--quarantine', '1h', '--yes')
  assert.equal(typo.code, 1, typo.out)
  assert.match(
    typo.err,
    /Cannot set 10\.6\.99\.100: no IPPool has 10\.6\.99\.100 in spec\.ips.*\n.*check the address/,
  )
  assert.match((await ctl('ip', 'show', '10.6.99.100')).out, /State: +outside/)
  const ahead = await ctl('ip', 'set', '10.6.99.100', '--reserve', '--yes')
  assert.equal(ahead.code, 0, ahead.err)
  assert.match(ahead.err, /^WARNING: no IPPool has 10\.6\.99\.100 in spec\.ips/)
  const back = await ctl('ip', 'set', '10.6.99.100', '--unreserve', '--yes')
  assert.deepEqual([back.code, back.err], [0, ''])
})
