import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { InvalidInputError, toError } from '../../base/index.ts'

/** How to reach an API server and prove who we are, at one moment. */
export interface Credentials {
  /** Origin and optional path prefix, without a trailing slash. */
  readonly server: string
  readonly tls: TlsMaterial
  /** Changes when a new connection would be made differently. */
  readonly connectionKey: string
  /** Value of the `Authorization` header. */
  readonly authorization?: string
}

export interface TlsMaterial {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
  readonly insecure?: boolean
}

/** Where credentials come from. They are read again when their files change. */
export interface KubeAccess {
  /** The credentials to use now. */
  current(signal: AbortSignal): Promise<Credentials>
  /** The API server answered 401 to `credentials`: the next `current` reads everything again. */
  reject(credentials: Credentials): void
  /** The namespace to use when none is named. */
  readonly namespace: string
}

const serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount'
// Looking at modification times costs microseconds; a burst of calls still need not do it each time.
const statEveryMs = 1000
// A file system with coarse times can hide a change, so everything is read again now and then.
const rereadEveryMs = 60_000
const reloadBudgetMs = 35_000
const maxFileBytes = 1024 * 1024

/** What a loader made, and which files it read. `renewAtMs`: read again then although no file changed. */
export interface Loaded {
  readonly credentials: Credentials
  readonly files: readonly string[]
  readonly renewAtMs?: number
}

/** Keeps what `load` gave until one of its files changes, it expires, or the server rejects it. */
export class ReloadingAccess implements KubeAccess {
  readonly namespace: string
  readonly #load: (fresh: boolean, signal: AbortSignal) => Promise<Loaded>
  #loaded: Loaded
  #stamp: string
  #checkedAtMs = Date.now()
  #readAtMs = Date.now()
  #rejected = false
  #lastError: Error | undefined
  #reloading: Promise<void> | undefined

  constructor(
    namespace: string,
    first: { loaded: Loaded; stamp: string },
    load: (fresh: boolean, signal: AbortSignal) => Promise<Loaded>,
  ) {
    this.namespace = namespace
    this.#loaded = first.loaded
    this.#stamp = first.stamp
    this.#load = load
  }

  async current(signal: AbortSignal): Promise<Credentials> {
    const now = Date.now()
    const isDue = this.#rejected || now - this.#checkedAtMs >= statEveryMs || this.#isExpired(now)
    if (isDue) {
      this.#reloading ??= this.#refresh().finally(() => {
        this.#reloading = undefined
      })
      await unlessAborted(this.#reloading, signal)
    }
    return this.#loaded.credentials
  }

  reject(credentials: Credentials): void {
    if (credentials === this.#loaded.credentials) this.#rejected = true
  }

  #isExpired(nowMs: number): boolean {
    return this.#loaded.renewAtMs !== undefined && nowMs >= this.#loaded.renewAtMs
  }

  async #refresh(): Promise<void> {
    const now = Date.now()
    const stamp = await stampOf(this.#loaded.files)
    const isForced = this.#rejected || this.#isExpired(now)
    const mustRead = isForced || now - this.#readAtMs >= rereadEveryMs || stamp !== this.#stamp
    this.#checkedAtMs = now
    this.#rejected = false
    if (!mustRead) return
    try {
      const loaded = await this.#load(isForced, AbortSignal.timeout(reloadBudgetMs))
      const sameFiles = loaded.files.join() === this.#loaded.files.join()
      // The stamp is older than the read: a change in between is seen the next time, never missed.
      this.#stamp = sameFiles ? stamp : ''
      this.#loaded = sameCredentials(loaded, this.#loaded)
        ? { ...loaded, credentials: this.#loaded.credentials }
        : loaded
      this.#readAtMs = now
    } catch (error) {
      // A file that is half written while somebody rotates it: what we have may still work, and a 401 brings us back.
      this.#lastError = toError(error)
    }
  }

  /** Why the last reload failed; undefined when it did not. */
  get lastError(): Error | undefined {
    return this.#lastError
  }
}

function sameCredentials(one: Loaded, other: Loaded): boolean {
  const [a, b] = [one.credentials, other.credentials]
  return a.connectionKey === b.connectionKey && a.authorization === b.authorization
}

