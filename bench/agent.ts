// CPU time that an agent process needs for each ADD and DEL of the IPAM plugin, and that the controller needs to talk with it: a real
// agent, called through its socket, beside an allocator that grants at once.
// Usage: npm run bench:agent [-- --adds 1000] [--at-once 7] [--node-flags FLAGS]. Needs root.
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { encodeRequest } from '../src/agent/socket/frame.ts'
import { trustNames } from '../src/api/index.ts'
import { inParallel } from '../test/support/ipam-burst.ts'
import { journalNames } from '../test/support/journal-names.ts'
import { until } from '../test/support/scripted-api.ts'
import { rounded } from './support/measure.ts'
import { optionsOf, whole } from './support/options.ts'

const values = optionsOf(import.meta.filename, {
  adds: '1000',
  'at-once': '7',
  'node-flags': '--max-semi-space-size=1 --heap-growing-percent=20 --always-sparkplug',
})
const atOnce = whole('at-once', values['at-once'], { least: 1, most: 256 })
/** What one of ten agents sees of a burst of 1,000 pods. */
const coldAdds = 100
const adds = whole('adds', values.adds, { least: coldAdds })
const node = 'bench-node'
const account = 'kube-system/spiderpool-agent'
const root = join(import.meta.dirname, '..')
const dir = mkdtempSync(join(tmpdir(), 'bench-agent-'))
const namespaces = ['host', 'pod'].map((name) => `bench-${process.pid}-${name}`)
const children: ChildProcess[] = []

/** Milliseconds of CPU by all threads of a process; threads that ended are not in it. */
function cpuMs(pid: number): { readonly main: number; readonly others: number } {
  let [main, others] = [0, 0]
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const ms = Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6
    if (Number(task) === pid) main += ms
    else others += ms
  }
  return { main, others }
}

function start(script: string, args: readonly string[], env: Record<string, string>, log: string) {
  const flags = values['node-flags'].split(' ').filter((flag) => flag !== '')
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ...flags, script, ...args],
    {
      stdio: ['ignore', 'pipe', openSync(join(dir, log), 'a')],
      env: { ...process.env, MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072', ...env },
    },
  )
  children.push(child)
  return child
}

function token(): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  // As long as a real one: its signature is 256 bytes.
  const claims = {
    aud: [trustNames.audience],
    exp: Math.floor(Date.now() / 1000) + 3600,
    sub: `system:serviceaccount:${account.replace('/', ':')}`,
    'kubernetes.io': {
      namespace: 'kube-system',
      node: { name: node, uid: 'f'.repeat(36) },
      pod: { uid: 'e'.repeat(36) },
    },
  }
  return `${part({ alg: 'RS256', kid: 'k'.repeat(43) })}.${part(claims)}.${Buffer.alloc(256, 7).toString('base64url')}`
}

