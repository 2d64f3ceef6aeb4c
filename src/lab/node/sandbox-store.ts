import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJson } from '../../base/index.ts'
import type { ProcessId } from '../process-table.ts'

/** What the pod runtime of a node knows of one sandbox: a namespace with a pause process, made for one pod. */
export interface SandboxRecord {
  readonly containerId: string
  readonly podUid: string
  readonly namespace: string
  readonly name: string
  readonly createdAt: string
  readonly netnsPath: string
  readonly process?: ProcessId
  /** The network list as ADD got it; absent when ADD was not begun, so that there is nothing to DEL. */
  readonly networkList?: string
  /** Addresses of the default network, after ADD succeeded. */
  readonly ips?: readonly string[]
}

const recordName = 'record.json'
const maxSandboxes = 10_000
const idPattern = /^[0-9a-f]{64}$/

/**
 * Sandbox records as files, one folder each. They need no fsync: what a power cut takes from them it takes from the
 * kernel too.
 */
export class SandboxStore {
  readonly #dir: string

  constructor(dir: string) {
    this.#dir = dir
  }

  netnsPath(containerId: string): string {
    return join(this.#dir, containerId, 'netns')
  }

  async write(record: SandboxRecord): Promise<void> {
    const folder = join(this.#dir, record.containerId)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, recordName)
    await writeFile(`${path}.new`, JSON.stringify(record), { mode: 0o600 })
    await rename(`${path}.new`, path)
  }

  /** Nothing may be mounted below it any more. */
  async remove(containerId: string): Promise<void> {
    await rm(join(this.#dir, containerId), { recursive: true, force: true })
  }

  /** All records. One that cannot be read comes without a pod: what hangs on it is removed by its container id. */
  async list(): Promise<readonly SandboxRecord[]> {
    const names = await readdir(this.#dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    })
    const ids = names.filter((name) => idPattern.test(name)).slice(0, maxSandboxes)
    return Promise.all(ids.map((id) => this.#read(id)))
  }

  async #read(containerId: string): Promise<SandboxRecord> {
    const lost: SandboxRecord = {
      containerId,
      podUid: '',
      namespace: '',
      name: '',
      createdAt: new Date(0).toISOString(),
      netnsPath: this.netnsPath(containerId),
    }
    try {
      const value = parseJson(await readFile(join(this.#dir, containerId, recordName), 'utf8'))
      return isRecord(value) && value.containerId === containerId ? value : lost
    } catch {
      return lost // half written or never written: the folder is all there is of it
    }
  }
}

function isRecord(value: unknown): value is SandboxRecord {
  if (typeof value !== 'object' || value === null) return false
  const record = value as Partial<Record<keyof SandboxRecord, unknown>> // checked key by key below
  const texts = [
    record.containerId,
    record.podUid,
    record.namespace,
    record.name,
    record.netnsPath,
    record.createdAt,
  ]
  const isProcess = record.process === undefined || isProcessId(record.process)
  const isIps = record.ips === undefined || Array.isArray(record.ips)
  return texts.every((text) => typeof text === 'string') && isProcess && isIps
}

function isProcessId(value: unknown): value is ProcessId {
  if (typeof value !== 'object' || value === null) return false
  return 'pid' in value && typeof value.pid === 'number' && 'startTicks' in value
}
