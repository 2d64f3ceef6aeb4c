import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInputError, jsonElements, jsonMembers, type Logger, parseJson } from '../base/index.ts'
import { parseNetworkName } from './environment.ts'

/** A checked plugin list. `text` is the list as it was read, and goes into the result cache. */
export interface NetworkList {
  readonly name: string
  readonly cniVersion: string
  /** All versions that the author believes to work, `cniVersion` among them. */
  readonly cniVersions: readonly string[]
  readonly disableCheck: boolean
  readonly disableGc: boolean
  readonly plugins: readonly ListPlugin[]
  readonly text: string
}

/** One plugin object of a list. */
export interface ListPlugin {
  readonly type: string
  /** Raw texts of its keys. */
  readonly members: ReadonlyMap<string, string>
  /** What it declares with true. */
  readonly capabilities: readonly string[]
  readonly ipamType: string // '' when it names none
}

const maxListBytes = 1 << 20
const maxPlugins = 64
const maxConfigFiles = 1000

/**
 * Reads a plugin list, or one plugin object as a list of one.
 * @param source where it stands, for the error: a path, or a NetworkAttachmentDefinition
 * @param appended plugin objects that `loadOnlyInlinedPlugins: false` adds
 * @throws {InvalidInputError} naming field, value and remedy
 */
export function parseNetworkList(
  text: string,
  source: string,
  appended: readonly string[] = [],
): NetworkList {
  if (text.length > maxListBytes)
    throw new InvalidInputError(source, text.length, `is longer than ${maxListBytes} bytes`, 'shorten it')
  const value = parseObject(text, source)
  const name = parseNetworkName(`${source}: name`, value['name'])
  const isList = value['plugins'] !== undefined
  const inlined = isList ? jsonElements(rawList(text, value['plugins'], source)) : [text]
  const raw = [...inlined, ...appended]
  if (raw.length === 0)
    throw new InvalidInputError(`${source}: plugins`, [], 'is empty', 'list at least one plugin object')
  if (raw.length > maxPlugins)
    throw new InvalidInputError(
      `${source}: plugins`,
      raw.length,
      'are too many',
      `list at most ${maxPlugins}`,
    )
  const cniVersion = versionText(`${source}: cniVersion`, value['cniVersion'] ?? '0.1.0')
  const more = value['cniVersions'] ?? []
  if (!Array.isArray(more))
    throw new InvalidInputError(`${source}: cniVersions`, more, 'is not a list', 'write ["1.0.0", "1.1.0"]')
  return {
    name,
    cniVersion,
    cniVersions: [
      cniVersion,
      ...more.map((item: unknown, at) => versionText(`${source}: cniVersions[${at}]`, item)),
    ],
    disableCheck: boolean(`${source}: disableCheck`, value['disableCheck']),
    disableGc: boolean(`${source}: disableGC`, value['disableGC']),
    plugins: raw.map((item, at) => parsePlugin(item, isList ? `${source}: plugins[${at}]` : source)),
    text: isList && appended.length === 0 ? text : wholeList(text, raw, isList),
  }
}

// With appended plugins, or from a single one, the cached text must be complete by itself: DEL may find it alone.
function wholeList(text: string, plugins: readonly string[], isList: boolean): string {
  const members = jsonMembers(text)
  const kept = [...members].filter(([key]) =>
    isList
      ? key !== 'plugins' && key !== 'loadOnlyInlinedPlugins'
      : ['cniVersion', 'name', 'disableCheck', 'disableGC'].includes(key),
  )
  return `{${[...kept, ['plugins', `[${plugins.join(',')}]`] as const]
    .map(([key, raw]) => `${JSON.stringify(key)}:${raw}`)
    .join(',')}}`
}