async function call(command: 'ADD' | 'DEL', index: number): Promise<void> {
  const config = { cniVersion: '1.0.0', name: 'burst', type: 'macvlan', ipam: { type: 'spiderpool' } }
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: index.toString(16).padStart(64, 'a'),
    CNI_NETNS: `/var/run/netns/${namespaces[1]}`,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/usr/lib/cni',
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=bench-${index}`,
  }
  const socket = connect(join(dir, 'agent.sock'))
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  socket.write(encodeRequest({ plugin: 'spiderpool', env, stdin: Buffer.from(JSON.stringify(config)) }))
  await once(socket, 'end')
  socket.end()
  const answer = Buffer.concat(parts)
  assert.equal(answer.readUInt32LE(0), 0, answer.subarray(8).toString())
  if (command === 'ADD') assert.match(answer.subarray(8).toString(), /"address":"10\.66\./)
}

async function measure(
  command: 'ADD' | 'DEL',
  from: number,
  to: number,
  pids: { agent: number; allocator: number },
) {
  const before = { agent: cpuMs(pids.agent), allocator: cpuMs(pids.allocator) }
  const startedMs = performance.now()
  await inParallel(
    Array.from({ length: to - from }, (_, index) => from + index),
    atOnce,
    (index) => call(command, index),
  )
  const wallMs = performance.now() - startedMs
  const per = (ms: number) => rounded(ms / (to - from), 3)
  const used = (name: 'agent' | 'allocator') => {
    const now = cpuMs(pids[name])
    return { main: per(now.main - before[name].main), others: per(now.others - before[name].others) }
  }
  return { calls: to - from, wallMs: per(wallMs), agent: used('agent'), allocator: used('allocator') }
}

try {
  for (const name of namespaces) execFileSync('ip', ['netns', 'add', name])
  const allocator = start(
    join(root, 'bench/support/quick-allocator.ts'),
    [dir, node, account],
    {},
    'allocator.log',
  )
  const [port] = (await once(createInterface(allocator.stdout as NodeJS.ReadableStream), 'line')) as [string]
  const cluster = { name: 'c', cluster: { server: 'http://127.0.0.1:1' } }
  const context = { name: 'c', context: { cluster: 'c', user: 'u' } }
  const kubeconfig = {
    'current-context': 'c',
    clusters: [cluster],
    contexts: [context],
    users: [{ name: 'u', user: {} }],
  }
  writeFileSync(join(dir, 'kubeconfig'), JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...kubeconfig }))
  writeFileSync(join(dir, 'token'), token())
  for (const name of ['spool', 'journal', 'bin', 'conf', 'cache']) mkdirSync(join(dir, name), { mode: 0o700 })
  const at = (name: string) => join(dir, name)
  const agent = start(
    join(root, 'src/bin/agent.ts'),
    [
      ...['--node', node, '--kubeconfig', at('kubeconfig'), '--controller-url', `https://127.0.0.1:${port}`],
      ...['--controller-ca', at('ca.crt'), '--token-file', at('token'), '--socket', at('agent.sock')],
      ...['--spool-dir', at('spool'), '--journal-dir', at('journal'), '--cni-bin-dir', at('bin')],
      ...[
        '--cni-conf-dir',
        at('conf'),
        '--cache-dir',
        at('cache'),
        '--host-netns',
        `/var/run/netns/${namespaces[0]}`,
      ],
    ],
    { NODE_COMPILE_CACHE: join(root, 'build/compile-cache') },
    'agent.log',
  )
  while (!readFileSync(at('agent.log'), 'utf8').includes('agent serves')) {
    assert.equal(agent.exitCode, null, readFileSync(at('agent.log'), 'utf8'))
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const pids = { agent: agent.pid ?? 0, allocator: allocator.pid ?? 0 }
  process.stderr.write(`agent ${pids.agent} allocator ${pids.allocator} ${dir}\n`)
  const startCpuMs = rounded(cpuMs(pids.agent).main + cpuMs(pids.agent).others)
  const cold = await measure('ADD', 0, coldAdds, pids)
  const warming = await measure('ADD', coldAdds, adds, pids)
  const warm = await measure('ADD', adds, 2 * adds, pids)
  const del = await measure('DEL', 0, 2 * adds, pids)
  const rssMb = Math.round(
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pids.agent}/status`, 'utf8'))?.[1]) / 1024,
  )
  await until(() => journalNames(at('journal')).length === 0, 'an empty journal')
  const line = (name: string, one: Awaited<ReturnType<typeof measure>>) =>
    `${name.padEnd(24)} agent ${one.agent.main} + ${one.agent.others}, allocator ${one.allocator.main} + ${one.allocator.others}, wall ${one.wallMs}\n`
  process.stdout.write('milliseconds of CPU for each call, main thread + others\n')
  process.stdout.write(
    line(`ADD, first ${coldAdds}`, cold) +
      line(`ADD, to ${adds}`, warming) +
      line('ADD, after', warm) +
      line('DEL', del),
  )
  process.stdout.write(`${JSON.stringify({ adds, atOnce, startCpuMs, cold, warming, warm, del, rssMb })}\n`)
} finally {
  for (const child of children) {
    if (child.exitCode !== null) continue
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  for (const name of namespaces) execFileSync('ip', ['netns', 'del', name])
  rmSync(dir, { recursive: true })
}
