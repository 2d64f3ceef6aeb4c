import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Logger, parseJson, stringifyJson } from '../../base/index.ts'
import { parseContainerId, writeDurably } from '../../cni/index.ts'

/** What the meta-plugin set up for one container, or began to: all that DEL needs, whatever has changed since. */
export interface Scratch {
  readonly containerId: string
  /** Name of the meta-plugin's own network. */
  readonly network: string
  readonly ifName: string
  readonly netns: string
  readonly podNamespace: string
  readonly podName: string
  readonly podUid: string
  readonly attachments: readonly ScratchAttachment[]
  /** DEL failed like this, so many times in a row. */
  readonly failure?: { readonly message: string; readonly count: number; readonly sinceMs: number }
}

export interface ScratchAttachment {
  readonly ifName: string
  /** `namespace/name` of the NetworkAttachmentDefinition. */
  readonly name: string
  readonly isDefault: boolean
  /** Text of the plugin list as it was run. */
  readonly listText: string
  readonly args: readonly (readonly [string, string])[]
  readonly capabilityArgs: Readonly<Record<string, unknown>>
  readonly gateways: readonly string[]
}

const formatVersion = 1
const maxListed = 20_000

/** The folder of scratch files, one for each container. */
export class ScratchStore {
  readonly #folder: string
  readonly #logger: Logger

  constructor(folder: string, logger: Logger) {
    this.#folder = folder
    this.#logger = logger
  }

  async write(scratch: Scratch): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const body = stringifyJson(scratch)
    const file = JSON.stringify({ version: formatVersion, sha256: digest(body), body })
    await writeDurably(join(this.#folder, scratch.containerId), file)
  }

  /** @returns undefined when there is none; a damaged file is set aside and reported */
  async read(containerId: string): Promise<Scratch | undefined> {
    const path = join(this.#folder, parseContainerId(containerId))
    let content: string
    try {
      content = await readFile(path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    }
    const scratch = parseScratch(content)
    if (scratch !== undefined) return scratch
    this.#logger.error('scratch file is damaged', { path, containerId })
    await rename(path, join(this.#folder, `.bad-${containerId}`))
    return undefined
  }

  async delete(containerId: string): Promise<void> {
    await rm(join(this.#folder, containerId), { force: true })
  }

  /** Containers that have a scratch file. */
  async containers(): Promise<readonly string[]> {
    try {
      const names = await readdir(this.#folder)
      return names.filter((name) => !name.startsWith('.')).slice(0, maxListed)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
      throw error
    }
  }
}

function digest(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

function parseScratch(content: string): Scratch | undefined {
  try {
    const file: unknown = JSON.parse(content)
    if (typeof file !== 'object' || file === null) return undefined
    const { version, sha256, body } = file as Readonly<Record<string, unknown>>
    if (version !== formatVersion || typeof body !== 'string' || digest(body) !== sha256) return undefined
    return parseJson(body) as Scratch // the digest says that it is what write() was given
  } catch {
    return undefined // the caller sets the file aside and reports it
  }
}
