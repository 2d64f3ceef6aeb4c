// An API server alone, without nodes: the lab's own in a process, or a real control plane.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { controlPlaneDown, controlPlaneUp, readState } from './control-plane/control-plane.ts'
import { serverUnderTest } from './server-under-test.ts'

/** Address and credentials of an administrator, for tests that speak HTTP themselves. */
export interface Administrator {
  readonly url: string
  readonly ca: Buffer
  readonly cert: Buffer
  readonly key: Buffer
}

/** A server of this test alone. */
export interface BareServer {
  /** Of an administrator. */
  readonly kubeconfig: string
  /** Folder with its keys and logs; of a real one `state.json` too. */
  readonly dir: string
  /** Process id of the API server itself. */
  pid(): number
  /** Kills the API server by SIGKILL. */
  kill(): Promise<void>
  /** After {@link kill}: resolves when it serves again, at the same address. */
  revive(): Promise<void>
  close(): Promise<void>
}

const startBudgetMs = 30_000
const lookEveryMs = 100
const bin = join(dirname(dirname(import.meta.dirname)), 'src/bin/lab-apiserver.ts')

/** Starts the server that SPIDERPOOL_TEST_SERVER names. */
export async function startBareServer(): Promise<BareServer> {
  const dir = mkdtempSync(join(tmpdir(), 'spiderpool-bare-'))
  if (serverUnderTest === 'real') return new RealServer(dir)
  const server = new EmbeddedServer(dir)
  await server.revive()
  return server
}

/** Reads a kubeconfig that a server of this file wrote: it is JSON with the data inline. */
export function administratorOf(kubeconfig: string): Administrator {
  const { clusters, users } = JSON.parse(readFileSync(kubeconfig, 'utf8')) as {
    clusters: [{ cluster: Record<string, string> }]
    users: [{ user: Record<string, string> }]
  }
  const decode = (text: string | undefined) => Buffer.from(text ?? '', 'base64')
  const [{ cluster }] = clusters
  const [{ user }] = users
  return {
    url: cluster['server'] ?? '',
    ca: decode(cluster['certificate-authority-data']),
    cert: decode(user['client-certificate-data']),
    key: decode(user['client-key-data']),
  }
}

class RealServer implements BareServer {
  readonly kubeconfig: string
  readonly dir: string
  #killed = 0

  constructor(dir: string) {
    this.dir = dir
    this.kubeconfig = controlPlaneUp(dir).kubeconfig
  }

  pid(): number {
    return readState(this.dir)?.pids['kube-apiserver'] ?? 0
  }

  kill(): Promise<void> {
    this.#killed = this.pid()
    process.kill(this.#killed, 'SIGKILL')
    return Promise.resolve()
  }

  async revive(): Promise<void> {
    while (this.pid() === this.#killed || !(await isReady(administratorOf(this.kubeconfig)))) {
      await sleep(lookEveryMs)
    }
  }

  close(): Promise<void> {
    controlPlaneDown(this.dir)
    rmSync(this.dir, { recursive: true })
    return Promise.resolve()
  }
}

function isReady({ url, ...tls }: Administrator): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(`${url}/readyz`, { ...tls, agent: false, timeout: 2_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    call.once('timeout', () => call.destroy())
    call.once('error', () => resolve(false))
    call.end()
  })
}

class EmbeddedServer implements BareServer {
  readonly dir: string
  kubeconfig = ''
  #child: ChildProcess | undefined
  #port = 0

  constructor(dir: string) {
    this.dir = dir
  }

  pid(): number {
    return this.#child?.pid ?? 0
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  async revive(): Promise<void> {
    const args = [bin, '--dir', this.dir, '--port', String(this.#port)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    const lines = createInterface({ input: child.stdout })
    const [line] = (await once(lines, 'line', { signal: AbortSignal.timeout(startBudgetMs) })) as [string]
    const { kubeconfig, port } = JSON.parse(line) as { kubeconfig: string; port: number }
    this.kubeconfig = kubeconfig
    this.#port = port
  }

  async close(): Promise<void> {
    await this.#end('SIGTERM')
    rmSync(this.dir, { recursive: true })
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    child.kill('SIGCONT')
    await ended
  }
}
