// What one start of our plugin costs: the pipe beside /bin/true, a bare Node and Debian's host-local, in turns, from before the
// start until its end is known. `pipeStatus` asks a live agent for what it answers without work: that is the one with a target.
// Usage: npm run bench:exec [-- --samples 300] [--server embedded|real] [--json]
// Needs root and a C compiler; brings a lab of its own up and down. The last line is one JSON object.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setUpMachine } from '../scripts/setup.ts'
import { type KubeObject, resources } from '../src/api/index.ts'
import { KubeClient, loadKubeconfig } from '../src/kube/index.ts'
import { recordedAddresses } from '../test/integration/kernel-checker.ts'
import type { Lab } from '../test/integration/lab-harness.ts'
import { inParallel } from '../test/support/ipam-burst.ts'
import { type Call, launch, type Turn } from './support/launch.ts'
import { median, quantile, rounded } from './support/measure.ts'
import { oneOf, optionsOf, whole } from './support/options.ts'
import { addressesOf, cniEnvironment, ipamConfig, podArgs } from './support/plugin-call.ts'
import { whenStopped } from './support/when-stopped.ts'

const values = optionsOf(import.meta.filename, { samples: '300', server: 'embedded', json: false })
const samples = whole('samples', values.samples, { least: 10 })
oneOf('server', values.server, ['embedded', 'real'])
// The harness reads it when it is loaded.
process.env['SPIDERPOOL_TEST_SERVER'] = values.server
const { kubectlPath, labUp, waitFor } = await import('../test/integration/lab-harness.ts')

const hostLocal = '/usr/lib/cni/host-local'
const node = 'node0'
/** A start of Node takes so much longer that fewer of them are enough. */
const nodeEvery = 5
const never = new AbortController().signal

/** Calls by name, interleaved: round 0 of all, round 1 of all. Each round begins elsewhere: none always follows the same one. */
function interleave(
  rounds: number,
  kinds: Readonly<Record<string, (index: number) => Call | undefined>>,
): readonly (readonly [string, Call])[] {
  const entries = Object.entries(kinds)
  return Array.from({ length: rounds }, (_, index) => {
    const from = index % entries.length
    return [...entries.slice(from), ...entries.slice(0, from)].flatMap(([name, make]) => {
      const call = make(index)
      return call === undefined ? [] : [[name, call] as const]
    })
  }).flat()
}

/** @throws when one of them failed */
async function run(
  calls: readonly (readonly [string, Call])[],
): Promise<ReadonlyMap<string, readonly Turn[]>> {
  const turns = await launch(calls.map(([, call]) => call))
  const byName = new Map<string, Turn[]>()
  for (const [index, turn] of turns.entries()) {
    const name = calls[index]?.[0] ?? ''
    assert.equal(turn.exitCode, 0, `${name}: ${turn.stdout}`)
    byName.set(name, [...(byName.get(name) ?? []), turn])
  }
  return byName
}

function summaryOf(turns: readonly Turn[]) {
  const times = turns.map(({ ms }) => ms)
  return {
    medianMs: rounded(median(times), 3),
    p95Ms: rounded(quantile(times, 0.95), 3),
    cpuMs: rounded(median(turns.map(({ cpuMs }) => cpuMs)), 3),
    peakMib: rounded(Math.max(...turns.map(({ peakKib }) => peakKib)) / 1024),
  }
}

async function makePods(api: KubeClient): Promise<void> {
  const pool = {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name: 'b' },
    spec: { subnet: '10.64.0.0/16', ips: ['10.64.0.1-10.64.15.254'] },
  }
  await api.create(resources.ipPool, pool as KubeObject, never)
  // With the node's own network the lab's kubelet starts them without a call of CNI, which is ours to make.
  const spec = { nodeName: node, hostNetwork: true, containers: [{ name: 'c', image: 'pause' }] }
  const annotations = { 'ipam.spidernet.io/ippool': '{"ipv4":["b"]}' }
  const names = Array.from({ length: samples }, (_, index) => `p-${index}`)
  await inParallel(names, 8, (name) => {
    const metadata = { name, namespace: 'default', labels: { bench: 'exec' }, annotations }
    return api.create(resources.pod, { apiVersion: 'v1', kind: 'Pod', metadata, spec } as KubeObject, never)
  })
}

