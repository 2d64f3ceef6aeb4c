// Pools with exactly as many addresses as pods, dual stack, while pods restart, die by force, two controllers lead, and an agent freezes.
// mostly waits
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { doubledAddresses, kernelAddresses, recordedAddresses } from './kernel-checker.ts'
import { kubectlPath, type Lab, labUp, waitFor } from './lab-harness.ts'

/** Longer than the lease of a leader (15 s). */
const frozenMs = 22_000
const secondAddress = '127.0.0.1:45999'

const workload = (kind: string, name: string, replicas: number, more: string) => `---
apiVersion: apps/v1
kind: ${kind}
metadata: {name: ${name}}
spec:
  replicas: ${replicas}
  ${more}
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata:
      labels: {app: ${name}, tight: "true"}
      annotations: {ipam.spidernet.io/ippool: '{"ipv4":["tight"],"ipv6":["tight6"]}'}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: pause, image: pause}]}
`
const manifests = `apiVersion: spiderpool.spidernet.io/v2beta1
kind: SpiderIPPool
metadata: {name: tight}
spec: {subnet: 10.6.0.0/16, ips: ["10.6.120.1-10.6.120.8"]}
---
apiVersion: spiderpool.spidernet.io/v2beta1
kind: SpiderIPPool
metadata: {name: tight6}
spec: {subnet: "fd00:6::/64", ips: ["fd00:6::120-fd00:6::127"]}
${workload('StatefulSet', 'db', 3, 'podManagementPolicy: Parallel\n  serviceName: db')}${workload('Deployment', 'web', 5, '')}`

interface PodView {
  readonly metadata: {
    readonly name: string
    readonly deletionTimestamp?: string
    readonly labels: { readonly app: string }
  }
  readonly status: { readonly phase?: string; readonly podIPs?: readonly { readonly ip: string }[] }
}

let lab: Lab | undefined
let second: ChildProcess | undefined
before(() => {
  lab = labUp(['node0', 'node1', 'node2'])
})
after(() => {
  second?.kill('SIGKILL')
  lab?.down()
})

function theLab(): Lab {
  assert.ok(lab !== undefined)
  return lab
}

function pods(): readonly PodView[] {
  return theLab().json<{ items: readonly PodView[] }>(['get', 'pods', '-A', '-l', 'tight=true']).items
}

function addressesOf(app: string): ReadonlyMap<string, string> {
  const own = pods().filter(({ metadata }) => metadata.labels.app === app)
  return new Map(
    own.map(({ metadata, status }) => [metadata.name, (status.podIPs ?? []).map(({ ip }) => ip).join()]),
  )
}

/** Kernel, ledger and pods have the same addresses, each once, and so many of them. */
function assertAgree(count: number): void {
  const { kubeconfig, podNamespaces } = theLab()
  const kernel = kernelAddresses(podNamespaces())
  assert.deepEqual(doubledAddresses(kernel), [])
  const claimed = pods().flatMap(({ status }) => (status.podIPs ?? []).map(({ ip }) => ip))
  assert.equal(claimed.length, count)
  assert.deepEqual(kernel.map(({ address }) => address).sort(), claimed.sort(), 'kernel and pods')
  const recorded = recordedAddresses(kubectlPath, kubeconfig)
  assert.deepEqual(recorded.map(({ address }) => address).sort(), claimed, 'ledger and pods')
}

async function settle(what: string, podCount: number): Promise<void> {
  await waitFor(what, 120_000, () => {
    const found = pods()
    const isSettled = found.every(
      ({ metadata, status }) => metadata.deletionTimestamp === undefined && status.phase === 'Running',
    )
    if (found.length !== podCount || !isSettled) return undefined
    assertAgree(2 * podCount)
    return true
  })
}

void test('dual-stack pods take every address of both pools', async () => {
  theLab().kubectl(['apply', '-f', '-'], manifests)
  await settle('8 pods run', 8)
})

