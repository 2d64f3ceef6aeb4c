import { type Logger, parseJson, toError } from '../base/index.ts'
import { CniError } from './cni-error.ts'
import { type Environment, parseContainerId, parseIfName } from './environment.ts'
import { cniCodes } from './error-codes.ts'
import { KeyedLock } from './keyed-lock.ts'
import { type NetworkList, parseNetworkList } from './network-list.ts'
import { PluginChain, type PluginStep, rawJson, versionForRemoval } from './plugin-chain.ts'
import type { AttachmentId } from './request.ts'
import { type CniResult, convertResult, parseResult } from './result.ts'
import { type CachedAttachment, ResultCache } from './result-cache.ts'
import { type CniVersion, isAtLeast } from './versions.ts'

/** One attachment that a runtime asks for. */
export interface RuntimeAttachment extends AttachmentId {
  /** Path of the container's network namespace; '' for DEL when it is gone. */
  readonly netns: string
  /** Pairs of CNI_ARGS, such as K8S_POD_NAME. */
  readonly args?: readonly (readonly [string, string])[]
  /** Values by capability; a plugin gets those it declares. */
  readonly capabilityArgs?: Readonly<Record<string, unknown>>
}

export interface RunnerOptions {
  /** Folders with plugin executables; the first hit wins. They become CNI_PATH. */
  readonly binDirs: readonly string[]
  /** Folder of the result cache, such as /var/lib/cni. */
  readonly cacheDir: string
  /** The node's network namespace; absent: the plugins start in ours. */
  readonly netnsPath?: string
  /** Environment of the plugins besides CNI_*. */
  readonly env: Environment
  readonly logger: Logger
  readonly timeoutsMs?: Partial<Record<PluginStep['command'], number>>
}

/** Runs plugin lists as a container runtime does (CNI spec, "Execution of Network Configurations"). */
export interface Runner {
  /**
   * Runs ADD over the list and caches the result. After a failure the caller must send `del`.
   * @returns the result of the last plugin, in the version chosen for the list
   * @throws {CniError} of the first plugin that failed
   */
  add(list: NetworkList, attachment: RuntimeAttachment, signal: AbortSignal): Promise<CniResult>
  /**
   * Runs DEL over the list in reverse, through all plugins, with the configuration and result cached at ADD.
   * Nothing there is success.
   * @throws {CniError} joining what failed
   */
  del(list: NetworkList, attachment: RuntimeAttachment, signal: AbortSignal): Promise<void>
  /** Runs CHECK over the list. @throws {CniError} of the first plugin that failed, or when no ADD is cached */
  check(list: NetworkList, attachment: RuntimeAttachment, signal: AbortSignal): Promise<void>
  /** Removes what is not in `valid`: DEL for cached attachments, then GC. @throws {CniError} joining what failed */
  gc(list: NetworkList, valid: readonly AttachmentId[], signal: AbortSignal): Promise<void>
  /** Asks each plugin of the list whether it can serve ADD. @throws {CniError} of the first that cannot */
  status(list: NetworkList, signal: AbortSignal): Promise<void>
  /**
   * Checks before anything is changed that every plugin of the list is installed and speaks its version.
   * @returns the version that ADD will use
   * @throws {CniError} naming the plugin, and its folders or versions
   */
  prepare(list: NetworkList, signal: AbortSignal): Promise<CniVersion>
  /** Puts another result in the place of the cached one: what CHECK and DEL will be told was made. */
  recordResult(list: NetworkList, attachment: RuntimeAttachment, result: CniResult): Promise<void>
  /** What is cached for one container, or for one network. */
  cached(wanted: { networkName?: string; containerId?: string }): Promise<readonly CachedAttachment[]>
}

const defaultTimeoutsMs = { ADD: 100_000, CHECK: 100_000, DEL: 60_000, STATUS: 10_000, GC: 120_000 }

