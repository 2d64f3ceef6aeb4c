import { stat } from 'node:fs/promises'
import { joinJsonMembers, type Logger, parseJson, stringifyJson } from '../base/index.ts'
import { CniError } from './cni-error.ts'
import type { Environment } from './environment.ts'
import { cniCodes } from './error-codes.ts'
import type { ListPlugin, NetworkList } from './network-list.ts'
import { findPlugin, type PluginOutput, runPlugin } from './plugin-process.ts'
import { type CniVersion, isSupported, requireSupported, supportedVersions } from './versions.ts'

/** Where and how plugins run. */
export interface ChainOptions {
  readonly binDirs: readonly string[]
  readonly netnsPath?: string
  readonly env: Environment
  readonly logger: Logger
}

/** One operation on one plugin of a list. */
export interface PluginStep {
  readonly command: 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS'
  readonly list: NetworkList
  readonly version: CniVersion
  readonly plugin: ListPlugin
  /** CNI_* variables of the call. */
  readonly variables: Environment
  /** Keys put into the plugin object, as raw JSON text. */
  readonly inserted: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

const versionProbeTimeoutMs = 5000
const maxKnownExecutables = 256
const reservedKeys = new Set(['cniVersion', 'name', 'prevResult', 'runtimeConfig', 'capabilities'])

/** Starts the plugins of lists, and knows which versions each executable speaks. */
export class PluginChain {
  readonly #options: ChainOptions
  readonly #versions = new Map<string, readonly string[]>()

  constructor(options: ChainOptions) {
    this.#options = options
  }

  /**
   * Runs one plugin.
   * @returns its standard output
   * @throws {CniError} with the plugin's own code and message, and its type
   */
  async run(step: PluginStep, signal: AbortSignal): Promise<string> {
    const { binDirs, netnsPath, env, logger } = this.#options
    const type = step.plugin.type
    const path = await findPlugin(type, binDirs)
    const output = await runPlugin(
      {
        type,
        path,
        env: { ...env, ...step.variables, CNI_COMMAND: step.command, CNI_PATH: binDirs.join(':') },
        stdin: pluginStdin(step),
        timeoutMs: step.timeoutMs,
        ...(netnsPath === undefined ? {} : { netnsPath }),
      },
      signal,
    )
    if (output.stderr !== '')
      logger.debug('plugin wrote to stderr', { plugin: type, command: step.command, stderr: output.stderr })
    if (output.failure !== '') throw pluginError(step, output)
    return output.stdout
  }

  /**
   * The highest version of the list that this runner and every plugin of it speaks.
   * @throws {CniError} code 1 naming the plugin and its versions
   */
  async chooseVersion(list: NetworkList, signal: AbortSignal): Promise<CniVersion> {
    const wanted = supportedVersions.filter((version) => list.cniVersions.includes(version)).reverse()
    const refusals: CniError[] = []
    for (const version of wanted) {
      const refusal = await this.#refusal(list, version, signal)
      if (refusal === undefined) return version
      refusals.push(refusal)
    }
    const [first] = refusals
    if (first !== undefined) throw first
    return requireSupported(list.cniVersion, `cniVersion of network "${list.name}"`)
  }

  async #refusal(list: NetworkList, version: string, signal: AbortSignal): Promise<CniError | undefined> {
    const types = new Set(
      list.plugins.flatMap(({ type, ipamType }) => [type, ...(ipamType === '' ? [] : [ipamType])]),
    )
    for (const type of types) {
      const known = await this.versionsOf(type, signal)
      if (known.includes(version)) continue
      return new CniError({
        cniCode: cniCodes.incompatibleVersion,
        slug: 'incompatible-version',
        message:
          `Cannot use network "${list.name}" with cniVersion "${version}": ` +
          `plugin "${type}" supports ${known.join(', ')}`,
        hint: `set cniVersion to one of these, or install a newer "${type}"`,
      })
    }
    return undefined
  }