async function deletePods(api: KubeClient): Promise<void> {
  const names = Array.from({ length: samples }, (_, index) => `p-${index}`)
  await inParallel(names, 8, (name) =>
    api.delete(resources.pod, { namespace: 'default', name }, { gracePeriodSeconds: 0 }, never),
  )
}

async function measure(lab: Lab, api: KubeClient, dataDir: string): Promise<ReadonlyMap<string, Turn[]>> {
  const nodeDir = join(lab.dir, 'nodes', node)
  const pipe = join(nodeDir, 'cni/bin/spiderpool')
  const cni =
    (file: string, command: string) =>
    (index: number): Call => ({
      file,
      env: cniEnvironment(nodeDir, {
        command,
        containerId: `bench-${index}`,
        netns: join(lab.dir, 'nodes/other/netns'),
        args: podArgs('default', `p-${index}`),
      }),
      input:
        file === hostLocal
          ? ipamConfig(command, { type: 'host-local', dataDir, subnet: '10.65.0.0/16' })
          : ipamConfig(command),
    })
  const recorded = () => recordedAddresses(kubectlPath, lab.kubeconfig).map(({ address }) => address)
  await run(interleave(20, { pipe: cni(pipe, 'STATUS') })) // compiled code, open connections
  const idle = await run(
    interleave(samples, {
      true: () => ({ file: '/bin/true' }),
      node: (index) => (index % nodeEvery === 0 ? { file: process.execPath, args: ['-e', '0'] } : undefined),
      pipeVersion: cni(pipe, 'VERSION'),
      pipeStatus: cni(pipe, 'STATUS'),
      hostLocalVersion: cni(hostLocal, 'VERSION'),
    }),
  )
  await makePods(api)
  const added = await run(
    interleave(samples, { pipeAdd: cni(pipe, 'ADD'), hostLocalAdd: cni(hostLocal, 'ADD') }),
  )
  const given = (added.get('pipeAdd') ?? []).flatMap(addressesOf).toSorted()
  assert.equal(new Set(given).size, samples)
  assert.deepEqual(recorded().toSorted(), given)
  await deletePods(api)
  const deleted = await run(
    interleave(samples, { pipeDel: cni(pipe, 'DEL'), hostLocalDel: cni(hostLocal, 'DEL') }),
  )
  await waitFor('no address is left', 30_000, () => (recorded().length === 0 ? true : undefined))
  return new Map([...idle, ...added, ...deleted].map(([name, turns]) => [name, [...turns]]))
}

setUpMachine()
const dataDir = mkdtempSync(join(tmpdir(), 'bench-exec-'))
const lab = labUp([node, 'other'])
const isOver = whenStopped(lab.down)
const api = new KubeClient(await loadKubeconfig(lab.kubeconfig))
try {
  const turns = await measure(lab, api, dataDir)
  const calls = Object.fromEntries([...turns].map(([name, list]) => [name, summaryOf(list)]))
  const base = calls['true']?.medianMs ?? Number.NaN
  if (!values.json) {
    process.stdout.write(
      `${'start of'.padEnd(18)} median ms  p95 ms  CPU ms  peak MiB  × true  (${samples} each)\n`,
    )
    for (const [name, { medianMs, p95Ms, cpuMs, peakMib }] of Object.entries(calls))
      process.stdout.write(
        `${name.padEnd(18)} ${medianMs.toFixed(2).padStart(9)} ${p95Ms.toFixed(2).padStart(7)}` +
          ` ${cpuMs.toFixed(2).padStart(7)} ${peakMib.toFixed(2).padStart(9)}` +
          ` ${(medianMs / base).toFixed(2).padStart(7)}\n`,
      )
  }
  const { medianMs = Number.NaN, peakMib = Number.NaN } = calls['pipeStatus'] ?? {}
  const ratioToTrue = rounded(medianMs / base)
  const isMet = ratioToTrue <= 2 && peakMib < 3
  const { server } = values
  process.stdout.write(
    `${JSON.stringify({ bench: 'exec', server, samples, ratioToTrue, peakMib, isMet, calls })}\n`,
  )
} finally {
  await api.close()
  isOver()
  lab.down()
  rmSync(dataDir, { recursive: true, force: true })
}
