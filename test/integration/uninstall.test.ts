// spiderpoolctl uninstall and create-defaults as people call them, against an API server without a controller.
// mostly waits
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { after, before } from 'node:test'
import { crdManifests, type KubeObject, resources, spiderFinalizer, trustNames } from '../../src/api/index.ts'
import { silentLogger } from '../../src/base/index.ts'
import { KubeClient, loadKubeconfig } from '../../src/kube/index.ts'
import { type BareServer, startBareServer } from '../support/bare-server.ts'
import { waitFor } from './lab-harness.ts'

const root = dirname(dirname(import.meta.dirname))
const dir = mkdtempSync(join(tmpdir(), 'uninstall-'))
const inNamespace = ['uninstall', '--namespace', 'kube-system']
const never = new AbortController().signal
const webhooks = ['Mutating', 'Validating'].map((word) => ({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: `${word.toLowerCase()}webhookconfigurations`,
  kind: `${word}WebhookConfiguration`,
  namespaced: false,
}))
let server: BareServer
let api: KubeClient

before(async () => {
  server = await startBareServer()
  const access = await loadKubeconfig(server.kubeconfig)
  api = new KubeClient(access, { userAgent: 'uninstall-test', logger: silentLogger })
  await createDefinitions()
})
after(async () => {
  await api.close()
  await server.close()
  rmSync(dir, { recursive: true, force: true })
})

async function createDefinitions(): Promise<void> {
  for (const manifest of crdManifests()) {
    const object = manifest as unknown as KubeObject
    await api.create(resources.customResourceDefinition, object, never).catch(() => undefined) // is there
  }
  await waitFor('our kinds are served', 20_000, async () => {
    await Promise.all(
      [resources.ipPool, resources.endpoint, resources.ipBlock].map((kind) => api.list(kind, {}, never)),
    )
    return true
  })
}

function ctl(...args: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
  const child = spawn(process.execPath, [join(root, 'src/bin/spiderpoolctl.ts'), ...args], {
    env: { ...process.env, KUBECONFIG: server.kubeconfig },
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => (text += part.toString()))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code: code ?? -1, text })))
}

const object = (kind: string, metadata: object, more: object): KubeObject =>
  ({ apiVersion: 'spiderpool.spidernet.io/v2beta1', kind, metadata, ...more }) as KubeObject
const pool = (name: string, finalizers: readonly string[], third: number): KubeObject =>
  object('SpiderIPPool', { name, finalizers }, { spec: { subnet: `10.9.${third}.0/24` } })

async function finalizersOfPools(): Promise<Readonly<Record<string, readonly string[]>>> {
  const { items } = await api.listAll(resources.ipPool, {}, never)
  return Object.fromEntries(items.map(({ metadata }) => [metadata.name, metadata.finalizers ?? []]))
}

void test('uninstall removes webhooks and our finalizers, keeps objects and what others hold, and can be repeated', async () => {
  for (const resource of webhooks) {
    const metadata = { name: 'spiderpool-controller' }
    await api.create(
      resource,
      { apiVersion: 'admissionregistration.k8s.io/v1', kind: resource.kind, metadata },
      never,
    )
  }
  await api.create(resources.ipPool, pool('ours', [spiderFinalizer], 1), never)
  await api.create(resources.ipPool, pool('both', [spiderFinalizer, 'example.com/hold'], 2), never)
  await api.create(resources.ipPool, pool('waiting', [spiderFinalizer], 3), never)
  await api.delete(resources.ipPool, { name: 'waiting' }, {}, never)
  const told = { namespace: 'kube-system', name: trustNames.authorities }
  await api.create(resources.configMap, { apiVersion: 'v1', kind: 'ConfigMap', metadata: told }, never)
  // Without --yes nothing is done, nor where no controller of ours is.
  const before = await finalizersOfPools()
  for (const args of [
    ['uninstall'],
    inNamespace,
    ['uninstall', '--yes'],
    [...inNamespace, '--remove-data'],
  ]) {
    const { code, text } = await ctl(...args)
    assert.equal(code, 2, text)
    assert.match(text, /this would:\n- remove both webhook.*[\s\S]*Nothing was done.*--namespace NAME.*--yes/)
    assert.equal(/DELETE all objects/.test(text), args.includes('--remove-data'))
  }
  const nobody = await ctl(...inNamespace, '--yes')
  assert.equal(nobody.code, 1, nobody.text)
  assert.match(nobody.text, /namespace "kube-system": there is no Deployment .*[\s\S]*--force/)
  assert.deepEqual(await finalizersOfPools(), before)
  assert.notEqual(await api.get(resources.configMap, told, never), undefined)
  for (let round = 0; round < 2; round++) {
    const { code, text } = await ctl(...inNamespace, '--yes', '--force')
    assert.equal(code, 0, text)
    assert.match(text, /controller: not there/)
    if (round === 0)
      assert.match(text, /spiderippools: 3 of 3 released, 1 were being deleted, now gone; 2 kept/)
    assert.equal(await api.get(resources.configMap, told, never), undefined)
    assert.deepEqual(await finalizersOfPools(), { ours: [], both: ['example.com/hold'] })
    for (const resource of webhooks)
      assert.equal(await api.get(resource, { name: 'spiderpool-controller' }, never), undefined)
  }
})