/** Makes a {@link Runner}. Operations on one container run one after the other; GC of a network runs alone. */
export function createRunner(options: RunnerOptions): Runner {
  const state = new ChainRunner(options)
  return {
    add: (list, attachment, signal) =>
      state.locked(list, attachment, signal, () => state.add(list, attachment, signal)),
    del: (list, attachment, signal) =>
      state.locked(list, attachment, signal, () => state.del(list, attachment, signal)),
    check: (list, attachment, signal) =>
      state.locked(list, attachment, signal, () => state.check(list, attachment, signal)),
    gc: (list, valid, signal) => state.gc(list, valid, signal),
    status: (list, signal) => state.status(list, signal),
    prepare: (list, signal) => state.prepare(list, signal),
    recordResult: (list, attachment, result) => state.cache.write(cacheEntry(list, attachment, result)),
    cached: (wanted) => state.cache.list(wanted),
  }
}

class ChainRunner {
  readonly #chain: PluginChain
  readonly cache: ResultCache
  readonly #containers = new KeyedLock()
  readonly #networks = new KeyedLock()
  readonly #timeoutsMs: Readonly<Record<PluginStep['command'], number>>
  readonly #logger: Logger

  constructor(options: RunnerOptions) {
    this.#chain = new PluginChain(options)
    this.cache = new ResultCache(options.cacheDir, options.logger)
    this.#timeoutsMs = { ...defaultTimeoutsMs, ...options.timeoutsMs }
    this.#logger = options.logger
  }

