import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import { InvalidInputError } from '../../base/index.ts'
import { isRecord, optionalText, requireRecord, requireText } from '../untyped.ts'
import {
  bearer,
  checkServer,
  type KubeAccess,
  type Loaded,
  makeCredentials,
  ReloadingAccess,
  readSecret,
  stampOf,
  type TlsMaterial,
} from './access.ts'
import { type ExecCredential, ExecPlugin, renewTimeMs } from './exec-credential.ts'

type Fields = Readonly<Record<string, unknown>>

export interface KubeconfigOptions {
  /** Another context than the current one. */
  readonly context?: string
  /** Accept `insecure-skip-tls-verify: true`; refused unless stated. */
  readonly allowInsecure?: boolean
}

/**
 * Reads a YAML file of at most 1 MiB.
 * @throws {InvalidInputError} naming the file
 */
export async function readYamlFile(path: string): Promise<unknown> {
  return parseYaml(await readSecret(path), path)
}

/**
 * Reads a kubeconfig file: client certificates, tokens and exec plugins; inline or in files. It and its files are read
 * again when they change, and when the server answers 401.
 *
 * @param path of the file; relative paths in it are relative to its folder
 * @throws {InvalidInputError} naming the field, when it cannot be used
 */
export async function loadKubeconfig(path: string, options: KubeconfigOptions = {}): Promise<KubeAccess> {
  let plugin: ExecPlugin | undefined
  const read = async (fresh: boolean, signal: AbortSignal): Promise<Loaded & { namespace: string }> => {
    const selected = select(parseYaml(await readSecret(path), path), options.context)
    const files = new Files(dirname(path))
    const tls = await readCluster(selected.cluster, files, options.allowInsecure === true)
    const server = checkServer(requireText(selected.cluster['server'], 'clusters[].cluster.server'), 'server')
    refuseUnsupported(selected.user)
    let answer: ExecCredential | undefined
    if (selected.user['exec'] !== undefined && selected.user['exec'] !== null) {
      const next = new ExecPlugin(selected.user['exec'], path, clusterInfo(server, tls))
      if (plugin === undefined || plugin.planKey !== next.planKey) plugin = next
      answer = await plugin.credential(fresh, signal)
    }
    const user = await readUser(selected.user, files, answer)
    const credentials = makeCredentials(server, { ...tls, ...user.tls }, user.authorization)
    return {
      files: [path, ...files.names],
      credentials,
      ...(answer?.expiresAtMs === undefined ? {} : { renewAtMs: renewTimeMs(answer) }),
      namespace: selected.namespace,
    }
  }
  const loaded = await read(false, AbortSignal.timeout(loadBudgetMs))
  // Its own files are known only now: the first stamp cannot match, so the first check reads all once more.
  const stamp = await stampOf([])
  return new ReloadingAccess(loaded.namespace, { loaded, stamp }, read)
}

const loadBudgetMs = 35_000

class Files {
  readonly names: string[] = []
  readonly #dir: string
  constructor(dir: string) {
    this.#dir = dir
  }

  async read(name: string): Promise<string> {
    const path = resolve(this.#dir, name)
    this.names.push(path)
    return readSecret(path)
  }
}

interface Selected {
  readonly cluster: Fields
  readonly user: Fields
  readonly namespace: string
}

function parseYaml(text: string, path: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    const problem = `is not YAML (${error instanceof Error ? error.message.split('\n')[0] : 'unknown'})`
    throw new InvalidInputError('kubeconfig', path, problem, 'mend the file, or name another')
  }
}

function select(raw: unknown, wanted: string | undefined): Selected {
  const config = requireRecord(raw, 'kubeconfig')
  const name = wanted ?? requireText(config['current-context'], 'current-context')
  const context = named(config['contexts'], 'contexts', 'context', name)
  const cluster = requireText(context['cluster'], `contexts[${name}].context.cluster`)
  const user = optionalText(context['user'], `contexts[${name}].context.user`)
  return {
    cluster: named(config['clusters'], 'clusters', 'cluster', cluster),
    user: user === undefined ? {} : named(config['users'], 'users', 'user', user),
    namespace: optionalText(context['namespace'], `contexts[${name}].context.namespace`) ?? 'default',
  }
}