function parsePlugin(text: string, at: string): ListPlugin {
  const value = parseObject(text, at)
  const type = value['type']
  if (typeof type !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9_.-]{0,100}$/.test(type))
    throw new InvalidInputError(
      `${at}: type`,
      type ?? '',
      type === undefined ? 'is missing' : 'is not the file name of a plugin',
      'write the name of the executable, such as "macvlan"',
    )
  const declared = value['capabilities'] ?? {}
  if (typeof declared !== 'object' || declared === null || Array.isArray(declared))
    throw new InvalidInputError(`${at}: capabilities`, declared, 'is not an object', 'write {"ips":true}')
  const ipam = value['ipam']
  const ipamType: unknown = typeof ipam === 'object' && ipam !== null && 'type' in ipam ? ipam.type : ''
  return {
    type,
    members: jsonMembers(text),
    capabilities: Object.entries(declared).flatMap(([key, is]) => (is === true ? [key] : [])),
    ipamType: typeof ipamType === 'string' ? ipamType : '',
  }
}

function parseObject(text: string, at: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (cause) {
    const hint = `write one JSON object (${cause instanceof Error ? cause.message : 'bad text'})`
    throw new InvalidInputError(at, text.slice(0, 100), 'is not JSON', hint)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw new InvalidInputError(at, value, 'is not an object', 'write one JSON object')
}

function rawList(text: string, value: unknown, source: string): string {
  if (!Array.isArray(value))
    throw new InvalidInputError(`${source}: plugins`, value, 'is not a list', 'write [{"type":"..."}]')
  return jsonMembers(text).get('plugins') ?? '[]'
}

function versionText(field: string, value: unknown): string {
  if (typeof value === 'string' && /^\d{1,4}\.\d{1,4}\.\d{1,4}$/.test(value)) return value
  throw new InvalidInputError(field, value, 'is not a version', 'write three numbers such as "1.0.0"')
}

// The upstream library takes the texts "true" and "false" too.
function boolean(field: string, value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 'false') return false
  if (value === true || value === 'true') return true
  throw new InvalidInputError(field, value, 'is not a boolean', 'write true or false')
}

interface ConfigFile {
  readonly path: string
  readonly text: string
}

/**
 * Finds a network in a configuration folder by its name: lists first, then single plugins, each by file name.
 * An unreadable or foreign file is logged and passed over, unless its text names the wanted network.
 * @returns undefined when no file holds it
 */
export async function findNetworkList(
  confDir: string,
  name: string,
  logger: Logger,
): Promise<NetworkList | undefined> {
  for (const file of await readConfigFiles(confDir)) {
    let list: NetworkList
    try {
      list = await loadFile(confDir, file)
    } catch (error) {
      if (file.text.includes(`"${name}"`)) throw error
      logger.warn('network configuration passed over', { path: file.path, err: error })
      continue
    }
    if (list.name === name) return list
  }
  return undefined
}

/**
 * The default network of a node: the first file of the folder, as kubelet's runtimes choose it.
 * @returns undefined when the folder holds none
 * @throws {InvalidInputError} when that file is not a configuration
 */
export async function findDefaultNetworkList(confDir: string): Promise<NetworkList | undefined> {
  const files = await readConfigFiles(confDir)
  const first = files.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))[0]
  return first === undefined ? undefined : loadFile(confDir, first)
}

async function loadFile(confDir: string, file: ConfigFile): Promise<NetworkList> {
  const value = parseObject(file.text, file.path)
  if (value['loadOnlyInlinedPlugins'] !== false || typeof value['name'] !== 'string')
    return parseNetworkList(file.text, file.path)
  const folder = join(confDir, parseNetworkName(`${file.path}: name`, value['name']))
  const more = await readFolder(folder, /\.conf$/)
  return parseNetworkList(
    file.text,
    file.path,
    more.map((item) => item.text),
  )
}

async function readConfigFiles(confDir: string): Promise<readonly ConfigFile[]> {
  const lists = await readFolder(confDir, /\.conflist$/)
  return [...lists, ...(await readFolder(confDir, /\.(conf|json)$/))]
}

async function readFolder(folder: string, pattern: RegExp): Promise<readonly ConfigFile[]> {
  let names: readonly string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
  const wanted = names.filter((file) => pattern.test(file)).slice(0, maxConfigFiles)
  wanted.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const files: ConfigFile[] = []
  for (const file of wanted) {
    const path = join(folder, file)
    files.push({ path, text: await readFile(path, 'utf8') })
  }
  return files
}