  /** The versions that a plugin says it speaks; asked once for each executable as it is on disk. */
  async versionsOf(type: string, signal: AbortSignal): Promise<readonly string[]> {
    const { binDirs, netnsPath, env } = this.#options
    const path = await findPlugin(type, binDirs)
    const file = await stat(path)
    const key = `${path} ${file.dev} ${file.ino} ${file.size} ${file.mtimeMs}`
    const known = this.#versions.get(key)
    if (known !== undefined) return known
    const output = await runPlugin(
      {
        type,
        path,
        env: { ...env, CNI_COMMAND: 'VERSION', CNI_PATH: binDirs.join(':') },
        stdin: '{"cniVersion":"1.0.0"}',
        timeoutMs: versionProbeTimeoutMs,
        ...(netnsPath === undefined ? {} : { netnsPath }),
      },
      signal,
    )
    const versions = readVersions(type, output)
    if (this.#versions.size >= maxKnownExecutables) this.#versions.clear()
    this.#versions.set(key, versions)
    return versions
  }
}

/** The version of a list for its removal: no plugin is asked, for DEL must work without any of them. */
export function versionForRemoval(list: NetworkList, resultVersion: string | undefined): CniVersion {
  if (resultVersion !== undefined && isSupported(resultVersion) && list.cniVersions.includes(resultVersion))
    return resultVersion
  const highest = supportedVersions.findLast((version) => list.cniVersions.includes(version))
  return highest ?? requireSupported(list.cniVersion, `cniVersion of network "${list.name}"`)
}

// The plugin object as its author wrote it, without what belongs to the runtime, then what the runtime says.
function pluginStdin(step: PluginStep): string {
  const own = [...step.plugin.members].filter(
    ([key]) => !reservedKeys.has(key) && !key.startsWith('cni.dev/'),
  )
  return joinJsonMembers([
    ['cniVersion', JSON.stringify(step.version)],
    ['name', JSON.stringify(step.list.name)],
    ...own,
    ...Object.entries(step.inserted),
  ])
}

function readVersions(type: string, output: PluginOutput): readonly string[] {
  const value = tryParse(output.stdout)
  const list: unknown =
    typeof value === 'object' && value !== null && 'supportedVersions' in value
      ? value.supportedVersions
      : undefined
  if (output.failure === '' && Array.isArray(list))
    return list.filter((item): item is string => typeof item === 'string')
  // A plugin from before VERSION says that it does not know the command.
  const { msg } = errorObject(output.stdout)
  if (msg?.includes('unknown CNI_COMMAND') === true) return ['0.1.0']
  throw new CniError({
    cniCode: cniCodes.delegate,
    slug: 'delegate-failed',
    message: `Cannot read the versions of CNI plugin "${type}": ${describe(output)}`,
    hint: 'see that the executable is a CNI plugin that runs on this machine',
  })
}

function pluginError(step: PluginStep, output: PluginOutput): CniError {
  const { code, msg, details } = errorObject(output.stdout)
  const said = msg ?? describe(output)
  const ending = code === undefined ? ` (${output.failure})` : ''
  return new CniError({
    cniCode: code ?? cniCodes.delegate,
    slug: details !== undefined && details !== '' ? details : 'delegate-failed',
    message: `Cannot ${step.command} network "${step.list.name}": plugin "${step.plugin.type}": ${said}${ending}`,
    hint: details !== undefined && details !== '' ? '' : 'see the message of the plugin and its log',
  })
}

function describe(output: PluginOutput): string {
  const text = output.stderr.trim() || output.stdout.trim()
  return text === '' ? `netplugin failed with no error message (${output.failure})` : text.slice(0, 2000)
}

function errorObject(stdout: string): { code?: number; msg?: string; details?: string } {
  const value = tryParse(stdout)
  if (typeof value !== 'object' || value === null) return {}
  const { code, msg, details } = value as Readonly<Record<string, unknown>>
  return {
    ...(typeof code === 'number' && Number.isSafeInteger(code) && code > 0 ? { code } : {}),
    ...(typeof msg === 'string' && msg !== '' ? { msg } : {}),
    ...(typeof details === 'string' ? { details } : {}),
  }
}

function tryParse(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return undefined // the caller says what it found instead
  }
}

/** Raw JSON text of a value, exact for long integers. */
export function rawJson(value: unknown): string {
  return stringifyJson(value)
}
