import type { Environment } from '@marcbachmann/cel-js'
import { CelRuntimeError } from './runtime-error.ts'
import { sync } from './sync.ts'

/** The CEL type `kubernetes.URL`: an absolute URI or an absolute path. */
class CelUrl {
  readonly url: URL
  readonly hasScheme: boolean
  constructor(url: URL, hasScheme: boolean) {
    this.url = url
    this.hasScheme = hasScheme
  }
}

const placeholder = 'http://path.invalid'

function findUrl(text: string): CelUrl | undefined {
  if (text.startsWith('/') && URL.canParse(`${placeholder}${text}`))
    return new CelUrl(new URL(`${placeholder}${text}`), false)
  return URL.canParse(text) ? new CelUrl(new URL(text), true) : undefined
}

function toUrl(text: string): CelUrl {
  const url = findUrl(text)
  if (url === undefined)
    throw new CelRuntimeError(`URL parse error during conversion from string: ${JSON.stringify(text)}`)
  return url
}

/** Registers `url()` and what belongs to it. */
export function registerUrlLibrary(env: Environment): void {
  env.registerType('kubernetes.URL', CelUrl)
  env.registerOperator(
    'kubernetes.URL == kubernetes.URL',
    (a: CelUrl, b: CelUrl) => a.url.href === b.url.href,
  )
  const add = sync(env)
  const part = (name: string, read: (url: URL) => string): void =>
    add(`kubernetes.URL.${name}(): string`, (value: CelUrl) => (value.hasScheme ? read(value.url) : ''))
  add('url(string): kubernetes.URL', toUrl)
  add('isURL(string): bool', (text: string) => findUrl(text) !== undefined)
  part('getScheme', (url) => url.protocol.slice(0, -1))
  part('getHost', (url) => url.host)
  part('getHostname', (url) => url.hostname.replace(/^\[(.*)\]$/, '$1'))
  part('getPort', (url) => url.port)
  add('kubernetes.URL.getEscapedPath(): string', (value: CelUrl) => value.url.pathname)
  add('kubernetes.URL.getQuery(): map<string, list<string>>', (value: CelUrl) => queryOf(value.url))
}

function queryOf(url: URL): Readonly<Record<string, readonly string[]>> {
  const names = [...new Set(url.searchParams.keys())]
  return Object.fromEntries(names.map((name) => [name, url.searchParams.getAll(name)]))
}
