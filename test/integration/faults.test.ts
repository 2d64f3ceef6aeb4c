// kill -9 of the controller, an agent or the API server in the middle of bursts, at random and at chosen moments.
// mostly waits
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
import { Seeded } from '../simulation/seeded.ts'
import { doubledAddresses, kernelAddresses, recordedAddresses } from './kernel-checker.ts'
import { kubectlPath, type Lab, labUp, waitFor } from './lab-harness.ts'

const rounds = 20
const seed = Number(process.env['SPIDERPOOL_TEST_SEED'] ?? 20_261_121)
const nodes = ['node0', 'node1', 'node2']

const manifests = `apiVersion: spiderpool.spidernet.io/v2beta1
kind: SpiderIPPool
metadata: {name: faults}
spec: {subnet: 10.6.0.0/16, ips: ["10.6.110.1-10.6.110.60"]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: faults}
spec:
  replicas: 0
  selector: {matchLabels: {app: faults}}
  template:
    metadata:
      labels: {app: faults}
      annotations: {ipam.spidernet.io/ippool: '{"ipv4":["faults"]}'}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: pause, image: pause}]
`

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly uid: string; readonly deletionTimestamp?: string }
    readonly status: { readonly phase?: string; readonly podIP?: string }
  }[]
}

let lab: Lab | undefined
before(() => {
  lab = labUp(nodes)
})
after(() => lab?.down())

/** Resolves at the next change of a block: its write is done, its answer is on the way at most. */
function nextBlockWrite(kubeconfig: string): { readonly seen: Promise<void>; stop(): void } {
  const args = ['get', 'spideripblocks', '--watch-only', '-o', 'name']
  const child: ChildProcess = spawn(kubectlPath, args, { env: { ...process.env, KUBECONFIG: kubeconfig } })
  const seen = new Promise<void>((resolve) => {
    child.stdout?.once('data', () => resolve())
    child.once('exit', () => resolve())
  })
  return { seen, stop: () => void child.kill('SIGKILL') }
}

/** The ledger, the pods and the kernel say the same, and nothing stands twice. */
function assertConsistent({ json, kubeconfig, podNamespaces }: Lab): number {
  const kernel = kernelAddresses(podNamespaces())
  assert.deepEqual(doubledAddresses(kernel), [])
  const recorded = recordedAddresses(kubectlPath, kubeconfig)
  const { items } = json<PodList>(['get', 'pods', '-l', 'app=faults'])
  const claimed = items.flatMap(({ status }) => (status.podIP === undefined ? [] : [status.podIP])).sort()
  assert.deepEqual(recorded.map(({ address }) => address).sort(), claimed, 'ledger and pods')
  assert.deepEqual(kernel.map(({ address }) => address).sort(), claimed, 'kernel and pods')
  return claimed.length
}

void test(`after ${rounds} kills nothing is doubled, forgotten or leaked`, async (t) => {
  assert.ok(lab !== undefined)
  const running = lab
  const { kubectl, json, kubeconfig } = running
  const seeded = new Seeded(seed)
  const random = () => seeded.next()
  t.diagnostic(`seed ${seed}`)
  kubectl(['apply', '-f', '-'], manifests)
  for (let round = 0; round < rounds; round++) {
    const replicas = round % 2 === 0 ? 60 : 10
    const name =
      ['controller', `agent-${nodes[round % nodes.length]}`, 'apiserver'][Math.floor(random() * 3)] ?? ''
    const victim = [...running.pids()].find(([known]) => known.includes(name))
    assert.ok(victim !== undefined, `no process ${name} in ${[...running.pids().keys()].join(' ')}`)
    const atBlockWrite = name === 'controller' && random() < 0.7
    const watch = atBlockWrite ? nextBlockWrite(kubeconfig) : undefined
    kubectl(['scale', 'deployment', 'faults', `--replicas=${replicas}`])
    const pauseMs = 100 + random() * 1_500
    if (watch === undefined) await new Promise((resolve) => setTimeout(resolve, pauseMs))
    else await Promise.race([watch.seen, new Promise((resolve) => setTimeout(resolve, 10_000))])
    watch?.stop()
    process.kill(victim[1], 'SIGKILL')
    const when = atBlockWrite ? 'at a block write' : `after ${pauseMs.toFixed(0)} ms`
    try {
      await waitFor(`round ${round}: ${replicas} pods run and all agree`, 90_000, () => {
        const { items } = json<PodList>(['get', 'pods', '-l', 'app=faults'])
        const settled = items.every(
          ({ metadata, status }) => metadata.deletionTimestamp === undefined && status.phase === 'Running',
        )
        if (!settled || items.length !== replicas) return undefined
        return assertConsistent(running) === replicas ? true : undefined
      })
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}: killed ${name} ${when}`, { cause: error })
    }
    t.diagnostic(`round ${round}: killed ${name} ${when}`)
  }
  kubectl(['delete', 'deployment', 'faults', '--wait=false'])
  await waitFor('nothing is left', 90_000, () => {
    assert.equal(assertConsistent(running), 0)
    assert.deepEqual(json<PodList>(['get', 'spiderendpoints', '-A']).items, [])
    assert.deepEqual(running.podNamespaces(), [])
    return true
  })
})