function named(list: unknown, field: string, member: string, name: string): Fields {
  const entries: readonly unknown[] = Array.isArray(list) ? list : []
  const found = entries.find((entry) => isRecord(entry) && entry['name'] === name)
  if (!isRecord(found)) {
    throw new InvalidInputError(
      field,
      name,
      'has no entry of that name',
      `add it to ${field}, or name another context`,
    )
  }
  return requireRecord(found[member] ?? {}, `${field}[${name}].${member}`)
}

async function readCluster(cluster: Fields, files: Files, allowInsecure: boolean): Promise<TlsMaterial> {
  const field = 'clusters[].cluster'
  if (optionalText(cluster['proxy-url'], `${field}.proxy-url`) !== undefined) {
    const hint = 'reach the API server without a proxy'
    throw new InvalidInputError(`${field}.proxy-url`, cluster['proxy-url'], 'is not supported', hint)
  }
  const isInsecure = cluster['insecure-skip-tls-verify'] === true
  if (isInsecure && !allowInsecure) {
    const hint = 'give certificate-authority-data instead, or allow it expressly'
    throw new InvalidInputError(`${field}.insecure-skip-tls-verify`, true, 'trusts any server', hint)
  }
  const ca = await inlineOrFile(cluster, 'certificate-authority', field, files)
  const servername = optionalText(cluster['tls-server-name'], `${field}.tls-server-name`)
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(servername === undefined ? {} : { servername }),
    ...(isInsecure ? { insecure: true } : {}),
  }
}

async function readUser(
  user: Fields,
  files: Files,
  answer: ExecCredential | undefined,
): Promise<{ tls: TlsMaterial; authorization?: string }> {
  const field = 'users[].user'
  const cert = answer?.cert ?? (await inlineOrFile(user, 'client-certificate', field, files))
  const key = answer?.key ?? (await inlineOrFile(user, 'client-key', field, files))
  if ((cert === undefined) !== (key === undefined)) {
    const missing = cert === undefined ? 'client-certificate' : 'client-key'
    throw new InvalidInputError(
      `${field}.${missing}`,
      undefined,
      'is missing',
      'give certificate and key together',
    )
  }
  const tokenFile = optionalText(user['tokenFile'], `${field}.tokenFile`)
  const fromFile = tokenFile === undefined ? undefined : await files.read(tokenFile)
  const token = answer?.token ?? fromFile ?? optionalText(user['token'], `${field}.token`)
  return {
    tls: cert === undefined || key === undefined ? {} : { cert, key },
    ...(token === undefined ? {} : { authorization: bearer(token, `${field}.token`) }),
  }
}

function refuseUnsupported(user: Fields): void {
  for (const member of [
    'username',
    'password',
    'auth-provider',
    'as',
    'as-uid',
    'as-groups',
    'as-user-extra',
  ]) {
    if (user[member] === undefined || user[member] === null || user[member] === '') continue
    const hint = 'use a client certificate, a token, a token file or an exec plugin'
    throw new InvalidInputError(`users[].user.${member}`, '(hidden)', 'is not supported', hint)
  }
}

async function inlineOrFile(
  fields: Fields,
  name: string,
  field: string,
  files: Files,
): Promise<string | undefined> {
  const data = optionalText(fields[`${name}-data`], `${field}.${name}-data`)
  if (data !== undefined) {
    const text = Buffer.from(data, 'base64').toString('utf8')
    if (!text.includes('-----BEGIN')) {
      throw new InvalidInputError(
        `${field}.${name}-data`,
        '(hidden)',
        'is not base64 of PEM',
        'encode the PEM file',
      )
    }
    return text
  }
  const file = optionalText(fields[name], `${field}.${name}`)
  return file === undefined ? undefined : files.read(file)
}

function clusterInfo(server: string, tls: TlsMaterial): unknown {
  return {
    server,
    ...(tls.servername === undefined ? {} : { 'tls-server-name': tls.servername }),
    ...(tls.ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(tls.ca).toString('base64') }),
  }
}
