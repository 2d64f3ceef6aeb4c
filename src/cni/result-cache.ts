import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInputError, type Logger, parseJson, stringifyJson } from '../base/index.ts'
import { writeDurably } from './durable-file.ts'

/** What ADD leaves for CHECK and DEL, in the format of the upstream library (`cniCacheV1`). */
export interface CachedAttachment {
  readonly networkName: string
  readonly containerId: string
  readonly ifName: string
  readonly netns: string
  readonly args: readonly (readonly [string, string])[]
  readonly capabilityArgs: Readonly<Record<string, unknown>>
  /** Text of the list that was in force at ADD; '' when the file does not say. */
  readonly listText: string
  /** Result of the chain, as its last plugin gave it. */
  readonly result: unknown
}

const maxEntries = 100_000

/** The folder of results below a cache folder: `results/<network>-<container>-<interface>`. */
export class ResultCache {
  readonly #folder: string
  readonly #logger: Logger

  constructor(cacheDir: string, logger: Logger) {
    this.#folder = join(cacheDir, 'results')
    this.#logger = logger
  }

  #path(id: { networkName: string; containerId: string; ifName: string }): string {
    return join(this.#folder, `${id.networkName}-${id.containerId}-${id.ifName}`)
  }

  /** Makes it durable: temp file, fsync, rename. */
  async write(entry: CachedAttachment): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const { listText, args, networkName, containerId, ifName, netns, capabilityArgs, result } = entry
    const file = {
      kind: 'cniCacheV1',
      containerId,
      config: Buffer.from(listText).toString('base64'),
      ifName,
      networkName,
      netns,
      cniArgs: args,
      capabilityArgs,
      result,
    }
    await writeDurably(this.#path(entry), stringifyJson(file))
  }

  /** @returns undefined when there is none; `damaged` when the file is there but cannot be read */
  async read(id: {
    networkName: string
    containerId: string
    ifName: string
  }): Promise<CachedAttachment | 'damaged' | undefined> {
    return this.#readFile(this.#path(id), id)
  }

  async #readFile(
    path: string,
    id?: { networkName: string; containerId: string; ifName: string },
  ): Promise<CachedAttachment | 'damaged' | undefined> {
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    }
    if (text === '') return undefined // a write of somebody else that a crash cut short
    try {
      return parseEntry(parseJson(text), id)
    } catch (error) {
      this.#logger.warn('result cache file is damaged', { path, err: error })
      return 'damaged'
    }
  }

  async delete(id: { networkName: string; containerId: string; ifName: string }): Promise<void> {
    await rm(this.#path(id), { force: true })
  }

  /** All readable entries of one network, or of one container. */
  async list(wanted: { networkName?: string; containerId?: string }): Promise<readonly CachedAttachment[]> {
    const entries: CachedAttachment[] = []
    for (const name of (await readNames(this.#folder)).slice(0, maxEntries)) {
      const isCandidate =
        wanted.networkName === undefined
          ? name.includes(`-${wanted.containerId}-`)
          : name.startsWith(`${wanted.networkName}-`)
      if (!isCandidate) continue
      const entry = await this.#readFile(join(this.#folder, name))
      if (entry === undefined || entry === 'damaged') continue
      if (wanted.networkName !== undefined && entry.networkName !== wanted.networkName) continue
      if (wanted.containerId !== undefined && entry.containerId !== wanted.containerId) continue
      entries.push(entry)
    }
    return entries
  }
}

async function readNames(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

function parseEntry(
  value: unknown,
  id?: { networkName: string; containerId: string; ifName: string },
): CachedAttachment {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badCache('', value)
  const file = value as Readonly<Record<string, unknown>>
  // Before cniCacheV1 the file was the bare result.
  if (file['kind'] === undefined && id !== undefined)
    return { ...id, netns: '', args: [], capabilityArgs: {}, listText: '', result: value }
  if (file['kind'] !== 'cniCacheV1') throw badCache('kind', file['kind'])
  const text = (key: string): string => {
    const item = file[key] ?? ''
    if (typeof item !== 'string') throw badCache(key, item)
    return item
  }
  const args: unknown = file['cniArgs'] ?? []
  if (!Array.isArray(args)) throw badCache('cniArgs', args)
  const capabilityArgs = file['capabilityArgs'] ?? {}
  if (typeof capabilityArgs !== 'object' || Array.isArray(capabilityArgs))
    throw badCache('capabilityArgs', capabilityArgs)
  return {
    networkName: text('networkName'),
    containerId: text('containerId'),
    ifName: text('ifName'),
    netns: text('netns'),
    args: args.map((pair: unknown) => {
      if (!Array.isArray(pair) || typeof pair[0] !== 'string' || typeof pair[1] !== 'string')
        throw badCache('cniArgs', pair)
      return [pair[0], pair[1]] as const
    }),
    capabilityArgs: capabilityArgs as Readonly<Record<string, unknown>>,
    listText: Buffer.from(text('config'), 'base64').toString('utf8'),
    result: file['result'],
  }
}

function badCache(field: string, value: unknown): InvalidInputError {
  return new InvalidInputError(`cache.${field}`, value, 'is not of the format cniCacheV1', 'delete the file')
}
