// The images, started: in a lab, the controller and the agent of one node are replaced by containers of the images, and a pod gets
// its address through the plugin that the agent installed from its image. Needs root.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { Agent, get } from 'node:https'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { after, before } from 'node:test'
import { type ImageName, imageNames } from '../../images/contents.ts'
import { ownTarget } from '../../scripts/packing/target.ts'
import { type Container, type Mount, startContainer } from '../support/images/container.ts'
import { readStage } from '../support/images/dockerfile.ts'
import { type Lab, labUp, waitFor } from './lab-harness.ts'

const root = dirname(dirname(import.meta.dirname))
const quiet = '--disable-warning=ExperimentalWarning'
const node = 'node-a'
const base = mkdtempSync(join(tmpdir(), 'spiderpool-image-start-'))
const rootfsOf = (image: ImageName): string => join(base, 'rootfs', image)
const pool = `apiVersion: spiderpool.spidernet.io/v2beta1
kind: SpiderIPPool
metadata: {name: images}
spec: {subnet: 10.6.0.0/16, ips: ["10.6.140.1-10.6.140.9"], default: true}
`
const podNamed = (name: string): string => `apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec: {nodeName: ${node}, containers: [{name: main, image: pause}]}
`

let lab: Lab
let supervisor = 0
let controller: Container
let agent: Container
let readyMs = 0
let servesMs = 0
const lean = new Map<string, number>()