void test('pods of a StatefulSet come back with their addresses', async () => {
  const had = addressesOf('db')
  const uidsBefore = theLab().kubectl([
    'get',
    'pods',
    '-l',
    'app=db',
    '-o',
    'jsonpath={.items[*].metadata.uid}',
  ])
  // kubectl would wait for the names to be gone, and takes a pod that is made again too soon for the one that it waits for.
  theLab().kubectl(['delete', 'pod', '-l', 'app=db', '--wait=false'])
  await settle('all run again', 8)
  assert.notEqual(
    theLab().kubectl(['get', 'pods', '-l', 'app=db', '-o', 'jsonpath={.items[*].metadata.uid}']),
    uidsBefore,
  )
  assert.deepEqual(addressesOf('db'), had)
})

void test('pods deleted by force in a full pool are replaced', async () => {
  theLab().kubectl(['delete', 'pod', '-l', 'app=web', '--grace-period=0', '--force'])
  await settle('all run again', 8)
})

void test('a leader that was frozen past its lease, and wakes beside the next one, doubles nothing', async (t) => {
  const leader = theLab().pids().get('controller')
  assert.ok(leader !== undefined)
  const [command = '', ...args] = readFileSync(`/proc/${leader}/cmdline`, 'utf8')
    .split('\0')
    .filter((part) => part !== '')
  const own = args.map((arg, index) => {
    if (args[index - 1] === '--listen') return secondAddress
    return args[index - 1] === '--webhook-url' ? `https://${secondAddress}` : arg
  })
  second = spawn(command, [...own, '--identity', 'second'], { stdio: 'ignore' })
  const holder = () =>
    theLab().kubectl([
      'get',
      'lease',
      '-n',
      'kube-system',
      'spiderpool-controller-leases',
      '-o',
      'jsonpath={.spec.holderIdentity}',
    ])
  process.kill(leader, 'SIGSTOP')
  theLab().kubectl(['scale', 'deployment/web', '--replicas=1'])
  const startedMs = performance.now()
  await waitFor('the second leads', 60_000, () => (holder().startsWith('second') ? true : undefined))
  t.diagnostic(`taken over ${((performance.now() - startedMs) / 1000).toFixed(1)} s after the freeze`)
  await sleep(Math.max(0, frozenMs - (performance.now() - startedMs)))
  theLab().kubectl(['scale', 'deployment/web', '--replicas=4'])
  process.kill(leader, 'SIGCONT')
  await settle('7 pods run', 7)
})

void test('allocation goes on when somebody deletes the lease', async () => {
  theLab().kubectl(['delete', 'lease', '-n', 'kube-system', 'spiderpool-controller-leases', '--wait=false'])
  theLab().kubectl(['scale', 'deployment/web', '--replicas=5'])
  await settle('8 pods run', 8)
  second?.kill('SIGKILL')
})

void test('everything is given back after an agent was frozen while its pods were deleted', async () => {
  const agent = theLab().pids().get('agent-node0')
  assert.ok(agent !== undefined)
  process.kill(agent, 'SIGSTOP')
  theLab().kubectl(['delete', 'deployment/web', 'statefulset/db', '--wait=false'])
  // Longer than the 5 s of a DEL: the plugin gives up on the agent and spools.
  await sleep(12_000)
  process.kill(agent, 'SIGCONT')
  await waitFor('nothing is left', 120_000, () => {
    assertAgree(0)
    const { json, podNamespaces } = theLab()
    assert.deepEqual(json<{ items: unknown[] }>(['get', 'spiderendpoints', '-A']).items, [])
    assert.deepEqual(podNamespaces(), [])
    const { items } = json<{ items: { status: { allocatedIPCount: number } }[] }>(['get', 'spiderippools'])
    assert.ok(items.every(({ status }) => status.allocatedIPCount === 0))
    return true
  })
})