/** Waits for `promise` until `signal` aborts; the work behind it goes on for others. */
async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * Credentials of the pod that this process runs in.
 *
 * @param dir where the ServiceAccount volume is mounted
 * @param env names the server: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT
 * @throws {InvalidInputError} when the process is not in a pod
 */
export async function inClusterConfig(
  dir: string = serviceAccountDir,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<KubeAccess> {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? ''
  const port = env['KUBERNETES_SERVICE_PORT'] ?? ''
  if (host === '' || !/^\d{1,5}$/.test(port)) {
    const hint = 'give a kubeconfig, or run in a pod'
    throw new InvalidInputError('KUBERNETES_SERVICE_HOST', `${host}:${port}`, 'names no API server', hint)
  }
  const server = checkServer(
    `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    'KUBERNETES_SERVICE_HOST',
  )
  const files = [`${dir}/token`, `${dir}/ca.crt`]
  const load = async (): Promise<Loaded> => {
    const [token, ca] = await Promise.all([readSecret(`${dir}/token`), readSecret(`${dir}/ca.crt`)])
    return { files, credentials: makeCredentials(server, { ca }, bearer(token, `${dir}/token`)) }
  }
  const stamp = await stampOf(files)
  const loaded = await load()
  const namespace = await readFile(`${dir}/namespace`, 'utf8').catch(() => 'default')
  return new ReloadingAccess(namespace.trim(), { loaded, stamp }, load)
}

/** One access that never changes, for tests and for servers on loopback. */
export function staticAccess(server: string, tls: TlsMaterial = {}, token?: string): KubeAccess {
  const authorization = token === undefined ? undefined : bearer(token, 'token')
  const credentials = makeCredentials(checkServer(server, 'server'), tls, authorization)
  return { namespace: 'default', current: () => Promise.resolve(credentials), reject: () => undefined }
}

export function makeCredentials(server: string, tls: TlsMaterial, authorization?: string): Credentials {
  const hash = createHash('sha256')
    .update(JSON.stringify([server, tls]))
    .digest('hex')
  return { server, tls, connectionKey: hash, ...(authorization === undefined ? {} : { authorization }) }
}

/** @throws {InvalidInputError} when `text` is not an http(s) URL, or sends credentials over a network in clear */
export function checkServer(text: string, field: string): string {
  const hint = 'write https://host:port'
  if (!URL.canParse(text)) throw new InvalidInputError(field, text, 'is not a URL', hint)
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new InvalidInputError(field, text, 'is neither https nor http', hint)
  }
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url.protocol === 'http:' && !isLoopback) {
    throw new InvalidInputError(field, text, 'is plain HTTP to another machine', hint)
  }
  if (url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new InvalidInputError(field, `${url.origin}/...`, 'has a user, query or fragment', hint)
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** The `Authorization` header for a token. @throws {InvalidInputError} when it is empty or could not stand in a header */
export function bearer(token: string, field: string): string {
  const trimmed = token.trim()
  if (!/^[\x21-\x7e]+$/.test(trimmed)) {
    throw new InvalidInputError(
      field,
      '(hidden)',
      'is empty or not a token',
      'write one token, printable, no spaces',
    )
  }
  return `Bearer ${trimmed}`
}

/** Reads a small text file. @throws {InvalidInputError} naming the file */
export async function readSecret(path: string): Promise<string> {
  let text: string
  try {
    const { size } = await stat(path)
    if (size > maxFileBytes) {
      throw new InvalidInputError(path, `${size} bytes`, 'is larger than 1 MiB', 'name the right file')
    }
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof InvalidInputError) throw error
    const problem = `cannot be read (${error instanceof Error ? error.message : 'unknown'})`
    throw new InvalidInputError('file', path, problem, 'check that it exists and that this user may read it')
  }
  if (text.trim() === '')
    throw new InvalidInputError('file', path, 'is empty', 'write the credential into it')
  return text
}

/** Changes whenever one of the files is replaced or written. */
export async function stampOf(files: readonly string[]): Promise<string> {
  const parts = files.map(async (file) => {
    try {
      const { mtimeMs, size, ino } = await stat(file)
      return `${file}:${mtimeMs}:${size}:${ino}`
    } catch {
      return `${file}:absent`
    }
  })
  return (await Promise.all(parts)).join('|')
}