/** A process of the lab: what it was started with. */
interface Started {
  readonly pid: number
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

function startedAs(name: string, script: string): Started {
  const pid = lab.pids().get(name) ?? 0
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  const pairs = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  const names = ['SPIDERPOOL_NAMESPACE', 'MULTUS_CLUSTER_NETWORK']
  const kept = pairs.map((pair) => pair.split('=', 2) as [string, string])
  return {
    pid,
    args: words.slice(words.findIndex((word) => word.endsWith(script)) + 1),
    env: Object.fromEntries(kept.filter(([key]) => names.includes(key))),
  }
}

const statusOf = (pid: number, field: string): string =>
  new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.trim() ??
  ''
const residentMb = (pid: number): number => Math.round(Number.parseInt(statusOf(pid, 'VmRSS'), 10) / 1000)

async function end(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM')
  // The supervisor, stopped, does not take its end: it stays as a zombie.
  await waitFor(`the end of ${pid}`, 30_000, () =>
    statusOf(pid, 'State').startsWith('Z') ? true : undefined,
  )
}

/** What a Secret or a projected token is to a pod: files of the user, read-only, at the paths that flags and kubeconfigs name. */
function secretMounts(args: readonly string[], uid: number): readonly Mount[] {
  // The file of a namespace is empty.
  const isFile = (path: string): boolean => {
    const found = path.startsWith('/') ? statSync(path, { throwIfNoEntry: false }) : undefined
    return found?.isFile() === true && found.size > 0
  }
  const named = args.filter(isFile)
  const within = named.flatMap((path) => readFileSync(path, 'utf8').match(/\/[^"'\s]+/g) ?? []).filter(isFile)
  return [...new Set([...named, ...within])].map((path, index) => {
    const copy = join(base, 'secrets', `${uid}-${index}`)
    mkdirSync(dirname(copy), { recursive: true })
    copyFileSync(path, copy)
    chownSync(copy, uid, uid)
    chmodSync(copy, 0o400)
    return { from: copy, path, access: 'read' }
  })
}

/** Waits; what the container printed meanwhile is in the error. */
function waitWith<T>(container: Container, what: string, probe: () => T | Promise<T>): Promise<T & {}> {
  const early = container.ended.then((code) => {
    throw new Error(`it ended with ${code}`)
  })
  const found = waitFor(what, 60_000, async () => (await probe()) ?? undefined)
  return Promise.race([found, early]).catch((cause: unknown) => {
    const printed = [controller, agent].map((one) => (one?.output() ?? '').slice(-6_000)).join('\n')
    throw new Error(`${what}: not so. The containers printed:\n${printed}`, { cause })
  })
}

interface Start {
  readonly started: Started
  readonly args: readonly string[]
  readonly mounts: readonly Mount[]
  readonly capabilities: readonly string[]
}

function startImage(image: ImageName, { started, args, mounts, capabilities }: Start): Promise<Container> {
  const stage = readStage(join(root, 'images/Dockerfile'), image)
  return startContainer({
    rootfs: rootfsOf(image),
    user: stage.user,
    hostname: `${image}-of-image`,
    command: [...stage.entrypoint, ...args],
    env: { ...stage.env, ...started.env },
    mounts,
    capabilities,
  })
}

function flag(args: readonly string[], name: string): string {
  return args[args.indexOf(name) + 1] ?? ''
}

/** Status of a GET, without a look at the certificate, as a kubelet probes. */
function probe(url: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const call = get(url, { agent: new Agent({ rejectUnauthorized: false }), timeout: 2_000 }, (response) => {
    response.resume()
    resolve(response.statusCode ?? 0)
  })
  call.once('timeout', () => call.destroy())
  call.once('error', reject)
  return promise
}

async function startController(): Promise<void> {
  const started = startedAs('controller', 'bin/controller.ts')
  lean.set('controller', residentMb(started.pid))
  await end(started.pid)
  const mounts = secretMounts(started.args, 65532)
  const startMs = performance.now()
  const args = started.args.map((arg, at, all) =>
    all[at - 1] === '--identity' ? `controller-of-image at ${arg.split(' at ')[1]}` : arg,
  )
  controller = await startImage('controller', { started, args, mounts, capabilities: [] })
  const url = `https://${flag(started.args, '--listen')}/readyz`
  await waitWith(controller, '/readyz answers', async () => ((await probe(url)) === 200 ? true : undefined))
  readyMs = performance.now() - startMs
}

async function startAgent(): Promise<void> {
  const started = startedAs(`agent-${node}`, 'bin/agent.ts')
  lean.set('agent', residentMb(started.pid))
  await end(started.pid)
  const { args } = started
  const binDir = flag(args, '--cni-bin-dir')
  for (const name of readdirSync(binDir)) rmSync(join(binDir, name))
  const own = join(lab.dir, 'nodes', node)
  const given = args.map((arg, at) => (args[at - 1] === '--plugin-source' ? '/app/native/cni-pipe' : arg))
  const mounts: readonly Mount[] = [
    { from: own, path: own, access: 'write' },
    { from: flag(args, '--plugin-path'), path: flag(args, '--plugin-path'), access: 'read' },
    ...secretMounts(given, 0).filter(({ path }) => !path.startsWith(own)),
  ]
  const startMs = performance.now()
  const capabilities = ['net_admin', 'net_raw', 'sys_admin']
  agent = await startImage('agent', { started, args: given, mounts, capabilities })
  await waitWith(agent, 'the plugin of the image is installed', () =>
    existsSync(join(binDir, 'spiderpool-meta')) ? true : undefined,
  )
  servesMs = performance.now() - startMs
}

before(async () => {
  // What the machine mounts later, such as the namespace of a pod, shows in a container only below a shared mount.
  execFileSync('mount', ['--bind', base, base])
  execFileSync('mount', ['--make-shared', base])
  process.env['TMPDIR'] = base
  for (const image of imageNames) {
    const args = ['--image', image, '--arch', ownTarget.arch, '--rootfs', rootfsOf(image)]
    execFileSync(process.execPath, [quiet, join(root, 'scripts/build-images.ts'), ...args], {
      stdio: ['ignore', 'ignore', 2],
    })
  }
  lab = labUp([node, 'node-b'])
  lab.kubectl(['apply', '-f', '-'], pool)
  // From here on nobody starts again what ends.
  supervisor = Number(statusOf(lab.pids().get('controller') ?? 0, 'PPid'))
  process.kill(supervisor, 'SIGSTOP')
  await startController()
  await startAgent()
})

after(async () => {
  await Promise.allSettled([agent?.stop(), controller?.stop()])
  if (supervisor > 1) process.kill(supervisor, 'SIGCONT')
  lab?.down()
  execFileSync('umount', ['--lazy', base])
  rmSync(base, { recursive: true })
})

void test('the controller runs as its user without rights, the agent with three capabilities', () => {
  const { pid } = controller
  assert.match(statusOf(pid, 'Uid'), /^65532\s+65532\s+65532\s+65532$/)
  assert.match(statusOf(pid, 'Gid'), /^65532\s+65532\s+65532\s+65532$/)
  assert.equal(statusOf(pid, 'Groups'), '')
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) assert.match(statusOf(pid, set), /^0+$/)
  // net_admin 12, net_raw 13, sys_admin 21; setgid 6, setuid 7 and sys_chroot 18 are of the start of the container.
  const allowed = (1 << 12) | (1 << 13) | (1 << 21) | (1 << 6) | (1 << 7) | (1 << 18)
  assert.equal(Number.parseInt(statusOf(agent.pid, 'CapPrm'), 16), allowed)
  for (const container of [controller, agent]) {
    assert.equal(statusOf(container.pid, 'NoNewPrivs'), '1')
    assert.match(readFileSync(`/proc/${container.pid}/mountinfo`, 'utf8'), / \/ ro[, ]/)
    assert.equal(spawnSync('nsenter', ['-t', String(container.pid), '-m', '-r', '/bin/sh']).status, 127)
  }
})

void test('the controller of the image leads, and a pod gets its address through agent and plugin of the image', async (t) => {
  const lease = ['get', 'lease', '-n', 'kube-system', 'spiderpool-controller-leases']
  const holder = await waitFor(
    'a leader',
    30_000,
    () => lab.kubectl([...lease, '-o', 'jsonpath={.spec.holderIdentity}']) || undefined,
  )
  assert.match(holder, /controller-of-image/)
  lab.kubectl(['apply', '-f', '-'], podNamed('guest'))
  const ip = await waitWith(agent, 'the pod runs', () => {
    const text = lab.kubectl(['get', 'pod', 'guest', '-o', 'jsonpath={.status.phase} {.status.podIP}'])
    return text.startsWith('Running ') ? text.split(' ')[1] : undefined
  })
  assert.match(ip, /^10\.6\.140\.[1-9]$/)
  const ctl = join(root, 'src/bin/spiderpoolctl.ts')
  const ping = spawnSync(process.execPath, [ctl, 'lab', 'ping', 'guest', 'switch', '--dir', lab.dir], {
    encoding: 'utf8',
  })
  assert.equal(ping.status, 0, ping.stdout + ping.stderr)
  const installed = readFileSync(join(lab.dir, 'nodes', node, 'cni/bin/spiderpool'))
  assert.ok(installed.equals(readFileSync(join(rootfsOf('agent'), 'app/native/cni-pipe'))))
  const of = (pid: number): string => `${residentMb(pid)} MB`
  t.diagnostic(
    `controller: ready ${Math.round(readyMs)} ms after its start, ${of(controller.pid)} (types erased as it runs: ${lean.get('controller')} MB)`,
  )
  t.diagnostic(
    `agent: serves ${Math.round(servesMs)} ms after its start, ${of(agent.pid)} (types erased as it runs: ${lean.get('agent')} MB)`,
  )
})

void test('a pod that is deleted gives its address back through the same way', async () => {
  lab.kubectl(['delete', 'pod', 'guest', '--wait=true', '--timeout=60s'])
  await waitFor('no address is taken', 60_000, () => {
    const entries = lab.kubectl(['get', 'spideripblocks', '-o', 'jsonpath={.items[*].spec.entries}'])
    return /^(\{\} ?)*$/.test(entries) ? true : undefined
  })
})

void test('the command line in the image of the controller helps, and says that it has no lab', () => {
  const inside = ['-t', String(controller.pid), '-m', '-r', '-S', '65532', '-G', '65532']
  const run = (...args: readonly string[]) =>
    spawnSync('nsenter', [...inside, '/app/node', '/app/bin/spiderpoolctl.js', ...args], { encoding: 'utf8' })
  const help = run('--help')
  assert.equal(help.status, 0, help.stderr)
  assert.match(help.stdout, /^Usage: spiderpoolctl/)
  const up = run('lab', 'up')
  assert.equal(up.status, 1)
  assert.match(up.stderr, /packed without it/)
})

void test('both end by SIGTERM, as the first process of their container, with code 0', async () => {
  assert.equal(await agent.stop(), 0, agent.output())
  assert.equal(await controller.stop(), 0, controller.output())
  const lease = ['get', 'lease', '-n', 'kube-system', 'spiderpool-controller-leases']
  assert.equal(lab.kubectl([...lease, '-o', 'jsonpath={.spec.holderIdentity}']), '')
})
