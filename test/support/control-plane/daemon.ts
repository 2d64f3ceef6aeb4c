// Keeps the processes of one control plane running, as a kubelet keeps static pods: what dies is started again.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { controlPlaneBinaries } from './binaries.ts'
import { type KeyFiles, writeKeys } from './keys.ts'
import { type Process, processesOf } from './processes.ts'

/** What `state.json` of a control plane's folder says. */
export interface ControlPlaneState {
  readonly url: string
  readonly kubeconfig: string
  /** Signs ServiceAccount tokens: a test can make an expired one with it. */
  readonly tokenKey: string
  readonly supervisor: number
  readonly pids: Readonly<Record<string, number>>
  readonly isReady: boolean
}

const restartAfterMs = 300
const lookEveryMs = 100
const stopAfterMs = 5_000

/** Runs until SIGTERM; `state.json` says when it is ready. */
export async function runControlPlane(
  dir: string,
  host: string,
  auditLog: string | undefined,
): Promise<void> {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const bin = controlPlaneBinaries(() => undefined)
  const [api = 0, etcd = 0, etcdPeer = 0, controllerManager = 0, scheduler = 0] = await freePorts(5)
  const ports = { api, etcd, etcdPeer, controllerManager, scheduler }
  const url = `https://${host.includes(':') ? `[${host}]` : host}:${api}`
  const keys = await writeKeys(dir, url, host)
  const supervisor = new Supervisor({ dir, bin, url, keys })
  const stop = Promise.withResolvers<void>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.resolve())
  const [first, second, ...others] = processesOf({ dir, host, ports, keys, auditLog })
  for (const process of [first, second]) if (process !== undefined) supervisor.start(process)
  const isUp = supervisor.until('/readyz').then(async () => {
    for (const process of others) supervisor.start(process)
    // A pod needs the ServiceAccount of its namespace, which the controller manager makes.
    await supervisor.until('/api/v1/namespaces/default/serviceaccounts/default')
    supervisor.ready()
  })
  isUp.catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    stop.resolve()
  })
  await stop.promise
  await supervisor.stop()
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            resolve(typeof address === 'object' && address !== null ? address.port : 0)
          })
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

interface SupervisorParts {
  readonly dir: string
  readonly bin: string
  readonly url: string
  readonly keys: KeyFiles
}

class Supervisor {
  readonly #parts: SupervisorParts
  readonly #children = new Map<string, ChildProcess>()
  #isReady = false
  #isStopping = false

  constructor(parts: SupervisorParts) {
    this.#parts = parts
  }

  start(wanted: Process): void {
    const { dir, bin } = this.#parts
    const log = openSync(join(dir, `${wanted.name}.log`), 'a', 0o600)
    const child = spawn(join(bin, wanted.name), [...wanted.args], { stdio: ['ignore', log, log], cwd: dir })
    this.#children.set(wanted.name, child)
    child.once('exit', () => {
      if (!this.#isStopping) setTimeout(() => this.#isStopping || this.start(wanted), restartAfterMs)
    })
    this.#writeState()
  }

  ready(): void {
    this.#isReady = true
    this.#writeState()
  }

  /** Asks as the administrator until the answer is 200. */
  async until(path: string): Promise<void> {
    while (!this.#isStopping && (await this.#status(path)) !== 200) {
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
    }
  }

  #status(path: string): Promise<number> {
    const { url, keys } = this.#parts
    const config = JSON.parse(readFileSync(keys.kubeconfig.admin, 'utf8')) as {
      users: readonly { user: Record<string, string> }[]
    }
    const user = config.users[0]?.user ?? {}
    const decode = (field: string) => Buffer.from(user[field] ?? '', 'base64')
    const tls = { cert: decode('client-certificate-data'), key: decode('client-key-data') }
    return new Promise((resolve) => {
      const options = { ...tls, ca: readFileSync(keys.ca), agent: false, timeout: 2_000 }
      const call = request(`${url}${path}`, options, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      call.once('timeout', () => call.destroy())
      call.once('error', () => resolve(0))
      call.end()
    })
  }

  /** In the reverse order of the start: the API server says good-bye to etcd. */
  async stop(): Promise<void> {
    this.#isStopping = true
    for (const child of [...this.#children.values()].reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      child.kill('SIGCONT')
      const timer = setTimeout(() => child.kill('SIGKILL'), stopAfterMs)
      await ended
      clearTimeout(timer)
    }
  }

  #writeState(): void {
    const { dir, url, keys } = this.#parts
    const state: ControlPlaneState = {
      url,
      kubeconfig: keys.kubeconfig.admin,
      tokenKey: keys.tokenKey,
      supervisor: process.pid,
      pids: Object.fromEntries([...this.#children].map(([name, child]) => [name, child.pid ?? 0])),
      isReady: this.#isReady,
    }
    const path = join(dir, 'state.json')
    writeFileSync(`${path}.new`, JSON.stringify(state))
    renameSync(`${path}.new`, path)
  }
}
