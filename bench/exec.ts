// What one call of our plugin costs: the pipe beside /bin/true, a bare Node and Debian's host-local, in alternate runs.
// Usage: npm run bench:exec [-- --samples 200]. Needs root; brings a lab of its own up and down.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type KubeObject, resources } from '../src/api/index.ts'
import { KubeClient, loadKubeconfig } from '../src/kube/index.ts'
import { labUp } from '../test/integration/lab-harness.ts'
import { median } from './support/measure.ts'

const { values } = parseArgs({ options: { samples: { type: 'string', default: '200' } } })
const samples = Number(values.samples)
const hostLocal = '/usr/lib/cni/host-local'
const node = 'node0'
const never = new AbortController().signal

interface Call {
  readonly file: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
}

/** Milliseconds from start to exit. */
function time({ file, args = [], env = {}, input = '' }: Call): number {
  const startedMs = performance.now()
  const { status, stdout, error } = spawnSync(file, args, { env, input, encoding: 'utf8' })
  const tookMs = performance.now() - startedMs
  assert.equal(status, 0, `${file} ${env['CNI_COMMAND'] ?? ''}: ${error?.message ?? stdout}`)
  return tookMs
}

const dataDir = mkdtempSync(join(tmpdir(), 'bench-exec-'))
const lab = labUp([node, 'other'])
const api = new KubeClient(await loadKubeconfig(lab.kubeconfig))
try {
  const spec = { subnet: '10.64.0.0/16', ips: ['10.64.0.1-10.64.15.254'] }
  const pool = {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name: 'b' },
  }
  await api.create(resources.ipPool, { ...pool, spec } as KubeObject, never)
  // With the node's own network the lab's kubelet starts them without a call of CNI, which is ours to make.
  const podSpec = { nodeName: node, hostNetwork: true, containers: [{ name: 'c', image: 'pause' }] }
  const annotations = { 'ipam.spidernet.io/ippool': '{"ipv4":["b"]}' }
  for (let index = 0; index < samples; index++) {
    const metadata = { name: `p-${index}`, namespace: 'default', annotations }
    await api.create(
      resources.pod,
      { apiVersion: 'v1', kind: 'Pod', metadata, spec: podSpec } as KubeObject,
      never,
    )
  }

  const nodeDir = join(lab.dir, 'nodes', node)
  const cni = (file: string, command: string, index: number): Call => ({
    file,
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: `bench-${index}`,
      CNI_NETNS: join(lab.dir, 'nodes/other/netns'),
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/usr/lib/cni',
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p-${index}`,
      SPIDERPOOL_AGENT_SOCKET: join(nodeDir, 'agent.sock'),
      SPIDERPOOL_SPOOL_DIR: join(nodeDir, 'agent/spool'),
    },
    input: JSON.stringify({
      cniVersion: '1.0.0',
      name: 'bench',
      type: 'macvlan',
      ipam:
        file === hostLocal ? { type: 'host-local', dataDir, subnet: '10.65.0.0/16' } : { type: 'spiderpool' },
    }),
  })
  const pipe = join(nodeDir, 'cni/bin/spiderpool')
  const calls: Record<string, (index: number) => Call> = {
    true: () => ({ file: '/bin/true' }),
    node: () => ({ file: process.execPath, args: ['-e', '0'] }),
    pipeVersion: (index) => cni(pipe, 'VERSION', index),
    pipeAdd: (index) => cni(pipe, 'ADD', index),
    pipeDel: (index) => cni(pipe, 'DEL', index),
    ...(existsSync(hostLocal)
      ? {
          hostLocalVersion: (index) => cni(hostLocal, 'VERSION', index),
          hostLocalAdd: (index) => cni(hostLocal, 'ADD', index),
          hostLocalDel: (index) => cni(hostLocal, 'DEL', index),
        }
      : {}),
  }
  const times = new Map<string, number[]>(Object.keys(calls).map((name) => [name, []]))
  for (let index = 0; index < samples; index++) {
    for (const [name, call] of Object.entries(calls)) times.get(name)?.push(time(call(index)))
  }
  const medians = Object.fromEntries(
    [...times].map(([name, list]) => [name, Number(median(list).toFixed(3))] as const),
  )
  const base = medians['true'] ?? Number.NaN
  for (const [name, ms] of Object.entries(medians))
    process.stdout.write(
      `${name.padEnd(18)} ${ms.toFixed(2).padStart(8)} ms ${(ms / base).toFixed(2).padStart(7)}\n`,
    )
  process.stdout.write(`${JSON.stringify({ samples, mediansMs: medians })}\n`)
} finally {
  await api.close()
  lab.down()
  rmSync(dataDir, { recursive: true, force: true })
}