  async locked<T>(
    list: NetworkList,
    attachment: RuntimeAttachment,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    parseContainerId(attachment.containerId)
    parseIfName('ifName', attachment.ifName)
    return this.#networks.run(list.name, 'shared', signal, () =>
      this.#containers.run(attachment.containerId, 'exclusive', signal, work),
    )
  }

  async add(list: NetworkList, attachment: RuntimeAttachment, signal: AbortSignal): Promise<CniResult> {
    const version = await this.#chain.chooseVersion(list, signal)
    let prev: unknown
    for (const plugin of list.plugins) {
      const inserted = { ...runtimeConfig(plugin.capabilities, attachment), ...prevResult(prev) }
      const step: PluginStep = {
        ...this.#step('ADD', list, version),
        plugin,
        inserted,
        variables: variables(attachment),
      }
      prev = readResult(step, await this.#chain.run(step, signal))
    }
    await this.cache.write(cacheEntry(list, attachment, prev))
    return parseResult(prev, version)
  }

  async del(given: NetworkList, attachment: RuntimeAttachment, signal: AbortSignal): Promise<void> {
    const id = { networkName: given.name, ...ids(attachment) }
    const found = await this.cache.read(id)
    const cached = found === 'damaged' ? undefined : found
    const list = this.#listAtAdd(given, cached)
    const version = versionForRemoval(list, resultVersion(cached?.result))
    const runtime = withCached(attachment, cached)
    const inserted = isAtLeast(version, '0.4.0') ? safePrevResult(cached?.result, version) : {}
    const errors: Error[] = []
    for (const plugin of list.plugins.toReversed()) {
      const config = { ...runtimeConfig(plugin.capabilities, runtime), ...inserted }
      try {
        await this.#chain.run(
          { ...this.#step('DEL', list, version), plugin, inserted: config, variables: variables(runtime) },
          signal,
        )
      } catch (error) {
        errors.push(toError(error))
      }
    }
    throwJoined('DEL', list.name, errors)
    await this.cache.delete(id)
  }

  async check(given: NetworkList, attachment: RuntimeAttachment, signal: AbortSignal): Promise<void> {
    const found = await this.cache.read({ networkName: given.name, ...ids(attachment) })
    const cached = found === 'damaged' ? undefined : found
    const list = this.#listAtAdd(given, cached)
    if (list.disableCheck) return
    const version = resultVersion(cached?.result) ?? (await this.#chain.chooseVersion(list, signal))
    const chosen = versionForRemoval(list, version)
    if (!isAtLeast(chosen, '0.4.0')) throw tooOld('CHECK', list.name, chosen, '0.4.0')
    if (cached === undefined) throw notCached(list.name, attachment)
    const runtime = withCached(attachment, cached)
    const inserted = safePrevResult(cached.result, chosen)
    for (const plugin of list.plugins) {
      const config = { ...runtimeConfig(plugin.capabilities, runtime), ...inserted }
      await this.#chain.run(
        { ...this.#step('CHECK', list, chosen), plugin, inserted: config, variables: variables(runtime) },
        signal,
      )
    }
  }

  prepare(list: NetworkList, signal: AbortSignal): Promise<CniVersion> {
    return this.#chain.chooseVersion(list, signal)
  }

  async gc(list: NetworkList, valid: readonly AttachmentId[], signal: AbortSignal): Promise<void> {
    const kept = new Set(valid.map((item) => `${item.containerId} ${item.ifName}`))
    const errors: Error[] = []
    for (const entry of await this.cache.list({ networkName: list.name })) {
      if (kept.has(`${entry.containerId} ${entry.ifName}`)) continue
      const stale = {
        ...ids(entry),
        netns: entry.netns,
        args: entry.args,
        capabilityArgs: entry.capabilityArgs,
      }
      try {
        await this.locked(list, stale, signal, () => this.del(list, stale, signal))
      } catch (error) {
        errors.push(toError(error))
      }
    }
    if (!list.disableGc)
      await this.#networks.run(list.name, 'exclusive', signal, () =>
        this.#gcChain(list, valid, errors, signal),
      )
    throwJoined('GC', list.name, errors)
  }

  async #gcChain(
    list: NetworkList,
    valid: readonly AttachmentId[],
    errors: Error[],
    signal: AbortSignal,
  ): Promise<void> {
    const version = await this.#chain.chooseVersion(list, signal)
    if (!isAtLeast(version, '1.1.0')) return
    const attachments = rawJson(valid.map((item) => ({ containerID: item.containerId, ifname: item.ifName })))
    // The second key is a slip of an earlier text that plugins may still read.
    const inserted = { 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments }
    for (const plugin of list.plugins) {
      try {
        await this.#chain.run({ ...this.#step('GC', list, version), plugin, inserted, variables: {} }, signal)
      } catch (error) {
        errors.push(toError(error))
      }
    }
  }

  async status(list: NetworkList, signal: AbortSignal): Promise<void> {
    const version = await this.#chain.chooseVersion(list, signal)
    if (!isAtLeast(version, '1.1.0')) return // older lists have no STATUS: being there is being ready
    for (const plugin of list.plugins)
      await this.#chain.run(
        { ...this.#step('STATUS', list, version), plugin, inserted: {}, variables: {} },
        signal,
      )
  }

  // The configuration in force at ADD wins, even if the file has changed since.
  #listAtAdd(given: NetworkList, cached: CachedAttachment | undefined): NetworkList {
    if (cached === undefined || cached.listText === '') return given
    try {
      return parseNetworkList(cached.listText, `cached configuration of "${given.name}"`)
    } catch (error) {
      this.#logger.warn('cached network configuration is damaged', { network: given.name, err: error })
      return given
    }
  }

  #step(
    command: PluginStep['command'],
    list: NetworkList,
    version: CniVersion,
  ): Pick<PluginStep, 'command' | 'list' | 'version' | 'timeoutMs'> {
    return { command, list, version, timeoutMs: this.#timeoutsMs[command] }
  }
}

function ids(attachment: AttachmentId): AttachmentId {
  return { containerId: attachment.containerId, ifName: attachment.ifName }
}

function variables(attachment: RuntimeAttachment): Environment {
  return {
    CNI_CONTAINERID: attachment.containerId,
    CNI_NETNS: attachment.netns,
    CNI_IFNAME: attachment.ifName,
    CNI_ARGS: (attachment.args ?? []).map(([key, value]) => `${key}=${value}`).join(';'),
  }
}

