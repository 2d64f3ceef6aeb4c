// The real kubectl, and what it says about objects. Nothing of the product is used here.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. @param input goes to its standard input */
export async function run(
  program: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  const child = spawn(program, args, { env: options.env ?? process.env, stdio: ['pipe', 'pipe', 'pipe'] })
  const { promise, resolve } = Promise.withResolvers<Ran>()
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.on('error', (error) => resolve({ status: 127, stdout, stderr: `${stderr}${error.message}` }))
  child.on('close', (code) => resolve({ status: code ?? 128, stdout, stderr }))
  child.stdin.on('error', () => child.stdin.destroy())
  child.stdin.end(options.input ?? '')
  return promise
}

/** `$KUBECTL`, else the first on PATH. */
export function findKubectl(): string | undefined {
  const given = process.env['KUBECTL']
  if (given !== undefined && given !== '') return given
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '')
  return folders.map((folder) => join(folder, 'kubectl')).find((path) => existsSync(path))
}

interface Condition {
  readonly type: string
  readonly status: string
}

/** The parts of a pod that the checks read. */
export interface PodObject {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly uid: string
    readonly deletionTimestamp?: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec: { readonly nodeName?: string }
  readonly status: {
    readonly phase?: string
    readonly message?: string
    readonly podIP?: string
    readonly conditions?: readonly Condition[]
    readonly containerStatuses?: readonly {
      readonly state?: { readonly waiting?: { readonly reason?: string } }
    }[]
  }
}

export interface EventObject {
  readonly type: string
  readonly reason: string
  readonly message: string
}

interface List<T> {
  readonly items: readonly T[]
}

// From 1.24 on kubectl asks the server for the OpenAPI documents that a server of today has.
const firstCurrentMinor = 24

/** One kubectl, pointed at one API server. */
export class Kubectl {
  readonly path: string
  readonly kubeconfig: string
  readonly version: string
  /** Debian's kubernetes-client: good for get, describe, delete, and apply without validation. */
  readonly isOld: boolean
  readonly #cacheDir: string

  private constructor(path: string, kubeconfig: string, cacheDir: string, version: string) {
    this.path = path
    this.kubeconfig = kubeconfig
    this.version = version
    this.isOld = Number(/^v?1\.(\d+)/.exec(version)?.[1] ?? firstCurrentMinor) < firstCurrentMinor
    this.#cacheDir = cacheDir
  }

  static async open(path: string, kubeconfig: string, cacheDir: string): Promise<Kubectl> {
    const { stdout } = await run(path, ['version', '--client', '-o', 'json'])
    const version = /"gitVersion":\s*"([^"]+)"/.exec(stdout)?.[1] ?? 'of unknown version'
    return new Kubectl(path, kubeconfig, cacheDir, version)
  }

  run(args: readonly string[], input = ''): Promise<Ran> {
    const env = { ...process.env, KUBECONFIG: this.kubeconfig }
    return run(this.path, [...args, `--cache-dir=${this.#cacheDir}`], { input, env })
  }

  /** `apply` or `create` of the manifests in a text; an old kubectl applies, without validation. */
  send(verb: 'apply' | 'create', text: string): Promise<Ran> {
    return this.run(this.isOld ? ['apply', '--validate=false', '-f', '-'] : [verb, '-f', '-'], text)
  }

  async json<T>(args: readonly string[]): Promise<T> {
    const ran = await this.run([...args, '-o', 'json'])
    if (ran.status !== 0) throw new Error(ran.stderr.trim())
    return JSON.parse(ran.stdout) as T
  }

  async pods(namespace: string, selector: string): Promise<readonly PodObject[]> {
    const { items } = await this.json<List<PodObject>>(['get', 'pods', '-n', namespace, '-l', selector])
    return items
  }

  async eventsOf(pod: PodObject): Promise<readonly EventObject[]> {
    const { namespace, uid } = pod.metadata
    const field = `--field-selector=involvedObject.uid=${uid}`
    const { items } = await this.json<List<EventObject>>(['get', 'events', '-n', namespace, field])
    return items
  }
}