void test('uninstall stops our controller, and leaves that of the reference project alone', async () => {
  const ours = { 'spiderpool.spidernet.io/implementation': 'typescript' }
  const ref = { namespace: 'kube-system', name: 'spiderpool-controller' }
  for (const [more, expected] of [
    [{}, 1],
    [ours, 0],
  ] as const) {
    const labels = { app: 'controller' }
    const container = { name: 'main', image: 'controller' }
    const template = { metadata: { labels: { ...labels, ...more } }, spec: { containers: [container] } }
    const spec = { replicas: 1, selector: { matchLabels: labels }, template }
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: ref, spec }
    await api.create(resources.deployment, deployment as KubeObject, never)
    const { code, text } = await ctl(...inNamespace, '--yes')
    assert.equal(code, expected, text)
    assert.match(text, expected === 0 ? /controller: stopped/ : /is not ours: its pods lack the label/)
    const found = await api.get<KubeObject & { spec: { replicas: number } }>(resources.deployment, ref, never)
    assert.equal(found?.spec.replicas, expected)
    await api.delete(resources.deployment, ref, {}, never)
  }
})

void test('uninstall --remove-data deletes objects and definitions, and names what others hold', async () => {
  const { code, text } = await ctl(...inNamespace, '--yes', '--force', '--remove-data')
  assert.equal(code, 0, text)
  assert.match(
    text,
    /left: definition of spiderippools: kept, 1 objects have finalizers of others: both \(example\.com\/hold\)/,
  )
  // A real server takes a while to clean up behind a definition.
  await waitFor('the other definitions are gone', 60_000, async () => {
    const { items } = await api.listAll(resources.customResourceDefinition, {}, never)
    const left = items.map(({ metadata }) => metadata.name).filter((name) => name.endsWith('spidernet.io'))
    assert.deepEqual(left, ['spiderippools.spiderpool.spidernet.io'])
    return true
  })
})

void test('create-defaults waits for kinds, creates what is not there, and leaves what is', async () => {
  const file = join(dir, 'defaults.json')
  const coordinator = { mode: 'auto', podCIDRType: 'none', tunePodRoutes: true }
  writeFileSync(
    file,
    JSON.stringify([object('SpiderCoordinator', { name: 'default' }, { spec: coordinator })]),
  )
  const first = ctl('create-defaults', '--file', file)
  await createDefinitions()
  assert.deepEqual(await first, { code: 0, text: 'SpiderCoordinator default: created\n' })
  const again = await ctl('create-defaults', '--file', file)
  assert.deepEqual(again, { code: 0, text: 'SpiderCoordinator default: is there, left as it is\n' })
})

void test('what the API server refuses for good is told at once; a wrong call says what to give', async () => {
  const file = join(dir, 'bad.json')
  writeFileSync(
    file,
    JSON.stringify([object('SpiderIPPool', { name: 'bad' }, { spec: { subnet: '10.9.0.0/99' } })]),
  )
  const refused = await ctl('create-defaults', '--file', file)
  assert.equal(refused.code, 1)
  assert.match(refused.text, /spec\.subnet/)
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['create-defaults'], /--file .*is missing/],
    [['create-defaults', '--file', '/none'], /--file .*cannot be read/],
    [['uninstall', '--in-cluster', '--kubeconfig', 'x'], /does not go with --in-cluster/],
    [['uninstall', '--timeout-seconds', '0'], /--timeout-seconds .*out of range/],
    [['uninstall', 'now'], /argument "now".*not expected/],
  ]
  for (const [args, message] of wrong) {
    const { code, text } = await ctl(...args)
    assert.equal(code, 2, text)
    assert.match(text, message)
  }
})