function runtimeConfig(
  capabilities: readonly string[],
  attachment: RuntimeAttachment,
): Readonly<Record<string, string>> {
  const given = attachment.capabilityArgs ?? {}
  const values = Object.fromEntries(
    capabilities.filter((key) => given[key] !== undefined).map((key) => [key, given[key]]),
  )
  return Object.keys(values).length === 0 ? {} : { runtimeConfig: rawJson(values) }
}

function prevResult(result: unknown): Readonly<Record<string, string>> {
  return result === undefined ? {} : { prevResult: rawJson(result) }
}

// A damaged cached result must not keep DEL from running: plugins work without one.
function safePrevResult(result: unknown, version: CniVersion): Readonly<Record<string, string>> {
  if (result === undefined || result === null) return {}
  if (resultVersion(result) === version) return prevResult(result)
  try {
    return prevResult(convertResult(parseResult(result, version), version))
  } catch (error) {
    if (error instanceof CniError) return {}
    throw error
  }
}

function resultVersion(result: unknown): string | undefined {
  if (typeof result !== 'object' || result === null || !('cniVersion' in result)) return undefined
  return typeof result.cniVersion === 'string' ? result.cniVersion : undefined
}

// The raw result goes on to the next plugin; it is only converted when its version is another one.
function readResult(step: PluginStep, stdout: string): unknown {
  const fail = (problem: string): CniError =>
    new CniError({
      cniCode: cniCodes.decoding,
      slug: 'result',
      message: `Cannot read the result of plugin "${step.plugin.type}" of network "${step.list.name}": ${problem}`,
      hint: 'see that the plugin prints one CNI result for ADD',
    })
  let value: unknown
  try {
    value = parseJson(stdout)
  } catch {
    throw fail(stdout.trim() === '' ? 'it is empty' : `it is not JSON: ${stdout.slice(0, 200)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fail('it is not an object')
  const result = parseResult(value, step.version)
  if (result.cniVersion !== step.version) return convertResult(result, step.version)
  return { cniVersion: step.version, ...value }
}

function cacheEntry(list: NetworkList, attachment: RuntimeAttachment, result: unknown): CachedAttachment {
  return {
    networkName: list.name,
    ...ids(attachment),
    netns: attachment.netns,
    args: attachment.args ?? [],
    capabilityArgs: attachment.capabilityArgs ?? {},
    listText: list.text,
    result,
  }
}

function withCached(attachment: RuntimeAttachment, cached: CachedAttachment | undefined): RuntimeAttachment {
  if (cached === undefined) return attachment
  return {
    ...attachment,
    args: attachment.args ?? cached.args,
    capabilityArgs: attachment.capabilityArgs ?? cached.capabilityArgs,
  }
}

function throwJoined(command: string, network: string, errors: readonly Error[]): void {
  const [first, ...more] = errors
  if (first === undefined) return
  if (more.length === 0) throw first
  const parts = {
    cniCode: first instanceof CniError ? first.cniCode : cniCodes.delegate,
    slug: 'delegate-failed',
  }
  const message = `Cannot ${command} network "${network}": ${errors.map((error) => error.message).join('; ')}`
  throw new CniError(
    { ...parts, message, hint: 'see each message; the operation may be repeated' },
    {
      cause: new AggregateError(errors),
    },
  )
}

function tooOld(command: string, network: string, version: string, least: string): CniError {
  return new CniError({
    cniCode: cniCodes.incompatibleVersion,
    slug: 'incompatible-version',
    message: `Cannot ${command} network "${network}": its cniVersion ${version} is older than ${least}`,
    hint: `set cniVersion to ${least} or newer`,
  })
}

function notCached(network: string, attachment: AttachmentId): CniError {
  return new CniError({
    cniCode: cniCodes.config,
    slug: 'network-config',
    message: `Cannot CHECK network "${network}": no ADD of ${attachment.containerId} ${attachment.ifName} is cached`,
    hint: 'run ADD first',
  })
}
