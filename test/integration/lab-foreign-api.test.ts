// The nodes of a lab against an API server that is not the lab's own. Needs root.
// mostly waits
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { after, before } from 'node:test'
import { type BareServer, startBareServer } from '../support/bare-server.ts'
import { kubectlPath, waitFor } from './lab-harness.ts'

const root = dirname(dirname(import.meta.dirname))
const dir = join(mkdtempSync(join(tmpdir(), 'lab-nodes-')), 'lab')
const manifests = `apiVersion: spiderpool.spidernet.io/v2beta1
kind: SpiderIPPool
metadata: {name: foreign}
spec: {subnet: 10.6.0.0/16, ips: ["10.6.120.1-10.6.120.9"], default: true}
---
apiVersion: v1
kind: Pod
metadata: {name: guest}
spec: {nodeName: node-a, containers: [{name: main, image: pause}]}
`
let server: BareServer

function kubectl(args: readonly string[], input = ''): string {
  const env = { ...process.env, KUBECONFIG: server.kubeconfig }
  return execFileSync(kubectlPath, [...args], { env, encoding: 'utf8', input })
}

function ctl(...args: readonly string[]) {
  const script = join(root, 'src/bin/spiderpoolctl.ts')
  return spawnSync(process.execPath, [script, ...args, '--dir', dir], { encoding: 'utf8', timeout: 120_000 })
}

before(async () => {
  server = await startBareServer()
  const up = ctl('lab', 'up', '--kubeconfig', server.kubeconfig, '--nodes', 'node-a,node-b')
  assert.equal(up.status, 0, up.stderr)
})

after(async () => {
  ctl('lab', 'down')
  await server.close()
  rmSync(dirname(dir), { recursive: true })
})

void test('a pod bound to a node of the lab runs there with an address of a pool', async () => {
  kubectl(['apply', '-f', '-'], manifests)
  const ip = await waitFor('the pod runs', 30_000, () => {
    const text = kubectl(['get', 'pod', 'guest', '-o', 'jsonpath={.status.phase} {.status.podIP}'])
    return text.startsWith('Running ') ? text.split(' ')[1] : undefined
  })
  assert.match(ip, /^10\.6\.120\.[1-9]$/)
  const ping = ctl('lab', 'ping', 'guest', 'switch')
  assert.equal(ping.status, 0, ping.stdout)
})

void test('a node renews its lease, by which a cluster sees that it lives', async () => {
  const renewed = await waitFor('a lease', 30_000, () => {
    const args = ['get', 'lease', '-n', 'kube-node-lease', 'node-a', '-o', 'jsonpath={.spec.renewTime}']
    return kubectl(args) || undefined
  })
  assert.match(renewed, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
})

void test('the endpoint of a pod of a Job names the Job', async () => {
  // Of another controller, so that none makes or deletes its pods here.
  const spec = `{managedBy: example.com/nobody, template: {spec: {restartPolicy: Never, containers: [{name: main, image: pause}]}}}`
  kubectl(['create', '-f', '-'], `apiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\nspec: ${spec}\n`)
  const uid = kubectl(['get', 'job', 'once', '-o', 'jsonpath={.metadata.uid}'])
  const owner = `{apiVersion: batch/v1, kind: Job, name: once, uid: ${uid}, controller: true}`
  const pod = `apiVersion: v1
kind: Pod
metadata: {name: once-pod, ownerReferences: [${owner}]}
spec: {nodeName: node-b, containers: [{name: main, image: pause}]}
`
  kubectl(['create', '-f', '-'], pod)
  await waitFor('the endpoint names its owner', 30_000, () => {
    const path = 'jsonpath={.status.ownerControllerType} {.status.ownerControllerName}'
    return kubectl(['get', 'spiderendpoint', 'once-pod', '-o', path]) === 'Job once' || undefined
  })
})

void test('a network follows a change of its SpiderMultusConfig', async () => {
  const change = (mtu: number) => {
    const body = JSON.stringify({ spec: { macvlan: { mtu } } })
    const args = [
      '-n',
      'kube-system',
      'patch',
      'spidermultusconfig',
      'macvlan-vlan0',
      '--type=merge',
      '-p',
      body,
    ]
    kubectl(args)
  }
  change(1400)
  await waitFor('the network has the new MTU', 30_000, () => {
    const path = 'jsonpath={.spec.config}'
    const config = kubectl([
      '-n',
      'kube-system',
      'get',
      'network-attachment-definition',
      'macvlan-vlan0',
      '-o',
      path,
    ])
    return config.includes('1400') || undefined
  })
  change(0)
})

void test('a GC with an empty list removes no pod that lives', () => {
  const node = join(dir, 'nodes', 'node-a')
  const listFile = join(node, 'cni/net.d/00-spiderpool.conflist')
  const { name, plugins } = JSON.parse(readFileSync(listFile, 'utf8')) as { name: string; plugins: object[] }
  const config = { ...plugins[0], cniVersion: '1.1.0', name, 'cni.dev/valid-attachments': [] }
  const gc = spawnSync(join(node, 'cni/bin/spiderpool-meta'), [], {
    encoding: 'utf8',
    input: JSON.stringify(config),
    env: {
      CNI_COMMAND: 'GC',
      CNI_PATH: '/usr/lib/cni',
      SPIDERPOOL_AGENT_SOCKET: join(node, 'agent.sock'),
      SPIDERPOOL_SPOOL_DIR: join(node, 'agent/spool'),
    },
  })
  assert.equal(gc.status, 0, gc.stdout)
  const ping = ctl('lab', 'ping', 'guest', 'switch')
  assert.equal(ping.status, 0, ping.stdout)
})

void test('lab down gives the addresses back and leaves no node, pod or webhook in the foreign API server', () => {
  const down = ctl('lab', 'down')
  assert.equal(down.status, 0, down.stderr)
  assert.doesNotMatch(down.stderr, /not all/)
  assert.equal(existsSync(dir), false)
  assert.equal(kubectl(['get', 'nodes,pods', '-A', '-o', 'name']), '')
  assert.equal(kubectl(['get', 'lease', '-n', 'kube-node-lease', '-o', 'name']), '')
  const webhooks = 'mutatingwebhookconfigurations,validatingwebhookconfigurations'
  assert.equal(kubectl(['get', webhooks, '-o', 'name']), '')
  const blocks = kubectl(['get', 'spideripblocks', '-o', 'jsonpath={.items[*].spec.entries}'])
  assert.match(blocks, /^(\{\} ?)*$/)
  assert.equal(
    kubectl(['get', 'spiderippools', '-o', 'name']).trim(),
    'spiderippool.spiderpool.spidernet.io/foreign',
  )
})
